//! The clock of the dataflow: cuts ticks, one number after the other. Whoever wins a number goes on; whoever loses one
//! after that has been replaced, and ends.
//!
//! ```text
//!  standby ── nobody ticked for a while ──► tries the next number ── won ──► ticks ── lost ──► ends
//!     ▲                                              │
//!     └──────────────────── lost ────────────────────┘
//! ```

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use spillway_dataflow::RULES_VERSION;
use spillway_eventlog::{Appended, EventLog};
use spillway_events::{PartitionOffset, Tick, TimeMicros, encode, topics};
use spillway_provisioning::State;

use super::now;
use crate::engine::checkpoint::{Checkpoint, read_tick};
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
/// How many offsets of one partition a tick reads at most. A batch of 500 measurements has some 20 KB, and a tick is in
/// memory as a whole.
const TICK_RECORDS_MAX: u64 = 2_000;
/// And of an inbox, in which others write what they will: a record there has up to 1 MiB.
const TICK_INBOX_RECORDS_MAX: u64 = 100;
/// What ticks read, sorted.
const INPUTS: [&str; 3] = [topics::MEASUREMENTS, topics::PROVISIONING, topics::STATISTICS];

/// What a ticker knows besides the last tick.
pub(crate) struct Ticker<'a> {
    log: &'a dyn EventLog,
    /// Where CDNs can write to the log themselves: provisioning as it is read by ticks.
    provisioned: Option<(Records<'a>, State)>,
}

impl<'a> Ticker<'a> {
    pub(crate) fn new(log: &'a dyn EventLog, has_inboxes: bool) -> anyhow::Result<Self> {
        let records = || Records::new(log, topics::PROVISIONING, 0, log.start(topics::PROVISIONING, 0)?);
        let provisioned = has_inboxes.then(records).transpose()?;
        Ok(Self { log, provisioned: provisioned.map(|records| (records, State::default())) })
    }

