//! Follows the snapshots of a log, and saves the table that they make.

use std::path::Path;
use std::time::Duration;

use spillway_eventlog::{EventLog, FrameReader, ReadError};
use spillway_events::{Snapshot, SnapshotKind, topics};
use tokio_util::sync::CancellationToken;

use super::Follower;
use super::save::Saver;

/// How long one call waits for snapshots.
const WAIT_TIMEOUT: Duration = Duration::from_millis(200);
/// How many records before the end the search for a full table begins.
const SEARCH_RECORDS: u64 = 2_000;

/// Follows snapshots until cancelled, and saves the table beside. A record that does not decode and a snapshot that is
/// refused are counted, logged and skipped; a table that cannot be saved is logged, and tried again every second.
///
/// # Errors
/// If the log itself fails, or has lost its end.
pub fn follow(
    log: &dyn EventLog,
    follower: &mut Follower,
    file: &Path,
    cancel: &CancellationToken,
) -> Result<(), ReadError> {
    let (saver, status) = (Saver::new(follower.on_disk), follower.status());
    let on_disk = follower.on_disk.take();
    std::thread::scope(|scope| {
        scope.spawn(|| saver.run(file, on_disk, &status));
        let followed = follow_and_hand_over(log, follower, &saver, cancel);
        saver.finish();
        followed
    })
}

fn follow_and_hand_over(
    log: &dyn EventLog,
    follower: &mut Follower,
    saver: &Saver,
    cancel: &CancellationToken,
) -> Result<(), ReadError> {
    let status = follower.status();
    let from = first_offset(log)?;
    let mut frames =
        FrameReader::<Snapshot>::new(log, topics::SNAPSHOTS, 0, from).following(cancel, WAIT_TIMEOUT);
    while let Some(frame) = frames.next() {
        let snapshots = match frame {
            Ok((_, snapshots)) => snapshots,
            Err(error @ ReadError::Record { .. }) => {
                status.undecodable_record(&error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let mut is_refused = false;
        for snapshot in &snapshots {
            is_refused |= !take(follower, saver, snapshot);
        }
        if is_refused {
            frames.reject();
        }
    }
    Ok(())
}

/// Offers one snapshot. Returns whether it was taken, or brings nothing new.
fn take(follower: &mut Follower, saver: &Saver, snapshot: &Snapshot) -> bool {
    // A table from disk is newer than the first snapshots that are read.
    let is_old = |version| {
        snapshot.version < version || (snapshot.kind == SnapshotKind::Delta && snapshot.version == version)
    };
    let version = follower.current().map(|table| table.version());
    if version.is_some_and(is_old) {
        return true;
    }
    if let Err(error) = follower.offer(snapshot) {
        follower.status().refused_snapshot(snapshot.version, &error);
        return false;
    }
    if let Some(table) = follower.current().filter(|table| Some(table.version()) != version) {
        saver.table_changed(table, Some(snapshot).filter(|snapshot| snapshot.kind == SnapshotKind::Delta));
    }
    true
}

/// An offset at or before the last full table.
fn first_offset(log: &dyn EventLog) -> Result<u64, ReadError> {
    let (start, end) = (log.start(topics::SNAPSHOTS, 0)?, log.end(topics::SNAPSHOTS, 0)?);
    let mut back = SEARCH_RECORDS;
    loop {
        let from = end.saturating_sub(back).max(start);
        if from == start {
            return Ok(start);
        }
        for frame in FrameReader::<Snapshot>::new(log, topics::SNAPSHOTS, 0, from) {
            match frame {
                Ok((_, snapshots)) if snapshots.iter().any(|s| s.kind == SnapshotKind::Full) => {
                    return Ok(from);
                }
                // What does not decode is reported when it is followed.
                Ok(_) | Err(ReadError::Record { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        back *= 4;
    }
}
