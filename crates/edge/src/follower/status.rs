//! Errors while following the log, for `/ready` and for tests.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use spillway_routing::table::TableError;

use super::StoreError;
use crate::log_limit::LogLimit;

/// Why the log's tables are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// The log belongs to another installation than the table.
    OtherInstallation,
    /// The log's tables are older than the node's, for example because the log was restored from a backup.
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

    /// A snapshot of the log is not for this table. This is logged when it changes.
    pub(super) fn ignored_log(&self, ignored: Ignored, error: &TableError) {
        let before = self.ignored.lock().unwrap_or_else(PoisonError::into_inner).replace(ignored);
        if before != Some(ignored) {
            tracing::error!(%error, "the log does not belong to this node's routing table, and is ignored; the node keeps serving its table. `spillway dns adopt` replaces it by the log's");
        }
    }

    /// The log's table was requested, but cannot be adopted yet.
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
                "a record of the snapshots is skipped; the last valid table is served"
            );
        }
    }

    pub(super) fn refused_snapshot(&self, version: u64, error: &TableError) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(suppressed) = self.pass() {
            tracing::error!(version, %error, suppressed, "a snapshot is refused; the last valid table is served");
        }
    }

    /// The table was saved, or could not be saved. This is logged when it changes.
    pub(super) fn saved(&self, path: &Path, error: Option<&StoreError>) {
        let was_failing = self.save_failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !was_failing => {
                let error: &dyn Error = error;
                tracing::error!(error, "the routing table cannot be saved; saving is retried every second");
            }
            None if was_failing => tracing::info!(path = %path.display(), "the routing table is saved again"),
            _ => {}
        }
    }

    fn pass(&self) -> Option<u64> {
        self.log_limit.lock().unwrap_or_else(PoisonError::into_inner).pass()
    }
}
