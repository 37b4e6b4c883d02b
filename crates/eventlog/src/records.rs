//! Reading a partition in offset order: raw records, and records of one kind.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::time::Duration;

use spillway_events::{DecodeError, Record, decode};
use tokio_util::sync::CancellationToken;

use crate::{Entry, EventLog, LogError};

/// How much one call to the log reads.
const READ_RECORDS_MAX: usize = 4_096;
const READ_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why reading a partition failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log failed.
    #[error("the log cannot be read")]
    Log(#[from] LogError),
    /// A record does not decode. The reader can go on with the next one.
    #[error("topic {topic}, partition {partition}: the record at offset {offset} does not decode")]
    Record {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset.
        offset: u64,
        /// Why.
        source: DecodeError,
    },
    /// The log ends before an offset up to which records were known to exist.
    #[error(
        "topic {topic}, partition {partition}: records up to offset {wanted} are needed, but the log ends at {end}"
    )]
    EndsEarly {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset up to which records are needed.
        wanted: u64,
        /// The offset after the last record.
        end: u64,
    },
}

impl ReadError {
    /// Whether the call ended because the caller cancelled it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Log(LogError::Cancelled))
    }
}

/// The records of a partition from an offset on, read in batches.
///
/// As an iterator it ends at the end of the partition; called again, it goes on with records appended since. With
/// [`Records::following`] it waits at the end instead.
pub struct Records<'a> {
    log: &'a dyn EventLog,
    topic: String,
    partition: u32,
    /// The offset after the last record taken, or further if no record lies before it.
    next: u64,
    /// The end of the partition as far as it is known.
    end: u64,
    read: VecDeque<Entry>,
    following: Option<Following<'a>>,
}

/// How to wait at the end of a partition.
#[derive(Clone, Copy)]
struct Following<'a> {
    cancel: &'a CancellationToken,
    poll_interval: Duration,
}

impl<'a> Records<'a> {
    /// Reads from an offset on.
    #[must_use]
    pub fn new(log: &'a dyn EventLog, topic: &str, partition: u32, from: u64) -> Self {
        let (topic, read) = (topic.to_owned(), VecDeque::new());
        Self { log, topic, partition, next: from, end: from, read, following: None }
    }

    /// Waits at the end for more records until cancelled; checks for that at least every `poll_interval`.
    #[must_use]
    pub fn following(mut self, cancel: &'a CancellationToken, poll_interval: Duration) -> Self {
        self.following = Some(Following { cancel, poll_interval });
        self
    }

    /// The topic and the partition.
    #[must_use]
    pub fn topic_partition(&self) -> (&str, u32) {
        (&self.topic, self.partition)
    }

    /// Takes the next record below an offset up to which the partition is known to reach; nothing once all are
    /// taken. Offsets may have gaps.
    ///
    /// # Errors
    /// If the log fails or ends before that offset.
    pub fn next_before(&mut self, end: u64) -> Result<Option<Entry>, ReadError> {
        if self.read.is_empty() && self.next < end {
            let (topic, partition) = (&self.topic, self.partition);
            self.read = self.log.read(topic, partition, self.next, READ_RECORDS_MAX, READ_BYTES_MAX)?.into();
            if self.read.is_empty() {
                // The rest of the range holds no records, unless the log has lost its end.
                let log_end = self.log.end(topic, partition)?;
                if log_end < end {
                    return Err(ReadError::EndsEarly {
                        topic: topic.clone(),
                        partition,
                        wanted: end,
                        end: log_end,
                    });
                }
            }
        }
        if self.read.front().is_none_or(|entry| entry.offset >= end) {
            self.next = self.next.max(end);
            return Ok(None);
        }
        let entry = self.read.pop_front();
        self.next = entry.as_ref().map_or(self.next, |entry| entry.offset + 1);
        Ok(entry)
    }

    /// Continues at a later offset.
    pub fn skip_to(&mut self, offset: u64) {
        self.read.clear();
        self.next = self.next.max(offset);
    }

    /// Decodes a record of this partition.
    ///
    /// # Errors
    /// If it is not a record of that kind.
    pub fn decode<R: Record>(&self, entry: &Entry) -> Result<R, ReadError> {
        decode_entry(&self.topic, self.partition, entry)
    }

    /// Whether there are more records, possibly after waiting for them.
    fn has_more(&mut self) -> Result<bool, LogError> {
        if self.next < self.end {
            return Ok(true);
        }
        self.end = self.log.end(&self.topic, self.partition)?;
        while self.next >= self.end {
            let Some(Following { cancel, poll_interval }) = self.following else { return Ok(false) };
            // Read before the end is asked for: what was appended before the cancellation is still returned.
            let is_cancelled = cancel.is_cancelled();
            if is_cancelled || self.log.wait(&self.topic, self.partition, self.end, poll_interval)? {
                self.end = self.log.end(&self.topic, self.partition)?;
            }
            if is_cancelled {
                return Ok(self.next < self.end);
            }
        }
        Ok(true)
    }
}

/// Decodes a record that was read at an offset of a partition.
///
/// # Errors
/// If it is not a record of that kind.
pub fn decode_entry<R: Record>(topic: &str, partition: u32, entry: &Entry) -> Result<R, ReadError> {
    let failed =
        |source| ReadError::Record { topic: topic.to_owned(), partition, offset: entry.offset, source };
    decode(&entry.bytes).map_err(failed)
}

impl Iterator for Records<'_> {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.has_more() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error.into())),
            }
            match self.next_before(self.end) {
                Ok(Some(entry)) => return Some(Ok(entry)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The records of one kind of a partition, each with its offset. Behaves as [`Records`].
pub struct RecordReader<'a, R> {
    records: Records<'a>,
    kind: PhantomData<R>,
}

impl<'a, R: Record> RecordReader<'a, R> {
    /// Reads from an offset on.
    #[must_use]
    pub fn new(log: &'a dyn EventLog, topic: &str, partition: u32, from: u64) -> Self {
        Self { records: Records::new(log, topic, partition, from), kind: PhantomData }
    }

    /// Waits at the end for more records until cancelled; checks for that at least every `poll_interval`.
    #[must_use]
    pub fn following(mut self, cancel: &'a CancellationToken, poll_interval: Duration) -> Self {
        self.records = self.records.following(cancel, poll_interval);
        self
    }

    /// Takes the next record below an offset up to which the partition is known to reach, see
    /// [`Records::next_before`].
    ///
    /// # Errors
    /// If the log fails, ends before that offset, or the record does not decode.
    pub fn next_before(&mut self, end: u64) -> Result<Option<(u64, R)>, ReadError> {
        let Some(entry) = self.records.next_before(end)? else { return Ok(None) };
        Ok(Some((entry.offset, self.records.decode(&entry)?)))
    }
}

impl<R: Record> Iterator for RecordReader<'_, R> {
    type Item = Result<(u64, R), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.records.next()?;
        Some(entry.and_then(|entry| Ok((entry.offset, self.records.decode(&entry)?))))
    }
}
