//! Rejected records: what could not be used, and why.

use serde::{Deserialize, Serialize};

/// A record, or a part of one, that was not used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Rejected {
    /// The topic of the record.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// How many of its measurements were not used; 0 if the whole record was not used.
    pub measurements: u64,
    /// Why.
    pub why: String,
}
