//! Offers snapshots, saves and loads, and damages the file at every byte; then follows a real log, with junk in it and with
//! a disk that cannot be written.

use std::cell::Cell;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spillway_edge::follower::{
    Follower, Ignored, Status, StoreError, follow, is_adoption_requested, request_adoption,
    why_adoption_waits,
};
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::{
    CHUNK_BYTES_MAX, CdnEntry, CdnName, Prefix, SiteEntry, Snapshot, SnapshotKind, TimeMicros, encode_frame,
    topics,
};
use spillway_routing::table::TableError;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::common::{address, delta, full, route, site, snapshot};

/// How long a test waits for an expected event.
const WAIT_MAX: Duration = Duration::from_secs(30);

#[test]
fn the_last_valid_table_stays() {
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
    assert!(Arc::ptr_eq(&before, &shared.load_full().unwrap()));

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

/// A heartbeat of a version at a time in seconds, for the sites of [`full`].
fn heartbeat(version: u64, at_secs: i64) -> Snapshot {
    let beat = snapshot(SnapshotKind::Heartbeat, version, vec![], vec![], vec![]);
    Snapshot { digest: full(version).digest, at_us: TimeMicros(at_secs * 1_000_000), ..beat }
}

#[test]
fn the_log_of_another_installation_is_not_followed() {
    let (folder, log) = new_log();
    let file = folder.path().join("table");
    let mut follower = Follower::default();
    follower.offer(&Snapshot { installation: "one".to_owned(), ..full(5) }).unwrap();
    follower.save(&file).unwrap();
    publish(&log, Snapshot { installation: "two".to_owned(), ..full(7) });

    let mut follower = Follower::start(&file);
    let shared = follower.table();
    while_following(&log, &mut follower, &file, |status| {
        wait_until(|| status.ignored() == Some(Ignored::OtherInstallation));
        assert_eq!(shared.load().as_ref().unwrap().version(), 5);
        publish(&log, Snapshot { installation: "one".to_owned(), ..full(8) });
        wait_until(|| status.ignored().is_none());
        assert_eq!(shared.load().as_ref().unwrap().version(), 8);
    });
    assert_eq!(follower.status().refused(), 0);
}

/// The table was made from a log that had more ticks than the present one.
#[test]
fn a_log_that_is_older_than_the_table_is_not_followed() {
    let (folder, log) = new_log();
    let file = folder.path().join("table");
    let mut follower = Follower::default();
    follower.offer(&full(5)).unwrap();
    follower.save(&file).unwrap();
    publish(&log, full(3));
    publish(&log, heartbeat(3, 1));

    let mut follower = Follower::start(&file);
    let shared = follower.table();
    while_following(&log, &mut follower, &file, |status| {
        assert_eq!(status.ignored(), None);
        // Sent again until one of them is read as new: the follower may not have started yet.
        let tick = Cell::new(4);
        wait_until(|| {
            publish_at(&log, tick.replace(tick.get() + 1), heartbeat(4, 2));
            status.ignored() == Some(Ignored::Older)
        });
        publish(&log, full(1_000_000));
        wait_until(|| status.ignored().is_none());
        assert_eq!(shared.load().as_ref().unwrap().version(), 1_000_000);
    });
}

fn of(installation: &str, snapshot: Snapshot) -> Snapshot {
    Snapshot { installation: installation.to_owned(), ..snapshot }
}

/// Saves a table of installation `one`, version 5.
fn save_table_of_one(file: &Path) {
    let mut follower = Follower::default();
    follower.offer(&of("one", full(5))).unwrap();
    follower.save(file).unwrap();
}

#[test]
fn an_operator_lets_a_node_take_the_table_of_another_installation() {
    let (folder, log) = new_log();
    let file = folder.path().join("table");
    save_table_of_one(&file);
    publish(&log, of("two", full(2)));
    publish(&log, of("two", delta(3)));
    let mut follower = Follower::start(&file);
    let shared = follower.table();
    while_following(&log, &mut follower, &file, |status| {
        wait_until(|| status.ignored() == Some(Ignored::OtherInstallation));
        request_adoption(&file).unwrap();
        wait_until(|| !is_adoption_requested(&file));
        wait_until(|| status.ignored().is_none());
        let table = shared.load_full().unwrap();
        assert_eq!((table.installation(), table.version()), ("two", 3));
        publish(&log, of("two", delta(4)));
        wait_until(|| shared.load().as_ref().unwrap().version() == 4);
    });
    // A restart does not undo it, and the former installation is now the other one.
    let mut follower = Follower::start(&file);
    assert_eq!(follower.current().unwrap().version(), 4);
    while_following(&log, &mut follower, &file, |status| {
        publish(&log, of("one", full(6)));
        wait_until(|| status.ignored() == Some(Ignored::OtherInstallation));
    });
    assert_eq!(Follower::load(&file).unwrap().current().unwrap().installation(), "two");
}

/// The node does not run at the time of the request, and the log is a backup of its own log.
#[test]
fn an_operator_lets_a_node_take_an_older_table_of_its_own() {
    let (folder, log) = new_log();
    let file = folder.path().join("table");
    save_table_of_one(&file);
    publish(&log, of("one", full(3)));
    log.append(topics::SNAPSHOTS, 0, &[b"junk"]).unwrap();
    request_adoption(&file).unwrap();
    let mut follower = Follower::start(&file);
    assert_eq!(follower.current().unwrap().version(), 5, "the last table serves until the log is read");
    while_following(&log, &mut follower, &file, |status| {
        wait_until(|| !is_adoption_requested(&file));
        // Once when the log's table was adopted, once when the log is followed.
        wait_until(|| status.undecodable() == 2);
    });
    assert_eq!(saved_version(&file), Some(3));
}

#[test]
fn a_request_waits_until_the_log_has_a_table_with_sites() {
    let (folder, log) = new_log();
    let file = folder.path().join("table");
    save_table_of_one(&file);
    request_adoption(&file).unwrap();
    let mut follower = Follower::start(&file);
    let shared = follower.table();
    while_following(&log, &mut follower, &file, |status| {
        publish(&log, of("two", snapshot(SnapshotKind::Full, 0, vec![], vec![], vec![])));
        wait_until(|| status.ignored() == Some(Ignored::OtherInstallation));
        assert!(is_adoption_requested(&file));
        wait_until(|| why_adoption_waits(&file).unwrap().is_some_and(|why| why.contains("has no sites yet")));
        assert_eq!(shared.load().as_ref().unwrap().installation(), "one");
        publish(&log, of("two", full(1)));
        wait_until(|| !is_adoption_requested(&file));
        assert_eq!(shared.load().as_ref().unwrap().installation(), "two");
        assert_eq!(why_adoption_waits(&file).unwrap(), None);
    });
}

/// Counts how often the log is read by a record that does not decode, which is reported each time. A request is looked for every
/// second, so the test waits for longer than that; it can only pass by mistake, not fail.
#[test]
fn a_request_that_waits_reads_the_log_only_when_there_is_something_new() {
    let (folder, log) = new_log();
    let file = folder.path().join("table");
    save_table_of_one(&file);
    publish(&log, of("two", snapshot(SnapshotKind::Full, 0, vec![], vec![], vec![])));
    append(&log, b"junk");
    request_adoption(&file).unwrap();
    assert_eq!(why_adoption_waits(&file).unwrap(), None, "no node has looked yet");
    let mut follower = Follower::start(&file);
    while_following(&log, &mut follower, &file, |status| {
        // Once to adopt the table, once to follow.
        wait_until(|| status.undecodable() == 2);
        publish(&log, of("two", heartbeat(1, 2)));
        std::thread::sleep(Duration::from_millis(2_500));
        append(&log, b"junk");
        wait_until(|| status.undecodable() >= 3);
        assert_eq!(status.undecodable(), 3);
        // A table with sites, but not with those that its digest says: it is looked at, and the request waits on.
        let digest = full(2).digest.replace(|digit| digit != '0', "0");
        publish(&log, Snapshot { digest, ..of("two", full(2)) });
        // Two records, read once to adopt the table and once to follow.
        wait_until(|| status.undecodable() == 7);
        assert!(is_adoption_requested(&file));
    });
}

#[test]
fn a_request_waits_until_the_log_has_a_full_table() {
    let (folder, log) = new_log();
    let file = folder.path().join("table");
    save_table_of_one(&file);
    publish(&log, of("two", delta(2)));
    request_adoption(&file).unwrap();
    let mut follower = Follower::start(&file);
    let shared = follower.table();
    while_following(&log, &mut follower, &file, |_| {
        wait_until(|| {
            why_adoption_waits(&file).unwrap().is_some_and(|why| why.contains("no full routing table"))
        });
        publish(&log, of("two", full(3)));
        wait_until(|| !is_adoption_requested(&file));
        assert_eq!(shared.load().as_ref().unwrap().installation(), "two");
    });
}

/// A folder where the new file is to be written stands for a disk that is full.
#[test]
fn a_request_says_that_the_table_cannot_be_saved_and_is_met_once_it_can() {
    let (folder, log) = new_log();
    let file = folder.path().join("table");
    save_table_of_one(&file);
    publish(&log, of("two", full(2)));
    let in_the_way = file.with_extension("new");
    std::fs::create_dir(&in_the_way).unwrap();
    request_adoption(&file).unwrap();
    let mut follower = Follower::start(&file);
    let shared = follower.table();
    while_following(&log, &mut follower, &file, |status| {
        wait_until(|| {
            why_adoption_waits(&file).unwrap().is_some_and(|why| why.contains("cannot be saved: "))
        });
        wait_until(|| status.is_save_failing());
        assert_eq!(shared.load().as_ref().unwrap().installation(), "one");
        std::fs::remove_dir(&in_the_way).unwrap();
        wait_until(|| !is_adoption_requested(&file));
        assert_eq!(shared.load().as_ref().unwrap().installation(), "two");
    });
}

/// After a reset of the clock the snapshots before it have later times than the table.
#[test]
fn earlier_snapshots_with_later_times_do_not_mean_an_older_log() {
    let (folder, log) = new_log();
    let file = folder.path().join("table");
    publish(&log, Snapshot { at_us: TimeMicros(9_000_000), ..full(1) });
    publish(&log, delta(2));
    let mut follower = Follower::default();
    follower.offer(&Snapshot { at_us: TimeMicros(9_000_000), ..full(1) }).unwrap();
    follower.offer(&delta(2)).unwrap();
    assert_eq!(follower.current().unwrap().heard_at(), delta(2).at_us);
    follower.save(&file).unwrap();
    let mut follower = Follower::start(&file);
    let shared = follower.table();
    while_following(&log, &mut follower, &file, |status| {
        append(&log, b"junk");
        wait_until(|| status.undecodable() == 1);
        assert_eq!(status.ignored(), None);
        publish(&log, delta(3));
        wait_until(|| shared.load().as_ref().unwrap().version() == 3);
    });
}

/// 30,000 sites with three CDNs of 16 addresses each go from the log to the follower, to its file, and back.
#[test]
fn a_large_table_is_sent_in_small_records() {
    let (folder, log) = new_log();
    let file = folder.path().join("table");
    let names: Vec<String> = (0..30_000).map(|number| format!("s{number:05}")).collect();
    let addresses: Vec<_> =
        (0..16).map(|last| address(&format!("2001:db8:1234:5678:9abc:def0:1234:{last:x}"))).collect();
    let cdn = |name: &str, site: &str| CdnEntry {
        cdn: CdnName::new(name).unwrap(),
        dns_name: format!("{site}.{name}.example"),
        addresses: addresses.clone(),
    };
    let with_cdns = |name: &String| SiteEntry {
        cdns: ["a", "b", "c"].map(|cdn_name| cdn(cdn_name, name)).to_vec(),
        ..site(name, &format!("{name}.example"), vec![])
    };
    let sites = names.iter().map(with_cdns).collect();
    let routes = names.iter().map(|name| route(name, "everywhere", true)).collect();
    let whole = snapshot(SnapshotKind::Full, 9, sites, vec![], routes);
    let records = encode_frame(9, &whole.clone().into_items()).unwrap();
    assert!(records.iter().map(Vec::len).sum::<usize>() > 32 * CHUNK_BYTES_MAX);
    assert!(records.iter().all(|record| record.len() <= CHUNK_BYTES_MAX + 64));
    for record in &records {
        append(&log, record);
    }
    while_following(&log, &mut Follower::default(), &file, |_| {
        wait_until(|| std::fs::exists(&file).unwrap());
    });
    assert!(Follower::load(&file).unwrap().current().unwrap().to_snapshot() == whole);
}

#[test]
fn a_network_of_many_prefixes_is_sent_in_parts() {
    let mut whole = full(9);
    let prefix = |number: u32| Prefix::containing(IpAddr::from((number << 8).to_be_bytes()), 24);
    whole.networks[0].prefixes = (0..100_000).map(prefix).collect();
    let sites = whole.sites.into_iter().map(Arc::unwrap_or_clone).collect();
    let whole = snapshot(SnapshotKind::Full, 9, sites, whole.networks, whole.routes);
    let records = encode_frame(9, &whole.clone().into_items()).unwrap();
    assert!(records.len() > 1 && records.iter().all(|record| record.len() <= CHUNK_BYTES_MAX + 64));
    let items = spillway_events::decode_frame(&records).unwrap();
    assert_eq!(Snapshot::from_items(items), Ok(vec![whole]));
}

/// 10,000 sites take several chunks.
#[test]
fn a_large_table_is_saved_in_chunks() {
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
    publish_at(log, snapshot.version, snapshot);
}

fn publish_at(log: &EmbeddedLog, tick: u64, snapshot: Snapshot) {
    for record in encode_frame(tick, &snapshot.into_items()).unwrap() {
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
fn unusable_snapshots_are_skipped_and_the_last_valid_table_is_served() {
    let (folder, log) = new_log();
    publish(&log, full(1));
    append(&log, b"junk");
    append(&log, &[0xC3; 100]);
    // Valid frames of much later ticks: one has a changed item, one a table that is not what its digest says.
    let mut changed = encode_frame(1 << 40, &full(1 << 40).into_items()).unwrap().remove(0);
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
        // Junk at the end of the log, then another snapshot.
        append(&log, b"junk");
        publish(&log, delta(3));
        wait_until(|| shared.load().as_ref().is_some_and(|table| table.version() == 3));
        assert_eq!((status.undecodable(), status.refused()), (4, 1));
    });
}

/// The file's parent is a file, so nobody can write it, not even root.
#[test]
fn a_table_that_cannot_be_saved_is_served_and_saved_later() {
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

/// A change is appended. Whatever happens to the appended bytes, the table before them is loaded, and the log is followed
/// from there.
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
    // The log is followed from the torn file on: the delta is read from the log again.
    let mut follower = Follower::start(&file);
    while_following(&log, &mut follower, &file, |_| wait_until(|| saved_version(&file) == Some(2)));
    assert_eq!(
        Follower::load(&file).unwrap().current().unwrap().to_snapshot().routes[2],
        route("near", "everywhere", true)
    );

    // Once the deltas are larger than the table, a full table is written again.
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
