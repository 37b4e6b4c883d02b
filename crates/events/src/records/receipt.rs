//! Receipts: what was read, so that a replay can tell whether it read the same.

use serde::{Deserialize, Serialize};

/// What has been read of one input partition since the first tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The first offset not read.
    pub end: u64,
    /// Records read.
    pub records: u64,
    /// CRC-32 (IEEE 802.3) of all records read, in offset order.
    pub crc: u32,
}
