//! Offers snapshots, saves and loads, and damages the file at every byte; then follows a real log, with junk in it and with
//! a disk that refuses.

use std::path::Path;
use std::time::{Duration, Instant};

use spillway_edge::follower::{Follower, Status, StoreError, follow};
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::{Snapshot, SnapshotKind, TimeMicros, encode_frame, topics};
use spillway_routing::table::TableError;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::common::{delta, full, route, site, snapshot};

/// How long a test waits for what has to happen.
const WAIT_MAX: Duration = Duration::from_secs(30);

#[test]
fn the_last_good_table_stays() {
    let mut follower = Follower::default();
    let shared = follower.table();
    let mut beat = snapshot(SnapshotKind::Heartbeat, 0, vec![], vec![], vec![]);
    assert_eq!(follower.offer(&beat).unwrap_err(), TableError::Base { base: 0, current: 0 });
    assert!(shared.load().is_none());

    let adopted = follower.offer(&full(5)).unwrap();
    assert_eq!((adopted.kind, adopted.version, adopted.at), (SnapshotKind::Full, 5, TimeMicros(1_000_000)));
    let before = shared.load_full().unwrap();
    let mut wrong = full(6);
    wrong.routes.pop();
    assert!(matches!(follower.offer(&wrong).unwrap_err(), TableError::Digest { .. }));
    assert_eq!(follower.offer(&full(4)).unwrap_err(), TableError::Older { offered: 4, current: 5 });
    assert!(std::sync::Arc::ptr_eq(&before, &shared.load_full().unwrap()));

    (beat.version, beat.at_us, beat.digest) = (5, TimeMicros(2_000_000), full(5).digest);
    follower.offer(&beat).unwrap();
    assert_eq!(shared.load_full().unwrap().heard_at(), TimeMicros(2_000_000));
}

#[test]
fn a_saved_table_is_loaded_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table");
    Follower::default().save(&path).unwrap();
    let missing = Follower::load(&path).unwrap_err();
    assert!(missing.is_missing());

    let mut follower = Follower::default();
    follower.offer(&full(5)).unwrap();
    follower.save(&path).unwrap();
    follower.offer(&full(6)).unwrap();
    follower.save(&path).unwrap();
    let loaded = Follower::load(&path).unwrap();
    assert_eq!(loaded.current().unwrap().to_snapshot(), full(6));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// 10,000 sites take three chunks.
#[test]
fn a_great_table_is_saved_in_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table");
    let names: Vec<String> = (0..10_000).map(|number| format!("s{number:05}")).collect();
    let sites = names.iter().map(|name| site(name, &format!("{name}.example"), vec![])).collect();
    let routes = names.iter().map(|name| route(name, "everywhere", true)).collect();
    let whole = snapshot(SnapshotKind::Full, 9, sites, vec![], routes);
    let mut follower = Follower::default();
    follower.offer(&whole).unwrap();
    follower.save(&path).unwrap();
    assert_eq!(Follower::load(&path).unwrap().current().unwrap().to_snapshot(), whole);
}

#[test]
fn a_damaged_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table");
    let mut follower = Follower::default();
    follower.offer(&full(5)).unwrap();
    follower.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &damaged).unwrap();
        let error = Follower::load(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "byte {at}: {error}");
        assert!(error.to_string().contains(path.to_str().unwrap()));
    }
    for length in 0..bytes.len() {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(matches!(Follower::load(&path).unwrap_err(), StoreError::Damaged { .. }), "{length} bytes");
    }
}

/// A log of its own, with the topic of the snapshots.
fn new_log() -> (TempDir, EmbeddedLog) {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::create(folder.path().join("log")).unwrap();
    log.create_topic(topics::SNAPSHOTS, 1).unwrap();
    (folder, log)
}

fn append(log: &EmbeddedLog, record: &[u8]) {
    log.append(topics::SNAPSHOTS, 0, &[record]).unwrap();
}

fn publish(log: &EmbeddedLog, snapshot: Snapshot) {
    for record in encode_frame(snapshot.version, vec![snapshot]).unwrap() {
        append(log, &record);
    }
}

/// Follows the log while the test runs.
fn while_following(log: &EmbeddedLog, follower: &mut Follower, file: &Path, test: impl FnOnce(&Status)) {
    let (cancel, status) = (CancellationToken::new(), follower.status());
    std::thread::scope(|scope| {
        let cancel_at_end = cancel.clone().drop_guard();
        let following = scope.spawn(|| follow(log, follower, file, &cancel));
        test(&status);
        drop(cancel_at_end);
        following.join().unwrap().unwrap();
    });
}