    /// Follows ticks until there has been none for `silence`, counted only while the log answers, and wins the next one;
    /// nothing when told to stop before. Where nobody has ever ticked there is nobody to wait for. `check` is asked again
    /// and again whether this dataflow can still derive.
    pub(crate) fn take_over(
        &mut self,
        silence: Duration,
        stop: &AtomicBool,
        check: impl Fn() -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<Tick>> {
        let log = self.log;
        let newest = Checkpoint::newest_tick(log)?;
        let mut last = newest.map(|(number, offset)| read_tick(log, number, offset)).transpose()?;
        let from = newest.map_or(0, |(_, offset)| offset + 1);
        let mut ticks = Records::new(log, topics::TICKS, 0, from)?;
        let mut quiet = Duration::ZERO;
        while !stop.load(Ordering::Acquire) {
            check()?;
            let end = log.end(topics::TICKS, 0)?;
            while let Some(entry) = ticks.next_before(end)? {
                last = Some(decode_at(topics::TICKS, 0, &entry)?);
                quiet = Duration::ZERO;
            }
            if last.is_none() || quiet >= silence {
                let tick = next_tick(last.as_ref(), self.input_ends(last.as_ref())?);
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
    pub(crate) fn tick(&mut self, won: Tick, stop: &AtomicBool) -> anyhow::Result<()> {
        let mut last = won;
        let mut cut_at = Instant::now();
        while !stop.load(Ordering::Acquire) {
            std::thread::sleep(POLL_INTERVAL);
            let offsets = self.input_ends(Some(&last))?;
            let since = cut_at.elapsed();
            let arrived = last.offsets != offsets;
            if since >= TICK_INTERVAL_MAX || (arrived && since >= TICK_INTERVAL_MIN) {
                let tick = next_tick(Some(&last), offsets);
                let appended = self.log.append_at(topics::TICKS, tick.number, &encode(&tick)?)?;
                if let Appended::Lost { next } = appended {
                    bail!(
                        "another dataflow ticks on this log: it is at {next}, this one was at {}",
                        tick.number
                    );
                }
                cut_at = Instant::now();
                last = tick;
            }
        }
        Ok(())
    }

    /// Up to where the next tick reads, sorted by topic, then partition. The partitions are those of the first tick, and
    /// an inbox for each CDN from the tick on that reads its provisioning.
    fn input_ends(&mut self, last: Option<&Tick>) -> anyhow::Result<Vec<PartitionOffset>> {
        let mut places: Vec<(String, u32)> = Vec::new();
        for topic in INPUTS {
            let partitions = self.log.partitions(topic)?;
            check_partitions(topic, partitions, last)?;
            places.extend((0..partitions).map(|partition| (topic.to_owned(), partition)));
        }
        let mut offsets = self.ends(&places, last)?;
        let provisioned = offsets.iter().find(|offset| offset.topic == topics::PROVISIONING);
        let inboxes = self.inboxes(provisioned.map_or(0, |offset| offset.end), last)?;
        offsets.extend(self.ends(&inboxes, last)?);
        offsets.sort();
        Ok(offsets)
    }

    fn ends(&self, places: &[(String, u32)], last: Option<&Tick>) -> anyhow::Result<Vec<PartitionOffset>> {
        let asked: Vec<(&str, u32)> =
            places.iter().map(|(topic, partition)| (topic.as_str(), *partition)).collect();
        let ends = self.log.ends(&asked)?;
        let offset = |((topic, partition), end): (&(String, u32), u64)| {
            let mut of_last = last.iter().flat_map(|last| &last.offsets);
            let before = of_last.find(|offset| offset.topic == *topic && offset.partition == *partition);
            let before = before.map_or(0, |offset| offset.end);
            // Never back, whatever the log says: a tick that was cut stands.
            let records_max = if topic.starts_with(topics::INBOX_PREFIX) {
                TICK_INBOX_RECORDS_MAX
            } else {
                TICK_RECORDS_MAX
            };
            let end = end.clamp(before, before.saturating_add(records_max));
            PartitionOffset { topic: topic.clone(), partition: *partition, end }
        };
        Ok(places.iter().zip(ends).map(offset).collect())
    }

    /// The inboxes of the CDNs that are provisioned up to an offset, made where they are missing. One that has joined
    /// stays.
    fn inboxes(&mut self, end: u64, last: Option<&Tick>) -> anyhow::Result<Vec<(String, u32)>> {
        let joined = last.iter().flat_map(|last| &last.offsets).map(|offset| offset.topic.clone());
        let mut inboxes: BTreeSet<String> =
            joined.filter(|topic| topic.starts_with(topics::INBOX_PREFIX)).collect();
        if let Some((records, state)) = &mut self.provisioned {
            while let Some(entry) = records.next_before(end)? {
                // The dataflow says what is wrong with a record that does not apply.
                let _ = state.apply(&decode_at(topics::PROVISIONING, 0, &entry)?);
            }
            for cdn in state.cdns().map(|cdn| &cdn.name) {
                let inbox = format!("{}{cdn}", topics::INBOX_PREFIX);
                if !inboxes.contains(&inbox) {
                    self.log.create_topic(&inbox, 1)?;
                    inboxes.insert(inbox);
                }
            }
        }
        Ok(inboxes.into_iter().map(|topic| (topic, 0)).collect())
    }
}

fn check_partitions(topic: &str, partitions: u32, last: Option<&Tick>) -> anyhow::Result<()> {
    let before = |last: &Tick| last.offsets.iter().filter(|offset| offset.topic == topic).count();
    let known = last.map(before).filter(|known| *known > 0);
    ensure!(
        known.is_none_or(|known| known == partitions as usize),
        "topic {topic} has {partitions} partitions, and had {} at the first tick: that number is for ever",
        known.unwrap_or(0)
    );
    Ok(())
}

fn next_tick(last: Option<&Tick>, offsets: Vec<PartitionOffset>) -> Tick {
    let number = last.map_or(0, |last| last.number + 1);
    let at_us = last.map_or_else(now, |last| TimeMicros(now().0.max(last.at_us.0 + 1_000)));
    Tick { number, at_us, rules: RULES_VERSION, offsets }
}
