//! The bounds of the log. Bounds that depend on each other are checked at compile time.

/// The maximum size of a record in bytes.
pub const RECORD_BYTES_MAX: usize = spillway_events::RECORD_BYTES_MAX;
/// The maximum size of one append call in bytes, over all its batches.
pub const APPEND_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The maximum number of records of one append call, over all its batches.
pub const APPEND_RECORDS_MAX: usize = 1_000_000;
/// The maximum length of a topic name in bytes. Kafka's bound.
pub const TOPIC_BYTES_MAX: usize = 249;
/// The most topics of a log.
pub const TOPICS_MAX: usize = 4_096;
/// The most partitions of a topic.
pub const PARTITIONS_MAX: u32 = 1_024;

/// Appends that wait for the writer hold at most this many bytes, or are one append.
pub(crate) const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The maximum number of calls that wait for the writer.
pub(crate) const QUEUE_JOBS_MAX: usize = 4_096;
/// Appends of one commit to one partition share a block up to this many bytes. A longer append is stored as one
/// block too. A reader checks whole blocks, so reading a single record costs this much.
pub(crate) const BLOCK_BYTES_TARGET: usize = 64 * 1024;
/// The size of the store's page cache in bytes, read and written pages together.
pub(crate) const CACHE_BYTES: usize = 128 * 1024 * 1024;
/// The overhead in bytes that a queued job counts in addition to its records.
pub(crate) const JOB_BYTES: usize = 128;

const _: () = assert!(RECORD_BYTES_MAX <= APPEND_BYTES_MAX);
const _: () = assert!(BLOCK_BYTES_TARGET <= APPEND_BYTES_MAX);
const _: () = assert!(QUEUE_BYTES_MAX <= CACHE_BYTES);
// A block stores its record count and record lengths in 32 bits.
const _: () = assert!(APPEND_BYTES_MAX + 5 * APPEND_RECORDS_MAX < u32::MAX as usize);
