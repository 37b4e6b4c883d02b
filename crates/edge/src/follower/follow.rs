//! Follows the snapshots of a log, and saves the table that they make.

use std::path::Path;
use std::time::Duration;

use spillway_eventlog::{EventLog, FrameReader, LogError, ReadError};
use spillway_events::{Snapshot, SnapshotKind, topics};
use tokio_util::sync::CancellationToken;

use super::{Follower, StoreError};

/// How long one call waits for snapshots.
const WAIT_TIMEOUT: Duration = Duration::from_millis(200);
/// How many records before the end the search for a full table begins.
const SEARCH_RECORDS: u64 = 2_000;

/// Why a follower stopped.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] LogError),
    /// Snapshots cannot be read.
    #[error("the snapshots cannot be read")]
    Read(#[from] ReadError),
    /// The table cannot be saved.
    #[error("the table cannot be saved")]
    Save(#[from] StoreError),
}

/// Follows snapshots until cancelled, and saves the table after each change.
///
/// # Errors
/// If the log fails, a snapshot cannot be read, or the table cannot be saved.
pub fn follow(
    log: &dyn EventLog,
    follower: &mut Follower,
    file: &Path,
    cancel: &CancellationToken,
) -> Result<(), FollowError> {
    let frames = FrameReader::<Snapshot>::new(log, topics::SNAPSHOTS, 0, first_offset(log)?);
    let mut saved = None;
    for frame in frames.following(cancel, WAIT_TIMEOUT) {
        let (_, snapshots) = frame?;
        for snapshot in snapshots {
            // A table from disk is newer than the first snapshots of the log.
            let is_old = |version| {
                snapshot.version < version
                    || (snapshot.kind == SnapshotKind::Delta && snapshot.version == version)
            };
            if follower.current().is_some_and(|table| is_old(table.version())) {
                continue;
            }
            if let Err(error) = follower.offer(&snapshot) {
                let (version, error): (u64, &dyn std::error::Error) = (snapshot.version, &error);
                tracing::warn!(version, error, "a snapshot was refused; the last good table stays");
            }
        }
        let version = follower.current().map(|table| table.version());
        if version != saved {
            follower.save(file)?;
            saved = version;
        }
    }
    Ok(())
}

/// An offset at or before the last full table.
fn first_offset(log: &dyn EventLog) -> Result<u64, FollowError> {
    let (start, end) = (log.start(topics::SNAPSHOTS, 0)?, log.end(topics::SNAPSHOTS, 0)?);
    let mut back = SEARCH_RECORDS;
    loop {
        let from = end.saturating_sub(back).max(start);
        if from == start {
            return Ok(start);
        }
        for frame in FrameReader::<Snapshot>::new(log, topics::SNAPSHOTS, 0, from) {
            if frame?.1.iter().any(|snapshot| snapshot.kind == SnapshotKind::Full) {
                return Ok(from);
            }
        }
        back *= 4;
    }
}
