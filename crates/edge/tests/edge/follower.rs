//! Offers snapshots, saves and loads, and damages the file at every byte.

use spillway_edge::follower::{Follower, StoreError};
use spillway_events::{SnapshotKind, TimeMicros};
use spillway_routing::table::TableError;

use crate::common::{full, route, site, snapshot};

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
