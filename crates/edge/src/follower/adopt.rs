//! Replaces the node's table by the log's at an operator's request, whatever table the node has.
//!
//! The request is a file beside the file of the table. It is removed once the log's table is on disk, so a crash or a restart
//! neither loses the request nor undoes it. It is empty until the node has looked at the log; then it holds the reason why the
//! log's table was not adopted.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use spillway_eventlog::{EventLog, FrameReader, ReadError};
use spillway_events::{Snapshot, SnapshotItem, SnapshotKind, topics};
use spillway_routing::table::Table;
use tokio_util::sync::CancellationToken;

use super::Follower;
use super::last_full::first_offset;
use super::status::Status;
use super::store;

/// How often a follower checks for a request.
pub(super) const REQUEST_INTERVAL: Duration = Duration::from_secs(1);
/// How often a wait checks whether it is cancelled.
const CANCEL_INTERVAL: Duration = Duration::from_millis(100);

/// The longest time after which the log's table is built again because it could not be saved.
const SAVE_INTERVAL_MAX: Duration = Duration::from_secs(60);
/// The longest reason that is read from a request.
const REASON_BYTES_MAX: u64 = 1_000;

/// What a request waits for that could not be met. The log's table is built again when this comes, not before: it may be large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// A full table in the log.
    ForTable,
    /// Sites in the log's table.
    ForSites,
    /// Room on the disk.
    ToSave,
}

impl Waits {
    /// Whether a snapshot that was published since may be what the request waits for.
    pub(super) fn may_end_with(self, snapshot: &Snapshot) -> bool {
        match self {
            Self::ForTable => snapshot.kind == SnapshotKind::Full,
            Self::ForSites => !snapshot.sites.is_empty(),
            Self::ToSave => false,
        }
    }
}

/// When a follower checks for a request: always after a while without one, less and less often after a failed save, and only at
/// a snapshot that helps if the log lacks something.
pub(super) fn check_interval(waits: Option<Waits>, last: Duration) -> Option<Duration> {
    match waits {
        None => Some(REQUEST_INTERVAL),
        Some(Waits::ToSave) => Some((2 * last).min(SAVE_INTERVAL_MAX)),
        Some(Waits::ForTable | Waits::ForSites) => None,
    }
}

fn request_file(table_file: &Path) -> PathBuf {
    table_file.with_file_name("adopt")
}

/// Asks the node that keeps its table in this file to take the log's table. A running node does so at once, a stopped one at
/// its next start.
///
/// # Errors
/// When the file cannot be written.
pub fn request_adoption(table_file: &Path) -> io::Result<()> {
    File::create(request_file(table_file))?.sync_all()
}

/// Whether there is a request that has not been met.
#[must_use]
pub fn is_adoption_requested(table_file: &Path) -> bool {
    request_file(table_file).exists()
}

/// Why the node has not adopted the log's table, if it has looked since the request.
///
/// # Errors
/// When the request cannot be read.
pub fn why_adoption_waits(table_file: &Path) -> io::Result<Option<String>> {
    let file = match File::open(request_file(table_file)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(REASON_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|reason| !reason.is_empty()))
}

/// Logs why a request waits, and writes it into the request.
fn wait(status: &Status, table_file: &Path, reason: &str) {
    status.adoption_waits(reason);
    // An operator may have removed the request.
    let opened = File::options().write(true).truncate(true).open(request_file(table_file));
    if let Err(error) = opened.and_then(|mut file| file.write_all(reason.as_bytes())) {
        tracing::debug!(%error, "the reason cannot be written into the request");
    }
}

/// Cancels `pass` if there is a request after an interval, or after one of the next; returns then, or when `pass` or `watch` is
/// cancelled.
pub(super) fn cancel_when_requested(
    table_file: &Path,
    interval: Duration,
    pass: &CancellationToken,
    watch: &CancellationToken,
) {
    let mut waited = Duration::ZERO;
    while !pass.is_cancelled() && !watch.is_cancelled() {
        std::thread::sleep(CANCEL_INTERVAL);
        waited += CANCEL_INTERVAL;
        if waited >= interval {
            waited = Duration::ZERO;
            if is_adoption_requested(table_file) {
                pass.cancel();
            }
        }
    }
}

/// Replaces the node's table by the log's, on disk and then in memory. If that is not possible, the request stays, and what it
/// waits for is returned.
pub(super) fn adopt(
    log: &dyn EventLog,
    follower: &mut Follower,
    file: &Path,
) -> Result<Option<Waits>, ReadError> {
    let status = follower.status();
    let Some(table) = table_of_log(log, &status)? else {
        wait(&status, file, "the log has no full routing table yet");
        return Ok(Some(Waits::ForTable));
    };
    let has_sites = follower.current().is_some_and(|current| current.sites_count() > 0);
    if has_sites && table.sites_count() == 0 {
        wait(&status, file, "the log's routing table has no sites yet, and the node's has");
        return Ok(Some(Waits::ForSites));
    }
    let replaced = store::replace(file, &table);
    status.saved(file, replaced.as_ref().err());
    let on_disk = match replaced {
        Ok(on_disk) => on_disk,
        Err(error) => {
            wait(&status, file, &format!("the log's routing table cannot be saved: {}", chain(&error)));
            return Ok(Some(Waits::ToSave));
        }
    };
    let (version, installation) = (table.version(), table.installation().to_owned());
    follower.replace(table, on_disk);
    tracing::warn!(version, installation, "the log's routing table was adopted, as an operator asked");
    match std::fs::remove_file(request_file(file)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let reason =
                format!("the log's routing table was adopted, but the request cannot be removed: {error}");
            wait(&status, file, &reason);
            Ok(Some(Waits::ToSave))
        }
        _ => Ok(None),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", chain(source)))
}

/// The last full table of a log with the deltas since; `None` if there is none. Unusable snapshots are counted, logged and
/// skipped, as when the log is followed.
fn table_of_log(log: &dyn EventLog, status: &Status) -> Result<Option<Table>, ReadError> {
    let mut table: Option<Table> = None;
    for frame in FrameReader::<SnapshotItem>::new(log, topics::SNAPSHOTS, 0, first_offset(log)?) {
        let items = match frame {
            Ok((_, items)) => items,
            Err(error @ ReadError::Record { .. }) => {
                status.undecodable_record(&error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let snapshots = match Snapshot::from_items(items) {
            Ok(snapshots) => snapshots,
            Err(error) => {
                status.undecodable_record(&error);
                continue;
            }
        };
        for snapshot in snapshots {
            let next = match (snapshot.kind, &table) {
                (SnapshotKind::Full, _) => Table::default().apply(&snapshot),
                (_, Some(table)) => table.apply(&snapshot),
                (_, None) => continue,
            };
            match next {
                Ok(next) => table = Some(next),
                Err(error) => status.refused_snapshot(snapshot.version, &error),
            }
        }
    }
    Ok(table)
}
