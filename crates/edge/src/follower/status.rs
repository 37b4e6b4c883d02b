//! What went wrong while following, for `/ready` and for tests.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use spillway_routing::table::TableError;

use super::StoreError;
use crate::log_limit::LogLimit;

/// Why the log's tables are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// The log is of another installation than the table.
    OtherInstallation,
    /// The log's tables are older than the node's, as after the log was restored from a backup.
    Older,
}

impl Ignored {
    /// The reason as a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OtherInstallation => "other_installation",
            Self::Older => "older",
        }
    }
}

/// Counts since the process started, and what is wrong now.
#[derive(Debug, Default)]
pub struct Status {
    undecodable: AtomicU64,
    refused: AtomicU64,
    save_failing: AtomicBool,
    ignored: Mutex<Option<Ignored>>,
    log_limit: Mutex<LogLimit>,
}

impl Status {
    /// How many records or frames of `snapshots` could not be decoded.
    #[must_use]
    pub fn undecodable(&self) -> u64 {
        self.undecodable.load(Ordering::Relaxed)
    }

    /// How many snapshots were refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether the last attempt to save the table failed.
    #[must_use]
    pub fn is_save_failing(&self) -> bool {
        self.save_failing.load(Ordering::Relaxed)
    }

    /// Why the node does not follow the log, if it does not.
    #[must_use]
    pub fn ignored(&self) -> Option<Ignored> {
        *self.ignored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log's snapshot is not for this table. Logged when that changes.
    pub(super) fn ignored_log(&self, ignored: Ignored, error: &TableError) {
        let before = self.ignored.lock().unwrap_or_else(PoisonError::into_inner).replace(ignored);
        if before != Some(ignored) {
            tracing::error!(%error, "the log is not the one of this node's routing table, which serves on; `spillway dns adopt` takes the log's");
        }
    }

    /// The log's table was asked for, but cannot be taken yet.
    pub(super) fn adoption_waits(&self, reason: &str) {
        if let Some(suppressed) = self.pass() {
            tracing::warn!(reason, suppressed, "the log's routing table cannot be adopted yet");
        }
    }

    pub(super) fn followed_log(&self) {
        let before = self.ignored.lock().unwrap_or_else(PoisonError::into_inner).take();
        if before.is_some() {
            tracing::info!("the log's routing table is followed again");
        }
    }

    pub(super) fn undecodable_record(&self, error: &(dyn Error + 'static)) {
        self.undecodable.fetch_add(1, Ordering::Relaxed);
        if let Some(suppressed) = self.pass() {
            tracing::error!(
                error,
                suppressed,
                "a record of the snapshots is skipped; the last good table serves"
            );
        }
    }

    pub(super) fn refused_snapshot(&self, version: u64, error: &TableError) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(suppressed) = self.pass() {
            tracing::error!(version, %error, suppressed, "a snapshot is refused; the last good table serves");
        }
    }

    /// The table was saved, or not. Logged when that changes.
    pub(super) fn saved(&self, path: &Path, error: Option<&StoreError>) {
        let was_failing = self.save_failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !was_failing => {
                let error: &dyn Error = error;
                tracing::error!(
                    error,
                    "the routing table cannot be saved; the next attempts follow every second"
                );
            }
            None if was_failing => tracing::info!(path = %path.display(), "the routing table is saved again"),
            _ => {}
        }
    }

    fn pass(&self) -> Option<u64> {
        self.log_limit.lock().unwrap_or_else(PoisonError::into_inner).pass()
    }
}
