//! The messages between the operators.

use serde::{Deserialize, Serialize};
use spillway_events::{CdnReport, Decision, Performance, Receipt, Rejected};
use spillway_steering::Sample;

use crate::input::TickInput;

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

/// From `ingest` to `steer`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Ingested {
    /// The tick, without its records.
    Tick(TickInput, Due),
    Samples(Vec<Sample>),
    Statistics(CdnReport),
    /// Passes through `steer` unchanged.
    Item(Item),
}

/// From `steer` to `frame`: an item of a frame or of a checkpoint, or the tick itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Item {
    /// The tick, without its records.
    Tick(TickInput, Due),
    Decision(Decision),
    Performance(Performance),
    Receipt(Receipt),
    Rejected(Rejected),
    /// A logical shard, and a piece of its state, encoded for a checkpoint.
    State(u32, Vec<u8>),
}
