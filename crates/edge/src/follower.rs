//! The present table: taken from snapshots, kept on disk, swapped whole.

mod file;
mod follow;

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use spillway_events::{Snapshot, SnapshotKind, TimeMicros};
use spillway_routing::table::{Table, TableError};

pub use self::file::StoreError;
pub use self::follow::{FollowError, follow};

/// Where readers find the present table; nothing until there is a first one.
pub type SharedTable = Arc<ArcSwapOption<Table>>;

/// Owns the present table. There is one writer, this; readers share [`Follower::table`].
#[derive(Debug)]
pub struct Follower {
    shared: SharedTable,
    present: Arc<Table>,
}

/// A snapshot became the present table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// What kind of snapshot it was.
    pub kind: SnapshotKind,
    /// The table's version now.
    pub version: u64,
    /// The snapshot's time.
    pub at: TimeMicros,
}

impl Default for Follower {
    /// Without a table: only a full snapshot, or a delta on version 0, starts it.
    fn default() -> Self {
        Self { shared: Arc::new(ArcSwapOption::empty()), present: Arc::default() }
    }
}

impl Follower {
    /// Where readers find the table.
    #[must_use]
    pub fn table(&self) -> SharedTable {
        Arc::clone(&self.shared)
    }

    /// The present table, if there is one.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Table>> {
        self.shared.load_full()
    }

    /// Builds the next table beside the present one and swaps it in.
    ///
    /// # Errors
    /// When the snapshot is refused; the present table stays.
    pub fn offer(&mut self, snapshot: &Snapshot) -> Result<Adopted, TableError> {
        let started = self.shared.load().is_some();
        if !started && snapshot.kind == SnapshotKind::Heartbeat {
            // Nothing to beat for: a table of version 0 has never been published.
            return Err(TableError::Base { base: snapshot.version, current: 0 });
        }
        let next = Arc::new(self.present.apply(snapshot)?);
        self.shared.store(Some(Arc::clone(&next)));
        self.present = next;
        Ok(Adopted { kind: snapshot.kind, version: snapshot.version, at: snapshot.at_us })
    }

    /// Writes the present table to a file, durably: beside it, then renamed over it. Without a table nothing is
    /// written.
    ///
    /// # Errors
    /// When the disk does not take it; the former file stays.
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        match self.current() {
            Some(table) => file::write(path, &table.to_snapshot()),
            None => Ok(()),
        }
    }

    /// Starts from a file that [`Follower::save`] wrote, at any age.
    ///
    /// # Errors
    /// When there is no file ([`StoreError::is_missing`]), or it is damaged.
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let snapshot = file::read(path)?;
        let mut follower = Self::default();
        follower.offer(&snapshot).map_err(|error| StoreError::damaged(path, error.to_string()))?;
        Ok(follower)
    }
}
