//! The ticks of a log, each with the records that it reads.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail};
use spillway_dataflow::{Config, InputRecord, InputTopic, RULES_VERSION};
use spillway_eventlog::{Entry, EventLog, LogError};
use spillway_events::{PartitionOffset, ProvisioningRecord, Record, Tick, decode, topics};

use spillway_provisioning::State;

use super::FullTick;
use super::checkpoint::Checkpoint;
use super::records::Records;

/// The ticks of a log from a number on, each with what it reads of the partitions that this process owns.
pub(crate) struct LogTicks<'a> {
    log: &'a dyn EventLog,
    config: Config,
    ticks: Records<'a>,
    provisioning: Records<'a>,
    inputs: BTreeMap<(InputTopic, u32), Records<'a>>,
    /// Where the tick before the first stopped.
    starts: BTreeMap<(String, u32), u64>,
}

impl<'a> LogTicks<'a> {
    /// From the tick after a checkpoint's, or from the first.
    pub(crate) fn new(
        log: &'a dyn EventLog,
        config: Config,
        checkpoint: Option<&Checkpoint>,
    ) -> anyhow::Result<Self> {
        let mut starts = BTreeMap::new();
        let mut from = 0;
        if let Some(checkpoint) = checkpoint {
            let tick = checkpoint.read_tick(log)?;
            starts = tick.offsets.into_iter().map(|o| ((o.topic, o.partition), o.end)).collect();
            from = checkpoint.tick_offset + 1;
        }
        let provisioned = starts.get(&(topics::PROVISIONING.to_owned(), 0)).copied().unwrap_or(0);
        Ok(Self {
            log,
            config,
            ticks: Records::new(log, topics::TICKS, 0, from)?,
            provisioning: Records::new(log, topics::PROVISIONING, 0, provisioned)?,
            inputs: BTreeMap::new(),
            starts,
        })
    }

    /// Goes on with ticks that come later, until told to stop.
    pub(crate) fn following(mut self, stop: &'a AtomicBool, wait: Duration) -> Self {
        self.ticks = self.ticks.following(stop, wait);
        self
    }

    fn tick(&mut self, entry: &Entry) -> anyhow::Result<FullTick> {
        let tick: Tick = decode_at(topics::TICKS, 0, entry)?;
        if tick.rules > RULES_VERSION {
            bail!("tick {} is of rules {}, which this release does not know", tick.number, tick.rules);
        }
        let (mut provisioning, mut records) = (Vec::new(), Vec::new());
        for offset in &tick.offsets {
            if offset.topic == topics::PROVISIONING {
                while let Some(entry) = self.provisioning.next_before(offset.end)? {
                    let record: ProvisioningRecord = decode_at(topics::PROVISIONING, 0, &entry)?;
                    provisioning.push(record);
                }
                continue;
            }
            let Some(topic) = InputTopic::of(&offset.topic) else {
                bail!("tick {} reads topic {}, which this release does not know", tick.number, offset.topic);
            };
            if self.config.local_owner(offset.partition).is_some() {
                self.input(&topic, offset, &mut records)?;
            }
        }
        Ok(FullTick { tick, tick_offset: entry.offset, provisioning, records })
    }

    fn input(
        &mut self,
        topic: &InputTopic,
        offset: &PartitionOffset,
        records: &mut Vec<InputRecord>,
    ) -> anyhow::Result<()> {
        let (log, key) = (self.log, (topic.clone(), offset.partition));
        let input = match self.inputs.entry(key) {
            std::collections::btree_map::Entry::Occupied(occupied) => occupied.into_mut(),
            std::collections::btree_map::Entry::Vacant(vacant) => {
                let from = self.starts.get(&(offset.topic.clone(), offset.partition)).copied().unwrap_or(0);
                vacant.insert(Records::new(log, &offset.topic, offset.partition, from)?)
            }
        };
        loop {
            match input.next_before(offset.end) {
                Ok(Some(Entry { offset: at, bytes })) => {
                    let topic = topic.clone();
                    records.push(InputRecord { topic, partition: offset.partition, offset: at, bytes });
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    let Some(LogError::Truncated { wanted, first, .. }) = error.downcast_ref() else {
                        return Err(error);
                    };
                    let (topic, partition) = (offset.topic.clone(), offset.partition);
                    let gone = Gone { topic, partition, wanted: *wanted, first: *first };
                    input.skip_to(gone.given_up(log)?);
                }
            }
        }
    }
}

/// Records that ticks read, and that the log has no more.
#[derive(Debug, thiserror::Error)]
#[error(
    "ticks read {topic}/{partition} from offset {wanted} on, but the log begins at {first}: {} records are gone",
    first - wanted
)]
pub(crate) struct Gone {
    topic: String,
    partition: u32,
    wanted: u64,
    first: u64,
}

impl Gone {
    /// The command with which the dataflow goes on.
    pub(crate) fn command(&self) -> String {
        let Self { topic, partition, wanted, first } = self;
        format!(
            "spillway gap --topic {topic} --partition {partition} --from {wanted} --to {first} --reason TEXT"
        )
    }

    /// Up to where an operator has given them up. That is looked for in all provisioning, ahead of what ticks have read
    /// of it: whoever reads these ticks from now on finds the records gone, and does the same.
    fn given_up(self, log: &dyn EventLog) -> anyhow::Result<u64> {
        let mut state = State::default();
        for entry in Records::new(log, topics::PROVISIONING, 0, log.start(topics::PROVISIONING, 0)?)? {
            // A record that does not follow changes nothing, here as there.
            let _ = state.apply(&decode_at(topics::PROVISIONING, 0, &entry?)?);
        }
        match state.accepted_gap_end(&self.topic, self.partition, self.wanted) {
            Some(to) => Ok(to),
            None => Err(self.into()),
        }
    }
}

impl Iterator for LogTicks<'_> {
    type Item = anyhow::Result<FullTick>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.ticks.next()?;
        Some(entry.and_then(|entry| self.tick(&entry)))
    }
}

pub(crate) fn decode_at<R: Record>(topic: &str, partition: u32, entry: &Entry) -> anyhow::Result<R> {
    decode(&entry.bytes).with_context(|| format!("{topic}/{partition} at offset {}", entry.offset))
}
