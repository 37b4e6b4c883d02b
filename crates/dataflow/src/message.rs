//! What travels between the operators.

use serde::{Deserialize, Serialize};
use spillway_events::{
    CdnName, Decision, Event, Performance, ProvisioningRecord, Receipt, Rejected, SourceName, TimeMicros,
};
use spillway_steering::Sample;

/// A message and the worker it goes to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Routed<M> {
    pub(crate) to: u64,
    pub(crate) message: M,
}

/// What every worker knows of a tick.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TickFacts {
    pub(crate) number: u64,
    pub(crate) at: TimeMicros,
    /// The offset in `ticks`.
    pub(crate) offset: u64,
    pub(crate) provisioning: Vec<ProvisioningRecord>,
    pub(crate) due: Due,
}

impl TickFacts {
    /// Whether the tick reads that records are given up. What was emitted before with them may be another than what is
    /// derived without them: from this tick on readers are told everything anew.
    pub(crate) fn gives_up(&self) -> bool {
        let events = self.provisioning.iter().flat_map(|record| &record.events);
        events.into_iter().any(|event| matches!(event, Event::Gap(_)))
    }
}

/// Which periodic records a tick owes.
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
    Facts(TickFacts),
    Samples(Vec<Sample>),
    Statistics(CdnReport),
    /// Passes `steer` by.
    Item(Item),
}

/// What a CDN said of itself, with what orders it among others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct CdnReport {
    pub(crate) cdn: CdnName,
    pub(crate) at: TimeMicros,
    pub(crate) source: SourceName,
    pub(crate) boot: u64,
    pub(crate) sequence: u64,
    pub(crate) usable: bool,
}

/// From `steer` to `frame`: something that stands in a frame or a checkpoint, or that closes a tick.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Item {
    Facts(TickFacts),
    Decision(Decision),
    Performance(Performance),
    Receipt(Receipt),
    Rejected(Rejected),
    State(StateItem),
}

/// A piece of an operator's state, for a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct StateItem {
    pub(crate) operator: String,
    pub(crate) shard: u32,
    pub(crate) text: String,
}
