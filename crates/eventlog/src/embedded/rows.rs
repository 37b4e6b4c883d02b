//! The rows of the tables `topics` and `partitions`, each with a CRC-32 over its key and its values.
//!
//! The store verifies no checksum when it opens or reads, so every row carries its own.

use crc32fast::Hasher;

/// Topic id, number of partitions, CRC-32.
pub(super) type TopicRow = (u32, u32, u32);
/// Start, end, bytes of the blocks, CRC-32.
pub(super) type SpanRow = (u64, u64, u64, u32);

/// The durable records of one partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    /// The first readable offset.
    pub(super) start: u64,
    /// The offset after the last record.
    pub(super) end: u64,
    /// The size of the stored blocks in bytes.
    pub(super) bytes: u64,
}

pub(super) fn seal_topic(name: &str, id: u32, partitions: u32) -> TopicRow {
    let mut hasher = Hasher::new();
    hasher.update(name.as_bytes());
    hasher.update(&id.to_le_bytes());
    hasher.update(&partitions.to_le_bytes());
    (id, partitions, hasher.finalize())
}

/// Returns topic id and number of partitions, or `None` if the row is damaged.
pub(super) fn open_topic(name: &str, row: TopicRow) -> Option<(u32, u32)> {
    let (id, partitions, _) = row;
    (seal_topic(name, id, partitions) == row).then_some((id, partitions))
}

pub(super) fn seal_span((topic, partition): (u32, u32), span: Span) -> SpanRow {
    let mut hasher = Hasher::new();
    hasher.update(&topic.to_le_bytes());
    hasher.update(&partition.to_le_bytes());
    for number in [span.start, span.end, span.bytes] {
        hasher.update(&number.to_le_bytes());
    }
    (span.start, span.end, span.bytes, hasher.finalize())
}

/// Returns the span, or `None` if the row is damaged.
pub(super) fn open_span(key: (u32, u32), row: SpanRow) -> Option<Span> {
    let (start, end, bytes, _) = row;
    let span = Span { start, end, bytes };
    (seal_span(key, span) == row && start <= end).then_some(span)
}
