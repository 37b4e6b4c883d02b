//! Damaged files: what is read is what was written, or an error that names the place; never a panic, never other bytes.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use spillway_eventlog::{EmbeddedLog, EventLog, LogError};
use tempfile::TempDir;

/// What became of a damaged file.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Refused,
    Intact,
}

/// Flips bits all over the file, one at a time, and opens and reads it. Bits that nobody uses may be flipped unnoticed.
#[test]
fn flipped_bits_are_noticed() {
    let folder = TempDir::new().unwrap();
    let intact = write_log(folder.path());
    let mut refused = 0;
    // All of the file's head, then a prime step through the rest, so that every alignment is met.
    let head = (0..64).flat_map(|at| (0..8).map(move |bit| (at, bit)));
    let rest = (64..320).chain((320..intact.len()).step_by(631)).map(|at| (at, at % 8));
    for (at, bit) in head.chain(rest) {
        let mut bytes = intact.clone();
        bytes[at] ^= 1 << bit;
        refused += u32::from(check_file(&bytes) == Outcome::Refused);
    }
    assert!(refused > 100, "only {refused} noticed");
    // Every bit of a record counts, wherever in the file the record's present copy is.
    for number in [0, 3, 39] {
        for at in [0, 1, 500] {
            let mut bytes = intact.clone();
            flip_in_all(&mut bytes, &record_of(number), at);
            assert_eq!(check_file(&bytes), Outcome::Refused, "byte {at} of record {number}");
        }
    }
}

/// Cuts the file short, overwrites pages with zeros and with other pages: [`check_file`] finds nothing but refusals and
/// files that read as they should.
#[test]
fn torn_files_are_noticed() {
    let folder = TempDir::new().unwrap();
    let intact = write_log(folder.path());
    for kept in (0..intact.len()).step_by(intact.len() / 23).chain([1, 63, 64, 320, 4_096, 8_192]) {
        check_file(&intact[..kept]);
    }
    for page in 0..intact.len() / 4_096 {
        let place = page * 4_096..(page + 1) * 4_096;
        let mut bytes = intact.clone();
        bytes[place.clone()].fill(0);
        check_file(&bytes);
        let mut bytes = intact.clone();
        bytes.copy_within(4_096..8_192, place.start);
        check_file(&bytes);
    }
}

/// Damage while the log is open is noticed when the block is read, and says where it is.
#[test]
fn damage_under_an_open_log_names_the_place() {
    let folder = TempDir::new().unwrap();
    let intact = write_log(folder.path());
    let log = EmbeddedLog::open(folder.path()).unwrap();
    let file = folder.path().join("log.redb");
    let mut bytes = fs::read(&file).unwrap();
    assert_eq!(bytes.len(), intact.len());
    flip_in_all(&mut bytes, &record_of(10), 100);
    // In place: the open log keeps this very file.
    let written = fs::OpenOptions::new().write(true).open(&file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&written, &bytes, 0).unwrap();

    match log.read("usage", 0, 10, 1, 1) {
        Err(LogError::Damaged { topic, partition: 0, offset: 10 }) => assert_eq!(topic, "usage"),
        other => panic!("{other:?}"),
    }
}

/// Forty records of 2 kB, each in a block of its own, and a second topic.
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

/// Opens a file of these bytes and reads all of it.
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
        match read_log(&log) {
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

/// Flips a bit of every copy of a record: the file also holds stale ones.
fn flip_in_all(bytes: &mut [u8], record: &[u8], at: usize) {
    let places: Vec<_> = (0..bytes.len()).filter(|&place| bytes[place..].starts_with(record)).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place + at] ^= 0x10;
    }
}
