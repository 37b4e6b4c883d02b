//! What can go wrong with the log, in one enum.

use std::io;
use std::path::PathBuf;

use crate::limits::{APPEND_BYTES_MAX, APPEND_RECORDS_MAX, PARTITIONS_MAX, RECORD_BYTES_MAX, TOPICS_MAX};

/// Why a call on the log failed. `Display` does not print the cause; print the chain of sources.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder to open does not exist.
    #[error("there is no folder {}", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder to open holds no log.
    #[error("there is no log in the folder: {} does not exist", file.display())]
    NoLog {
        /// The file that is missing.
        file: PathBuf,
    },
    /// Somebody else has the log open.
    #[error("another process has the log in {} open; only one may", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The file is of something else, or of a newer release.
    #[error("{} is not a log that this release can read: {reason}", file.display())]
    NotALog {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file was a log, but its structure is broken.
    #[error("{} is damaged: {reason}", file.display())]
    DamagedFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused to open or create.
    #[error("cannot open or create {}", path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// A topic's name that may not be.
    #[error("`{topic}` is no topic name: {reason}")]
    BadTopic {
        /// The name, cut where it is too long.
        topic: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A topic of no or of too many partitions.
    #[error("topic `{topic}` cannot have {partitions} partitions, but 1 to {PARTITIONS_MAX}")]
    BadPartitionCount {
        /// The topic.
        topic: String,
        /// How many were asked for.
        partitions: u32,
    },
    /// The topic exists, with another number of partitions.
    #[error("topic `{topic}` has {has} partitions, not the {wanted} that were asked for")]
    PartitionsDiffer {
        /// The topic.
        topic: String,
        /// How many it has.
        has: u32,
        /// How many were asked for.
        wanted: u32,
    },
    /// The log has as many topics as it can.
    #[error("topic `{topic}` cannot be created: the log has {TOPICS_MAX} topics, the most it can")]
    TooManyTopics {
        /// The topic.
        topic: String,
    },
    /// There is no such topic.
    #[error("there is no topic `{topic}`")]
    NoTopic {
        /// The name that was asked for.
        topic: String,
    },
    /// The topic has no such partition.
    #[error("topic `{topic}` has {partitions} partitions and none is number {partition}")]
    NoPartition {
        /// The topic.
        topic: String,
        /// The partition that was asked for.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
    /// Only topics of one partition decide.
    #[error("topic `{topic}` has {partitions} partitions; only a topic of one can be appended to by number")]
    NotDeciding {
        /// The topic.
        topic: String,
        /// How many partitions it has.
        partitions: u32,
    },
    /// A record over the bound.
    #[error(
        "a record of {bytes} bytes for topic `{topic}`, partition {partition} exceeds the most, {RECORD_BYTES_MAX}"
    )]
    RecordTooLong {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// How long it is.
        bytes: usize,
    },
    /// An append over the bound.
    #[error(
        "an append to topic `{topic}`, partition {partition} exceeds the most, \
         {APPEND_RECORDS_MAX} records or {APPEND_BYTES_MAX} bytes"
    )]
    AppendTooLong {
        /// The topic.
        topic: String,
        /// The partition at which the bound was passed.
        partition: u32,
    },
    /// The records were truncated.
    #[error("topic `{topic}`, partition {partition}: offset {wanted} was truncated, the first is {first}")]
    Truncated {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset that was asked for.
        wanted: u64,
        /// The first offset there is.
        first: u64,
    },
    /// The log does not reach that far.
    #[error("topic `{topic}`, partition {partition}: offset {wanted} is beyond the end, {end}")]
    BeyondEnd {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset that was asked for.
        wanted: u64,
        /// The offset after the last record.
        end: u64,
    },
    /// What is stored is not what was appended.
    #[error("topic `{topic}`, partition {partition}: the records at offset {offset} are damaged")]
    Damaged {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The first offset that cannot be read.
        offset: u64,
    },
    /// Reading failed.
    #[error("topic `{topic}`, partition {partition}: cannot read at offset {offset}")]
    Read {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset that was to be read.
        offset: u64,
        /// The store's reason.
        source: Box<redb::Error>,
    },
    /// The cluster lost the records that were to be read next.
    #[error("topic `{topic}`, partition {partition}: offset {offset} is no longer there")]
    Gone {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset that was to be read.
        offset: u64,
    },
    /// Settings that cannot be.
    #[error("the log's settings: {reason}")]
    Settings {
        /// What is wrong.
        reason: String,
    },
    /// The brokers refused.
    #[error("{what}: {reason}")]
    Refused {
        /// What was asked.
        what: String,
        /// Their reason.
        reason: String,
    },
    /// No broker has answered for as long as the caller would wait. What was being appended may be found later.
    #[error("{what}: no answer from Kafka: {reason}")]
    Unavailable {
        /// What was asked.
        what: String,
        /// The last trouble with a broker.
        reason: String,
    },
    /// Whoever connected has set its flag, and this call was still waiting. What was being appended may be found later.
    #[error("told to stop while waiting for the log")]
    Cancelled,
    /// A write failed, now or earlier, and the log acknowledges nothing more until it is opened again. What was
    /// being appended may or may not be found then.
    #[error("the log has stopped, nothing more is appended: {reason}")]
    Stopped {
        /// The first failure.
        reason: String,
    },
}
