//! Reading from a snapshot, in whole blocks whose checksums are verified.

use redb::ReadableTable;

use super::rows::{Span, open_span};
use super::store::{BLOCKS, PARTITIONS, Store, guarded};
use super::topics::Topic;
use crate::block::Block;
use crate::{Entry, LogError};

/// Implements [`crate::EventLog::read`] for an existing partition.
pub(super) fn read(
    store: &Store,
    topic: &Topic,
    partition: u32,
    from: u64,
    records_max: usize,
    bytes_max: usize,
) -> Result<Vec<Entry>, LogError> {
    let at = TopicPartition { topic, partition };
    // Followers are at the end most of the time. Nothing has to be looked up there.
    if from == topic.span(partition).end {
        return Ok(Vec::new());
    }
    let mut read =
        Read { at, next: from, records_max: records_max.max(1), bytes_max, bytes: 0, found: Vec::new() };
    // The store may panic on damaged pages.
    guarded(|| read.run(store)).unwrap_or_else(|_| Err(at.damaged(read.next)))?;
    Ok(read.found)
}

/// The bounds of [`end_within`].
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) records_max: u64,
    pub(super) bytes_max: u64,
}

/// Implements [`crate::EventLog::end_within`] for an existing partition. Reads block headers, and record lengths of the
/// first and the last block.
pub(super) fn end_within(
    store: &Store,
    topic: &Topic,
    partition: u32,
    from: u64,
    bounds: Bounds,
) -> Result<u64, LogError> {
    let at = TopicPartition { topic, partition };
    let Span { start, end, .. } = topic.span(partition);
    at.check_span(from, start, end)?;
    let mut next = from;
    if from < end {
        guarded(|| walk_within(store, at, &mut next, end, bounds))
            .unwrap_or(Ok(false))
            .map_err(|error| at.failed(from, error))?
            .then_some(())
            .ok_or_else(|| at.damaged(from))?;
    }
    Ok(next)
}

