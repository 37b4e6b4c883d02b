//! Frames: sorts what a tick sends to each output partition, cuts it into chunks and encodes it.

use std::collections::BTreeMap;

use spillway_events::{
    Decision, Frame, Framed, Performance, Receipt, Record, Rejected, encode_checkpoint, encode_frame,
    encode_items_frame, topics,
};

use crate::checkpoint::Restored;
use crate::config::Config;
use crate::error::DataflowError;
use crate::input::TickInput;
use crate::message::{Due, Item};
use crate::output::Output;
use crate::performance::{PerformanceRun, merge};
use crate::publish::Publisher;
use crate::shard::shard;

/// The state of one worker's `frame`.
pub(crate) struct Framer {
    config: Config,
    worker: usize,
    /// Worker 0 publishes.
    publisher: Option<Publisher>,
    /// The first worker of a process writes its part of them.
    writes_checkpoints: bool,
    /// The id of the installation; empty before tick 0.
    installation: String,
}

impl Framer {
    pub(crate) fn new(
        config: Config,
        worker: usize,
        restored: Option<&Restored>,
    ) -> Result<Self, DataflowError> {
        let publisher = (worker == 0).then(|| Publisher::new(restored)).transpose()?;
        let writes_checkpoints = worker == config.first_worker();
        let installation = restored.map(|restored| restored.installation.clone()).unwrap_or_default();
        Ok(Self { config, worker, publisher, writes_checkpoints, installation })
    }

    /// The frames of one complete tick.
    pub(crate) fn tick(&mut self, tick: u64, items: Vec<Item>) -> Result<Vec<Output>, DataflowError> {
        let mut input: Option<(TickInput, Due)> = None;
        let mut decisions: Vec<Decision> = Vec::new();
        let mut performance: BTreeMap<u32, Vec<PerformanceRun>> = BTreeMap::new();
        let mut receipts: Vec<Receipt> = Vec::new();
        let mut rejected: Vec<Rejected> = Vec::new();
        let mut state: Vec<(u32, Vec<u8>)> = Vec::new();
        for item in items {
            match item {
                Item::Tick(of_tick, due) => input = Some((of_tick, due)),
                Item::Decision(decision) => decisions.push(decision),
                Item::Performance(partition, run) => performance.entry(partition).or_default().push(run),
                Item::Receipt(receipt) => receipts.push(receipt),
                Item::Rejected(item) => rejected.push(item),
                Item::State(shard, bytes) => state.push((shard, bytes)),
            }
        }
        decisions.sort_by(|a, b| (&a.site, &a.network).cmp(&(&b.site, &b.network)));
        receipts.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        rejected.sort();
        if let Some((input, _)) = input.as_ref().filter(|(input, _)| input.tick.number == 0) {
            self.installation.clone_from(&input.tick.installation);
        }
        let mut outputs = Vec::new();
        if let (Some(publisher), Some((input, due))) = (&mut self.publisher, &input) {
            let part = "a snapshot";
            let snapshots = publisher
                .tick(input, *due, &decisions, &self.installation)
                .map_err(|source| DataflowError::Encode { part, source })?;
            outputs.extend(frame(tick, topics::SNAPSHOTS, 0, &snapshots)?);
            if due.checkpoint {
                state.push(publisher.save()?);
            }
        }
        if let Some((input, _)) = input.filter(|(_, due)| due.checkpoint && self.writes_checkpoints) {
            let part = "a chunk of a checkpoint";
            let chunks =
                encode_checkpoint(tick, state).map_err(|source| DataflowError::Encode { part, source })?;
            let (at, tick_offset) = (input.tick.at_us, input.tick_offset);
            let installation = self.installation.clone();
            outputs.push(Output::Checkpoint { tick, at, tick_offset, installation, chunks });
        }
        let partitions = self.config.output_partitions;
        let by_site = |site: &str| shard(site) % partitions;
        outputs.extend(frames(tick, topics::DECISIONS, decisions, |d| by_site(d.site.as_str()))?);
        for (partition, runs) in performance {
            let topic = topics::PERFORMANCE;
            let records = encode_items_frame::<Performance>(tick, &merge(runs))
                .map_err(|source| DataflowError::Encode { part: frame_of(topic), source })?;
            outputs.push(Output::Frame { tick, topic, partition, records });
        }
        outputs.extend(frame(tick, topics::RECEIPTS, 0, &receipts)?);
        outputs.extend(frame(tick, topics::REJECTED, 0, &rejected)?);
        outputs.push(Output::Done { tick, worker: self.worker });
        Ok(outputs)
    }
}

fn frames<T: Framed>(
    tick: u64,
    topic: &'static str,
    items: Vec<T>,
    partition: impl Fn(&T) -> u32,
) -> Result<Vec<Output>, DataflowError>
where
    Frame<T>: Record,
{
    let mut by_partition: BTreeMap<u32, Vec<T>> = BTreeMap::new();
    for item in items {
        by_partition.entry(partition(&item)).or_default().push(item);
    }
    let frames = by_partition.into_iter().map(|(partition, items)| frame(tick, topic, partition, &items));
    frames.filter_map(Result::transpose).collect()
}

/// One frame; none without items.
fn frame<T: Framed>(
    tick: u64,
    topic: &'static str,
    partition: u32,
    items: &[T],
) -> Result<Option<Output>, DataflowError>
where
    Frame<T>: Record,
{
    if items.is_empty() {
        return Ok(None);
    }
    let records = encode_frame(tick, items)
        .map_err(|source| DataflowError::Encode { part: frame_of(topic), source })?;
    Ok(Some(Output::Frame { tick, topic, partition, records }))
}

/// What an error calls a frame of a topic.
fn frame_of(topic: &str) -> &'static str {
    match topic {
        topics::SNAPSHOTS => "a frame for topic snapshots",
        topics::DECISIONS => "a frame for topic decisions",
        topics::PERFORMANCE => "a frame for topic performance",
        topics::RECEIPTS => "a frame for topic receipts",
        _ => "a frame for topic rejected",
    }
}
