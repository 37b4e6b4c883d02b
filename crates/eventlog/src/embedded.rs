//! The embedded adapter: the log in the file `log.redb` of one folder, for one process at a time.
//!
//! One writer thread takes all queued jobs into one transaction, commits it (two syncs), wakes the callers of
//! [`EventLog::wait`] and answers the appenders. Readers use snapshots of the store and do not wait for the writer.

mod check;
mod commit;
mod queue;
mod read;
mod retention;
mod rows;
mod store;
mod topics;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use self::check::{CheckPhase, CheckProgress, CheckReport, Damage, PageCheck, check};
use self::queue::{Done, Job, Part, Queue, Work};
pub use self::retention::{LogSize, RetentionRule};
use self::store::Store;
use self::topics::{Awaited, Topics, wait_any};
use crate::block::Packed;
use crate::checks::{check_batches, check_topic};
use crate::{Appended, Batch, Entry, EventLog, LogError, PARTITIONS_MAX};

/// The log in a folder. Dropping it finishes the queued jobs and closes the file.
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    /// None if the file can only be read.
    writer: Option<JoinHandle<()>>,
}

/// Returns the time in milliseconds since the epoch.
type Clock = Box<dyn Fn() -> u64 + Send + Sync>;

/// Opens the file again after a failed write.
type Reopen = Box<dyn Fn() -> Result<Store, LogError> + Send + Sync>;

/// How often a read is retried that meets the failure of a write, until the file is open again, and how long it waits.
const READ_RETRIES_MAX: u32 = 200;
const READ_RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// The state that callers and the writer share.
struct Shared {
    /// The open file; `None` while it cannot be opened after a failed write.
    store: RwLock<Option<Store>>,
    file: PathBuf,
    reopen: Reopen,
    /// Why the file is closed, while it is.
    closed: RwLock<Option<String>>,
    topics: Topics,
    queue: Queue,
    /// Replaces the system's clock.
    clock: OnceLock<Clock>,
    /// The number of commits since the file was opened.
    commits: AtomicU64,
}

impl EmbeddedLog {
    /// Opens the log in a folder. Creates the folder and the log if they are missing.
    ///
    /// # Errors
    /// [`LogError::Open`], [`LogError::InUse`], [`LogError::NotALog`], [`LogError::DamagedFile`].
    pub fn create(folder: impl AsRef<Path>) -> Result<Self, LogError> {
        Self::start_in(folder.as_ref(), Store::create(folder.as_ref())?)
    }

    /// Opens the existing log of a folder.
    ///
    /// # Errors
    /// [`LogError::NoFolder`], [`LogError::NoLog`], and those of [`EmbeddedLog::create`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, LogError> {
        Self::start_in(folder.as_ref(), Store::open(folder.as_ref())?)
    }

    /// Opens the existing log of a folder to read it. Where the file cannot be written it is opened without writing, and
    /// appends fail with [`LogError::NotWritable`].
    ///
    /// # Errors
    /// Those of [`EmbeddedLog::open`]; [`LogError::NotWritable`] only if the file must be repaired, because it was not closed.
    pub fn open_to_read(folder: impl AsRef<Path>) -> Result<Self, LogError> {
        Self::start_in(folder.as_ref(), Store::open_to_read(folder.as_ref())?)
    }

    /// Replaces the system's clock, which gives the times that [`EmbeddedLog::drop_expired`] compares. Nothing else depends
    /// on the clock. The function returns milliseconds since the epoch. Only the first call has an effect.
    pub fn set_clock(&self, clock: impl Fn() -> u64 + Send + Sync + 'static) {
        let _ = self.shared.clock.set(Box::new(clock));
    }

    /// Returns the number of commits since the file was opened. Each syncs the file twice.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    fn start_in(folder: &Path, store: Store) -> Result<Self, LogError> {
        let folder = folder.to_owned();
        Self::start(store, Box::new(move || Store::reopen(&folder)))
    }

    fn start(store: Store, reopen: Reopen) -> Result<Self, LogError> {
        let topics = store.load_topics()?;
        let file = store.file().to_owned();
        let is_read_only = store.is_read_only();
        let shared = Arc::new(Shared {
            store: RwLock::new(Some(store)),
            file: file.clone(),
            reopen,
            closed: RwLock::new(None),
            topics,
            queue: Queue::new(),
            clock: OnceLock::new(),
            commits: AtomicU64::new(0),
        });
        if is_read_only {
            return Ok(Self { shared, writer: None });
        }
        let writing = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer::run(&writing))
            .map_err(|source| LogError::Open { path: file, source })?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// Sends work to the writer and waits for its answer.
    fn submit(&self, work: Work) -> Result<Done, LogError> {
        if self.writer.is_none() {
            let source = std::io::ErrorKind::ReadOnlyFilesystem.into();
            return Err(LogError::NotWritable { path: self.shared.file.clone(), source });
        }
        let (reply, answer) = sync_channel(1);
        self.shared.queue.push(Job { work, reply });
        // The writer answers every job, even after a failure. If its thread has ended, the job is dropped.
        answer.recv().unwrap_or_else(|_| Err(self.shared.closed_error()))
    }
}

impl EventLog for EmbeddedLog {
    fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError> {
        check_topic(topic)?;
        if partitions == 0 || partitions > PARTITIONS_MAX {
            return Err(LogError::BadPartitionCount { topic: topic.to_owned(), partitions });
        }
        if let Ok(found) = self.shared.topics.find(topic) {
            return found.require_partitions(partitions);
        }
        self.submit(Work::Create { topic: topic.to_owned(), partitions }).map(|_| ())
    }

