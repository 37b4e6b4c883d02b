//! Retention: deleting records that are older than their topic's retention.
//!
//! A block stores the time of its commit. Only whole blocks are deleted, and only from the start of a partition.

use spillway_events::topics::{TICKS, bears_input};

use super::EmbeddedLog;
use super::queue::Work;
use super::read::{TopicPartition, first_block};
use super::store::{BLOCKS, Store, guarded};
use super::topics::Topic;
use crate::block::block_time_ms;
use crate::{Kept, LogError};

/// The maximum number of blocks, and of their bytes, that one step deletes. Appends wait for a step.
const STEP_BLOCKS_MAX: usize = 1_024;
const STEP_BYTES_MAX: usize = 8 * 1024 * 1024;
const DAY_MS: u64 = 86_400_000;

/// The retention of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionRule<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: u32,
    /// How long records are kept.
    pub kept: Kept,
    /// The first offset that is still needed, whatever its age, such as by a checkpoint.
    pub needed_from: u64,
}

/// The size of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSize {
    /// The size of the file in bytes. Deleting records does not shrink the file; later appends reuse the space.
    pub file_bytes: u64,
    /// The size of the stored records in bytes.
    pub stored_bytes: u64,
}

impl LogSize {
    /// Returns how many bytes of the file hold no records: space for later appends, and overhead of the store.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.file_bytes.saturating_sub(self.stored_bytes)
    }
}

impl EmbeddedLog {
    /// Deletes expired records of one partition, at most 1,024 blocks or 8 MiB. Returns whether it has deleted any; call
    /// it again until it returns false. `now_ms` is the current time in milliseconds since the epoch.
    ///
    /// A partition without a rule keeps its records. `ticks` are kept for their own retention and for as long as the
    /// oldest record of the input topics that have rules. A block with a time after `now_ms` was written with a wrong
    /// clock; it expires with the block after it.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::NoPartition`], and those of [`crate::EventLog::truncate_before`].
    pub fn drop_expired(&self, rules: &[RetentionRule<'_>], now_ms: u64) -> Result<bool, LogError> {
        for rule in rules {
            let Kept::Days(days) = rule.kept else { continue };
            let Some(mut expired_at_ms) = now_ms.checked_sub(u64::from(days) * DAY_MS) else { continue };
            if rule.topic == TICKS {
                expired_at_ms = expired_at_ms.min(self.oldest_input_ms(rules)?.unwrap_or(u64::MAX));
            }
            let topic = self.shared.topics.find_partition(rule.topic, rule.partition)?;
            let expiry = Expiry { expired_at_ms, now_ms, needed_from: rule.needed_from };
            let (topic_ref, partition) = (&topic, rule.partition);
            let offset =
                self.shared.with_store(|store| expired_before(store, topic_ref, partition, expiry))?;
            if let Some(offset) = offset {
                return self.submit(Work::Truncate { topic, partition, offset }).map(|_| true);
            }
        }
        Ok(false)
    }

    /// Returns the size of the log.
    #[must_use]
    pub fn size(&self) -> LogSize {
        let spans =
            |topic: &Topic| (0..topic.partitions()).map(|partition| topic.span(partition).bytes).sum::<u64>();
        let stored_bytes = self.shared.topics.all().iter().map(|topic| spans(topic)).sum();
        let file_bytes = self.shared.with_store(|store| Ok(store.file_bytes())).unwrap_or(0);
        LogSize { file_bytes, stored_bytes }
    }

    /// Returns the time of the oldest record of the input topics.
    fn oldest_input_ms(&self, rules: &[RetentionRule<'_>]) -> Result<Option<u64>, LogError> {
        let mut oldest = None;
        for rule in rules.iter().filter(|rule| bears_input(rule.topic)) {
            let topic = self.shared.topics.find_partition(rule.topic, rule.partition)?;
            let first = self.shared.with_store(|store| first_time_ms(store, &topic, rule.partition))?;
            oldest = oldest.into_iter().chain(first).min();
        }
        Ok(oldest)
    }
}

#[derive(Clone, Copy)]
struct Expiry {
    expired_at_ms: u64,
    now_ms: u64,
    needed_from: u64,
}

/// Returns the time of a partition's first block.
fn first_time_ms(store: &Store, topic: &Topic, partition: u32) -> Result<Option<u64>, LogError> {
    let mut time = None;
    walk(store, topic, partition, |_, stored| {
        time = block_time_ms(stored);
        false
    })?;
    Ok(time)
}

/// Returns the offset before which one step may delete, if there is anything to delete.
fn expired_before(
    store: &Store,
    topic: &Topic,
    partition: u32,
    expiry: Expiry,
) -> Result<Option<u64>, LogError> {
    let (mut expired, mut blocks, mut bytes) = (None, 0, 0);
    walk(store, topic, partition, |next, stored| {
        let Some(time_ms) = block_time_ms(stored) else { return false };
        (blocks, bytes) = (blocks + 1, bytes + stored.len());
        if next > expiry.needed_from {
            return false;
        }
        if time_ms <= expiry.expired_at_ms {
            expired = Some(next);
        } else if time_ms <= expiry.now_ms {
            return false;
        }
        blocks < STEP_BLOCKS_MAX && bytes < STEP_BYTES_MAX
    })?;
    Ok(expired)
}

/// Visits the blocks of a partition from its start on, each with the offset after it, until `visit` returns false.
fn walk(
    store: &Store,
    topic: &Topic,
    partition: u32,
    mut visit: impl FnMut(u64, &[u8]) -> bool,
) -> Result<(), LogError> {
    let (at, span) = (TopicPartition { topic, partition }, topic.span(partition));
    if span.start == span.end {
        return Ok(());
    }
    let walked = guarded(|| -> Result<(), redb::Error> {
        let blocks = store.snapshot()?.open_table(BLOCKS)?;
        let Some(first) = first_block(&blocks, topic.id, partition, span.start)? else { return Ok(()) };
        for row in blocks.range((topic.id, partition, first)..=(topic.id, partition, u64::MAX))? {
            let (key, stored) = row?;
            let Some(next) = crate::block::block_next(key.value(), stored.value()) else { return Ok(()) };
            if !visit(next, stored.value()) {
                return Ok(());
            }
        }
        Ok(())
    });
    walked
        .unwrap_or_else(|_| Err(redb::Error::Corrupted(String::new())))
        .map_err(|error| at.failed(span.start, error))
}
