//! The test suite that every adapter of [`EventLog`] passes. It uses the port alone.
//!
//! An adapter's test calls [`check`] with a function that makes empty logs. A violation panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test suite that the tests of every adapter run"
)]

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use spillway_events::topics::INPUT_RECORD_BYTES_MAX;

use crate::{
    APPEND_RECORDS_MAX, Appended, Batch, Entry, EventLog, LogError, PARTITIONS_MAX, RECORD_BYTES_MAX,
    TOPIC_BYTES_MAX,
};

const NO_LIMIT: usize = usize::MAX;
/// So long that reaching it means that a wake-up was missed.
const NO_TIMEOUT: Duration = Duration::from_secs(600);

/// Runs every test of the suite, each on a new log.
pub fn check(make: impl Fn() -> Arc<dyn EventLog>) {
    for test in [
        topics,
        append_and_read,
        append_to_several_partitions,
        reading_in_portions,
        truncating,
        waking_up,
        waiting_for_any,
        ending_within_bounds,
        appending_from_many_threads,
        deciding,
        deciding_in_a_race,
        bounds,
        unknown_partitions,
    ] {
        test(make().as_ref());
    }
}

fn topics(log: &dyn EventLog) {
    assert_eq!(log.topics().unwrap(), Vec::<String>::new());
    log.create_topic("usage", 3).unwrap();
    log.create_topic("inbox.cdn-a_1", 1).unwrap();
    log.create_topic("usage", 3).unwrap();
    assert_eq!(log.topics().unwrap(), ["inbox.cdn-a_1", "usage"]);
    assert_eq!(log.partitions("usage").unwrap(), 3);

    let error = log.create_topic("usage", 4).unwrap_err();
    assert!(matches!(error, LogError::PartitionsDiffer { has: 3, wanted: 4, .. }), "{error:?}");
    assert!(error.to_string().contains("usage"), "{error}");
}

fn append_and_read(log: &dyn EventLog) {
    log.create_topic("usage", 2).unwrap();
    assert_eq!(read_all(log, "usage", 0), []);
    assert_eq!(log.append("usage", 0, &[]).unwrap(), 0);
    assert_eq!(log.append("usage", 0, &[b"a", b"", b"ccc"]).unwrap(), 0);
    assert_eq!(log.append("usage", 0, &[b"d"]).unwrap(), 3);
    assert_eq!(log.append("usage", 0, &[]).unwrap(), 4);
    assert_eq!(log.append("usage", 1, &[b"other"]).unwrap(), 0);

    assert_eq!(read_all(log, "usage", 0), entries(0, &[b"a", b"", b"ccc", b"d"]));
    assert_eq!(read_all(log, "usage", 1), entries(0, &[b"other"]));
    assert_eq!((log.start("usage", 0).unwrap(), log.end("usage", 0).unwrap()), (0, 4));
    // Inside an append, and at the end.
    assert_eq!(log.read("usage", 0, 1, NO_LIMIT, NO_LIMIT).unwrap(), entries(1, &[b"", b"ccc", b"d"]));
    assert_eq!(log.read("usage", 0, 4, NO_LIMIT, NO_LIMIT).unwrap(), []);
    let error = log.read("usage", 0, 5, NO_LIMIT, NO_LIMIT).unwrap_err();
    assert!(matches!(error, LogError::BeyondEnd { wanted: 5, end: 4, .. }), "{error:?}");
}

