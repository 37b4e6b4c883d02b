//! What the dataflow reads: a tick with its records.

use serde::{Deserialize, Serialize};
use spillway_events::{CdnName, Tick, topics};

use crate::provisioning::ProvisioningChange;

/// A topic of which ticks read partitions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InputTopic {
    /// Measurements.
    Measurements,
    /// Statistics.
    Statistics,
    /// Statistics that a CDN writes to the log itself, only about itself.
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

/// A tick with what it reads: the change of the provisioning, and the records of the partitions that the receiving process or
/// worker owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickInput {
    /// The tick.
    pub tick: Tick,
    /// Its offset in `ticks`.
    pub tick_offset: u64,
    /// The change by the provisioning records that the tick reads; `None` if it reads none.
    pub provisioning: Option<ProvisioningChange>,
    /// The records that the tick reads, by topic and partition in offset order.
    pub records: Vec<InputRecord>,
}

impl TickInput {
    /// Whether the tick reads that a loss of records is accepted.
    pub(crate) fn accepts_loss(&self) -> bool {
        self.provisioning.as_ref().is_some_and(|change| change.accepts_loss)
    }
}
