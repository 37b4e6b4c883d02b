//! The log: partitioned topics of records, appended durably and read by offset.
//!
//! [`EventLog`] is the port; callers use it through `Arc<dyn EventLog>`. [`EmbeddedLog`] is the adapter that stores the
//! log in one file, for one process. [`KafkaLog`] is the adapter for Apache Kafka. The module `contract` (a feature of
//! the same name) is the test suite that every adapter passes.
//!
//! ```text
//!  appenders ──► bounded queue ──► one writer: one synced commit for all queued jobs ──► acknowledgements
//!                                                   │
//!  readers ◄──────────── log.redb ◄─────────────────┤
//!  waiters ◄──────────── wake-up  ◄─────────────────┘
//! ```
//!
//! The adapters carry bytes and know no record kind; [`Records`], [`RecordReader`] and [`FrameReader`] read typed records on top
//! of the port. Nothing that this crate returns depends on a clock, except for retention and timeouts.
#![warn(missing_docs)]

mod block;
mod checks;
#[cfg(feature = "contract")]
pub mod cluster;
mod connector;
#[cfg(feature = "contract")]
pub mod contract;
mod embedded;
mod error;
mod frames;
mod kafka;
mod limits;
mod records;

use std::time::{Duration, Instant};

pub use connector::Connector;
pub use embedded::{
    CheckPhase, CheckProgress, CheckReport, Damage, EmbeddedLog, LogSize, PageCheck, RetentionRule, check,
};
pub use error::LogError;
pub use frames::{EncodedFrames, FrameReader};
pub use kafka::{KafkaLog, KafkaSecurity, KafkaSettings, Kept, TopicMismatch, TopicSpec};
pub use limits::{
    APPEND_BYTES_MAX, APPEND_RECORDS_MAX, PARTITIONS_MAX, RECORD_BYTES_MAX, TOPIC_BYTES_MAX, TOPICS_MAX,
};
pub use records::{ReadError, RecordReader, Records, decode_entry};

/// A log of topics. A topic has a fixed number of partitions; a partition is a sequence of records.
///
/// A record's offset in its partition never changes. The first offset is 0. Offsets increase, and an adapter may leave
/// gaps (the embedded adapter leaves none).
///
/// Every call may block: appends until the records are durable, [`EventLog::wait`] until its timeout.
pub trait EventLog: Send + Sync {
    /// Creates a topic. Does nothing if it exists with the same number of partitions.
    ///
    /// # Errors
    /// [`LogError::BadTopic`], [`LogError::BadPartitionCount`], [`LogError::PartitionsDiffer`],
    /// [`LogError::TooManyTopics`], [`LogError::Stopped`].
    fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError>;

    /// Returns the names of all topics, sorted.
    ///
    /// # Errors
    /// None in the embedded adapter.
    fn topics(&self) -> Result<Vec<String>, LogError>;

    /// Returns the number of partitions of a topic.
    ///
    /// # Errors
    /// [`LogError::NoTopic`].
    fn partitions(&self, topic: &str) -> Result<u32, LogError>;

    /// Appends records in order; returns the offset of the first. On return all of them are durable. On an error of the
    /// embedded adapter none of them is in the log, except for [`LogError::Stopped`], after which they may be.
    /// Without records it returns the end and writes nothing.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::NoPartition`], [`LogError::RecordTooLong`], [`LogError::AppendTooLong`],
    /// [`LogError::WriteFailed`], [`LogError::Stopped`].
    fn append(&self, topic: &str, partition: u32, records: &[&[u8]]) -> Result<u64, LogError>;