fn append_to_several_partitions(log: &dyn EventLog) {
    log.create_topic("usage", 2).unwrap();
    log.create_topic("ticks", 1).unwrap();
    assert!(log.append_many(&[]).unwrap().is_empty());
    let batches = [
        Batch { topic: "usage", partition: 1, records: &[b"a", b"b"] },
        Batch { topic: "ticks", partition: 0, records: &[] },
        Batch { topic: "usage", partition: 0, records: &[b"c"] },
        Batch { topic: "usage", partition: 1, records: &[b"d"] },
    ];
    assert_eq!(log.append_many(&batches).unwrap(), [0, 0, 0, 2]);
    assert_eq!(log.ends(&[("usage", 1), ("ticks", 0), ("usage", 0)]).unwrap(), [3, 0, 1]);
    assert!(log.ends(&[]).unwrap().is_empty());
    assert!(matches!(log.ends(&[("usage", 1), ("usage", 2)]), Err(LogError::NoPartition { .. })));
    assert_eq!(read_all(log, "usage", 1), entries(0, &[b"a", b"b", b"d"]));
    assert_eq!(read_all(log, "usage", 0), entries(0, &[b"c"]));

    // One invalid batch fails all of them.
    let batches = [
        Batch { topic: "usage", partition: 0, records: &[b"e"] },
        Batch { topic: "usage", partition: 2, records: &[b"f"] },
    ];
    assert!(matches!(log.append_many(&batches), Err(LogError::NoPartition { partition: 2, .. })));
    assert_eq!(log.end("usage", 0).unwrap(), 1);
}

