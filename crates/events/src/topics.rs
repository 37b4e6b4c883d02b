//! The topics of the log, by name.

use crate::codec::RECORD_BYTES_MAX;

/// What operators and clients provision. A deciding topic: one partition, numbered records.
pub const PROVISIONING: &str = "provisioning";
/// What the name of an inbox begins with; the name of the CDN that writes it follows. The topic's name is its authority: its
/// records count only for that CDN.
pub const INBOX_PREFIX: &str = "inbox.";

/// Whether a topic's records are numbered and the first of a number is the only one that counts.
#[must_use]
pub fn decides(topic: &str) -> bool {
    topic == PROVISIONING || topic == TICKS
}

/// Whether ticks read a topic's records by partition.
#[must_use]
pub fn bears_input(topic: &str) -> bool {
    topic == MEASUREMENTS || topic == STATISTICS || topic.starts_with(INBOX_PREFIX)
}

/// The maximum size of a record of an input topic in bytes, inboxes included.
pub const INPUT_RECORD_BYTES_MAX: usize = 1024 * 1024;
/// The maximum number of offsets of one input partition that a tick reads.
pub const TICK_RECORDS_MAX: u64 = 128;
/// The maximum number of records of `provisioning` that a tick reads.
pub const TICK_PROVISIONING_RECORDS_MAX: u64 = 8;
/// The maximum size of the records of one partition that a tick reads, in bytes.
pub const TICK_BYTES_MAX: u64 = 128 * 1024 * 1024;

// A log that cannot count the bytes of records cuts ticks by their number.
const _: () = assert!(TICK_RECORDS_MAX * INPUT_RECORD_BYTES_MAX as u64 <= TICK_BYTES_MAX);
const _: () = assert!(TICK_PROVISIONING_RECORDS_MAX * RECORD_BYTES_MAX as u64 <= TICK_BYTES_MAX);
const _: () = assert!(INPUT_RECORD_BYTES_MAX <= RECORD_BYTES_MAX);

/// Returns the maximum size of a record of a topic in bytes.
#[must_use]
pub fn record_bytes_max(topic: &str) -> usize {
    if bears_input(topic) { INPUT_RECORD_BYTES_MAX } else { RECORD_BYTES_MAX }
}

/// Returns how many offsets of a partition of a topic a tick reads at most.
#[must_use]
pub fn tick_records_max(topic: &str) -> u64 {
    if topic == PROVISIONING { TICK_PROVISIONING_RECORDS_MAX } else { TICK_RECORDS_MAX }
}

/// What probes measured, keyed by source.
pub const MEASUREMENTS: &str = "measurements";
/// What CDNs and origins report about themselves, keyed by source.
pub const STATISTICS: &str = "statistics";
/// The clock of everything derived. A deciding topic: one partition, numbered records.
pub const TICKS: &str = "ticks";
/// Route, verdict and reason changes, keyed by site.
pub const DECISIONS: &str = "decisions";
/// Performance values over time, keyed by site.
pub const PERFORMANCE: &str = "performance";
/// Routing tables, deltas and heartbeats; one partition.
pub const SNAPSHOTS: &str = "snapshots";
/// The dataflow's own state in chunks, so that it does not start from the first tick.
pub const CHECKPOINTS: &str = "checkpoints";
/// Which chunks make up a checkpoint: a manifest follows the chunks that it names.
pub const MANIFESTS: &str = "manifests";
/// Counts and checksums of what was read, a minute at a time.
pub const RECEIPTS: &str = "receipts";
/// What was counted for whom, how the agreed level was kept, and what was sealed; keyed by client.
pub const BILLING: &str = "billing";
/// What could not be used, and why.
pub const REJECTED: &str = "rejected";
/// What an edge node adopted, and when.
pub const ADOPTED: &str = "adopted";

/// The partition of a key, such as a source's name: its CRC-32 (IEEE 802.3) modulo the number of partitions. All adapters
/// use it, and it never changes, so that records with the same key stay in order.
#[must_use]
pub fn partition_of(key: &str, partitions: u32) -> u32 {
    crc32fast::hash(key.as_bytes()) % partitions.max(1)
}