/// Moves `next` over the records that are within the bounds. Returns false if a block is damaged.
fn walk_within(
    store: &Store,
    at: TopicPartition<'_>,
    next: &mut u64,
    end: u64,
    bounds: Bounds,
) -> Result<bool, redb::Error> {
    let (from, mut bytes) = (*next, 0_u64);
    let snapshot = store.snapshot()?;
    let blocks = snapshot.open_table(BLOCKS)?;
    let (topic, partition) = (at.topic.id, at.partition);
    let Some(first) = first_block(&blocks, topic, partition, from)? else { return Ok(false) };
    for row in blocks.range((topic, partition, first)..=(topic, partition, u64::MAX))? {
        let (key, stored) = row?;
        let Some(block) = Block::peek(key.value(), stored.value()) else { return Ok(false) };
        if block.first > *next || block.next <= *next {
            return Ok(false);
        }
        let stored_bytes = stored.value().len() as u64;
        let fits_whole = block.first == *next
            && block.next - from <= bounds.records_max
            && bytes + stored_bytes <= bounds.bytes_max;
        if fits_whole {
            (*next, bytes) = (block.next, bytes + stored_bytes);
        } else {
            for record in block.records() {
                let Some((offset, record)) = record else { return Ok(false) };
                if offset < *next {
                    continue;
                }
                bytes += record.len() as u64;
                let fits = offset - from < bounds.records_max && bytes <= bounds.bytes_max;
                if !fits && offset > from {
                    return Ok(true);
                }
                *next = offset + 1;
            }
        }
        if *next >= end {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A partition and the name of its topic, for errors.
#[derive(Clone, Copy)]
pub(super) struct TopicPartition<'a> {
    pub(super) topic: &'a Topic,
    pub(super) partition: u32,
}

struct Read<'a> {
    at: TopicPartition<'a>,
    /// The offset after the last record that was found.
    next: u64,
    records_max: usize,
    bytes_max: usize,
    bytes: usize,
    found: Vec<Entry>,
}

impl Read<'_> {
    fn run(&mut self, store: &Store) -> Result<(), LogError> {
        let TopicPartition { topic, partition } = self.at;
        let snapshot = store.snapshot().map_err(|error| self.failed(error))?;
        let spans = snapshot.open_table(PARTITIONS).map_err(|error| self.failed(error.into()))?;
        let span = spans.get((topic.id, partition)).map_err(|error| self.failed(error.into()))?;
        let span = span.and_then(|row| open_span((topic.id, partition), row.value()));
        let Span { start, end, .. } = span.ok_or_else(|| self.at.damaged(self.next))?;
        self.at.check_span(self.next, start, end)?;
        if self.next == end {
            return Ok(());
        }
        let blocks = snapshot.open_table(BLOCKS).map_err(|error| self.failed(error.into()))?;
        let first =
            first_block(&blocks, topic.id, partition, self.next).map_err(|error| self.failed(error))?;
        let first = first.ok_or_else(|| self.at.damaged(self.next))?;
        let range = (topic.id, partition, first)..=(topic.id, partition, u64::MAX);
        for row in blocks.range(range).map_err(|error| self.failed(error.into()))? {
            let (key, value) = row.map_err(|error| self.failed(error.into()))?;
            let block = Block::open(key.value(), value.value()).ok_or_else(|| self.at.damaged(self.next))?;
            // Blocks follow each other without gap or overlap. The first may begin before the requested offset.
            let joins =
                if self.found.is_empty() { block.first <= self.next } else { block.first == self.next };
            if !joins || block.next <= self.next || block.next > end {
                return Err(self.at.damaged(self.next));
            }
            if !self.take(block)? || self.next == end {
                return Ok(());
            }
        }
        Err(self.at.damaged(self.next))
    }

    /// Takes the records that fit. Returns false if one did not.
    fn take(&mut self, block: Block<'_>) -> Result<bool, LogError> {
        for record in block.records() {
            let (offset, bytes) = record.ok_or_else(|| self.at.damaged(self.next))?;
            if offset < self.next {
                continue;
            }
            let bytes_after = self.bytes.saturating_add(bytes.len());
            if !self.found.is_empty()
                && (self.found.len() >= self.records_max || bytes_after > self.bytes_max)
            {
                return Ok(false);
            }
            self.bytes = bytes_after;
            self.found.push(Entry { offset, bytes: bytes.to_vec() });
            self.next = offset + 1;
        }
        Ok(self.found.len() < self.records_max)
    }

    fn failed(&self, error: redb::Error) -> LogError {
        self.at.failed(self.next, error)
    }
}

impl TopicPartition<'_> {
    pub(super) fn check_span(self, wanted: u64, start: u64, end: u64) -> Result<(), LogError> {
        let (topic, partition) = (self.topic.name.clone(), self.partition);
        if wanted < start {
            return Err(LogError::Truncated { topic, partition, wanted, first: start });
        }
        if wanted > end {
            return Err(LogError::BeyondEnd { topic, partition, wanted, end });
        }
        Ok(())
    }

    pub(super) fn damaged(self, offset: u64) -> LogError {
        LogError::Damaged { topic: self.topic.name.clone(), partition: self.partition, offset }
    }

    pub(super) fn failed(self, offset: u64, error: redb::Error) -> LogError {
        if matches!(error, redb::Error::Corrupted(_)) {
            return self.damaged(offset);
        }
        let (topic, partition) = (self.topic.name.clone(), self.partition);
        LogError::Read { topic, partition, offset, source: Box::new(error) }
    }
}

/// Returns the first offset of the block that holds an offset: the last block that begins at or before it.
pub(super) fn first_block(
    blocks: &impl ReadableTable<(u32, u32, u64), &'static [u8]>,
    topic: u32,
    partition: u32,
    offset: u64,
) -> Result<Option<u64>, redb::Error> {
    let mut before = blocks.range((topic, partition, 0)..=(topic, partition, offset))?;
    Ok(before.next_back().transpose()?.map(|(key, _)| key.value().2))
}
