//! Retention of the embedded adapter: which records expire, and the size of the file.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use spillway_eventlog::{EmbeddedLog, EventLog, Kept, RetentionRule};
use tempfile::TempDir;

const DAY_MS: u64 = 86_400_000;
const ALL: u64 = u64::MAX;

/// A log whose clock is set by the test, in days.
struct Dated {
    log: EmbeddedLog,
    day: Arc<AtomicU64>,
    _folder: TempDir,
}

impl Dated {
    fn new(topics: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let log = EmbeddedLog::create(folder.path()).unwrap();
        let day = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&day);
        log.set_clock(move || clock.load(Ordering::SeqCst) * DAY_MS);
        topics.iter().for_each(|topic| log.create_topic(topic, 1).unwrap());
        Self { log, day, _folder: folder }
    }

    fn append_on(&self, day: u64, topic: &str) {
        self.day.store(day, Ordering::SeqCst);
        self.log.append(topic, 0, &[b"a", b"b"]).unwrap();
    }

    /// Drops all that has expired and returns the first offsets of the topics.
    fn starts_on(&self, day: u64, rules: &[(&str, Kept, u64)]) -> Vec<u64> {
        let rules: Vec<_> = rules
            .iter()
            .map(|(topic, kept, from)| RetentionRule { topic, partition: 0, kept: *kept, needed_from: *from })
            .collect();
        while self.log.drop_expired(&rules, day * DAY_MS).unwrap() {}
        rules.iter().map(|rule| self.log.start(rule.topic, 0).unwrap()).collect()
    }
}

#[test]
fn records_expire_after_their_retention_unless_they_are_needed() {
    let dated = Dated::new(&["usage", "decisions"]);
    for day in 0..10 {
        dated.append_on(day, "usage");
        dated.append_on(day, "decisions");
    }
    let rules = |needed_from| [("usage", Kept::Days(3), needed_from), ("decisions", Kept::ForEver, ALL)];
    assert_eq!(dated.starts_on(2, &rules(ALL)), [0, 0]);
    assert_eq!(dated.starts_on(3, &rules(ALL)), [2, 0]);
    assert_eq!(dated.starts_on(8, &rules(7)), [6, 0], "the block of offset 7 is needed");
    assert_eq!(dated.starts_on(8, &rules(ALL)), [12, 0]);
    assert_eq!(dated.starts_on(100, &rules(ALL)), [20, 0]);
    assert_eq!(dated.log.append("usage", 0, &[b"c"]).unwrap(), 20);
    assert_eq!(dated.log.read("usage", 0, 20, 1, 1).unwrap()[0].bytes, b"c");
}

/// A block that a fast clock dated far ahead does not hold back those after it, and expires with the next one.
#[test]
fn a_time_in_the_future_does_not_stop_retention() {
    let dated = Dated::new(&["usage"]);
    for day in [0, 9_000, 1, 2, 3] {
        dated.append_on(day, "usage");
    }
    let rules = [("usage", Kept::Days(3), ALL)];
    assert_eq!(dated.starts_on(3, &rules), [2]);
    assert_eq!(dated.starts_on(4, &rules), [6]);
}

#[test]
fn ticks_are_kept_as_long_as_the_oldest_input() {
    let dated = Dated::new(&["ticks", "measurements", "statistics"]);
    for day in 0..10 {
        dated.append_on(day, "ticks");
        if day >= 4 {
            dated.append_on(day, "measurements");
            dated.append_on(day, "statistics");
        }
    }
    let rules = |needed_from| {
        let kept = Kept::Days(1);
        [("ticks", kept, ALL), ("measurements", kept, ALL), ("statistics", Kept::Days(5), needed_from)]
    };
    assert_eq!(dated.starts_on(9, &rules(0)), [10, 10, 0], "ticks of the days before the oldest input");
    assert_eq!(dated.starts_on(12, &rules(ALL)), [18, 12, 8]);
}

/// With appends and retention in turns, the file stops growing, and stays within a small multiple of the records.
#[test]
fn the_file_stops_growing() {
    let dated = Dated::new(&["usage"]);
    let record = vec![7; 50_000];
    let mut sizes = Vec::new();
    for day in 0..60 {
        dated.day.store(day, Ordering::SeqCst);
        for _ in 0..20 {
            dated.log.append("usage", 0, &[&record]).unwrap();
        }
        dated.starts_on(day, &[("usage", Kept::Days(5), ALL)]);
        sizes.push(dated.log.size());
    }
    let (middle, last) = (sizes[20], sizes[59]);
    assert!(last.file_bytes <= middle.file_bytes, "{} then {}", middle.file_bytes, last.file_bytes);
    assert_eq!(last.stored_bytes, middle.stored_bytes);
    assert!(last.stored_bytes >= 100 * 50_000 && last.stored_bytes < 101 * 50_100, "{last:?}");
    assert!(last.free_bytes() < 3 * last.stored_bytes, "{last:?}");
    // The records of 60 days would not fit.
    assert!(last.file_bytes < 60 * 20 * 50_000 / 2, "{last:?}");
}
