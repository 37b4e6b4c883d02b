//! Cuts the ticks of a log, one number after the other. A process that wins a number goes on ticking; one that then loses
//! a number has been replaced, and ends.
//!
//! ```text
//!  standby ── no tick for a while ──► tries the next number ── won ──► ticks ── lost ──► ends
//!     ▲                                        │
//!     └───────────────── lost ─────────────────┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use spillway_dataflow::RULES_VERSION;
use spillway_eventlog::{Appended, EventLog, LogError, RecordReader};
use spillway_events::{Event, PartitionOffset, ProvisioningRecord, Tick, TimeMicros, encode, topics};
use spillway_provisioning::State;
use tokio_util::sync::CancellationToken;

use crate::RuntimeError;
use crate::checkpoint::{Checkpoint, read_tick};
use crate::clock::{ClockStatus, TickClock};
use crate::peers::PeerError;

/// A tick is cut at most this often, when input has arrived, and at least every second.
const TICK_INTERVAL_MIN: Duration = Duration::from_millis(100);
const TICK_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// How long a standby waits for a tick in one call. A call that takes much longer means that the log did not answer.
const WAIT_TIMEOUT: Duration = Duration::from_millis(200);
/// A standby takes over after this time without a tick.
pub const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(3);
/// How many records of one partition of an embedded log a tick reads at most. Their bytes are bounded as well.
const TICK_EMBEDDED_RECORDS_MAX: u64 = 10_000;
/// How often a waiting ticker checks whether it is cancelled.
const CANCEL_INTERVAL: Duration = Duration::from_millis(200);
/// How long to wait before an inbox that could not be created is tried again.
const INBOX_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// The topics that every tick reads besides provisioning, sorted.
const INPUTS: [&str; 2] = [topics::MEASUREMENTS, topics::STATISTICS];

/// Cuts ticks.
pub(crate) struct Ticker<'a> {
    log: &'a dyn EventLog,
    /// The wall clock.
    now: fn() -> TimeMicros,
    started: Instant,
    clock: Option<TickClock>,
    clock_status: ClockStatus,
    /// Whether the last ends leave input to the next tick.
    has_more_input: bool,
    /// If CDNs can write to the log themselves: provisioning up to the last tick.
    provisioned: Option<(RecordReader<'a, ProvisioningRecord>, State)>,
    /// When creating an inbox failed last.
    inbox_failures: BTreeMap<String, Instant>,
}

impl<'a> Ticker<'a> {
    pub(crate) fn new(
        log: &'a dyn EventLog,
        has_inboxes: bool,
        now: fn() -> TimeMicros,
        clock_status: ClockStatus,
    ) -> Result<Self, LogError> {
        let start = has_inboxes.then(|| log.start(topics::PROVISIONING, 0)).transpose()?;
        let reader = |start| RecordReader::new(log, topics::PROVISIONING, 0, start);
        let provisioned = start.map(|start| (reader(start), State::default()));
        Ok(Self {
            log,
            now,
            started: Instant::now(),
            clock: None,
            clock_status,
            has_more_input: false,
            provisioned,
            inbox_failures: BTreeMap::new(),
        })
    }

    /// Follows ticks until there has been none for `timeout`, counted only while the log answers, and wins the next
    /// number; nothing if cancelled before. Does not wait if there is no tick at all. `check` is called repeatedly; an
    /// error means that this process can no longer derive.
    pub(crate) fn take_over(
        &mut self,
        timeout: Duration,
        cancel: &CancellationToken,
        check: impl Fn() -> Result<(), PeerError>,
    ) -> Result<Option<Tick>, RuntimeError> {
        let log = self.log;
        let newest = Checkpoint::newest_tick(log)?;
        let mut last = newest.map(|(number, offset)| read_tick(log, number, offset)).transpose()?;
        let from = newest.map_or(0, |(_, offset)| offset + 1);
        let mut ticks = RecordReader::<Tick>::new(log, topics::TICKS, 0, from);
        let mut without_tick = Duration::ZERO;
        while !cancel.is_cancelled() {
            check()?;
            let end = log.end(topics::TICKS, 0)?;
            while let Some((_, tick)) = ticks.next_before(end)? {
                last = Some(tick);
                without_tick = Duration::ZERO;
            }
            if last.is_none() || without_tick >= timeout {
                let tick = self.cut(last.as_ref())?;
                if let Appended::Won(_) = self.append(&tick)? {
                    return Ok(Some(tick));
                }
                // The winner's clock counts now.
                self.clock = None;
                self.clock_status.set(None);
                without_tick = Duration::ZERO;
                continue;
            }
            let started = Instant::now();
            if !log.wait(topics::TICKS, 0, end, WAIT_TIMEOUT)? && started.elapsed() < 2 * WAIT_TIMEOUT {
                without_tick += WAIT_TIMEOUT;
            }
        }
        Ok(None)
    }

