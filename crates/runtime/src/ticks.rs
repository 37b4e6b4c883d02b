//! The ticks of a log, each with the records that it reads.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;
use std::time::Duration;

use spillway_dataflow::{Config, InputRecord, InputTopic, Provisioning, RULES_VERSION, TickInput};
use spillway_eventlog::{Entry, EventLog, LogError, ReadError, RecordReader, Records};
use spillway_events::{PartitionOffset, ProvisioningRecord, Tick, TimeMicros, topics};
use spillway_provisioning::State;
use tokio_util::sync::CancellationToken;

use crate::{Checkpoint, MissingRecords, RuntimeError};

/// The ticks of a log from a number on, each with the records of the input partitions that this process owns.
pub struct LogTicks<'a> {
    log: &'a dyn EventLog,
    config: Config,
    ticks: RecordReader<'a, Tick>,
    provisioning_records: RecordReader<'a, ProvisioningRecord>,
    provisioning: Provisioning,
    inputs: BTreeMap<(InputTopic, u32), Records<'a>>,
    /// The offsets up to which the tick before the first one reads.
    starts: BTreeMap<(String, u32), u64>,
    /// The time of the tick before the next one.
    previous_at: Option<TimeMicros>,
}

impl<'a> LogTicks<'a> {
    /// Starts after the tick of a checkpoint, or at the first tick.
    ///
    /// # Errors
    /// If the tick of the checkpoint cannot be read.
    pub fn new(
        log: &'a dyn EventLog,
        config: Config,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Self, RuntimeError> {
        let mut starts = BTreeMap::new();
        let (mut from, mut previous_at) = (0, None);
        if let Some(checkpoint) = checkpoint {
            let tick = checkpoint.read_tick(log)?;
            previous_at = Some(tick.at_us);
            starts = tick.offsets.into_iter().map(|o| ((o.topic, o.partition), o.end)).collect();
            from = checkpoint.tick_offset + 1;
        }
        let provisioned = starts.get(&(topics::PROVISIONING.to_owned(), 0)).copied().unwrap_or(0);
        Ok(Self {
            log,
            config,
            ticks: RecordReader::new(log, topics::TICKS, 0, from),
            provisioning_records: RecordReader::new(log, topics::PROVISIONING, 0, provisioned),
            provisioning: Provisioning::new(checkpoint.map(|checkpoint| &checkpoint.restored)),
            inputs: BTreeMap::new(),
            starts,
            previous_at,
        })
    }

    /// Waits at the end for more ticks until cancelled; checks for that at least every `poll_interval`.
    #[must_use]
    pub fn following(mut self, cancel: &'a CancellationToken, poll_interval: Duration) -> Self {
        self.ticks = self.ticks.following(cancel, poll_interval);
        self
    }

    fn read(&mut self, tick_offset: u64, tick: Tick) -> Result<TickInput, RuntimeError> {
        if tick.rules > RULES_VERSION {
            return Err(RuntimeError::UnknownRules { tick: tick.number, rules: tick.rules });
        }
        let previous_at = self.previous_at.replace(tick.at_us);
        if !tick.restart && previous_at.is_some_and(|previous_at| tick.at_us <= previous_at) {
            return Err(RuntimeError::TimeNotRising { tick: tick.number });
        }
        let (mut provisioning, mut records) = (Vec::new(), Vec::new());
        for offset in &tick.offsets {
            if offset.topic == topics::PROVISIONING {
                while let Some((_, record)) = self.provisioning_records.next_before(offset.end)? {
                    provisioning.push(record);
                }
                continue;
            }
            let Some(topic) = InputTopic::of(&offset.topic) else {
                let topic = offset.topic.clone();
                return Err(RuntimeError::UnknownTopic { tick: tick.number, topic });
            };
            if self.config.local_owner(offset.partition).is_some() {
                self.read_input(&topic, offset, &mut records)?;
            }
        }
        let provisioning = self.provisioning.apply(&provisioning);
        Ok(TickInput { tick, tick_offset, provisioning, records })
    }

    fn read_input(
        &mut self,
        topic: &InputTopic,
        offset: &PartitionOffset,
        records: &mut Vec<InputRecord>,
    ) -> Result<(), RuntimeError> {
        let (log, key) = (self.log, (topic.clone(), offset.partition));
        let input = match self.inputs.entry(key) {
            MapEntry::Occupied(occupied) => occupied.into_mut(),
            MapEntry::Vacant(vacant) => {
                let from = self.starts.get(&(offset.topic.clone(), offset.partition)).copied().unwrap_or(0);
                vacant.insert(Records::new(log, &offset.topic, offset.partition, from))
            }
        };
        loop {
            match input.next_before(offset.end) {
                Ok(Some(Entry { offset: at, bytes })) => {
                    let topic = topic.clone();
                    records.push(InputRecord { topic, partition: offset.partition, offset: at, bytes });
                }
                Ok(None) => return Ok(()),
                Err(ReadError::Log(LogError::Truncated { wanted, first, .. })) => {
                    let (topic, partition) = (offset.topic.clone(), offset.partition);
                    let missing = MissingRecords { topic, partition, wanted, first };
                    input.skip_to(accepted_up_to(missing, log)?);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Iterator for LogTicks<'_> {
    type Item = Result<TickInput, RuntimeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let tick = self.ticks.next()?;
        Some(tick.map_err(RuntimeError::from).and_then(|(offset, tick)| self.read(offset, tick)))
    }
}

/// The offset up to which an operator has accepted the loss. All of provisioning is searched, also beyond what ticks have
/// read: every reader of these ticks finds the records missing from now on, and does the same.
fn accepted_up_to(missing: MissingRecords, log: &dyn EventLog) -> Result<u64, RuntimeError> {
    let mut state = State::default();
    let from = log.start(topics::PROVISIONING, 0)?;
    for record in RecordReader::<ProvisioningRecord>::new(log, topics::PROVISIONING, 0, from) {
        // A record that does not follow its predecessor changes nothing, as in the dataflow.
        let _ = state.apply(&record?.1);
    }
    let accepted = state.accepted_gap_end(&missing.topic, missing.partition, missing.wanted);
    accepted.ok_or_else(|| missing.into())
}