fn reading_in_portions(log: &dyn EventLog) {
    log.create_topic("usage", 1).unwrap();
    let records: Vec<Vec<u8>> = (0..200_u8).map(|n| vec![n; 1_000]).collect();
    for append in records.chunks(70) {
        log.append("usage", 0, &append.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    }
    let portion = |from, records_max, bytes_max| {
        let found = log.read("usage", 0, from, records_max, bytes_max).unwrap();
        for (entry, offset) in found.iter().zip(from..) {
            assert_eq!(entry.offset, offset);
            assert_eq!(entry.bytes, vec![u8::try_from(offset).unwrap(); 1_000]);
        }
        found.len()
    };
    assert_eq!(portion(0, NO_LIMIT, NO_LIMIT), 200);
    assert_eq!(portion(65, 10, NO_LIMIT), 10);
    assert_eq!(portion(65, NO_LIMIT, 10_999), 10);
    assert_eq!(portion(65, NO_LIMIT, 11_000), 11);
    assert_eq!(portion(65, NO_LIMIT, 1), 1);
    assert_eq!(portion(65, 0, 0), 1);
    assert_eq!(portion(199, 0, 0), 1);
}

fn truncating(log: &dyn EventLog) {
    log.create_topic("usage", 2).unwrap();
    log.append("usage", 0, &[b"a", b"b", b"c"]).unwrap();
    log.append("usage", 0, &[b"d", b"e"]).unwrap();
    log.append("usage", 1, &[b"other"]).unwrap();

    log.truncate_before("usage", 0, 4).unwrap();
    log.truncate_before("usage", 0, 1).unwrap();
    assert_eq!((log.start("usage", 0).unwrap(), log.end("usage", 0).unwrap()), (4, 5));
    assert_eq!(read_all(log, "usage", 0), entries(4, &[b"e"]));
    let error = log.read("usage", 0, 3, NO_LIMIT, NO_LIMIT).unwrap_err();
    assert!(matches!(error, LogError::Truncated { partition: 0, wanted: 3, first: 4, .. }), "{error:?}");

    assert!(matches!(log.truncate_before("usage", 0, 6), Err(LogError::BeyondEnd { wanted: 6, end: 5, .. })));
    log.truncate_before("usage", 0, 5).unwrap();
    assert_eq!(read_all(log, "usage", 0), []);
    assert_eq!(log.append("usage", 0, &[b"f"]).unwrap(), 5);
    assert_eq!(read_all(log, "usage", 0), entries(5, &[b"f"]));
    assert_eq!(read_all(log, "usage", 1), entries(0, &[b"other"]));
}

fn waking_up(log: &dyn EventLog) {
    log.create_topic("usage", 2).unwrap();
    assert!(!log.wait("usage", 0, 0, Duration::ZERO).unwrap());
    thread::scope(|scope| {
        let waiters: Vec<_> =
            (0..4).map(|_| scope.spawn(|| log.wait("usage", 0, 1, NO_TIMEOUT).unwrap())).collect();
        log.append("usage", 1, &[b"another partition", b"", b""]).unwrap();
        log.append("usage", 0, &[b"one is not enough"]).unwrap();
        log.append("usage", 0, &[b"two are"]).unwrap();
        for waiter in waiters {
            assert!(waiter.join().unwrap());
        }
    });
    assert!(log.wait("usage", 0, 1, Duration::ZERO).unwrap());
}

fn waiting_for_any(log: &dyn EventLog) {
    log.create_topic("usage", 2).unwrap();
    log.create_topic("ticks", 1).unwrap();
    let seen = [("usage", 0, 0), ("usage", 1, 0), ("ticks", 0, 0)];
    assert!(!log.wait_any(&[], Duration::ZERO).unwrap());
    assert!(!log.wait_any(&seen, Duration::ZERO).unwrap());
    thread::scope(|scope| {
        let waiters: Vec<_> =
            (0..4).map(|_| scope.spawn(|| log.wait_any(&seen, NO_TIMEOUT).unwrap())).collect();
        log.append("usage", 1, &[b"one of them"]).unwrap();
        for waiter in waiters {
            assert!(waiter.join().unwrap());
        }
        let waiter = scope.spawn(|| log.wait_any(&[("usage", 1, 1), ("ticks", 0, 0)], NO_TIMEOUT).unwrap());
        log.append_at("ticks", 0, b"another topic").unwrap();
        assert!(waiter.join().unwrap());
    });
    assert!(log.wait_any(&seen, Duration::ZERO).unwrap());
    assert!(!log.wait_any(&[("usage", 0, 0), ("usage", 1, 1), ("ticks", 0, 1)], Duration::ZERO).unwrap());
    let error = log.wait_any(&[("usage", 0, 0), ("usage", 2, 0)], Duration::ZERO).unwrap_err();
    assert!(matches!(error, LogError::NoPartition { partition: 2, .. }), "{error:?}");
}

/// The bound of records holds for every adapter, the bound of bytes only for some.
fn ending_within_bounds(log: &dyn EventLog) {
    log.create_topic("usage", 1).unwrap();
    assert_eq!(log.end_within("usage", 0, 0, 10, 10).unwrap(), 0);
    for _ in 0..4 {
        log.append("usage", 0, &[&[7; 100], &[7; 200], &[7; 300]]).unwrap();
    }
    let many = u64::MAX;
    assert_eq!(log.end_within("usage", 0, 0, many, many).unwrap(), 12);
    assert_eq!(log.end_within("usage", 0, 0, 7, many).unwrap(), 7);
    assert_eq!(log.end_within("usage", 0, 5, 7, many).unwrap(), 12);
    assert_eq!(log.end_within("usage", 0, 5, 1, many).unwrap(), 6);
    assert_eq!(log.end_within("usage", 0, 5, 0, many).unwrap(), 6);
    assert_eq!(log.end_within("usage", 0, 12, 1, many).unwrap(), 12);
    assert!(matches!(log.end_within("usage", 0, 13, 1, many), Err(LogError::BeyondEnd { wanted: 13, .. })));
    assert!(matches!(log.end_within("usage", 1, 0, 1, many), Err(LogError::NoPartition { .. })));
}

/// Threads append numbered records to two partitions while a reader follows. No record is lost or duplicated, the records
/// of a thread keep their order, the records of an append are contiguous, and the returned offset is that of the first.
fn appending_from_many_threads(log: &dyn EventLog) {
    const THREADS: u64 = 8;
    const APPENDS: u64 = 50;
    log.create_topic("usage", 2).unwrap();
    let record = |thread: u64, append: u64, part: u8| format!("{thread} {append} {part}").into_bytes();
    let appended: Mutex<Vec<(u32, Vec<Entry>)>> = Mutex::default();
    let append_all = |thread: u64| {
        for append in 0..APPENDS {
            let records: Vec<_> = (0..3).map(|part| record(thread, append, part)).collect();
            let records: Vec<_> = records.iter().map(Vec::as_slice).collect();
            let partition = u32::try_from(thread % 2).unwrap();
            let first = log.append("usage", partition, &records).unwrap();
            appended.lock().unwrap().push((partition, entries(first, &records)));
        }
    };
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let append_all = &append_all;
            scope.spawn(move || append_all(thread));
        }
        let mut seen = Vec::new();
        while (seen.len() as u64) < THREADS / 2 * APPENDS * 3 {
            let from = seen.len() as u64;
            assert!(log.wait("usage", 0, from, NO_TIMEOUT).unwrap());
            seen.extend(log.read("usage", 0, from, 100, NO_LIMIT).unwrap());
        }
        assert_eq!(seen, read_all(log, "usage", 0));
    });
    for partition in 0..2 {
        let found = read_all(log, "usage", partition);
        assert_eq!(found.len() as u64, THREADS / 2 * APPENDS * 3);
        for thread in (0..THREADS).filter(|thread| thread % 2 == u64::from(partition)) {
            let prefix = format!("{thread} ").into_bytes();
            let of_thread = found.iter().map(|entry| &entry.bytes).filter(|bytes| bytes.starts_with(&prefix));
            let wanted = (0..APPENDS).flat_map(|append| (0..3).map(move |part| record(thread, append, part)));
            assert!(of_thread.cloned().eq(wanted));
        }
    }
    let found = [read_all(log, "usage", 0), read_all(log, "usage", 1)];
    for (partition, entries) in appended.into_inner().unwrap() {
        let of_partition = &found[partition as usize];
        let index = of_partition.binary_search_by_key(&entries[0].offset, |entry| entry.offset).unwrap();
        assert_eq!(of_partition[index..index + entries.len()], entries);
    }
}