    /// The next tick, which no process has appended yet.
    fn cut(&mut self, last: Option<&Tick>) -> Result<Tick, RuntimeError> {
        let offsets = self.input_ends(last)?;
        self.next_tick(last, offsets)
    }

    /// Cuts ticks after one that was won, until cancelled. Ends with an error if another process wins a number.
    ///
    /// A tick is cut when input has arrived, at most every 100 ms and at least every second. If a tick could not read all
    /// input because of its bounds, the next one is cut at once.
    pub(crate) fn tick(&mut self, won: Tick, cancel: &CancellationToken) -> Result<(), RuntimeError> {
        let mut last = won;
        let mut cut_at = Instant::now();
        while !cancel.is_cancelled() {
            if !self.has_more_input {
                std::thread::sleep(TICK_INTERVAL_MIN.saturating_sub(cut_at.elapsed()));
                self.wait_for_input(&last, TICK_INTERVAL_MAX.saturating_sub(cut_at.elapsed()))?;
            }
            let offsets = self.input_ends(Some(&last))?;
            if offsets == last.offsets && cut_at.elapsed() < TICK_INTERVAL_MAX {
                continue;
            }
            let tick = self.next_tick(Some(&last), offsets)?;
            if let Appended::Lost { next } = self.append(&tick)? {
                return Err(RuntimeError::TickLost { next, wanted: tick.number });
            }
            cut_at = Instant::now();
            last = tick;
        }
        Ok(())
    }

    fn wait_for_input(&self, last: &Tick, timeout: Duration) -> Result<(), LogError> {
        let seen: Vec<(&str, u32, u64)> =
            last.offsets.iter().map(|offset| (offset.topic.as_str(), offset.partition, offset.end)).collect();
        self.log.wait_any(&seen, timeout.min(CANCEL_INTERVAL)).map(drop)
    }

    fn append(&self, tick: &Tick) -> Result<Appended, RuntimeError> {
        let topic = topics::TICKS;
        let encoded = encode(tick).map_err(|source| RuntimeError::Encode { topic, source })?;
        Ok(self.log.append_at(topic, tick.number, &encoded)?)
    }

    fn next_tick(
        &mut self,
        last: Option<&Tick>,
        offsets: Vec<PartitionOffset>,
    ) -> Result<Tick, RuntimeError> {
        let restart = self.reads_clock_reset(last, &offsets)?;
        if restart {
            tracing::warn!("an operator reset the clock: the next tick takes the wall clock's time");
            self.clock = None;
        }
        let (wall, monotonic) = ((self.now)(), self.started.elapsed());
        let before = last.filter(|_| !restart).map(|last| last.at_us);
        let start = || TickClock::new(wall, monotonic, before);
        let clock = self.clock.get_or_insert_with(start);
        let now = clock.read(wall, monotonic);
        self.clock_status.set(clock.apart_us());
        let number = last.map_or(0, |last| last.number + 1);
        let at_us = before.map_or(now, |before| TimeMicros(now.0.max(before.0 + 1_000)));
        let installation = if last.is_none() { draw_installation()? } else { String::new() };
        Ok(Tick { number, at_us, rules: RULES_VERSION, restart, installation, offsets })
    }

