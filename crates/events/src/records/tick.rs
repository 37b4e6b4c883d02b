//! Ticks: the clock of everything derived.

use serde::{Deserialize, Serialize};

use crate::TimeMicros;
use crate::codec::record;

/// One step of the dataflow's clock. Its number is the logical time of everything derived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Tick {
    /// Counts from 0 without gaps.
    pub number: u64,
    /// "Now" inside the dataflow; rises with the number, except at a restart.
    pub at_us: TimeMicros,
    /// The version of the rules by which this tick is decided.
    pub rules: u32,
    /// Whether time starts again: this tick alone may be earlier than the one before.
    pub restart: bool,
    /// In tick 0 the id of the installation, 32 hexadecimal digits, drawn at random; empty in all other ticks.
    pub installation: String,
    /// For every input partition, the offset up to which this tick reads; sorted by topic, then partition.
    pub offsets: Vec<PartitionOffset>,
}

/// The offset up to which a tick reads one partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct PartitionOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The first offset that this tick does not read.
    pub end: u64,
}

record!(Tick, "tick.v1.avsc");
