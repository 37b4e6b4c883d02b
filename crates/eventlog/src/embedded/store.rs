//! The file and its tables.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format` | 2 |
//! | `topics` | name | id, partitions, CRC ([`super::rows`]) |
//! | `partitions` | topic id, partition | start, end, bytes, CRC ([`super::rows`]) |
//! | `blocks` | topic id, partition, first offset | a block ([`crate::block`]) |

use std::fs::{self, File, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{
    Builder, Database, DatabaseError, Durability, ReadOnlyDatabase, ReadTransaction, ReadableDatabase,
    ReadableTable, StorageError, TableDefinition, WriteTransaction,
};

use super::rows::{SpanRow, TopicRow, open_span, open_topic};
use super::topics::{Topic, Topics};
use crate::block::block_next;
use crate::checks::check_topic;
use crate::limits::CACHE_BYTES;
use crate::{LogError, PARTITIONS_MAX};

/// The file's name in its folder.
const FILE: &str = "log.redb";
/// The name of the file while it is being created.
const NEW_FILE: &str = "log.redb.new";
const FORMAT: u64 = 2;

pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const TOPICS: TableDefinition<'_, &str, TopicRow> = TableDefinition::new("topics");
pub(super) const PARTITIONS: TableDefinition<'_, (u32, u32), SpanRow> = TableDefinition::new("partitions");
pub(super) const BLOCKS: TableDefinition<'_, (u32, u32, u64), &[u8]> = TableDefinition::new("blocks");

/// The open file.
pub(super) struct Store {
    /// Present until the store is dropped.
    database: Option<Opened>,
    file: PathBuf,
}

enum Opened {
    Writable(Database),
    ReadOnly(ReadOnlyDatabase),
}

impl Store {
    /// Opens the file of a folder, and creates it if it does not exist.
    ///
    /// A new file is created under another name and renamed when it is complete and synced, so that a crash at any time
    /// leaves a complete file or none.
    pub(super) fn create(folder: &Path) -> Result<Self, LogError> {
        let failed = |source| not_opened(folder, source);
        create_folder(folder).map_err(failed)?;
        let file = folder.join(FILE);
        // Excludes other processes that create the file. A crash releases the lock.
        let locked = File::open(folder).map_err(failed)?;
        match locked.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LogError::InUse { file: folder.join(FILE) }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        if file.try_exists().map_err(|source| not_opened(&file, source))? {
            return Self::open_file(&file, |builder| builder.open(&file));
        }
        let new_file = folder.join(NEW_FILE);
        let not_created = |source| not_opened(&new_file, source);
        // A crash may have left an incomplete file.
        match fs::remove_file(&new_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(not_created(error)),
            _ => {}
        }
        let mut store = Self::open_file(&new_file, |builder| builder.create(&new_file))?;
        // The open file, and with it the lock of this process, keeps its identity when it is renamed.
        fs::rename(&new_file, &file).map_err(not_created)?;
        locked.sync_all().map_err(failed)?;
        store.file = file;
        Ok(store)
    }

    pub(super) fn open(folder: &Path) -> Result<Self, LogError> {
        let file = folder.join(FILE);
        match (folder.try_exists(), file.try_exists()) {
            (Ok(false), _) => return Err(LogError::NoFolder { folder: folder.to_owned() }),
            (_, Ok(false)) => return Err(LogError::NoLog { file }),
            (Err(source), _) | (_, Err(source)) => return Err(not_opened(&file, source)),
            (Ok(true), Ok(true)) => {}
        }
        Self::open_file(&file, |builder| builder.open(&file))
    }

    /// Opens the file to read it, and for writing too where that is possible: a file that was not closed has to be repaired
    /// first.
    pub(super) fn open_to_read(folder: &Path) -> Result<Self, LogError> {
        match Self::open(folder) {
            Err(LogError::NotWritable { path, source }) => {
                let file = folder.join(FILE);
                // If the file has to be repaired, it has to be writable.
                Self::open_read_only(&file)?.ok_or(LogError::NotWritable { path, source })
            }
            opened => opened,
        }
    }

    /// Opens a file without ever writing it; none if it must be repaired first.
    fn open_read_only(file: &Path) -> Result<Option<Self>, LogError> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let opened =
            guarded(|| builder.open_read_only(file)).map_err(|reason| damaged_file(file, &reason))?;
        let database = match opened {
            Err(DatabaseError::RepairAborted) => return Ok(None),
            opened => opened.map_err(|error| open_error(file, error))?,
        };
        let store = Self { database: Some(Opened::ReadOnly(database)), file: file.to_owned() };
        store.check_format()?;
        Ok(Some(store))
    }

    /// Returns whether the file can only be read.
    pub(super) fn is_read_only(&self) -> bool {
        matches!(self.database, Some(Opened::ReadOnly(_)))
    }

    /// Opens the file again after a failed write. Reads what the disk holds: pages that could not be written may still be
    /// in the page cache, so they are written or discarded first.
    pub(super) fn reopen(folder: &Path) -> Result<Self, LogError> {
        let file = folder.join(FILE);
        let failed = |source| not_opened(&file, source);
        let opened = File::options().read(true).write(true).open(&file).map_err(failed)?;
        opened.sync_all().map_err(failed)?;
        rustix::fs::fadvise(&opened, 0, None, rustix::fs::Advice::DontNeed)
            .map_err(|error| failed(error.into()))?;
        drop(opened);
        Self::open(folder)
    }

    fn open_file(
        file: &Path,
        open: impl FnOnce(&Builder) -> Result<Database, DatabaseError>,
    ) -> Result<Self, LogError> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = guarded(|| open(&builder))
            .map_err(|reason| damaged_file(file, &reason))?
            .map_err(|error| open_error(file, error))?;
        let store = Self { database: Some(Opened::Writable(database)), file: file.to_owned() };
        store.check_format()?;
        Ok(store)
    }

    /// A store on another backend, for tests.
    #[cfg(test)]
    pub(super) fn of_backend(backend: impl redb::StorageBackend) -> Result<Self, LogError> {
        let file = PathBuf::from(FILE);
        let database =
            Database::builder().create_with_backend(backend).map_err(|error| open_error(&file, error))?;
        let store = Self { database: Some(Opened::Writable(database)), file };
        store.check_format()?;
        Ok(store)
    }

    /// Returns the size of the file in bytes, or 0 if it cannot be read.
    pub(super) fn file_bytes(&self) -> u64 {
        fs::metadata(&self.file).map_or(0, |metadata| metadata.len())
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn snapshot(&self) -> Result<ReadTransaction, redb::Error> {
        match self.database.as_ref().ok_or(redb::Error::DatabaseClosed)? {
            Opened::Writable(database) => Ok(database.begin_read()?),
            Opened::ReadOnly(database) => Ok(database.begin_read()?),
        }
    }

    /// Begins a durable write transaction.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction, redb::Error> {
        let Some(Opened::Writable(database)) = &self.database else {
            return Err(redb::Error::DatabaseClosed);
        };
        let mut transaction = database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        // Quick repair stores the list of free pages with each commit, so that opening after a crash needs no scan of the
        // file. It includes two-phase commit: the second sync proves that the commit is complete. Without it the store
        // could not tell an acknowledged commit that was damaged later from a torn one, and would silently return to the
        // commit before it.
        transaction.set_quick_repair(true);
        Ok(transaction)
    }

    /// Verifies the checksums of all pages. Reads the whole file. Returns false if the list of free pages was repaired. The
    /// file must be writable.
    pub(super) fn check_pages(&mut self) -> Result<bool, String> {
        let Some(Opened::Writable(database)) = &mut self.database else {
            return Err("the file is not open for writing".to_owned());
        };
        guarded(|| database.check_integrity())?.map_err(|error| error.to_string())
    }

    /// Reads the topics and their spans.
    pub(super) fn load_topics(&self) -> Result<Topics, LogError> {
        guarded(|| self.read_topics())
            .map_err(|reason| damaged_file(&self.file, &reason))?
            .map_err(|error| damaged_file(&self.file, &error.to_string()))?
            .ok_or_else(|| damaged_file(&self.file, "its rows of topics and partitions are damaged"))
    }

    fn read_topics(&self) -> Result<Option<Topics>, redb::Error> {
        let snapshot = self.snapshot()?;
        let (spans, blocks) = (snapshot.open_table(PARTITIONS)?, snapshot.open_table(BLOCKS)?);
        let topics = Topics::default();
        for row in snapshot.open_table(TOPICS)?.iter()? {
            let (name, value) = row?;
            let Some((id, partitions)) = open_topic(name.value(), value.value()) else { return Ok(None) };
            if check_topic(name.value()).is_err() || !(1..=PARTITIONS_MAX).contains(&partitions) {
                return Ok(None);
            }
            let topic = Topic::new(id, name.value(), partitions);
            for partition in 0..partitions {
                let key = (id, partition);
                let row = spans.get(key)?.map(|row| row.value());
                let Some(span) = row.and_then(|row| open_span(key, row)) else { return Ok(None) };
                // The last block proves that the rows and the blocks are of the same commit.
                let last =
                    blocks.range((id, partition, 0)..=(id, partition, u64::MAX))?.next_back().transpose()?;
                let end = last.map(|(key, block)| block_next(key.value(), block.value()));
                if span.start < span.end && end.flatten() != Some(span.end) {
                    return Ok(None);
                }
                topic.publish(partition, span);
            }
            topics.add(topic.into());
        }
        Ok(Some(topics))
    }

    /// Creates the tables of a new file. Refuses the format of another release.
    fn check_format(&self) -> Result<(), LogError> {
        let format = guarded(|| self.format())
            .map_err(|reason| damaged_file(&self.file, &reason))?
            .map_err(|error| damaged_file(&self.file, &error.to_string()))?;
        if format == FORMAT {
            return Ok(());
        }
        let reason = format!("its format is {format}, not {FORMAT}");
        Err(LogError::NotALog { file: self.file.clone(), reason })
    }

    fn format(&self) -> Result<u64, redb::Error> {
        let snapshot = self.snapshot()?;
        if snapshot.list_tables()?.next().is_some() {
            return Ok(snapshot.open_table(META)?.get("format")?.map_or(0, |format| format.value()));
        }
        let made = self.begin_write()?;
        made.open_table(META)?.insert("format", FORMAT)?;
        drop((made.open_table(TOPICS)?, made.open_table(PARTITIONS)?, made.open_table(BLOCKS)?));
        made.commit()?;
        Ok(FORMAT)
    }
}

