//! Damaged files: reading returns the written records or an error that names the file or partition; it never panics.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use spillway_eventlog::{CheckPhase, Damage, EmbeddedLog, EventLog, LogError, PageCheck, check};
use tempfile::TempDir;

/// The outcome of opening and reading a damaged file.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Refused,
    Intact,
}

/// Flips single bits all over the file, then opens and reads it. Flips of unused bits may go unnoticed.
#[test]
fn flipped_bits_are_noticed() {
    let folder = TempDir::new().unwrap();
    let intact = write_log(folder.path());
    let mut refused = 0;
    // All bits of the header, then a prime step through the rest, so that every alignment occurs.
    let head = (0..64).flat_map(|at| (0..8).map(move |bit| (at, bit)));
    let rest = (64..320).chain((320..intact.len()).step_by(443)).map(|at| (at, at % 8));
    for (at, bit) in head.chain(rest) {
        let mut bytes = intact.clone();
        bytes[at] ^= 1 << bit;
        refused += u32::from(check_file(&bytes) == Outcome::Refused);
    }
    assert!(refused > 100, "only {refused} were refused");
    // A flip in a record is always noticed, in whichever copy in the file is current.
    for number in [0, 3, 39] {
        for at in [0, 1, 500] {
            let mut bytes = intact.clone();
            flip_in_all(&mut bytes, &record_of(number), at);
            assert_eq!(check_file(&bytes), Outcome::Refused, "byte {at} of record {number}");
        }
    }
}

/// Truncates the file, overwrites pages with zeros and with other pages. [`check_file`] fails on any other outcome than
/// a refusal or the written records.
#[test]
fn torn_files_are_noticed() {
    let folder = TempDir::new().unwrap();
    let intact = write_log(folder.path());
    for kept in (0..intact.len()).step_by(intact.len() / 60).chain([1, 63, 64, 320, 4_096, 8_192]) {
        check_file(&intact[..kept]);
    }
    for page in 0..intact.len() / 4_096 {
        let range = page * 4_096..(page + 1) * 4_096;
        let mut bytes = intact.clone();
        bytes[range.clone()].fill(0);
        check_file(&bytes);
        let mut bytes = intact.clone();
        bytes.copy_within(4_096..8_192, range.start);
        check_file(&bytes);
    }
}

/// Damage to the file of an open log is noticed when the block is read, and the error names the partition and offset.
#[test]
fn damage_under_an_open_log_names_the_offset() {
    let folder = TempDir::new().unwrap();
    let intact = write_log(folder.path());
    let log = EmbeddedLog::open(folder.path()).unwrap();
    let file = folder.path().join("log.redb");
    let mut bytes = fs::read(&file).unwrap();
    assert_eq!(bytes.len(), intact.len());
    flip_in_all(&mut bytes, &record_of(10), 100);
    // Write to the same inode, which the log has open.
    let written = fs::OpenOptions::new().write(true).open(&file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&written, &bytes, 0).unwrap();

    match log.read("usage", 0, 10, 1, 1) {
        Err(LogError::Damaged { topic, partition: 0, offset: 10 }) => assert_eq!(topic, "usage"),
        other => panic!("{other:?}"),
    }
}

/// A crash while the file is created leaves any prefix of it under the temporary name. It is removed and created again.
#[test]
fn an_incomplete_new_file_is_replaced() {
    let written = TempDir::new().unwrap();
    drop(EmbeddedLog::create(written.path()).unwrap());
    let complete = fs::read(written.path().join("log.redb")).unwrap();
    for length in [0, 1, 320, 4_096, complete.len() / 2, complete.len()] {
        let folder = TempDir::new().unwrap();
        let new_file = folder.path().join("log.redb.new");
        fs::write(&new_file, &complete[..length]).unwrap();
        assert!(matches!(EmbeddedLog::open(folder.path()), Err(LogError::NoLog { .. })));
        let log = EmbeddedLog::create(folder.path()).unwrap();
        log.create_topic("usage", 1).unwrap();
        assert!(!new_file.exists());
    }
}

