//! The roles of a running system, each a thread or a task on one log: ticker, dataflow, follower, DNS, probes.

pub(crate) mod dataflow;
pub(crate) mod peers;
pub(crate) mod probe;
pub(crate) mod ticker;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use spillway_edge::dns::{Dns, DnsConfig};
use spillway_edge::follower::{Follower, SharedTable};
use spillway_eventlog::{EventLog, LogError};
use spillway_events::{Snapshot, SnapshotKind, TimeMicros, read_frames, topics};

use crate::engine::records::FrameRecords;

/// How often a node without a table looks for one.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long a follower waits for news before it looks whether it should stop.
const WAIT: Duration = Duration::from_millis(200);

/// The wall clock.
pub(crate) fn now() -> TimeMicros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    TimeMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Where a follower begins: at or before the last full table.
fn follow_from(log: &dyn EventLog) -> anyhow::Result<u64> {
    let (start, end) = (log.start(topics::SNAPSHOTS, 0)?, log.end(topics::SNAPSHOTS, 0)?);
    let mut back = 2_000;
    loop {
        let from = end.saturating_sub(back).max(start);
        if from == start {
            return Ok(start);
        }
        for frame in FrameRecords::new(log, topics::SNAPSHOTS, 0, from)? {
            let (_, records) = frame?;
            let snapshots = read_frames::<Snapshot>(&records).map_err(|(_, error)| error)?;
            let mut snapshots = snapshots.into_iter().flat_map(|(_, snapshots)| snapshots);
            if snapshots.any(|snapshot| snapshot.kind == SnapshotKind::Full) {
                return Ok(from);
            }
        }
        back *= 4;
    }
}

/// Follows snapshots until told to stop; keeps the last table on disk.
pub(crate) fn follow(
    log: &dyn EventLog,
    mut follower: Follower,
    file: &Path,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let frames = FrameRecords::new(log, topics::SNAPSHOTS, 0, follow_from(log)?)?.following(stop, WAIT);
    let mut saved = None;
    for frame in frames {
        let (_, records) = frame?;
        let snapshots = read_frames::<Snapshot>(&records).map_err(|(_, error)| error)?;
        for snapshot in snapshots.iter().flat_map(|(_, snapshots)| snapshots) {
            // A table from disk is newer than the first snapshots of the log.
            let is_old = |version| {
                snapshot.version < version
                    || (snapshot.kind == SnapshotKind::Delta && snapshot.version == version)
            };
            if follower.current().is_some_and(|table| is_old(table.version())) {
                continue;
            }
            if let Err(error) = follower.offer(snapshot) {
                eprintln!("snapshot {} refused, the last good table stays: {error}", snapshot.version);
            }
        }
        let version = follower.current().map(|table| table.version());
        if version != saved {
            follower.save(file).with_context(|| format!("cannot keep the table in {}", file.display()))?;
            saved = version;
        }
    }
    Ok(())
}

/// Binds the DNS node once there is a table; nothing when told to stop before.
pub(crate) async fn bind(
    config: DnsConfig,
    table: SharedTable,
    stop: &AtomicBool,
) -> anyhow::Result<Option<Dns>> {
    while !stop.load(Ordering::Acquire) {
        if table.load().is_some() {
            return Ok(Some(Dns::bind(config, table).await?));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(None)
}

/// Runs a role; if it fails, says so and stops all others.
pub(crate) fn role(
    name: &str,
    stop: &Arc<AtomicBool>,
    run: impl FnOnce(&Arc<AtomicBool>) -> anyhow::Result<()>,
) -> bool {
    let outcome = run(stop);
    let was_stopped = stop.swap(true, Ordering::AcqRel);
    if was_stopped && outcome.as_ref().is_err_and(is_stop) {
        return true;
    }
    if let Err(error) = &outcome {
        eprintln!("error: {name}: {error:#}");
    }
    outcome.is_ok()
}

/// Whether a call on the log ended because all roles were told to stop, which is no failure.
fn is_stop(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref::<LogError>(), Some(LogError::Cancelled)))
}