    fn topics(&self) -> Result<Vec<String>, LogError> {
        Ok(self.shared.topics.names())
    }

    fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        Ok(self.shared.topics.find(topic)?.partitions())
    }

    fn append(&self, topic: &str, partition: u32, records: &[&[u8]]) -> Result<u64, LogError> {
        let offsets = self.append_many(&[Batch { topic, partition, records }])?;
        offsets.first().copied().ok_or_else(|| self.shared.closed_error())
    }

    fn append_many(&self, batches: &[Batch<'_>]) -> Result<Vec<u64>, LogError> {
        check_batches(batches)?;
        let mut parts = Vec::with_capacity(batches.len());
        for batch in batches {
            let topic = self.shared.topics.find_partition(batch.topic, batch.partition)?;
            parts.push(Part { topic, partition: batch.partition, records: Packed::of(batch.records) });
        }
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        match self.submit(Work::Append { parts })? {
            Done::Offsets(offsets) => Ok(offsets),
            Done::Decided(_) | Done::Nothing => Err(self.shared.closed_error()),
        }
    }

    fn append_at(&self, topic: &str, number: u64, record: &[u8]) -> Result<Appended, LogError> {
        let found = self.shared.topics.find(topic)?;
        if found.partitions() != 1 {
            return Err(LogError::NotDeciding { topic: topic.to_owned(), partitions: found.partitions() });
        }
        check_batches(&[Batch { topic, partition: 0, records: &[record] }])?;
        match self.submit(Work::AppendAt { topic: found, number, record: record.to_vec() })? {
            Done::Decided(appended) => Ok(appended),
            Done::Offsets(_) | Done::Nothing => Err(self.shared.closed_error()),
        }
    }

    fn read(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, LogError> {
        let topic = self.shared.topics.find_partition(topic, partition)?;
        self.shared.with_store(|store| read::read(store, &topic, partition, from, records_max, bytes_max))
    }

    fn start(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        Ok(self.shared.topics.find_partition(topic, partition)?.span(partition).start)
    }

    fn end(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        Ok(self.shared.topics.find_partition(topic, partition)?.span(partition).end)
    }

    fn truncate_before(&self, topic: &str, partition: u32, offset: u64) -> Result<(), LogError> {
        let topic = self.shared.topics.find_partition(topic, partition)?;
        self.submit(Work::Truncate { topic, partition, offset }).map(|_| ())
    }

    fn wait(&self, topic: &str, partition: u32, end_seen: u64, timeout: Duration) -> Result<bool, LogError> {
        self.wait_any(&[(topic, partition, end_seen)], timeout)
    }

    fn wait_any(&self, ends_seen: &[(&str, u32, u64)], timeout: Duration) -> Result<bool, LogError> {
        let find = |(topic, partition, end_seen): &(&str, u32, u64)| {
            let topic = self.shared.topics.find_partition(topic, *partition)?;
            Ok(Awaited { topic, partition: *partition, end_seen: *end_seen })
        };
        let awaited = ends_seen.iter().map(find).collect::<Result<Vec<_>, LogError>>()?;
        let stopped = || self.shared.closed_reason().is_some();
        if wait_any(&awaited, timeout, stopped) {
            return Ok(true);
        }
        if stopped() { Err(self.shared.closed_error()) } else { Ok(false) }
    }

    fn end_within(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        records_max: u64,
        bytes_max: u64,
    ) -> Result<u64, LogError> {
        let topic = self.shared.topics.find_partition(topic, partition)?;
        let bounds = read::Bounds { records_max, bytes_max };
        self.shared.with_store(|store| read::end_within(store, &topic, partition, from, bounds))
    }
}

impl Shared {
    fn now_ms(&self) -> u64 {
        let system = || {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
        };
        self.clock.get().map_or_else(system, |clock| clock())
    }

    fn closed_reason(&self) -> Option<String> {
        self.closed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn closed_error(&self) -> LogError {
        let reason = self.closed_reason().unwrap_or_else(|| "the writer thread has ended".to_owned());
        LogError::Stopped { reason }
    }

    fn drop_store(&self) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Marks the log as closed and wakes all waiting threads.
    fn close(&self, reason: &str) {
        let reason =
            format!("{} could not be opened again after a failed write: {reason}", self.file.display());
        *self.closed.write().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        self.drop_store();
        self.topics.all().iter().for_each(|topic| topic.wake_all());
    }

    fn open(&self, store: Store) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = Some(store);
        *self.closed.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Runs a read. Retries it while the writer opens the file again after a failed write.
    fn with_store<T>(&self, run: impl Fn(&Store) -> Result<T, LogError>) -> Result<T, LogError> {
        for _ in 0..READ_RETRIES_MAX {
            let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(store) = store.as_ref() {
                match run(store) {
                    Err(LogError::Read { source, .. })
                        if matches!(*source, redb::Error::PreviousIo | redb::Error::DatabaseClosed) => {}
                    outcome => return outcome,
                }
            }
            drop(store);
            if self.closed_reason().is_some() {
                break;
            }
            std::thread::sleep(READ_RETRY_INTERVAL);
        }
        Err(self.closed_error())
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take() {
            // The panic hook has already reported a panic of the writer.
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests;
