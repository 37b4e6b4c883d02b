//! The errors of the log.

use std::io;
use std::path::PathBuf;

use crate::limits::{APPEND_BYTES_MAX, APPEND_RECORDS_MAX, PARTITIONS_MAX, TOPICS_MAX};

/// Why a call on the log failed. `Display` does not print the cause; print the chain of sources.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder to open does not exist.
    #[error("the folder {} does not exist", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder to open holds no log.
    #[error("the folder holds no log: {} does not exist", file.display())]
    NoLog {
        /// The file that is missing.
        file: PathBuf,
    },
    /// Another process has the log open.
    #[error(
        "another process has the log open: {} is locked. Stop that process, or ask it over HTTP",
        file.display()
    )]
    InUse {
        /// The locked file.
        file: PathBuf,
    },
    /// The file is not a log, or was written by a newer release.
    #[error("{} is not a log that this release can read: {reason}", file.display())]
    NotALog {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is a log whose structure is damaged.
    #[error(
        "{} is damaged: {reason}. Restore its folder from a backup; `spillway log check` lists what is damaged",
        file.display()
    )]
    DamagedFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused to open or create a file or folder.
    #[error("cannot open or create {}", path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file or folder cannot be written.
    #[error(
        "cannot write {}: change its owner, permissions or mount, or copy the folder to a place that is writable",
        path.display()
    )]
    NotWritable {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A write failed. None of the records of this append is in the log; append them again.
    #[error("nothing was appended, because {} cannot be written: {reason}. To fix it: {hint}", file.display())]
    WriteFailed {
        /// The file.
        file: PathBuf,
        /// The error of the write.
        reason: String,
        /// What the operator can do.
        hint: &'static str,
    },
    /// An invalid topic name.
    #[error("`{topic}` is not a valid topic name: {reason}")]
    BadTopic {
        /// The name, shortened if it is too long.
        topic: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An invalid number of partitions.
    #[error("topic `{topic}` cannot have {partitions} partitions; allowed are 1 to {PARTITIONS_MAX}")]
    BadPartitionCount {
        /// The topic.
        topic: String,
        /// The number that was asked for.
        partitions: u32,
    },
    /// The topic exists with another number of partitions.
    #[error("topic `{topic}` has {has} partitions, not {wanted}")]
    PartitionsDiffer {
        /// The topic.
        topic: String,
        /// The number of partitions that it has.
        has: u32,
        /// The number that was asked for.
        wanted: u32,
    },
    /// The log has the maximum number of topics.
    #[error("topic `{topic}` cannot be created: the log has {TOPICS_MAX} topics, which is the maximum")]
    TooManyTopics {
        /// The topic.
        topic: String,
    },
    /// The topic does not exist.
    #[error("topic `{topic}` does not exist")]
    NoTopic {
        /// The name that was asked for.
        topic: String,
    },
    /// The partition does not exist.
    #[error("topic `{topic}` has {partitions} partitions; partition {partition} does not exist")]
    NoPartition {
        /// The topic.
        topic: String,
        /// The partition that was asked for.
        partition: u32,
        /// The number of partitions of the topic.
        partitions: u32,
    },
    /// The topic is not a deciding topic: only topics with one partition can be.
    #[error("topic `{topic}` has {partitions} partitions; numbered records need a topic with one")]
    NotDeciding {
        /// The topic.
        topic: String,
        /// The number of partitions that it has.
        partitions: u32,
    },
    /// A record exceeds the maximum size.
    #[error(
        "topic `{topic}`, partition {partition}: a record of {bytes} bytes exceeds the maximum of {bytes_max} bytes"
    )]
    RecordTooLong {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The record's size in bytes.
        bytes: usize,
        /// The maximum size of a record of the topic in bytes.
        bytes_max: usize,
    },
    /// An append exceeds the maximum size.
    #[error(
        "topic `{topic}`, partition {partition}: an append exceeds the maximum of {APPEND_RECORDS_MAX} records or \
         {APPEND_BYTES_MAX} bytes"
    )]
    AppendTooLong {
        /// The topic.
        topic: String,
        /// The partition at which the append exceeded the maximum.
        partition: u32,
    },
    /// The record was deleted.
    #[error(
        "topic `{topic}`, partition {partition}: offset {wanted} was deleted; the first offset is {first}"
    )]
    Truncated {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset that was asked for.
        wanted: u64,
        /// The partition's first offset.
        first: u64,
    },
    /// The offset lies beyond the end of the partition.
    #[error("topic `{topic}`, partition {partition}: offset {wanted} is beyond the end {end}")]
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
    /// The stored bytes are not those that were appended.
    #[error(
        "topic `{topic}`, partition {partition}: the records at offset {offset} are damaged; restore the log from a backup, or \
         list all damage with `spillway log check`"
    )]
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
        /// The store's error.
        source: Box<redb::Error>,
    },
    /// The cluster has lost records.
    #[error("topic `{topic}`, partition {partition}: offset {offset} does not exist any more")]
    MissingRecords {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset that was to be read.
        offset: u64,
    },
    /// Invalid settings.
    #[error("invalid settings of the log: {reason}")]
    Settings {
        /// What is wrong.
        reason: String,
    },
    /// The brokers refused a request.
    #[error("{what}: {reason}")]
    Refused {
        /// The request.
        what: String,
        /// The brokers' reason.
        reason: String,
    },
    /// No broker answered within the retry timeout. Records of a pending append may still be appended later.
    #[error("{what}: no answer from Kafka: {reason}")]
    Unavailable {
        /// The request.
        what: String,
        /// The last error of a broker.
        reason: String,
    },
    /// The stop flag was set while this call waited. Records of a pending append may still be appended later.
    #[error("stopped while waiting for the log")]
    Cancelled,
    /// The log is closed after an error. The embedded adapter tries to open its file again every second. Records of a
    /// pending append may or may not be in the log.
    #[error("the log is closed: {reason}")]
    Stopped {
        /// The first error.
        reason: String,
    },
}
