//! The clock of the dataflow: cuts ticks, one number after the other. Whoever wins a number goes on; whoever loses one
//! after that has been replaced, and ends.
//!
//! ```text
//!  standby ── nobody ticked for a while ──► tries the next number ── won ──► ticks ── lost ──► ends
//!     ▲                                              │
//!     └──────────────────── lost ────────────────────┘
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use spillway_dataflow::RULES_VERSION;
use spillway_eventlog::{Appended, EventLog};
use spillway_events::{PartitionOffset, Tick, TimeMicros, encode, topics};

use super::now;
use crate::engine::checkpoint::Checkpoint;
use crate::engine::records::Records;
use crate::engine::ticks::decode_at;

/// A tick is cut at most this often, when input has arrived, and at least every second.
const TICK_INTERVAL_MIN: Duration = Duration::from_millis(100);
const TICK_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// How often the ends of the input partitions are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long a standby waits for a tick in one go. A wait that takes much longer means that the log did not answer.
const WAIT: Duration = Duration::from_millis(200);
/// A dataflow that has not ticked for so long is taken for dead.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);
/// How many offsets of one partition a tick reads at most.
const TICK_RECORDS_MAX: u64 = 100_000;
/// What ticks read, sorted.
const INPUTS: [&str; 3] = [topics::MEASUREMENTS, topics::PROVISIONING, topics::STATISTICS];

/// Follows ticks until there has been none for `silence`, counted only while the log answers, and wins the next one;
/// nothing when told to stop before. Where nobody has ever ticked there is nobody to wait for.
pub(crate) fn take_over(
    log: &dyn EventLog,
    silence: Duration,
    stop: &AtomicBool,
) -> anyhow::Result<Option<Tick>> {
    let checkpoint = Checkpoint::newest(log)?;
    let mut last = checkpoint.as_ref().map(|checkpoint| checkpoint.read_tick(log)).transpose()?;
    let from = checkpoint.map_or(0, |checkpoint| checkpoint.tick_offset + 1);
    let mut ticks = Records::new(log, topics::TICKS, 0, from)?;
    let mut quiet = Duration::ZERO;
    while !stop.load(Ordering::Acquire) {
        let end = log.end(topics::TICKS, 0)?;
        while let Some(entry) = ticks.next_before(end)? {
            last = Some(decode_at(topics::TICKS, 0, &entry)?);
            quiet = Duration::ZERO;
        }
        if last.is_none() || quiet >= silence {
            let tick = next_tick(last.as_ref(), input_ends(log, last.as_ref())?);
            if let Appended::Won(_) = log.append_at(topics::TICKS, tick.number, &encode(&tick)?)? {
                return Ok(Some(tick));
            }
            quiet = Duration::ZERO;
            continue;
        }
        let started = Instant::now();
        if !log.wait(topics::TICKS, 0, end, WAIT)? && started.elapsed() < 2 * WAIT {
            quiet += WAIT;
        }
    }
    Ok(None)
}

/// Cuts ticks after one that was won, until told to stop. Ends with an error when another one won a number.
pub(crate) fn tick(log: &dyn EventLog, won: Tick, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut last = won;
    let mut cut_at = Instant::now();
    while !stop.load(Ordering::Acquire) {
        std::thread::sleep(POLL_INTERVAL);
        let offsets = input_ends(log, Some(&last))?;
        let since = cut_at.elapsed();
        let arrived = last.offsets != offsets;
        if since >= TICK_INTERVAL_MAX || (arrived && since >= TICK_INTERVAL_MIN) {
            let tick = next_tick(Some(&last), offsets);
            if let Appended::Lost { next } = log.append_at(topics::TICKS, tick.number, &encode(&tick)?)? {
                bail!("another dataflow ticks on this log: it is at {next}, this one was at {}", tick.number);
            }
            cut_at = Instant::now();
            last = tick;
        }
    }
    Ok(())
}

fn next_tick(last: Option<&Tick>, offsets: Vec<PartitionOffset>) -> Tick {
    let number = last.map_or(0, |last| last.number + 1);
    let at_us = last.map_or_else(now, |last| TimeMicros(now().0.max(last.at_us.0 + 1_000)));
    Tick { number, at_us, rules: RULES_VERSION, offsets }
}

/// Up to where the next tick reads, sorted by topic, then partition. The partitions are those of the first tick.
fn input_ends(log: &dyn EventLog, last: Option<&Tick>) -> anyhow::Result<Vec<PartitionOffset>> {
    let mut places: Vec<(&str, u32)> = Vec::new();
    for topic in INPUTS {
        let partitions = log.partitions(topic)?;
        let before = |last: &Tick| last.offsets.iter().filter(|offset| offset.topic == topic).count();
        let known = last.map(before).filter(|known| *known > 0);
        ensure!(
            known.is_none_or(|known| known == partitions as usize),
            "topic {topic} has {partitions} partitions, and had {} at the first tick: that number is for ever",
            known.unwrap_or(0)
        );
        places.extend((0..partitions).map(|partition| (topic, partition)));
    }
    let ends = log.ends(&places)?;
    let offset = |((topic, partition), end): (&(&str, u32), u64)| {
        let of_last = last.and_then(|last| {
            last.offsets.iter().find(|offset| offset.topic == *topic && offset.partition == *partition)
        });
        let before = of_last.map_or(0, |offset| offset.end);
        // Never back, whatever the log says: a tick that was cut stands.
        let end = end.clamp(before, before.saturating_add(TICK_RECORDS_MAX));
        PartitionOffset { topic: (*topic).to_owned(), partition: *partition, end }
    };
    Ok(places.iter().zip(ends).map(offset).collect())
}
