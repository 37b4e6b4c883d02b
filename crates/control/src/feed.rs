//! What has happened, as events in an order that never changes: changes of what is provisioned, and decisions.
//!
//! ```text
//! provisioning ──┐
//! decisions 0 ───┼──► by time, each topic-partition in its own order ──► pages of at most so many events
//! decisions 1 ───┘
//! ```
//!
//! A [`Position`] says how far each topic-partition has been told. Every event has one of its own, so a reader that goes on from
//! that of the last event it has handled misses none and gets none twice.

mod owners;
mod position;
mod source;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use spillway_eventlog::{EventLog, LogError, ReadError};
use spillway_events::{ClientName, TimeMicros, topics};

use self::owners::Owners;
pub use self::position::{BadPosition, Position};
use self::source::{Read, read_decisions, read_provisioning};

/// Whose events are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reader {
    /// All of them.
    Operator,
    /// All but those of tokens.
    Analyst,
    /// Those of the client and its sites.
    Client(ClientName),
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedEvent {
    /// What no other event has: where it is in the log.
    pub id: String,
    /// What happened, such as `site.changed`.
    pub kind: String,
    /// What it happened to, such as `site/shop`.
    pub subject: String,
    /// When.
    pub at: TimeMicros,
    /// More of it.
    pub data: Value,
    /// Where to go on after it.
    pub position: Position,
}

/// Some events.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedPage {
    /// The events.
    pub events: Vec<FeedEvent>,
    /// Where to go on.
    pub next: Position,
    /// Whether there may be more by now.
    pub has_more: bool,
}

/// Why there are no events.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The log does not have what comes after a position.
    #[error("the log does not have what follows this cursor: it is of another log")]
    UnknownPosition,
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] LogError),
    /// Records cannot be read.
    #[error("the events cannot be read")]
    Read(#[from] ReadError),
}

/// The events on a log.
pub struct Feed {
    log: Arc<dyn EventLog>,
    /// One call reads at a time, which bounds the memory.
    owners: Mutex<Owners>,
}

impl Feed {
    /// The events on a log.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, owners: Mutex::default() }
    }

    /// At most `limit` events after a position. There may be more although there are fewer than that, because a call reads only
    /// so many records.
    ///
    /// # Errors
    /// When the position is of another log, or the log cannot be read.
    pub fn page(&self, reader: &Reader, after: &Position, limit: usize) -> Result<FeedPage, FeedError> {
        let log = self.log.as_ref();
        // A panic elsewhere left the owners between two whole records.
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        // Decisions first: the owners are then known as of a later moment.
        let mut sources = Vec::new();
        for partition in 0..log.partitions(topics::DECISIONS)? {
            sources.push(read_decisions(log, partition, after.decisions(partition), limit)?);
        }
        owners.catch_up(log)?;
        for source in &mut sources {
            source
                .found
                .retain(|found| found.site.as_ref().is_some_and(|site| owners.lets(reader, site, found.at)));
        }
        sources.insert(0, read_provisioning(log, &owners, reader, after.provisioning(), limit)?);
        Ok(merge(sources, after, limit))
    }
}

/// Takes the earliest events of all topic-partitions, each in its own order.
fn merge(mut sources: Vec<Read>, after: &Position, limit: usize) -> FeedPage {
    let mut next = after.clone();
    let mut events = Vec::new();
    while events.len() < limit {
        let waiting =
            sources.iter().enumerate().filter_map(|(index, source)| Some((source.found.front()?.at, index)));
        let Some((_, index)) = waiting.min() else { break };
        let Some(found) = sources.get_mut(index).and_then(|source| source.found.pop_front()) else { break };
        next.set(index, found.after);
        let source::Found { id, kind, subject, at, data, .. } = found;
        events.push(FeedEvent { id, kind, subject, at, data, position: next.clone() });
    }
    let mut has_more = false;
    for (index, source) in sources.iter().enumerate() {
        if source.found.is_empty() {
            next.set(index, source.read_to);
        }
        has_more |= !source.found.is_empty() || source.is_cut;
    }
    FeedPage { events, next, has_more }
}
