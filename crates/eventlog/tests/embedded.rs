//! The embedded adapter: the contract suite, and tests of its file.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spillway_eventlog::{Appended, EmbeddedLog, EventLog, LogError, RECORD_BYTES_MAX, contract};
use tempfile::TempDir;

#[test]
fn keeps_the_contract() {
    let folders: Mutex<Vec<TempDir>> = Mutex::default();
    contract::check(|| {
        let folder = TempDir::new().unwrap();
        let log = EmbeddedLog::create(folder.path().join("made/by the log")).unwrap();
        folders.lock().unwrap().push(folder);
        Arc::new(log)
    });
}

#[test]
fn a_restart_keeps_everything() {
    let folder = TempDir::new().unwrap();
    let records: Vec<Vec<u8>> = (0..1_000_u32).map(|n| n.to_le_bytes().repeat(20)).collect();
    {
        let log = EmbeddedLog::create(folder.path()).unwrap();
        log.create_topic("usage", 2).unwrap();
        log.create_topic("ticks", 1).unwrap();
        for append in records.chunks(30) {
            log.append("usage", 1, &append.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        }
        log.truncate_before("usage", 1, 17).unwrap();
        log.append_at("ticks", 0, b"first").unwrap();
    }
    for opened in [EmbeddedLog::open, EmbeddedLog::create] {
        let log = opened(folder.path()).unwrap();
        assert_eq!(log.topics().unwrap(), ["ticks", "usage"]);
        assert_eq!((log.partitions("usage").unwrap(), log.end("usage", 0).unwrap()), (2, 0));
        assert_eq!((log.start("usage", 1).unwrap(), log.end("usage", 1).unwrap()), (17, 1_000));
        let found = log.read("usage", 1, 17, usize::MAX, usize::MAX).unwrap();
        assert!(found.iter().map(|entry| &entry.bytes).eq(&records[17..]));
        assert_eq!(log.append_at("ticks", 0, b"first").unwrap(), Appended::Won(0));
        assert_eq!(log.append_at("ticks", 0, b"other").unwrap(), Appended::Lost { next: 1 });
        assert!(log.wait("usage", 1, 999, Duration::ZERO).unwrap());
        assert!(matches!(log.create_topic("usage", 1), Err(LogError::PartitionsDiffer { .. })));
    }
    // A topic that is created after a restart gets its own partitions.
    let log = EmbeddedLog::open(folder.path()).unwrap();
    log.create_topic("decisions", 1).unwrap();
    assert_eq!(log.append("decisions", 0, &[b"d"]).unwrap(), 0);
    assert_eq!(log.end("ticks", 0).unwrap(), 1);
}

/// Six callers with a record of the maximum size each exceed the queue: some wait, and all succeed.
#[test]
fn callers_wait_while_the_queue_is_full() {
    let folder = TempDir::new().unwrap();
    let log = EmbeddedLog::create(folder.path()).unwrap();
    log.create_topic("checkpoints", 1).unwrap();
    let record = vec![1; RECORD_BYTES_MAX];
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| log.append("checkpoints", 0, &[&record]).unwrap());
        }
    });
    assert_eq!(log.end("checkpoints", 0).unwrap(), 6);
    assert_eq!(log.read("checkpoints", 0, 5, 1, 1).unwrap().remove(0).bytes, record);
}

/// `end_within` counts the bytes of records, within blocks and over their boundaries.
#[test]
fn an_end_within_bounds_counts_bytes() {
    let folder = TempDir::new().unwrap();
    let log = EmbeddedLog::create(folder.path()).unwrap();
    log.create_topic("usage", 1).unwrap();
    let sizes: Vec<usize> = (0..300).map(|n| n * 37 % 1_500).collect();
    let records: Vec<Vec<u8>> = sizes.iter().map(|size| vec![1; *size]).collect();
    for append in records.chunks(7) {
        log.append("usage", 0, &append.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    }
    for from in (0..300).step_by(11) {
        for bytes_max in [0_u64, 1, 700, 1_500, 20_000, 60_000, u64::MAX] {
            let end = log.end_within("usage", 0, from as u64, 200, bytes_max).unwrap();
            let end = usize::try_from(end).unwrap();
            let bytes = |to: usize| sizes[from..to].iter().sum::<usize>() as u64;
            assert!(
                end == from + 1 || (bytes(end) <= bytes_max && end - from <= 200),
                "{from} {bytes_max} {end}"
            );
            // Lengths and headers of blocks may count too, but not much.
            let is_full =
                end == 300 || end - from == 200 || bytes(end + 1) + bytes(end) / 20 + 100 > bytes_max;
            assert!(is_full, "{from} {bytes_max} {end}");
        }
    }
}

#[test]
fn opening_a_missing_log_names_what_is_missing() {
    let folder = TempDir::new().unwrap();
    let error = open_error(&folder.path().join("nowhere"));
    assert!(matches!(error, LogError::NoFolder { .. }) && error.to_string().contains("nowhere"), "{error}");
    let error = open_error(folder.path());
    assert!(matches!(error, LogError::NoLog { .. }) && error.to_string().contains("log.redb"), "{error}");
    assert!(!folder.path().join("log.redb").exists());
}

#[test]
fn other_files_are_refused_by_name() {
    for bytes in [&b""[..], b"x", b"some other text file\n", &[0; 100_000]] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("log.redb"), bytes).unwrap();
        let error = open_error(folder.path());
        assert!(error.to_string().contains("log.redb"), "{} bytes: {error}", bytes.len());
        assert!(
            matches!(error, LogError::NotALog { .. } | LogError::DamagedFile { .. }),
            "{} bytes: {error:?}",
            bytes.len()
        );
    }
}

fn open_error(folder: &Path) -> LogError {
    match EmbeddedLog::open(folder) {
        Ok(_) => panic!("{} was opened", folder.display()),
        Err(error) => error,
    }
}
