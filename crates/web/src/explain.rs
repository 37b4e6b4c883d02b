//! Explains a route: the decision records that held at a time.

use std::collections::BTreeMap;

use spillway_eventlog::{EventLog, LogError};
use spillway_events::{Decision, DecodeError, NetworkName, SiteName, TimeMicros, read_frames, topics};

const READ_RECORDS_MAX: usize = 1_000;
const READ_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No decision was made of the site, in the network or by the time asked for.
    #[error("there is no decision for site {0} in the network and by the time asked for")]
    Unknown(SiteName),
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] LogError),
    /// A record does not read.
    #[error("decisions/{partition} near offset {offset} does not read")]
    Record {
        /// The partition.
        partition: u32,
        /// The offset of the first record read along with it.
        offset: u64,
        /// Why.
        source: DecodeError,
    },
}

/// The decision that holds for a site at a time (now without one), in one network or in all, by network.
///
/// # Errors
/// When nothing was decided of it, or the log does not read.
pub fn explain(
    log: &dyn EventLog,
    site: &SiteName,
    network: Option<&NetworkName>,
    at: Option<TimeMicros>,
) -> Result<Vec<Decision>, ExplainError> {
    let mut latest: BTreeMap<NetworkName, Decision> = BTreeMap::new();
    for partition in 0..log.partitions(topics::DECISIONS)? {
        let mut from = log.start(topics::DECISIONS, partition)?;
        let mut records = Vec::new();
        loop {
            let entries = log.read(topics::DECISIONS, partition, from, READ_RECORDS_MAX, READ_BYTES_MAX)?;
            let Some(last) = entries.last() else { break };
            from = last.offset + 1;
            records.extend(entries.into_iter().map(|entry| entry.bytes));
        }
        let frames = read_frames::<Decision>(&records).map_err(|(place, source)| ExplainError::Record {
            partition,
            offset: place as u64,
            source,
        })?;
        let wanted = |decision: &Decision| {
            decision.site == *site
                && network.is_none_or(|network| decision.network == *network)
                && at.is_none_or(|at| decision.at_us <= at)
        };
        for decision in frames.into_iter().flat_map(|(_, decisions)| decisions).filter(wanted) {
            latest.insert(decision.network.clone(), decision);
        }
    }
    if latest.is_empty() {
        Err(ExplainError::Unknown(site.clone()))
    } else {
        Ok(latest.into_values().collect())
    }
}
