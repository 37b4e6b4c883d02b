//! The index of commands on disk.
//!
//! | table | key | value |
//! |---|---|---|
//! | `format` | `format` | 2 |
//! | `last` | `last` | number, offset and SHA-256 of the last record read |
//! | `commands` | author and id of a command | offset of its record |
//!
//! The last record read proves that the file belongs to a log: if the log does not have the same bytes at that offset, the
//! file is of another log, or of a later state of this one, and is rebuilt.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use spillway_eventlog::{Entry, EventLog, LogError, ReadError, Records, decode_entry};
use spillway_events::{ProvisioningRecord, Sha256, topics};

use super::key_of_record;

const FORMAT: u64 = 2;
/// The most records that one transaction takes.
const BATCH_RECORDS_MAX: usize = 1_024;
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// The only key of a table with one row.
const ONE: &str = "";
const FORMATS: TableDefinition<'_, &str, u64> = TableDefinition::new("format");
const LAST: TableDefinition<'_, &str, (u64, u64, &str)> = TableDefinition::new("last");
const COMMANDS: TableDefinition<'_, &str, u64> = TableDefinition::new("commands");

/// An open file.
pub(super) struct IndexFile {
    /// Present until the file is dropped.
    database: Option<Database>,
    /// The last record read.
    last: Option<Last>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Last {
    number: u64,
    offset: u64,
    digest: String,
}

/// Why the file did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    /// It is not an index of this log; a new one can replace it.
    #[error("the file is not an index of this log: {0}")]
    Damaged(String),
    /// It cannot be read or written.
    #[error("the file failed")]
    File(#[source] Box<redb::Error>),
    /// It cannot be created or removed.
    #[error("the file cannot be created or removed")]
    Io(#[from] io::Error),
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] ReadError),
}

impl From<LogError> for IndexError {
    fn from(error: LogError) -> Self {
        Self::Log(error.into())
    }
}

impl From<redb::Error> for IndexError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(reason) => Self::Damaged(reason),
            redb::Error::Io(error) if is_damage(&error) => Self::Damaged(error.to_string()),
            error @ (redb::Error::UpgradeRequired(_)
            | redb::Error::RepairAborted
            | redb::Error::TableDoesNotExist(_)
            | redb::Error::TableTypeMismatch { .. }) => Self::Damaged(error.to_string()),
            error => Self::File(Box::new(error)),
        }
    }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

impl IndexFile {
    /// Opens the file, or creates it if it does not exist. Reads all of it to verify its checksums.
    pub(super) fn open(path: &Path, log: &dyn EventLog) -> Result<Self, IndexError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = guarded(|| Ok(builder.create(path)?))?;
        Self::of_database(database, log)
    }

    pub(super) fn of_database(database: Database, log: &dyn EventLog) -> Result<Self, IndexError> {
        let mut index = Self { database: Some(database), last: None };
        let Some(database) = &mut index.database else { return Ok(index) };
        let (format, last) = guarded(|| {
            database.check_integrity()?;
            load(database)
        })?;
        if format != FORMAT {
            return Err(IndexError::Damaged(format!("its format is {format}, not {FORMAT}")));
        }
        if let Some(last) = &last {
            check_last(log, last)?;
        }
        index.last = last;
        Ok(index)
    }

    /// Removes a file, so that it is created anew.
    pub(super) fn remove(path: &Path) -> Result<(), IndexError> {
        Ok(fs::remove_file(path)?)
    }

    /// Returns the record of a command, if the log has one as of its end.
    pub(super) fn find(
        &mut self,
        log: &dyn EventLog,
        key: &str,
    ) -> Result<Option<ProvisioningRecord>, IndexError> {
        self.catch_up(log)?;
        let Some(database) = &self.database else { return Ok(None) };
        let offset = guarded(|| {
            let table = database.begin_read()?.open_table(COMMANDS)?;
            Ok(table.get(key)?.map(|offset| offset.value()))
        })?;
        let Some(offset) = offset else { return Ok(None) };
        let entry = entry_at(log, offset)?;
        let record = entry.map(|entry| decode_entry(topics::PROVISIONING, 0, &entry)).transpose()?;
        let is_right = |record: &ProvisioningRecord| key_of_record(record) == key;
        match record.filter(is_right) {
            None => Err(IndexError::Damaged(format!("the record at offset {offset} is of another command"))),
            found => Ok(found),
        }
    }

    /// Reads the records that the log has got since.
    fn catch_up(&mut self, log: &dyn EventLog) -> Result<(), IndexError> {
        let Some(database) = &self.database else { return Ok(()) };
        let next = self.last.as_ref().map_or(0, |last| last.offset + 1);
        let mut records = Records::new(log, topics::PROVISIONING, 0, next);
        loop {
            let mut keys = Vec::new();
            let mut last = None;
            for entry in records.by_ref().take(BATCH_RECORDS_MAX) {
                let entry = entry?;
                let record: ProvisioningRecord = decode_entry(topics::PROVISIONING, 0, &entry)?;
                last = Some(Last::of(&entry, record.number));
                keys.push((key_of_record(&record), entry.offset));
            }
            let Some(last) = last else { return Ok(()) };
            guarded(|| write(database, &keys, &last))?;
            self.last = Some(last);
        }
    }
}

