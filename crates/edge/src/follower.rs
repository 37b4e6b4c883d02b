//! The current table: built from snapshots, saved on disk, and replaced as a whole.
//!
//! ```text
//! snapshots ──► follow ──► Follower ──► shared table ──► readers
//!                  │
//!                  └─────► Saver (a thread) ──► file: full table, deltas
//! ```
//!
//! Nothing in the log or on the disk ends the follower or the readers; [`Status`] shows what is wrong.

mod adopt;
mod file;
mod follow;
mod last_full;
mod save;
mod status;
mod store;

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use spillway_events::{Snapshot, SnapshotKind, TimeMicros};
use spillway_routing::table::{Table, TableError};

pub use self::adopt::{is_adoption_requested, request_adoption, why_adoption_waits};
pub use self::follow::follow;
pub use self::status::{Ignored, Status};
use self::store::OnDisk;
pub use self::store::StoreError;

/// The current table, shared with the readers; empty until there is a first one.
pub type SharedTable = Arc<ArcSwapOption<Table>>;

/// Owns the current table. It is the only writer; readers share [`Follower::table`].
#[derive(Debug)]
pub struct Follower {
    shared: SharedTable,
    current: Arc<Table>,
    status: Arc<Status>,
    /// The state of the file, if the file has the current table.
    on_disk: Option<OnDisk>,
}

/// A snapshot became the current table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// The kind of the snapshot.
    pub kind: SnapshotKind,
    /// The version of the new table.
    pub version: u64,
    /// The snapshot's time.
    pub at: TimeMicros,
}

impl Default for Follower {
    /// Without a table: only a full snapshot, or a delta on version 0, starts it.
    fn default() -> Self {
        Self {
            shared: Arc::new(ArcSwapOption::empty()),
            current: Arc::default(),
            status: Arc::default(),
            on_disk: None,
        }
    }
}

impl Follower {
    /// The table, shared with the readers.
    #[must_use]
    pub fn table(&self) -> SharedTable {
        Arc::clone(&self.shared)
    }

    /// The current table, if there is one.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Table>> {
        self.shared.load_full()
    }

    /// The counts of errors, and what is wrong now.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Builds the next table beside the current one and swaps it in.
    ///
    /// # Errors
    /// When the snapshot is refused. The current table is then unchanged.
    pub fn offer(&mut self, snapshot: &Snapshot) -> Result<Adopted, TableError> {
        let started = self.shared.load().is_some();
        if !started && snapshot.kind == SnapshotKind::Heartbeat {
            // A heartbeat is of no use to a node without a table.
            return Err(TableError::Base { base: snapshot.version, current: 0 });
        }
        let next = Arc::new(self.current.apply(snapshot)?);
        self.shared.store(Some(Arc::clone(&next)));
        self.current = next;
        Ok(Adopted { kind: snapshot.kind, version: snapshot.version, at: snapshot.at_us })
    }

    /// Replaces the current table by another one, which is in the file.
    fn replace(&mut self, table: Table, on_disk: OnDisk) {
        self.current = Arc::new(table);
        self.shared.store(Some(Arc::clone(&self.current)));
        self.on_disk = Some(on_disk);
        self.status.followed_log();
    }

    /// Writes the current table to a file, durably: beside it, then renamed over it. Without a table nothing is
    /// written.
    ///
    /// # Errors
    /// When the file cannot be written. The former file is then unchanged.
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        match self.current() {
            Some(table) => store::replace(path, &table).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Starts from the table in a file, at any age.
    ///
    /// # Errors
    /// When there is no file ([`StoreError::is_missing`]), or it does not start with a complete table.
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let (table, on_disk) = store::load(path)?;
        let current = Arc::new(table);
        let shared = Arc::new(ArcSwapOption::new(Some(Arc::clone(&current))));
        Ok(Self { shared, current, on_disk, ..Self::default() })
    }

    /// Starts from the table in a file, or without one: if the file cannot be read, that is logged, and the file is replaced
    /// once the log has a table.
    #[must_use]
    pub fn start(path: &Path) -> Self {
        Self::load(path).unwrap_or_else(|error| {
            if !error.is_missing() {
                let error: &dyn std::error::Error = &error;
                tracing::error!(
                    error,
                    "the saved routing table cannot be used; the node waits for the table of the log"
                );
            }
            Self::default()
        })
    }
}
