//! Decisions: why a route is what it is, with the numbers.

use serde::{Deserialize, Serialize};

use crate::{AgentName, CdnName, Metric, Micros, NetworkName, Reason, Route, SiteName, TimeMicros, Verdict};

/// The maximum number of probes that the evidence of one objective lists, so that a decision fits into a chunk of a frame.
pub const LISTED_PROBES_MAX: usize = 50;

/// Written whenever route, verdict or reason of a site in a network changes, and for all of them when the loss of records is
/// accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The site.
    pub site: SiteName,
    /// The access network, inner ones and `everywhere` included.
    pub network: NetworkName,
    /// The tick that decided.
    pub tick: u64,
    /// That tick's time.
    pub at_us: TimeMicros,
    /// Where traffic goes.
    pub route: Route,
    /// The verdict on the origin.
    pub verdict: Verdict,
    /// Why the route differs from the verdict, if it does.
    pub reason: Option<Reason>,
    /// The evidence on the origin: one entry for each objective, in the site's order.
    pub objectives: Vec<ObjectiveEvidence>,
    /// The CDNs that were considered, in the site's order; empty while the verdict is below.
    pub candidates: Vec<Candidate>,
    /// The provisioning record that set the objectives.
    pub agreement: u64,
}

/// The outcome of one objective, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct ObjectiveEvidence {
    /// What is measured.
    pub metric: Metric,
    /// The threshold or agreed level, in the metric's unit.
    pub threshold: u64,
    /// The percentile, 1 to 99.
    pub percentile: u32,
    /// The window's length.
    pub window_us: Micros,
    /// The outcome of this objective.
    pub verdict: Verdict,
    /// The value of the network, in the metric's unit; absent without evidence, and if it failed.
    pub value: Option<u64>,
    /// Whether the value is a failure, worse than any number.
    pub failed: bool,
    /// The network whose probes counted; absent without evidence.
    pub evidence_from: Option<NetworkName>,
    /// The samples in the windows of the probes that have a value.
    pub samples: u64,
    /// How many probes have a value.
    pub probes_count: u64,
    /// The first 50 of them, by agent, then network.
    pub probes: Vec<ProbeValue>,
}

/// The value of one probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct ProbeValue {
    /// The agent.
    pub agent: AgentName,
    /// The network that the agent measures from.
    pub network: NetworkName,
    /// Its value in the metric's unit; absent if it failed.
    pub value: Option<u64>,
    /// The samples in its window.
    pub samples: u64,
}

/// A CDN that was considered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The CDN.
    pub cdn: CdnName,
    /// The verdict on it.
    pub verdict: Verdict,
    /// Its worst objective in permille of the agreed level; absent without evidence, and if it is infinite.
    pub permille: Option<u64>,
    /// Why it was passed over; absent for the chosen one.
    pub passed_over: Option<PassedOver>,
}

/// Why a CDN was not chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum PassedOver {
    /// Its statistics say that it is unhealthy, not accepting or full.
    NotUsable,
    /// It is at or above the level itself.
    AtOrAbove,
    /// There is no evidence of it.
    Unknown,
    /// Another CDN is preferred.
    Preferred,
}