    /// Appends to several partitions; returns the first offset of each batch, in their order. The embedded adapter
    /// commits all or none. Kafka appends partition by partition, so portable callers cannot rely on that.
    ///
    /// # Errors
    /// As [`EventLog::append`]. The bounds apply to all batches together.
    fn append_many(&self, batches: &[Batch<'_>]) -> Result<Vec<u64>, LogError>;

    /// Appends a numbered record to a deciding topic, which has one partition. The record wins if no record has that
    /// number yet and a record has the number before it. The first number is 0. Sending the bytes that already won a
    /// number wins again and appends nothing, so a writer that does not know the outcome of an attempt repeats it.
    ///
    /// All appends to a topic are numbered, or none is.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::NotDeciding`], [`LogError::RecordTooLong`], [`LogError::Stopped`];
    /// [`LogError::Truncated`] if the record of that number was truncated, so that the winner is unknown.
    fn append_at(&self, topic: &str, number: u64, record: &[u8]) -> Result<Appended, LogError>;

    /// Reads records from an offset on, in order: at most `records_max` records of at most `bytes_max` bytes in total, but
    /// at least one record if there is one. Returns nothing at the end.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::NoPartition`], [`LogError::Truncated`] below [`EventLog::start`],
    /// [`LogError::BeyondEnd`] above [`EventLog::end`], [`LogError::Damaged`], [`LogError::Read`].
    fn read(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, LogError>;

    /// Returns the offset of the first readable record, or the end if the partition is empty.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::NoPartition`].
    fn start(&self, topic: &str, partition: u32) -> Result<u64, LogError>;

    /// Returns the offset after the last durable record.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::NoPartition`].
    fn end(&self, topic: &str, partition: u32) -> Result<u64, LogError>;

    /// Returns the ends of several partitions, in the order of the argument. Kafka needs one request for all of them.
    ///
    /// # Errors
    /// As [`EventLog::end`].
    fn ends(&self, partitions: &[(&str, u32)]) -> Result<Vec<u64>, LogError> {
        partitions.iter().map(|(topic, partition)| self.end(topic, *partition)).collect()
    }

    /// Records the offset of a numbered record of a deciding topic, as a checkpoint states it. A reader that starts at this
    /// offset then need not read the topic from its start. The embedded adapter ignores it.
    fn anchor(&self, _topic: &str, _number: u64, _offset: u64) {}

    /// Deletes the records before an offset. Does nothing if they are already deleted. Offsets do not change.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::NoPartition`], [`LogError::BeyondEnd`], [`LogError::Damaged`],
    /// [`LogError::Stopped`].
    fn truncate_before(&self, topic: &str, partition: u32, offset: u64) -> Result<(), LogError>;

    /// Blocks until the partition's end exceeds `end_seen` (returns true) or the timeout has passed (returns false).
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::NoPartition`]; [`LogError::Stopped`] while the log is closed.
    fn wait(&self, topic: &str, partition: u32, end_seen: u64, timeout: Duration) -> Result<bool, LogError>;

    /// Blocks until the end of any of several partitions exceeds the given offset (returns true) or the timeout has passed
    /// (returns false). The embedded adapter wakes this call; this default, which Kafka uses, polls the ends.
    ///
    /// # Errors
    /// As [`EventLog::wait`].
    fn wait_any(&self, ends_seen: &[(&str, u32, u64)], timeout: Duration) -> Result<bool, LogError> {
        let partitions: Vec<_> = ends_seen.iter().map(|(topic, partition, _)| (*topic, *partition)).collect();
        let since = Instant::now();
        loop {
            let ends = self.ends(&partitions)?;
            if ends.iter().zip(ends_seen).any(|(end, (_, _, seen))| end > seen) {
                return Ok(true);
            }
            let left = timeout.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            std::thread::sleep(left.min(ENDS_POLL_INTERVAL));
        }
    }

    /// Returns the offset up to which a reader that starts at `from` may read: at most `records_max` records of at most
    /// `bytes_max` bytes in total, but at least one record if there is one. The embedded adapter counts the bytes of the
    /// records. Kafka counts offsets only; its callers choose `records_max` by the maximum size of the topic's records.
    ///
    /// # Errors
    /// As [`EventLog::read`].
    fn end_within(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        records_max: u64,
        bytes_max: u64,
    ) -> Result<u64, LogError> {
        let _ = bytes_max;
        let end = self.end(topic, partition)?;
        if from > end {
            return Err(LogError::BeyondEnd { topic: topic.to_owned(), partition, wanted: from, end });
        }
        Ok(end.min(from.saturating_add(records_max.max(1))))
    }
}

/// How often the default of [`EventLog::wait_any`] polls the ends.
const ENDS_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Records for one partition, for [`EventLog::append_many`].
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition's number, from 0.
    pub partition: u32,
    /// The records, in order.
    pub records: &'a [&'a [u8]],
}

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its offset in its partition.
    pub offset: u64,
    /// Its bytes as appended.
    pub bytes: Vec<u8>,
}

/// The outcome of [`EventLog::append_at`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The record has the number and is stored at this offset.
    Won(u64),
    /// Another record has the number, or no record has the number before it.
    Lost {
        /// The lowest number that no record has.
        next: u64,
    },
}