fn deciding(log: &dyn EventLog) {
    log.create_topic("ticks", 1).unwrap();
    log.create_topic("usage", 2).unwrap();
    assert!(matches!(log.append_at("usage", 0, b"x"), Err(LogError::NotDeciding { partitions: 2, .. })));

    assert_eq!(log.append_at("ticks", 1, b"b").unwrap(), Appended::Lost { next: 0 });
    assert!(matches!(log.append_at("ticks", 0, b"a").unwrap(), Appended::Won(_)));
    let Appended::Won(offset) = log.append_at("ticks", 1, b"b").unwrap() else { panic!("1 was next") };
    assert_eq!(log.append_at("ticks", 1, b"b").unwrap(), Appended::Won(offset));
    assert_eq!(log.append_at("ticks", 1, b"c").unwrap(), Appended::Lost { next: 2 });
    assert_eq!(log.append_at("ticks", 0, b"a").unwrap(), Appended::Won(0));
    assert_eq!(log.append_at("ticks", 3, b"d").unwrap(), Appended::Lost { next: 2 });
    assert_eq!(read_all(log, "ticks", 0), entries(0, &[b"a", b"b"]));

    log.truncate_before("ticks", 0, 1).unwrap();
    assert!(matches!(log.append_at("ticks", 0, b"a"), Err(LogError::Truncated { wanted: 0, first: 1, .. })));
    assert_eq!(log.append_at("ticks", 1, b"b").unwrap(), Appended::Won(1));
}

/// Eight threads compete for every number. Each sends its winning record again, as after a timeout, and wins again.
fn deciding_in_a_race(log: &dyn EventLog) {
    const NUMBERS: u64 = 100;
    log.create_topic("ticks", 1).unwrap();
    let won: Mutex<Vec<Entry>> = Mutex::default();
    thread::scope(|scope| {
        for thread in 0..8 {
            let won = &won;
            scope.spawn(move || {
                let mut number = 0;
                while number < NUMBERS {
                    let bytes = format!("{number} by {thread}").into_bytes();
                    match log.append_at("ticks", number, &bytes).unwrap() {
                        Appended::Won(offset) => {
                            let again = log.append_at("ticks", number, &bytes).unwrap();
                            assert_eq!(again, Appended::Won(offset));
                            won.lock().unwrap().push(Entry { offset, bytes });
                            number += 1;
                        }
                        Appended::Lost { next } => {
                            assert!(next > number, "{number} was not taken, {next} is next");
                            number = next;
                        }
                    }
                }
            });
        }
    });
    let mut won = won.into_inner().unwrap();
    won.sort_by_key(|entry| entry.offset);
    assert_eq!(won.len() as u64, NUMBERS);
    for (entry, number) in won.iter().zip(0..) {
        assert!(entry.bytes.starts_with(format!("{number} by ").as_bytes()));
    }
    assert_eq!(read_all(log, "ticks", 0), won);
}

