//! The roles of a running system, each a thread or a task on one log: ticker, dataflow, follower, DNS, probes.

pub(crate) mod probe;
pub(crate) mod ticker;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use spillway_dataflow::Config;
use spillway_edge::dns::{Dns, DnsConfig};
use spillway_edge::follower::{Follower, SharedTable};
use spillway_eventlog::{EventLog, LogError};
use spillway_events::{Snapshot, SnapshotKind, TimeMicros, read_frames, topics};

use crate::engine::checkpoint::Checkpoint;
use crate::engine::records::FrameRecords;
use crate::engine::ticks::LogTicks;
use crate::engine::writer::FrameWriter;
use crate::engine::{self, Step};
use crate::settings::Connector;
use ticker::Ticker;

/// How often a node without a table looks for one.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long a follower waits for news before it looks whether it should stop.
const WAIT: Duration = Duration::from_millis(200);
/// How long a dataflow that was told to stop goes on to derive what was ticked.
const DERIVE_REST_MAX: Duration = Duration::from_secs(5);
const CHECKPOINT_PERIOD_US: i64 = 60_000_000;

/// The wall clock.
pub(crate) fn now() -> TimeMicros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    TimeMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// What the dataflow of a running system is set to.
pub(crate) fn config(workers: usize) -> Config {
    Config { checkpoint_period_us: Some(CHECKPOINT_PERIOD_US), ..engine::config(workers) }
}

/// Gets the right to tick, then ticks and derives until told to stop; what was ticked is derived before it ends.
/// `silence` is how long nobody may have ticked.
pub(crate) fn tick_and_derive(
    connector: &Connector,
    config: Config,
    silence: Duration,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let ticking_log = connector.connect(stop)?;
    let give_up = Arc::new(AtomicBool::new(false));
    let log = connector.connect(&give_up)?;
    let mut ticker = Ticker::new(ticking_log.as_ref(), connector.has_inboxes())?;
    let Some(won) = ticker.take_over(silence, stop)? else { return Ok(()) };
    if !silence.is_zero() {
        eprintln!("ticking from {} on", won.number);
    }
    let no_more_ticks = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let deriving = scope.spawn(|| {
            let derived = derive(log.as_ref(), config, &no_more_ticks);
            stop.store(true, Ordering::Release);
            derived
        });
        let ticked = ticker.tick(won, stop);
        no_more_ticks.store(true, Ordering::Release);
        let since = Instant::now();
        while !deriving.is_finished() {
            if since.elapsed() >= DERIVE_REST_MAX {
                give_up.store(true, Ordering::Release);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        let derived = deriving.join().unwrap_or_else(|_| bail!("the dataflow died"));
        // The one that failed first has the reason; the other was only told to stop.
        if ticked.as_ref().is_err_and(is_stop) { derived.and(ticked) } else { ticked.and(derived) }
    })
}

/// Runs the dataflow on the log's ticks until told to stop, from the newest checkpoint on.
pub(crate) fn derive(log: &dyn EventLog, config: Config, stop: &AtomicBool) -> anyhow::Result<()> {
    let checkpoint = Checkpoint::newest(log)?;
    let output_partitions = log.partitions(topics::DECISIONS)?;
    let mut writer = FrameWriter::new(log, config.workers);
    let ticks = LogTicks::new(log, checkpoint.as_ref())?.following(stop, WAIT);
    let restored = checkpoint.map(|checkpoint| checkpoint.restored);
    engine::run(Config { output_partitions, ..config }, restored, ticks, |step| {
        let written = match step {
            Step::Output(output) => writer.take(output),
            // What a tick decided is wanted now, but what comes at once goes out at once.
            Step::Idle => writer.flush(),
        };
        if written.is_err() {
            // Nothing may be written behind what is missing: no more ticks are read.
            stop.store(true, Ordering::Release);
        }
        written
    })
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