/// Creates a folder and its parents. The names of new folders are durable when this returns.
fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !folder.is_dir() => return Err(error),
        _ => {}
    }
    File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(database) = self.database.take() {
            // Closing may fail, or panic on damaged pages. The next open recovers the last commit.
            match database {
                Opened::Writable(database) => {
                    let _ = guarded(|| database.close());
                }
                Opened::ReadOnly(database) => {
                    let _ = guarded(|| database.close());
                }
            }
        }
    }
}

/// Runs an operation of the store and turns a panic into an error with the panic's message: the store may panic on
/// damaged pages. The operation works on a snapshot, or on a transaction that is then aborted.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        format!("the store panicked: {message}")
    })
}

fn not_opened(path: &Path, source: io::Error) -> LogError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            LogError::NotWritable { path, source }
        }
        _ => LogError::Open { path, source },
    }
}

fn damaged_file(file: &Path, reason: &str) -> LogError {
    let reason = match reason {
        // The store's words for a checksum of the last commit.
        "Primary is corrupted despite 2-phase commit" => "its last commit does not match its checksums",
        reason => reason,
    };
    LogError::DamagedFile { file: file.to_owned(), reason: reason.to_owned() }
}

fn open_error(file: &Path, error: DatabaseError) -> LogError {
    let not_a_log = |reason: String| LogError::NotALog { file: file.to_owned(), reason };
    match error {
        DatabaseError::DatabaseAlreadyOpen => LogError::InUse { file: file.to_owned() },
        DatabaseError::Storage(StorageError::Io(source)) => match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => not_a_log(source.to_string()),
            _ => not_opened(file, source),
        },
        DatabaseError::Storage(StorageError::Corrupted(reason)) => damaged_file(file, &reason),
        other => not_a_log(other.to_string()),
    }
}
