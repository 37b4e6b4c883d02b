//! Performance values over time, for dashboards and the portal.

use serde::{Deserialize, Serialize};

use crate::{Metric, Micros, NetworkName, SiteName, TimeMicros, Verdict};

/// The value of one target of a site for one objective in one network, as of a tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Performance {
    /// The site.
    pub site: SiteName,
    /// The target: the origin's or CDN's name.
    pub target: String,
    /// The network.
    pub network: NetworkName,
    /// The tick's time.
    pub at_us: TimeMicros,
    /// What is measured.
    pub metric: Metric,
    /// The threshold or agreed level.
    pub threshold: u64,
    /// The percentile, 1 to 99.
    pub percentile: u32,
    /// The window's length.
    pub window_us: Micros,
    /// The outcome.
    pub verdict: Verdict,
    /// The value; absent without evidence, and if it failed.
    pub value: Option<u64>,
    /// Whether the value is a failure.
    pub failed: bool,
    /// The samples in the windows of the probes that have a value.
    pub samples: u64,
}
