//! Saves the table in a thread beside the follow loop: at most once a second, and only what changed.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spillway_events::{Snapshot, encode_frame};
use spillway_routing::table::Table;

use super::status::Status;
use super::store::{self, OnDisk, StoreError};

/// The time between two writes, also after a failed one.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// The maximum number of bytes of deltas that wait to be written; beyond it the full table is written.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Takes tables from the follow loop, and writes them in a thread of its own.
#[derive(Debug)]
pub(super) struct Saver {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// What has not been written yet.
#[derive(Debug, Default)]
struct Waiting {
    /// The newest table; `None` if the file has it.
    table: Option<Arc<Table>>,
    /// The encoded deltas that lead from the file's table to the newest one; `None` if there are none that do.
    deltas: Option<Vec<Vec<u8>>>,
    /// Whether the follow loop has ended.
    is_last: bool,
}

impl Saver {
    /// `on_disk` describes the file if its table is the current one.
    pub(super) fn new(on_disk: Option<OnDisk>) -> Self {
        let deltas = on_disk.map(|_| Vec::new());
        Self { waiting: Mutex::new(Waiting { deltas, ..Waiting::default() }), changed: Condvar::new() }
    }

    /// Takes the new current table, and the delta that led to it if there is one.
    pub(super) fn table_changed(&self, table: Arc<Table>, delta: Option<&Snapshot>) {
        let mut waiting = self.lock();
        let encoded = delta.and_then(|delta| encode_frame(delta.version, &delta.clone().into_items()).ok());
        waiting.deltas = waiting.deltas.take().zip(encoded).and_then(|(mut deltas, encoded)| {
            deltas.extend(encoded);
            (deltas.iter().map(Vec::len).sum::<usize>() <= WAITING_BYTES_MAX).then_some(deltas)
        });
        waiting.table = Some(table);
        self.changed.notify_all();
    }

    /// Writes the remaining changes, and ends [`Saver::run`].
    pub(super) fn finish(&self) {
        self.lock().is_last = true;
        self.changed.notify_all();
    }

    /// Writes until finished; returns the state of the file. A failed write is logged once and retried; then the full table
    /// is written.
    pub(super) fn run(&self, path: &Path, mut on_disk: Option<OnDisk>, status: &Status) -> Option<OnDisk> {
        loop {
            let waiting = self.take();
            let is_last = waiting.is_last;
            if let Some(table) = waiting.table {
                let result = write(path, on_disk, &table, waiting.deltas);
                status.saved(path, result.as_ref().err());
                on_disk = result.ok();
                self.written(on_disk.is_some(), table);
            }
            if is_last {
                return on_disk;
            }
            self.pause();
        }
    }

    /// Waits for something to write, and takes it.
    fn take(&self) -> Waiting {
        let mut waiting = self.lock();
        while waiting.table.is_none() && !waiting.is_last {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let (table, deltas) = (waiting.table.take(), waiting.deltas.replace(Vec::new()));
        Waiting { table, deltas, is_last: waiting.is_last }
    }

    /// After a failed write the content of the file is unknown, so the newest table has to be written completely.
    fn written(&self, succeeded: bool, table: Arc<Table>) {
        if !succeeded {
            let mut waiting = self.lock();
            waiting.table.get_or_insert(table);
            waiting.deltas = None;
        }
    }

    fn pause(&self) {
        let waiting = self.lock();
        let ended = self.changed.wait_timeout_while(waiting, SAVE_INTERVAL, |waiting| !waiting.is_last);
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(
    path: &Path,
    on_disk: Option<OnDisk>,
    table: &Table,
    deltas: Option<Vec<Vec<u8>>>,
) -> Result<OnDisk, StoreError> {
    match (on_disk, deltas) {
        (Some(on_disk), Some(deltas)) if on_disk.has_room_for(&deltas) => {
            store::append(path, on_disk, &deltas, table.version())
        }
        _ => store::replace(path, table),
    }
}
