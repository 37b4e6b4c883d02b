//! Finds the batches that a tick repeats: one worker for each source judges them in the order of the log.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use spillway_events::{Rejected, SeenBoot, SourceName, StateItem, TimeMicros};

use crate::checkpoint::{Restored, encode_state};
use crate::config::Config;
use crate::dedupe::{BOOTS_MAX, BootSeen, Judgement, SEQUENCES, Seen};
use crate::error::DataflowError;
use crate::input::InputTopic;
use crate::message::{Ingested, Item, RecordId, Routed};
use crate::shard::shard;

/// From `ingest` to `repeats`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum ToRepeats {
    Tick { number: u64, at_us: TimeMicros, restart: bool, checkpoint: bool },
    Batch(BatchHead),
}

/// A batch of a known source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct BatchHead {
    // Partitions of one topic join in the order of their numbers, so this is the order of the log.
    pub(crate) record: RecordId,
    pub(crate) source: SourceName,
    pub(crate) boot: u64,
    pub(crate) sequence: u64,
}

/// The state of one worker's `repeats`.
pub(crate) struct Repeats {
    config: Config,
    worker: usize,
    /// By topic and source, of the sources whose logical shard this worker owns.
    seen: FxHashMap<(InputTopic, SourceName), Seen>,
}

impl Repeats {
    pub(crate) fn new(
        config: Config,
        worker: usize,
        restored: Option<&Restored>,
    ) -> Result<Self, DataflowError> {
        let mut repeats = Self { config, worker, seen: FxHashMap::default() };
        let Some(restored) = restored else { return Ok(repeats) };
        let part = "the deduplication state of a source";
        let owns = |source: &SourceName| config.owner(shard(source.as_str())) == worker;
        for saved in restored.seen.iter().filter(|saved| owns(&saved.source)) {
            let seen = BootSeen::new(saved.highest, &saved.bitmap, saved.last_tick, saved.last_at_us);
            let seen = seen.ok_or_else(|| {
                restored.error(part, format!("{}: a bitmap of another length", saved.source))
            })?;
            let topic = InputTopic::of(&saved.topic)
                .ok_or_else(|| restored.error(part, format!("topic {} is not an input", saved.topic)))?;
            repeats.seen.entry((topic, saved.source.clone())).or_default().insert(saved.boot, seen);
        }
        Ok(repeats)
    }

    /// Everything that this worker sends for one complete tick: which batches do not count, to every worker.
    ///
    /// # Errors
    /// If state cannot be encoded for a checkpoint.
    pub(crate) fn tick(&mut self, messages: Vec<ToRepeats>) -> Result<Vec<Routed<Ingested>>, DataflowError> {
        let mut batches = Vec::new();
        let mut tick = None;
        for message in messages {
            match message {
                ToRepeats::Batch(batch) => batches.push(batch),
                ToRepeats::Tick { number, at_us, restart, checkpoint } => {
                    tick = Some((number, at_us, checkpoint));
                    if restart {
                        self.seen.values_mut().for_each(|seen| seen.restart_time(at_us));
                    }
                }
            }
        }
        let mut sent = Vec::new();
        // Every worker sends itself every tick.
        let Some((number, at_us, checkpoint)) = tick else { return Ok(sent) };
        batches.sort_unstable();
        for batch in batches {
            self.judge(batch, number, at_us, &mut sent);
        }
        if checkpoint {
            self.save(&mut sent)?;
        }
        Ok(sent)
    }

    fn judge(&mut self, batch: BatchHead, tick: u64, now: TimeMicros, sent: &mut Vec<Routed<Ingested>>) {
        let BatchHead { record, source, boot, sequence } = batch;
        let seen = self.seen.entry((record.topic.clone(), source.clone())).or_default();
        let why = match seen.judge(boot, sequence, tick, now) {
            Judgement::New => return,
            Judgement::Repeat => None,
            Judgement::TooOld => Some(format!(
                "batch {sequence} of boot {boot} of {source} is {SEQUENCES} or more behind the latest: whether it is a \
                 repeat cannot be told"
            )),
            Judgement::TooManyBoots => Some(format!(
                "boot {boot} of {source} is new, but {BOOTS_MAX} boots have been heard and none is 6 hours old"
            )),
        };
        if let Some(why) = why {
            let RecordId { topic, partition, offset } = &record;
            let (topic, partition, offset) = (topic.name(), *partition, *offset);
            let rejected = Rejected { topic, partition, offset, measurements: 0, why };
            let message = Ingested::Item(Item::Rejected(rejected));
            sent.push(Routed { to: self.worker as u64, message });
        }
        let everybody = 0..self.config.workers_total() as u64;
        sent.extend(everybody.map(|to| Routed { to, message: Ingested::NotCounted(record.clone()) }));
    }

    fn save(&self, sent: &mut Vec<Routed<Ingested>>) -> Result<(), DataflowError> {
        for ((topic, source), seen) in &self.seen {
            for (boot, seen) in seen.boots() {
                let saved = SeenBoot {
                    topic: topic.name(),
                    source: source.clone(),
                    boot,
                    highest: seen.highest,
                    bitmap: seen.bitmap(),
                    last_tick: seen.last_tick,
                    last_at_us: seen.last_at,
                };
                let (shard, bytes) = encode_state(shard(source.as_str()), &StateItem::SeenBoot(saved))?;
                let message = Ingested::Item(Item::State(shard, bytes));
                sent.push(Routed { to: self.worker as u64, message });
            }
        }
        Ok(())
    }
}
