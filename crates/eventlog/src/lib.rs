//! The log: partitioned topics of records, appended durably and read by offset.
//!
//! [`EventLog`] is the port; everybody uses it through `Arc<dyn EventLog>`. [`EmbeddedLog`] is the adapter that
//! keeps the log in one file of one folder, for one process. What the port promises is checked by the module
//! `contract` (feature of that name), the suite that every adapter passes.
//!
//! ```text
//!  appenders ──► bounded queue ──► one writer: one synced commit for all that waits ──► acknowledgements
//!                                                   │
//!  readers ◄──────────── log.redb ◄─────────────────┤
//!  waiters ◄──────────── wake-up  ◄─────────────────┘
//! ```
//!
//! The adapters carry bytes and know no record kind; [`Records`], [`RecordReader`] and [`FrameReader`] read typed records on top
//! of the port. This crate knows no clock: a timeout is an argument.
#![warn(missing_docs)]

mod block;
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

use std::time::Duration;

pub use connector::Connector;
pub use embedded::EmbeddedLog;
pub use error::LogError;
pub use frames::{EncodedFrames, FrameReader};
pub use kafka::{KafkaLog, KafkaSecurity, KafkaSettings, Kept, TopicMismatch, TopicSpec};
pub use limits::{
    APPEND_BYTES_MAX, APPEND_RECORDS_MAX, PARTITIONS_MAX, RECORD_BYTES_MAX, TOPIC_BYTES_MAX, TOPICS_MAX,
};
pub use records::{ReadError, RecordReader, Records, decode_entry};

/// A log of topics; each has a fixed number of partitions, each partition is a sequence of records.
///
/// A record's offset in its partition never changes; the first is 0. Offsets rise, and an adapter may leave gaps
/// (the embedded one leaves none).
///
/// Every call may block: appends until the records are durable, [`EventLog::wait`] until its time-out.
pub trait EventLog: Send + Sync {
    /// Creates a topic. Does nothing if it exists with as many partitions.
    ///
    /// # Errors
    /// [`LogError::BadTopic`], [`LogError::BadPartitionCount`], [`LogError::PartitionsDiffer`],
    /// [`LogError::TooManyTopics`], [`LogError::Stopped`].
    fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError>;

    /// The names of all topics, sorted.
    ///
    /// # Errors
    /// None in the embedded adapter.
    fn topics(&self) -> Result<Vec<String>, LogError>;

    /// How many partitions a topic has.
    ///
    /// # Errors
    /// [`LogError::NoTopic`].
    fn partitions(&self, topic: &str) -> Result<u32, LogError>;

    /// Appends records in order; returns the offset of the first. On return all of them are durable; on an error
    /// of the embedded adapter none of them is in the log, unless it is [`LogError::Stopped`], which does not know.
    /// With no records: the end, and nothing is written.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::NoPartition`], [`LogError::RecordTooLong`], [`LogError::AppendTooLong`],
    /// [`LogError::Stopped`].
    fn append(&self, topic: &str, partition: u32, records: &[&[u8]]) -> Result<u64, LogError>;

    /// Appends to several partitions; returns the first offset of each batch, in their order. The embedded adapter
    /// commits all or none; do not rely on that where the log may be Kafka, which appends partition by partition.
    ///
    /// # Errors
    /// As [`EventLog::append`]; the bounds hold for all batches together.
    fn append_many(&self, batches: &[Batch<'_>]) -> Result<Vec<u64>, LogError>;

    /// Appends the record of a number to a one-partition topic that decides: it wins if no record has that number
    /// yet and the one before has. The first number is 0. Sending the bytes that already won a number wins again and
    /// appends nothing, so a writer that does not know how its attempt ended repeats it.
    ///
    /// A topic is appended to either by number or without, never both.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::NotDeciding`], [`LogError::RecordTooLong`], [`LogError::Stopped`];
    /// [`LogError::Truncated`] if the number's record is gone, so that nobody can say who won.
    fn append_at(&self, topic: &str, number: u64, record: &[u8]) -> Result<Appended, LogError>;

    /// Reads records from an offset on, in order: at most `records_max` with at most `bytes_max` bytes together, but
    /// at least one if there is one. Empty at the end.
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

    /// The offset of the first record that can be read, or would be if there were one.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::NoPartition`].
    fn start(&self, topic: &str, partition: u32) -> Result<u64, LogError>;

    /// The offset after the last durable record, which is the number of the next one where a topic decides.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::NoPartition`].
    fn end(&self, topic: &str, partition: u32) -> Result<u64, LogError>;

    /// The ends of several partitions, in their order; one request where the log is far away.
    ///
    /// # Errors
    /// As [`EventLog::end`].
    fn ends(&self, places: &[(&str, u32)]) -> Result<Vec<u64>, LogError> {
        places.iter().map(|(topic, partition)| self.end(topic, *partition)).collect()
    }

    /// Says where the record of a number stands in a topic that decides, as a checkpoint vouches: who reads from there
    /// need not begin at the topic's start. The embedded adapter knows anyway.
    fn anchor(&self, _topic: &str, _number: u64, _offset: u64) {}

    /// Forgets the records before an offset. Does nothing if they are gone. Offsets do not change.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::NoPartition`], [`LogError::BeyondEnd`], [`LogError::Damaged`],
    /// [`LogError::Stopped`].
    fn truncate_before(&self, topic: &str, partition: u32, offset: u64) -> Result<(), LogError>;

    /// Blocks until the partition's end exceeds `end_seen` (true), or the time-out has passed (false).
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::NoPartition`]; [`LogError::Stopped`] if the end will never move again.
    fn wait(&self, topic: &str, partition: u32, end_seen: u64, timeout: Duration) -> Result<bool, LogError>;
}

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
    /// Its place in its partition.
    pub offset: u64,
    /// What was appended.
    pub bytes: Vec<u8>,
}

/// How an [`EventLog::append_at`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The record has the number, at this offset.
    Won(u64),
    /// Another record has the number, or the numbers before it are not taken yet.
    Lost {
        /// The lowest number that no record has.
        next: u64,
    },
}
