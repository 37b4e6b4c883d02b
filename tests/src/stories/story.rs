//! A story as parsed. Times are microseconds since the story's start.

use std::net::IpAddr;

use hickory_proto::rr::{Name, RecordType};
use spillway_events::{
    CdnName, MeasurementBatch, NetworkName, ObjectKind, Prefix, SiteName, StatisticsBatch,
};

use super::decided::Decided;

/// A rule, and a timeline that shows it.
#[derive(Debug)]
pub struct Story {
    /// The file, for messages.
    pub file: String,
    /// The rule in one sentence: the first line.
    pub rule: String,
    /// Whether it is also run against the live process.
    pub is_live: bool,
    pub(super) moments: Vec<Moment>,
}

/// What happens at one time, and what is expected then.
#[derive(Debug, Default)]
pub(super) struct Moment {
    pub(super) line: usize,
    pub(super) at_us: i64,
    pub(super) commands: Vec<Command>,
    /// Event times count from the story's start.
    pub(super) measurements: Vec<MeasurementBatch>,
    /// Event times count from the story's start.
    pub(super) statistics: Vec<StatisticsBatch>,
    pub(super) decisions: Vec<Expected>,
    pub(super) asks: Vec<Ask>,
}

/// A change of what is provisioned.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) line: usize,
    pub(super) change: Change,
    /// The refusal that is expected, if any.
    pub(super) refused: Option<String>,
}

#[derive(Debug)]
pub(super) enum Change {
    /// Documents in YAML.
    Apply(String),
    Delete(ObjectKind, String),
    /// The document of an agreement, which one party proposes and the other accepts.
    Agree(String),
    /// The end of a site's agreement, as text between time marks, which the provider sets.
    Terminate(SiteName, String),
}

/// The decision expected for a site in a network; without an outcome, no decision.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) line: usize,
    pub(super) site: SiteName,
    pub(super) network: NetworkName,
    pub(super) outcome: Option<Decided>,
}

/// A DNS query, and the answer expected.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) line: usize,
    pub(super) name: Name,
    pub(super) qtype: RecordType,
    pub(super) resolver: IpAddr,
    pub(super) subnet: Option<Prefix>,
    pub(super) answer: Vec<String>,
}

/// The names that a story has provisioned so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) sites: Vec<SiteName>,
    pub(super) networks: Vec<NetworkName>,
    pub(super) cdns: Vec<CdnName>,
    /// Agent and network; those that were deleted stay, since they may go on measuring.
    pub(super) probes: Vec<(String, NetworkName)>,
}