    /// Whether a tick with these offsets is the first one to read a reset of the clock. That depends on the log alone, so every
    /// process that ticks finds the same.
    fn reads_clock_reset(
        &self,
        last: Option<&Tick>,
        offsets: &[PartitionOffset],
    ) -> Result<bool, RuntimeError> {
        let end_of = |offsets: &[PartitionOffset]| {
            offsets.iter().find(|offset| offset.topic == topics::PROVISIONING).map_or(0, |offset| offset.end)
        };
        let (from, end) = (last.map_or(0, |last| end_of(&last.offsets)), end_of(offsets));
        if from == end {
            return Ok(false);
        }
        let mut records = RecordReader::<ProvisioningRecord>::new(self.log, topics::PROVISIONING, 0, from);
        while let Some((_, record)) = records.next_before(end)? {
            if record.events.iter().any(|event| matches!(event, Event::ClockReset(_))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The offsets up to which the next tick reads, sorted by topic, then partition. The partitions are those of the first
    /// tick, and an inbox for each CDN from the tick on that reads its provisioning. The end of provisioning is read after
    /// the ends of all inputs, so that no input is newer than the provisioning of its tick.
    fn input_ends(&mut self, last: Option<&Tick>) -> Result<Vec<PartitionOffset>, RuntimeError> {
        self.has_more_input = false;
        let mut inputs: Vec<(String, u32)> = Vec::new();
        for topic in INPUTS {
            let partitions = self.log.partitions(topic)?;
            check_partitions(topic, partitions, last)?;
            inputs.extend((0..partitions).map(|partition| (topic.to_owned(), partition)));
        }
        let of_last = last.iter().flat_map(|last| &last.offsets);
        let joined = of_last.filter(|offset| offset.topic.starts_with(topics::INBOX_PREFIX));
        inputs.extend(joined.map(|offset| (offset.topic.clone(), offset.partition)));
        let mut offsets = self.ends(&inputs, last)?;
        let provisioning = self.ends(&[(topics::PROVISIONING.to_owned(), 0)], last)?;
        let provisioned = provisioning.first().map_or(0, |offset| offset.end);
        offsets.extend(provisioning);
        for topic in self.new_inboxes(provisioned, last)? {
            offsets.push(PartitionOffset { topic, partition: 0, end: 0 });
        }
        offsets.sort();
        Ok(offsets)
    }

    fn ends(
        &mut self,
        partitions: &[(String, u32)],
        last: Option<&Tick>,
    ) -> Result<Vec<PartitionOffset>, LogError> {
        let asked: Vec<(&str, u32)> =
            partitions.iter().map(|(topic, partition)| (topic.as_str(), *partition)).collect();
        let ends = self.log.ends(&asked)?;
        let mut offsets = Vec::with_capacity(ends.len());
        for ((topic, partition), end) in partitions.iter().zip(ends) {
            let mut of_last = last.iter().flat_map(|last| &last.offsets);
            let before = of_last.find(|offset| offset.topic == *topic && offset.partition == *partition);
            let before = before.map_or(0, |offset| offset.end);
            // Never lower than in the last tick, whatever the log says.
            let wanted = end.max(before);
            let end = self.bounded(topic, *partition, before, wanted)?;
            self.has_more_input |= end < wanted;
            offsets.push(PartitionOffset { topic: topic.clone(), partition: *partition, end });
        }
        Ok(offsets)
    }

    /// The end up to which one tick may read. Kafka does not tell the bytes of records, so there the number of records is
    /// bounded by their maximum size.
    fn bounded(&self, topic: &str, partition: u32, before: u64, end: u64) -> Result<u64, LogError> {
        let records_max = topics::tick_records_max(topic);
        if end - before <= records_max {
            return Ok(end);
        }
        let is_embedded = self.provisioned.is_none();
        if !is_embedded {
            return Ok(before + records_max);
        }
        let (records_max, bytes_max) = (TICK_EMBEDDED_RECORDS_MAX, topics::TICK_BYTES_MAX);
        Ok(self.log.end_within(topic, partition, before, records_max, bytes_max)?.min(end))
    }

    /// The inboxes of the CDNs that are provisioned up to an offset and that the last tick does not read; creates those that
    /// do not exist. An inbox that a tick has read once is read by all later ticks. One that cannot be created is logged,
    /// left out and tried again later: the other inputs must not wait for it.
    fn new_inboxes(&mut self, end: u64, last: Option<&Tick>) -> Result<BTreeSet<String>, RuntimeError> {
        let mut inboxes = BTreeSet::new();
        if let Some((records, state)) = &mut self.provisioned {
            while let Some((_, record)) = records.next_before(end)? {
                // The dataflow reports a record that does not apply.
                let _ = state.apply(&record);
            }
            let of_last = last.iter().flat_map(|last| &last.offsets);
            let of_last: BTreeSet<&str> = of_last.map(|offset| offset.topic.as_str()).collect();
            for cdn in state.cdns().map(|cdn| &cdn.name) {
                let inbox = format!("{}{cdn}", topics::INBOX_PREFIX);
                let failed_at = self.inbox_failures.get(&inbox);
                let is_due = failed_at.is_none_or(|failed_at| failed_at.elapsed() >= INBOX_RETRY_INTERVAL);
                if of_last.contains(inbox.as_str()) || !is_due {
                    continue;
                }
                match self.log.create_topic(&inbox, 1) {
                    Ok(()) => {
                        self.inbox_failures.remove(&inbox);
                        inboxes.insert(inbox);
                    }
                    Err(LogError::Cancelled) => return Err(LogError::Cancelled.into()),
                    Err(error) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::error!(
                            error,
                            inbox,
                            "an inbox cannot be created; its CDN's statistics are not read"
                        );
                        self.inbox_failures.insert(inbox, Instant::now());
                    }
                }
            }
        }
        Ok(inboxes)
    }
}

impl Drop for Ticker<'_> {
    fn drop(&mut self) {
        self.clock_status.set(None);
    }
}

/// A random id for a new installation: 32 hexadecimal digits.
fn draw_installation() -> Result<String, RuntimeError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(RuntimeError::Random)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

fn check_partitions(topic: &str, partitions: u32, last: Option<&Tick>) -> Result<(), RuntimeError> {
    let before = |last: &Tick| last.offsets.iter().filter(|offset| offset.topic == topic).count();
    let known = last.map(before).filter(|known| *known > 0);
    match known {
        Some(known) if known != partitions as usize => {
            Err(RuntimeError::PartitionsChanged { topic: topic.to_owned(), partitions, known })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
