//! What the dataflow reads: a tick with its records.

use serde::{Deserialize, Serialize};
use spillway_events::{CdnName, Event, ProvisioningRecord, Tick, topics};

/// A topic of which ticks read partitions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InputTopic {
    /// Measurements.
    Measurements,
    /// Statistics.
    Statistics,
    /// Statistics that a CDN writes to the log itself, about itself only.
    Inbox(CdnName),
}

impl InputTopic {
    /// The input topic of that name, if it is one.
    #[must_use]
    pub fn of(topic: &str) -> Option<Self> {
        match topic {
            topics::MEASUREMENTS => Some(Self::Measurements),
            topics::STATISTICS => Some(Self::Statistics),
            _ => CdnName::new(topic.strip_prefix(topics::INBOX_PREFIX)?).ok().map(Self::Inbox),
        }
    }

    /// The topic's name on the log.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Measurements => topics::MEASUREMENTS.to_owned(),
            Self::Statistics => topics::STATISTICS.to_owned(),
            Self::Inbox(cdn) => format!("{}{cdn}", topics::INBOX_PREFIX),
        }
    }
}

/// One record of an input partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// The topic.
    pub topic: InputTopic,
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: u64,
    /// The record.
    pub bytes: Vec<u8>,
}

/// A tick with what it reads: all provisioning, and the records of the partitions that the receiving process or worker owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickInput {
    /// The tick.
    pub tick: Tick,
    /// Its offset in `ticks`.
    pub tick_offset: u64,
    /// The provisioning records that the tick reads, in offset order.
    pub provisioning: Vec<ProvisioningRecord>,
    /// The records that the tick reads, by topic and partition in offset order.
    pub records: Vec<InputRecord>,
}

impl TickInput {
    /// Whether the tick reads that records were given up. What was emitted with them may differ from what is derived
    /// without them, so everything is emitted again from this tick on.
    pub(crate) fn accepts_loss(&self) -> bool {
        let events = self.provisioning.iter().flat_map(|record| &record.events);
        events.into_iter().any(|event| matches!(event, Event::Gap(_)))
    }
}