#[cfg(test)]
impl IndexFile {
    /// Sets the offset of a command.
    pub(super) fn put(&self, key: &str, offset: u64) {
        let database = self.database.as_ref();
        let put = guarded(|| {
            let Some(database) = database else { return Ok(()) };
            let transaction = database.begin_write()?;
            transaction.open_table(COMMANDS)?.insert(key, offset)?;
            Ok(transaction.commit()?)
        });
        assert!(put.is_ok());
    }
}

impl Drop for IndexFile {
    fn drop(&mut self) {
        if let Some(database) = self.database.take() {
            // If closing fails, the next open recovers the last transaction.
            let _ = guarded(|| Ok(database.close()?));
        }
    }
}

impl Last {
    fn of(entry: &Entry, number: u64) -> Self {
        Self { number, offset: entry.offset, digest: Sha256::of(&entry.bytes).to_string() }
    }
}

/// The format of a file, and the last record that it has read. A new file gets its tables.
fn load(database: &Database) -> Result<(u64, Option<Last>), redb::Error> {
    let snapshot = database.begin_read()?;
    if snapshot.list_tables()?.next().is_none() {
        let made = database.begin_write()?;
        made.open_table(FORMATS)?.insert(ONE, FORMAT)?;
        drop((made.open_table(LAST)?, made.open_table(COMMANDS)?));
        made.commit()?;
        return Ok((FORMAT, None));
    }
    let format = snapshot.open_table(FORMATS)?.get(ONE)?.map_or(0, |format| format.value());
    if format != FORMAT {
        return Ok((format, None));
    }
    let last = snapshot.open_table(LAST)?.get(ONE)?.map(|last| {
        let (number, offset, digest) = last.value();
        Last { number, offset, digest: digest.to_owned() }
    });
    Ok((format, last))
}

fn write(database: &Database, keys: &[(String, u64)], last: &Last) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut commands = transaction.open_table(COMMANDS)?;
        for (key, offset) in keys {
            // The first record of a key counts.
            if commands.get(key.as_str())?.is_none() {
                commands.insert(key.as_str(), offset)?;
            }
        }
        let row = (last.number, last.offset, last.digest.as_str());
        transaction.open_table(LAST)?.insert(ONE, row)?;
    }
    Ok(transaction.commit()?)
}

/// Refuses a file whose last record is not in the log.
fn check_last(log: &dyn EventLog, last: &Last) -> Result<(), IndexError> {
    let found = entry_at(log, last.offset)?;
    if found.is_some_and(|entry| Last::of(&entry, last.number) == *last) {
        return Ok(());
    }
    let (number, offset) = (last.number, last.offset);
    Err(IndexError::Damaged(format!(
        "the log does not have its last record, number {number} at offset {offset}"
    )))
}

/// The record at an offset, if the log has one there.
fn entry_at(log: &dyn EventLog, offset: u64) -> Result<Option<Entry>, IndexError> {
    match log.read(topics::PROVISIONING, 0, offset, 1, 1) {
        Ok(entries) => Ok(entries.into_iter().next().filter(|entry| entry.offset == offset)),
        Err(LogError::BeyondEnd { .. } | LogError::Truncated { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Runs an operation of the store, which may panic on damaged pages.
fn guarded<T>(run: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, IndexError> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(IndexError::Damaged(String::from("the store panicked"))),
    }
}
