//! Replaces the node's table by the log's at an operator's request, whatever table the node has.
//!
//! The request is an empty file beside the file of the table. It is removed once the log's table is on disk, so a crash or a
//! restart neither loses the request nor undoes it.

use std::fs::File;
use std::io;
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

/// How often a follower checks for a request. A request that cannot be met yet is retried after this time.
const REQUEST_INTERVAL: Duration = Duration::from_secs(1);
/// How often a wait checks whether it is cancelled.
const CANCEL_INTERVAL: Duration = Duration::from_millis(100);

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

/// Cancels `pass` once there is a request; returns then, or when `pass` or `watch` is cancelled.
pub(super) fn cancel_when_requested(table_file: &Path, pass: &CancellationToken, watch: &CancellationToken) {
    let mut waited = Duration::ZERO;
    while !pass.is_cancelled() && !watch.is_cancelled() {
        std::thread::sleep(CANCEL_INTERVAL);
        waited += CANCEL_INTERVAL;
        if waited >= REQUEST_INTERVAL {
            waited = Duration::ZERO;
            if is_adoption_requested(table_file) {
                pass.cancel();
            }
        }
    }
}

/// Replaces the node's table by the log's, on disk and then in memory. If the log has none yet, or the file cannot be
/// written, the request stays.
pub(super) fn adopt(log: &dyn EventLog, follower: &mut Follower, file: &Path) -> Result<(), ReadError> {
    let status = follower.status();
    let Some(table) = table_of_log(log, &status)? else {
        status.adoption_waits("the log has no full routing table yet");
        return Ok(());
    };
    let has_sites = follower.current().is_some_and(|current| current.sites_count() > 0);
    if has_sites && table.sites_count() == 0 {
        status.adoption_waits("the log's routing table has no sites yet");
        return Ok(());
    }
    let replaced = store::replace(file, &table);
    status.saved(file, replaced.as_ref().err());
    let Ok(on_disk) = replaced else { return Ok(()) };
    let (version, installation) = (table.version(), table.installation().to_owned());
    follower.replace(table, on_disk);
    if let Err(error) = std::fs::remove_file(request_file(file)) {
        tracing::error!(%error, "the request to adopt the log's routing table cannot be removed");
    }
    tracing::warn!(version, installation, "the log's routing table was adopted, as an operator asked");
    Ok(())
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