fn wait_until(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < WAIT_MAX, "it does not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn saved_version(file: &Path) -> Option<u64> {
    Some(Follower::load(file).ok()?.current()?.version())
}

#[test]
fn what_cannot_be_used_is_skipped_and_the_last_good_table_serves() {
    let (folder, log) = new_log();
    publish(&log, full(1));
    append(&log, b"junk");
    append(&log, &[0xC3; 100]);
    // Sound frames of far ticks: one has a changed item, one a table that is not what its digest says.
    let mut changed = encode_frame(1 << 40, vec![full(1 << 40)]).unwrap().remove(0);
    let last = changed.len() - 5;
    changed[last] ^= 1;
    append(&log, &changed);
    let mut wrong = full(1 << 41);
    wrong.routes.pop();
    publish(&log, wrong);
    publish(&log, delta(2));

    let mut follower = Follower::default();
    let shared = follower.table();
    while_following(&log, &mut follower, &folder.path().join("table"), |status| {
        wait_until(|| shared.load().as_ref().is_some_and(|table| table.version() == 2));
        assert_eq!((status.undecodable(), status.refused()), (3, 1));
        // Junk at the very end, and on.
        append(&log, b"junk");
        publish(&log, delta(3));
        wait_until(|| shared.load().as_ref().is_some_and(|table| table.version() == 3));
        assert_eq!((status.undecodable(), status.refused()), (4, 1));
    });
}

/// The file's parent is a file, so it cannot be written, whoever asks.
#[test]
fn a_table_that_cannot_be_saved_serves_and_is_saved_later() {
    let (folder, log) = new_log();
    let obstacle = folder.path().join("node");
    std::fs::write(&obstacle, b"").unwrap();
    let file = obstacle.join("table");
    let mut follower = Follower::start(&file);
    let shared = follower.table();
    while_following(&log, &mut follower, &file, |status| {
        publish(&log, full(1));
        wait_until(|| status.is_save_failing());
        publish(&log, delta(2));
        wait_until(|| shared.load().as_ref().is_some_and(|table| table.version() == 2));
        std::fs::remove_file(&obstacle).unwrap();
        wait_until(|| saved_version(&file) == Some(2));
        wait_until(|| !status.is_save_failing());
    });
}

#[test]
fn a_damaged_file_is_replaced_from_the_log() {
    let (folder, log) = new_log();
    let file = folder.path().join("table");
    std::fs::write(&file, b"damaged").unwrap();
    let mut follower = Follower::start(&file);
    assert!(follower.current().is_none());
    publish(&log, full(1));
    while_following(&log, &mut follower, &file, |_| wait_until(|| saved_version(&file) == Some(1)));
    // A folder where the file should be cannot be read either.
    assert!(Follower::start(folder.path()).current().is_none());
}

/// A change is appended. Whatever happens to what was appended, the table before it is loaded; and it is followed on.
#[test]
fn a_change_is_appended_and_a_torn_tail_is_cut_off() {
    let (folder, log) = new_log();
    let file = folder.path().join("table");
    let mut follower = Follower::default();
    publish(&log, full(1));
    let length = || std::fs::metadata(&file).unwrap().len();
    let mut full_bytes = 0;
    while_following(&log, &mut follower, &file, |_| {
        wait_until(|| saved_version(&file) == Some(1));
        full_bytes = length();
        publish(&log, delta(2));
        wait_until(|| saved_version(&file) == Some(2));
        assert!(length() < full_bytes + full_bytes / 2, "{} after {full_bytes}", length());
    });
    let bytes = std::fs::read(&file).unwrap();
    let full_length = usize::try_from(full_bytes).unwrap();
    for at in full_length..bytes.len() {
        std::fs::write(&file, &bytes[..at]).unwrap();
        assert_eq!(saved_version(&file), Some(1), "{at} bytes");
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&file, &damaged).unwrap();
        assert_eq!(saved_version(&file), Some(1), "byte {at}");
    }
    // The torn file is followed on: the delta is taken from the log again.
    let mut follower = Follower::start(&file);
    while_following(&log, &mut follower, &file, |_| wait_until(|| saved_version(&file) == Some(2)));
    assert_eq!(
        Follower::load(&file).unwrap().current().unwrap().to_snapshot().routes[2],
        route("near", "everywhere", true)
    );

    // Deltas that outweigh the table make a full table of it again.
    let mut follower = Follower::start(&file);
    while_following(&log, &mut follower, &file, |_| {
        for version in 3..200 {
            publish(&log, delta(version));
        }
        wait_until(|| saved_version(&file) == Some(199));
    });
    assert!(length() < 2 * full_bytes);
    assert_eq!(Follower::load(&file).unwrap().current().unwrap().version(), 199);
}
