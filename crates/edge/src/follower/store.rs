//! The last valid table on disk: a full table, then the deltas since.
//!
//! Both are frames, encoded as on the log.

use std::io;
use std::path::{Path, PathBuf};

use spillway_events::{EncodedFrame, FrameAssembler, Snapshot, decode_frame, encode_frame};
use spillway_routing::table::Table;

use super::file;

/// Why the table on disk cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be read or written.
    #[error("{path}: the file cannot be used")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file does not start with a complete table.
    #[error("{path}: the saved table is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The table does not fit the record format.
    #[error("{path}: the table cannot be encoded: {reason}")]
    Encoding {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl StoreError {
    /// Whether the file does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// The state of the file: the version of its table, and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OnDisk {
    /// The version of the table in the file.
    pub(super) version: u64,
    /// The size of the full table in bytes.
    full_bytes: u64,
    /// The size of the file in bytes.
    bytes: u64,
}

/// Reads the table. If the file is damaged after the full table, the deltas from there on are dropped; the log has them.
/// Nothing can be appended to such a file, so its state is not returned.
pub(super) fn load(path: &Path) -> Result<(Table, Option<OnDisk>), StoreError> {
    let contents = file::read(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    let damaged = |reason: String| StoreError::Damaged { path: path.to_owned(), reason };
    let (mut assembler, mut frame_bytes) = (FrameAssembler::default(), 0);
    let mut is_damaged = contents.is_damaged;
    // The table, the size of the full table, and the size of the valid part of the file.
    let mut loaded: Option<(Table, u64, u64)> = None;
    for record in contents.records {
        frame_bytes += file::bytes_of(std::slice::from_ref(&record));
        let table = match assembler.push(0, record) {
            Ok(None) => continue,
            Ok(Some(frame)) => apply(loaded.as_ref().map(|(table, ..)| table), &frame),
            Err(error) => Err(error.to_string()),
        };
        match (table, &mut loaded) {
            (Ok(table), None) => loaded = Some((table, frame_bytes, frame_bytes)),
            (Ok(table), Some((last, _, bytes))) => (*last, *bytes) = (table, *bytes + frame_bytes),
            (Err(reason), None) => return Err(damaged(reason)),
            (Err(reason), Some(_)) => {
                tracing::warn!(path = %path.display(), reason, "the saved table has a delta that does not apply");
                is_damaged = true;
                break;
            }
        }
        frame_bytes = 0;
    }
    let Some((table, full_bytes, bytes)) = loaded else {
        return Err(damaged(String::from("it does not start with a full table")));
    };
    let on_disk = OnDisk { version: table.version(), full_bytes, bytes };
    Ok((table, (!is_damaged && frame_bytes == 0).then_some(on_disk)))
}

/// The table after the snapshots of a frame.
fn apply(table: Option<&Table>, frame: &EncodedFrame) -> Result<Table, String> {
    let items = decode_frame(&frame.chunks).map_err(|error| error.to_string())?;
    let snapshots = Snapshot::from_items(items).map_err(|error| error.to_string())?;
    let table = table.cloned().unwrap_or_default();
    snapshots.iter().try_fold(table, |table, next| table.apply(next)).map_err(|error| error.to_string())
}

/// Replaces the file by a full table.
pub(super) fn replace(path: &Path, table: &Table) -> Result<OnDisk, StoreError> {
    let records = encode_frame(table.version(), &table.to_snapshot().into_items())
        .map_err(|error| StoreError::Encoding { path: path.to_owned(), reason: error.to_string() })?;
    let bytes =
        file::replace(path, &records).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    Ok(OnDisk { version: table.version(), full_bytes: bytes, bytes })
}

/// Appends deltas that lead from the file's version to `version`.
pub(super) fn append(
    path: &Path,
    on_disk: OnDisk,
    deltas: &[Vec<u8>],
    version: u64,
) -> Result<OnDisk, StoreError> {
    let bytes = file::append(path, on_disk.bytes, deltas)
        .map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    Ok(OnDisk { version, bytes, ..on_disk })
}

impl OnDisk {
    /// Whether deltas may be appended: together with those in the file they are at most as large as the full table.
    pub(super) fn has_room_for(&self, deltas: &[Vec<u8>]) -> bool {
        self.bytes - self.full_bytes + file::bytes_of(deltas) <= self.full_bytes
    }
}