fn bounds(log: &dyn EventLog) {
    for name in ["", ".", "..", "a b", "a/b", "ü", "a\n", &"x".repeat(TOPIC_BYTES_MAX + 1)] {
        assert!(matches!(log.create_topic(name, 1), Err(LogError::BadTopic { .. })), "{name:?}");
    }
    log.create_topic(&"x".repeat(TOPIC_BYTES_MAX), 1).unwrap();
    for partitions in [0, PARTITIONS_MAX + 1] {
        assert!(matches!(log.create_topic("usage", partitions), Err(LogError::BadPartitionCount { .. })));
    }
    log.create_topic("usage", 1).unwrap();

    let longest = vec![7; RECORD_BYTES_MAX];
    let too_long = vec![7; RECORD_BYTES_MAX + 1];
    assert!(matches!(log.append("usage", 0, &[b"a", &too_long]), Err(LogError::RecordTooLong { .. })));
    assert!(matches!(log.append_at("usage", 0, &too_long), Err(LogError::RecordTooLong { .. })));
    assert!(matches!(log.append("usage", 0, &[longest.as_slice(); 5]), Err(LogError::AppendTooLong { .. })));
    let too_many: Vec<&[u8]> = vec![b""; APPEND_RECORDS_MAX + 1];
    assert!(matches!(log.append("usage", 0, &too_many), Err(LogError::AppendTooLong { .. })));
    assert_eq!(log.end("usage", 0).unwrap(), 0);

    assert_eq!(log.append("usage", 0, &[&longest]).unwrap(), 0);
    assert_eq!(log.read("usage", 0, 0, 1, 1).unwrap(), entries(0, &[&longest]));

    // Records of an input topic have a lower maximum.
    log.create_topic("measurements", 1).unwrap();
    log.append("measurements", 0, &[&longest[..INPUT_RECORD_BYTES_MAX]]).unwrap();
    let error = log.append("measurements", 0, &[&longest[..=INPUT_RECORD_BYTES_MAX]]).unwrap_err();
    assert!(matches!(error, LogError::RecordTooLong { bytes_max: INPUT_RECORD_BYTES_MAX, .. }), "{error:?}");
}

fn unknown_partitions(log: &dyn EventLog) {
    log.create_topic("usage", 1).unwrap();
    assert!(matches!(log.partitions("ticks"), Err(LogError::NoTopic { .. })));
    assert!(matches!(log.append("ticks", 0, &[b"a"]), Err(LogError::NoTopic { .. })));
    assert!(matches!(log.append_at("ticks", 0, b"a"), Err(LogError::NoTopic { .. })));
    assert!(matches!(log.read("ticks", 0, 0, 1, 1), Err(LogError::NoTopic { .. })));
    assert!(matches!(log.append("usage", 1, &[b"a"]), Err(LogError::NoPartition { partition: 1, .. })));
    assert!(matches!(log.read("usage", 1, 0, 1, 1), Err(LogError::NoPartition { .. })));
    assert!(matches!(log.end("usage", u32::MAX), Err(LogError::NoPartition { .. })));
    assert!(matches!(log.start("usage", 1), Err(LogError::NoPartition { .. })));
    assert!(matches!(log.truncate_before("usage", 1, 0), Err(LogError::NoPartition { .. })));
    assert!(matches!(log.wait("usage", 1, 0, Duration::ZERO), Err(LogError::NoPartition { .. })));
}

fn read_all(log: &dyn EventLog, topic: &str, partition: u32) -> Vec<Entry> {
    log.read(topic, partition, log.start(topic, partition).unwrap(), NO_LIMIT, NO_LIMIT).unwrap()
}

fn entries(first: u64, records: &[&[u8]]) -> Vec<Entry> {
    records.iter().zip(first..).map(|(record, offset)| Entry { offset, bytes: record.to_vec() }).collect()
}
