//! Finds the record of a command by its author and id, so that a retry gets the result of the first attempt. Ids of different
//! authors are different: nobody learns or takes another one's.
//!
//! ```text
//! provisioning ──► Commands ──► IndexFile: on disk, keys to offsets
//!                     │
//!                     └───────► RecentIds: bounded, while there is no usable file
//! ```
//!
//! Both hold only offsets. The record itself is always read from the log, so a wrong offset is noticed, and the file is
//! rebuilt. Nothing that happens to the file fails a command.

mod file;
mod recent_ids;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use spillway_eventlog::{EventLog, ReadError};
use spillway_events::ProvisioningRecord;

use self::file::{IndexError, IndexFile};
use self::recent_ids::RecentIds;

/// How long the index stays in memory after the file has failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// What commands are told apart by. An author has no line breaks.
fn key_of(author: &str, id: &str) -> String {
    format!("{author}\n{id}")
}

fn key_of_record(record: &ProvisioningRecord) -> String {
    key_of(&record.author, &record.command)
}

/// The commands that have a record in the provisioning of a log.
#[derive(Default)]
pub(crate) struct Commands {
    /// Where the index is kept; in memory only if there is no path.
    path: Option<PathBuf>,
    file: Option<IndexFile>,
    recent: RecentIds,
    /// When the file is tried again after a failure.
    retry_at: Option<Instant>,
}

impl Commands {
    /// Keeps the index in this file, which is created if it does not exist.
    pub(crate) fn in_file(path: PathBuf) -> Self {
        Self { path: Some(path), ..Self::default() }
    }

    /// Returns the record of a command, if the log has one as of its end.
    pub(crate) fn find(
        &mut self,
        log: &dyn EventLog,
        author: &str,
        id: &str,
    ) -> Result<Option<ProvisioningRecord>, ReadError> {
        let key = &key_of(author, id);
        if let Some(path) = self.path.clone().filter(|_| self.is_due()) {
            match find_in_file(&mut self.file, &path, log, key) {
                Ok(found) => {
                    if self.retry_at.take().is_some() {
                        tracing::info!(path = %path.display(), "the index of commands works again");
                    }
                    self.recent = RecentIds::default();
                    return Ok(found);
                }
                Err(IndexError::Log(error)) => return Err(error),
                Err(error) => {
                    self.file = None;
                    self.failed(&error);
                }
            }
        }
        self.recent.find(log, key)
    }

    fn is_due(&self) -> bool {
        self.retry_at.is_none_or(|retry_at| Instant::now() >= retry_at)
    }

    /// Logs a failure of the file, once until it works again.
    fn failed(&mut self, error: &IndexError) {
        if self.retry_at.is_none() {
            let (path, error): (_, &dyn std::error::Error) = (self.path.as_deref(), error);
            tracing::error!(
                error,
                ?path,
                "the index of commands cannot be used; commands go on without it, more slowly if there are many"
            );
        }
        self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
    }
}

/// Finds a record with the file, which is opened if it is not open and rebuilt once if it is damaged.
fn find_in_file(
    file: &mut Option<IndexFile>,
    path: &Path,
    log: &dyn EventLog,
    key: &str,
) -> Result<Option<ProvisioningRecord>, IndexError> {
    let find = |file: &mut Option<IndexFile>| {
        let open = match file.take() {
            Some(open) => open,
            None => IndexFile::open(path, log)?,
        };
        file.insert(open).find(log, key)
    };
    match find(file) {
        Err(IndexError::Damaged(reason)) => {
            tracing::warn!(reason, path = %path.display(), "the index of commands is rebuilt from the log");
            *file = None;
            IndexFile::remove(path)?;
            find(file)
        }
        found => found,
    }
}

#[cfg(test)]
mod tests;