/// [`check`] reads everything: it finds intact logs intact, and lists each damaged block with its partition and offset.
#[test]
fn a_check_lists_what_is_damaged() {
    let folder = TempDir::new().unwrap();
    let intact = write_log(folder.path());
    let mut progress = Vec::new();
    let report = check(folder.path(), &mut |step| progress.push(step)).unwrap();
    assert!(report.is_intact() && report.pages == PageCheck::Intact, "{report:?}");
    assert_eq!((report.topics, report.blocks, report.records, report.damages_count), (2, 80, 80, 0));
    assert!(report.bytes > 40 * 1_950 && report.bytes < intact.len() as u64);
    let ends: Vec<_> = progress.iter().filter(|step| step.bytes_done == step.bytes_total).collect();
    assert!(
        matches!(ends[..], [records, pages]
        if records.phase == CheckPhase::Records && pages.phase == CheckPhase::Pages),
        "{progress:?}"
    );

    let file = folder.path().join("log.redb");
    let mut bytes = fs::read(&file).unwrap();
    for number in [3, 4, 20] {
        flip_in_all(&mut bytes, &record_of(number), 100);
    }
    fs::write(&file, &bytes).unwrap();
    let report = check(folder.path(), &mut |_| {}).unwrap();
    let damage = |offset| Damage { topic: "usage".to_owned(), partition: 0, offset };
    assert_eq!(report.damages, [damage(3), damage(4), damage(20)]);
    assert_eq!((report.damages_count, report.records), (3, 77));
    assert!(matches!(report.pages, PageCheck::Damaged(_)), "{report:?}");
    // The check has changed nothing: the other records are still read.
    let log = EmbeddedLog::open(folder.path()).unwrap();
    assert_eq!(log.read("usage", 0, 5, 15, usize::MAX).unwrap().len(), 15);
    assert!(matches!(log.read("usage", 0, 3, 1, 1), Err(LogError::Damaged { offset: 3, .. })));
}

/// Writes forty records of 2 kB, each in its own block, and a second topic.
fn write_log(folder: &Path) -> Vec<u8> {
    let log = EmbeddedLog::create(folder).unwrap();
    log.create_topic("usage", 1).unwrap();
    log.create_topic("ticks", 1).unwrap();
    for number in 0..40 {
        log.append("usage", 0, &[&record_of(number)]).unwrap();
        log.append_at("ticks", number, &number.to_le_bytes()).unwrap();
    }
    drop(log);
    fs::read(folder.join("log.redb")).unwrap()
}

/// Opens a file with these bytes and reads all records.
fn check_file(bytes: &[u8]) -> Outcome {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("log.redb"), bytes).unwrap();
    catch_unwind(|| {
        let log = match EmbeddedLog::open(folder.path()) {
            Ok(log) => log,
            Err(error) => {
                assert!(error.to_string().contains("log.redb"), "{error}");
                return Outcome::Refused;
            }
        };
        let outcome = read_log(&log);
        // Writing to damaged pages must fail, if at all, with an error.
        if let Err(error) = log.append("ticks", 0, &[b"new"]) {
            assert!(error.to_string().contains("log.redb"), "{error}");
        }
        drop(log);
        if let Err(error) = check(folder.path(), &mut |_| {}) {
            assert!(error.to_string().contains("log.redb"), "{error}");
        }
        match outcome {
            Ok(()) => Outcome::Intact,
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains("usage") || message.contains("ticks"), "{message}");
                Outcome::Refused
            }
        }
    })
    .unwrap()
}

fn read_log(log: &EmbeddedLog) -> Result<(), LogError> {
    for (topic, record) in
        [("usage", record_of as fn(u64) -> Vec<u8>), ("ticks", |number| number.to_le_bytes().to_vec())]
    {
        let found = log.read(topic, 0, 0, usize::MAX, usize::MAX)?;
        assert_eq!(found.len(), 40, "records of {topic}");
        for (entry, number) in found.iter().zip(0..) {
            assert_eq!((entry.offset, &entry.bytes), (number, &record(number)));
        }
    }
    Ok(())
}

fn record_of(number: u64) -> Vec<u8> {
    format!("record {number:04}, ").repeat(150).into_bytes()
}

/// Flips a bit in every copy of a record, because the file also holds stale copies.
fn flip_in_all(bytes: &mut [u8], record: &[u8], at: usize) {
    let copies: Vec<_> = (0..bytes.len()).filter(|&start| bytes[start..].starts_with(record)).collect();
    assert!(!copies.is_empty());
    for start in copies {
        bytes[start + at] ^= 0x10;
    }
}
