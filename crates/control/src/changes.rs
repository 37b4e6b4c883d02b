//! Who changed what, when: the audit trail, which is the log of provisioning.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use spillway_eventlog::{EventLog, RecordReader};
use spillway_events::{ProvisioningRecord, format_time, topics};
use spillway_provisioning::{ChangeLine, State, diff};

use crate::ProvisionError;

/// The most lines that are shown of one change.
const LINES_MAX: usize = 100;

/// Which changes are wanted.
#[derive(Debug, Clone, Default)]
pub struct ChangesFilter {
    /// Only those of objects of this kind; or `gap`, `clock` or `token`.
    pub kind: Option<String>,
    /// Only those of objects with this name.
    pub name: Option<String>,
    /// Only those of this author: all of it, or the id of the token.
    pub author: Option<String>,
    /// Only those before the record of this number.
    pub before: Option<u64>,
}

/// Changes, the latest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesPage {
    /// The changes.
    pub items: Vec<ChangeItem>,
    /// What `before` is for the page after this one; none if there are no more.
    pub next: Option<u64>,
}

/// What one command changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeItem {
    /// The number of its record.
    pub number: u64,
    /// When it was received.
    pub at: String,
    /// Who sent it.
    pub author: String,
    /// The command's id.
    pub command: String,
    /// A line for each changed object or field that the filter lets through, at most 100.
    pub changes: Vec<String>,
    /// How many lines there are.
    pub changes_count: usize,
}

/// The changes on a log.
pub struct Changes {
    log: Arc<dyn EventLog>,
    /// One call reads at a time, which bounds the memory.
    reading: Mutex<()>,
}

impl Changes {
    /// The changes on a log.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, reading: Mutex::new(()) }
    }

    /// The latest changes that pass a filter, at most `limit`. The log is read from its start, because a change is told by what
    /// was before.
    ///
    /// # Errors
    /// When the log does not read.
    pub fn page(&self, filter: &ChangesFilter, limit: usize) -> Result<ChangesPage, ProvisionError> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = State::default();
        let mut found: VecDeque<ChangeItem> = VecDeque::new();
        for record in RecordReader::<ProvisioningRecord>::new(self.log.as_ref(), topics::PROVISIONING, 0, 0) {
            let (_, record) = record?;
            if filter.before.is_some_and(|before| record.number >= before) {
                break;
            }
            if filter.is_author(&record.author) {
                found.extend(item(&state, &record, filter));
            }
            if found.len() > limit + 1 {
                found.pop_front();
            }
            state.apply(&record)?;
        }
        let has_more = found.len() > limit;
        if has_more {
            found.pop_front();
        }
        let next = found.front().filter(|_| has_more).map(|first| first.number);
        Ok(ChangesPage { items: found.into_iter().rev().collect(), next })
    }
}

impl ChangesFilter {
    fn is_author(&self, author: &str) -> bool {
        let Some(wanted) = &self.author else { return true };
        author == wanted || author.split_whitespace().any(|word| word == wanted)
    }

    fn takes(&self, line: &ChangeLine) -> bool {
        self.kind.as_ref().is_none_or(|kind| line.kind == *kind)
            && self.name.as_ref().is_none_or(|name| line.name == *name)
    }
}

/// What a record changed of what is wanted; none if that is nothing.
fn item(state: &State, record: &ProvisioningRecord, filter: &ChangesFilter) -> Option<ChangeItem> {
    let lines = diff(state, &record.events);
    let wanted: Vec<&ChangeLine> = lines.iter().filter(|line| filter.takes(line)).collect();
    (!wanted.is_empty()).then(|| ChangeItem {
        number: record.number,
        at: format_time(record.at_us),
        author: record.author.clone(),
        command: record.command.clone(),
        changes: wanted.iter().take(LINES_MAX).map(ToString::to_string).collect(),
        changes_count: wanted.len(),
    })
}
