//! What a CDN reports about itself.

use serde::{Deserialize, Serialize};

use crate::codec::record;
use crate::records::measurement::check_numbers;
use crate::{CdnName, SourceName, TimeMicros};

/// The reports that one source writes in one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct StatisticsBatch {
    /// The source.
    pub source: SourceName,
    /// A number that differs at every start of the source, at most 2⁶³ − 1: random, or the time of the start.
    pub boot: u64,
    /// Counts the source's batches since its boot, from 1.
    pub sequence: u64,
    /// The reports, in the source's order.
    pub aggregates: Vec<AggregateStatistics>,
}

/// Aggregate statistics of one CDN. An absent field is unknown, and does not exclude the CDN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct AggregateStatistics {
    /// The CDN.
    pub cdn: CdnName,
    /// Event time.
    pub at_us: TimeMicros,
    /// Whether the CDN reports that it is healthy.
    pub healthy: Option<bool>,
    /// Whether it accepts new visitors.
    pub accepting: Option<bool>,
    /// Its egress now, in bit/s.
    pub egress_bps: Option<u64>,
    /// The egress it can carry, in bit/s: at or above it the CDN is full.
    pub capacity_bps: Option<u64>,
}

impl AggregateStatistics {
    /// Whether this report allows new visitors to be sent to the CDN.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let full = match (self.egress_bps, self.capacity_bps) {
            (Some(egress), Some(capacity)) => egress >= capacity,
            _ => false,
        };
        self.healthy.unwrap_or(true) && self.accepting.unwrap_or(true) && !full
    }
}

fn validate(batch: &StatisticsBatch) -> Result<(), String> {
    check_numbers(batch.boot, batch.sequence)
}

record!(StatisticsBatch, "statistics_batch.v1.avsc", validate);
