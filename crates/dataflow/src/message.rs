//! The messages between the operators.

use serde::{Deserialize, Serialize};
use spillway_events::{CdnReport, Decision, Receipt, Rejected};
use spillway_steering::Samples;

use crate::input::{InputTopic, TickInput};
use crate::performance::PerformanceRun;

/// A message and the worker it goes to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Routed<M> {
    pub(crate) to: u64,
    pub(crate) message: M,
}

/// Which periodic records are due at a tick: those for which time divided by the period, rounded down, is another number than
/// at the tick before. They therefore continue after a restart of time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Due {
    pub(crate) performance: bool,
    pub(crate) heartbeat: bool,
    pub(crate) full_table: bool,
    pub(crate) receipts: bool,
    pub(crate) checkpoint: bool,
}

/// A record of an input partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct RecordId {
    pub(crate) topic: InputTopic,
    pub(crate) partition: u32,
    pub(crate) offset: u64,
}

/// From `ingest` and `repeats` to `steer`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Ingested {
    /// The tick, without its records.
    Tick(TickInput, Due),
    /// What a batch says, if it counts.
    OfBatch(RecordId, BatchPart),
    /// The batch is a repeat, or is rejected: what it says does not count.
    NotCounted(RecordId),
    /// Passes through `steer` unchanged.
    Item(Item),
}

/// A part of what a batch says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum BatchPart {
    Samples(Samples),
    Statistics(CdnReport),
    /// Rows of the batch that are rejected.
    Rejected(Rejected),
}

/// From `steer` to `frame`: an item of a frame or of a checkpoint, or the tick itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Item {
    /// The tick, without its records.
    Tick(TickInput, Due),
    Decision(Decision),
    /// An output partition, and values for it.
    Performance(u32, PerformanceRun),
    Receipt(Receipt),
    Rejected(Rejected),
    /// A logical shard, and a piece of its state, encoded for a checkpoint.
    State(u32, Vec<u8>),
}
