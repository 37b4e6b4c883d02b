//! Explains a route: the decision records that held at a time.

use std::collections::BTreeMap;

use spillway_eventlog::{EventLog, FrameReader, LogError, ReadError};
use spillway_events::{Decision, NetworkName, SiteName, TimeMicros, topics};

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No decision was made for the site, in the network or by the time asked for.
    #[error("there is no decision for site {0} in that network by that time")]
    Unknown(SiteName),
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] LogError),
    /// Decisions cannot be read.
    #[error("the decisions cannot be read")]
    Read(#[from] ReadError),
}

/// The decision that holds for a site at a time (now if none is given), in one network or in all, by network.
///
/// # Errors
/// If nothing was decided for it, or the log cannot be read.
pub fn explain(
    log: &dyn EventLog,
    site: &SiteName,
    network: Option<&NetworkName>,
    at: Option<TimeMicros>,
) -> Result<Vec<Decision>, ExplainError> {
    let mut latest: BTreeMap<NetworkName, Decision> = BTreeMap::new();
    let is_wanted = |decision: &Decision| {
        decision.site == *site
            && network.is_none_or(|network| decision.network == *network)
            && at.is_none_or(|at| decision.at_us <= at)
    };
    for partition in 0..log.partitions(topics::DECISIONS)? {
        for frame in FrameReader::<Decision>::all(log, topics::DECISIONS, partition)? {
            let (_, decisions) = frame?;
            for decision in decisions.into_iter().filter(is_wanted) {
                latest.insert(decision.network.clone(), decision);
            }
        }
    }
    if latest.is_empty() {
        Err(ExplainError::Unknown(site.clone()))
    } else {
        Ok(latest.into_values().collect())
    }
}
