//! The roles of a running system, each a thread or a task on one log: ticker, dataflow, follower, DNS, probes.

pub(crate) mod probe;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use spillway_dataflow::{Config, RULES_VERSION};
use spillway_edge::dns::{Dns, DnsConfig};
use spillway_edge::follower::{Follower, SharedTable};
use spillway_eventlog::{Appended, EventLog};
use spillway_events::{
    PartitionOffset, Snapshot, SnapshotKind, Tick, TimeMicros, decode, encode, read_frames, topics,
};

use crate::engine;
use crate::engine::log::{FrameRecords, FrameWriter, LogTicks, newest_checkpoint};

/// A tick is cut at most this often, when input has arrived, and at least every second.
const TICK_INTERVAL_MIN: Duration = Duration::from_millis(100);
const TICK_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// How often the ends of the input partitions are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long a follower waits for news before it looks whether it should stop.
const WAIT: Duration = Duration::from_millis(200);
const CHECKPOINT_PERIOD_US: i64 = 60_000_000;

/// The wall clock.
pub(crate) fn now() -> TimeMicros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    TimeMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Cuts ticks until told to stop. Ends with an error when another ticker won a number.
pub(crate) fn ticker(log: &dyn EventLog, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut last = last_tick(log)?;
    let mut cut_at: Option<TimeMicros> = None;
    while !stop.load(Ordering::Acquire) {
        let offsets = input_ends(log)?;
        let since = cut_at.map_or(TICK_INTERVAL_MAX, |at| {
            Duration::from_micros(u64::try_from(now().0.saturating_sub(at.0)).unwrap_or(0))
        });
        let arrived = last.as_ref().is_none_or(|last| last.offsets != offsets);
        if since >= TICK_INTERVAL_MAX || (arrived && since >= TICK_INTERVAL_MIN) {
            let tick = next_tick(last.as_ref(), offsets);
            if let Appended::Lost { next } = log.append_at(topics::TICKS, tick.number, &encode(&tick)?)? {
                bail!("another dataflow ticks on this log: it is at {next}, this one was at {}", tick.number);
            }
            cut_at = Some(now());
            last = Some(tick);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

fn last_tick(log: &dyn EventLog) -> anyhow::Result<Option<Tick>> {
    let Some(number) = log.end(topics::TICKS, 0)?.checked_sub(1) else { return Ok(None) };
    let entries = log.read(topics::TICKS, 0, number, 1, usize::MAX)?;
    let entry = entries.first().context("the last tick does not read")?;
    Ok(Some(decode(&entry.bytes).with_context(|| format!("ticks/0 at offset {number}"))?))
}

fn next_tick(last: Option<&Tick>, offsets: Vec<PartitionOffset>) -> Tick {
    let number = last.map_or(0, |last| last.number + 1);
    let at_us = last.map_or_else(now, |last| TimeMicros(now().0.max(last.at_us.0 + 1_000)));
    Tick { number, at_us, rules: RULES_VERSION, offsets }
}

/// Sorted by topic, then partition.
fn input_ends(log: &dyn EventLog) -> anyhow::Result<Vec<PartitionOffset>> {
    let mut offsets = Vec::new();
    for topic in [topics::MEASUREMENTS, topics::PROVISIONING, topics::STATISTICS] {
        for partition in 0..log.partitions(topic)? {
            let end = log.end(topic, partition)?;
            offsets.push(PartitionOffset { topic: topic.to_owned(), partition, end });
        }
    }
    Ok(offsets)
}

/// What the dataflow of a running system is set to.
pub(crate) fn config(workers: usize) -> Config {
    Config { checkpoint_period_us: Some(CHECKPOINT_PERIOD_US), ..engine::config(workers) }
}

/// Runs the dataflow on the log's ticks until told to stop, from the newest checkpoint on.
pub(crate) fn dataflow(log: &dyn EventLog, config: Config, stop: &AtomicBool) -> anyhow::Result<()> {
    let checkpoint = newest_checkpoint(log)?;
    let after = checkpoint.as_ref().map(|(_, offset)| *offset);
    let mut writer = FrameWriter::new(log, config.workers);
    let ticks = LogTicks::new(log, after)?.following(stop, WAIT);
    engine::run(config, checkpoint.map(|(restored, _)| restored), ticks, |output| {
        let done = writer.ticks_done;
        writer.take(output)?;
        // What a tick decided is wanted now.
        if writer.ticks_done > done { writer.flush() } else { Ok(()) }
    })
}

/// Follows snapshots until told to stop; keeps the last table on disk.
pub(crate) fn follow(
    log: &dyn EventLog,
    mut follower: Follower,
    file: &Path,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let frames = FrameRecords::new(log, topics::SNAPSHOTS, 0)?.following(stop, WAIT);
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
    run: impl FnOnce(&AtomicBool) -> anyhow::Result<()>,
) -> bool {
    let outcome = run(stop);
    stop.store(true, Ordering::Release);
    if let Err(error) = &outcome {
        eprintln!("error: {name}: {error:#}");
    }
    outcome.is_ok()
}
