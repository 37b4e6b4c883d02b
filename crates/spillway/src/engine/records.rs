//! Reading a partition in order: as records, and as frames.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::ensure;
use spillway_eventlog::{Entry, EventLog};
use spillway_events::frame_head;

/// How much is read in one go.
const READ_RECORDS_MAX: usize = 4_096;
const READ_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The records of a partition from an offset on, a piece at a time. As an iterator it ends where the partition ended
/// when it was made, or goes on until told to stop.
pub(crate) struct Records<'a> {
    log: &'a dyn EventLog,
    topic: String,
    partition: u32,
    /// Behind the last record taken, or where it is known that nothing stands before.
    next: u64,
    end: u64,
    read: VecDeque<Entry>,
    following: Option<Following<'a>>,
}

/// How long to go on at the end of a partition.
#[derive(Clone, Copy)]
struct Following<'a> {
    stop: &'a AtomicBool,
    wait: Duration,
}

impl<'a> Records<'a> {
    pub(crate) fn new(log: &'a dyn EventLog, topic: &str, partition: u32, from: u64) -> anyhow::Result<Self> {
        let end = log.end(topic, partition)?;
        let (topic, read) = (topic.to_owned(), VecDeque::new());
        Ok(Self { log, topic, partition, next: from, end, read, following: None })
    }

    /// Waits at the end for more until told to stop, looking for that at least every `wait`.
    pub(crate) fn following(mut self, stop: &'a AtomicBool, wait: Duration) -> Self {
        self.following = Some(Following { stop, wait });
        self
    }

    /// Takes the next record below an offset, up to which the partition is known to reach. Nothing once all are taken;
    /// offsets may have gaps.
    pub(crate) fn next_before(&mut self, end: u64) -> anyhow::Result<Option<Entry>> {
        if self.read.is_empty() && self.next < end {
            let read =
                self.log.read(&self.topic, self.partition, self.next, READ_RECORDS_MAX, READ_BYTES_MAX)?;
            self.read = read.into();
            if self.read.is_empty() {
                // No record is left up to there, unless the log has lost its end.
                let (topic, partition) = (&self.topic, self.partition);
                let ends = self.log.end(topic, partition)?;
                ensure!(
                    ends >= end,
                    "{topic}/{partition} is to be read up to {end}, but the log ends at {ends}"
                );
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

    /// Goes on at an offset further on.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        self.read.clear();
        self.next = self.next.max(offset);
    }

    /// Whether there is more, perhaps after waiting for it.
    fn reaches_more(&mut self) -> anyhow::Result<bool> {
        while self.next >= self.end {
            let Some(Following { stop, wait }) = self.following else { return Ok(false) };
            if stop.load(Ordering::Acquire) {
                // What was appended before the stop is still taken.
                self.end = self.log.end(&self.topic, self.partition)?;
                return Ok(self.next < self.end);
            }
            if self.log.wait(&self.topic, self.partition, self.end, wait)? {
                self.end = self.log.end(&self.topic, self.partition)?;
            }
        }
        Ok(true)
    }
}

impl Iterator for Records<'_> {
    type Item = anyhow::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.reaches_more() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
            match self.next_before(self.end) {
                Ok(Some(entry)) => return Some(Ok(entry)),
                Ok(None) => {}
                Err(error) => {
                    self.next = self.end;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// The complete frames of a partition, repeats removed, each as its tick and its records.
pub(crate) struct FrameRecords<'a> {
    records: Records<'a>,
    last: Option<u64>,
    topic: String,
    partition: u32,
}

impl<'a> FrameRecords<'a> {
    /// From an offset at which any frame before may be cut off.
    pub(crate) fn new(log: &'a dyn EventLog, topic: &str, partition: u32, from: u64) -> anyhow::Result<Self> {
        let records = Records::new(log, topic, partition, from)?;
        Ok(Self { records, last: None, topic: topic.to_owned(), partition })
    }

    /// From the first record on.
    pub(crate) fn all(log: &'a dyn EventLog, topic: &str, partition: u32) -> anyhow::Result<Self> {
        Self::new(log, topic, partition, log.start(topic, partition)?)
    }

    /// Goes on with frames that come later, until told to stop.
    pub(crate) fn following(mut self, stop: &'a AtomicBool, wait: Duration) -> Self {
        self.records = self.records.following(stop, wait);
        self
    }
}

impl Iterator for FrameRecords<'_> {
    type Item = anyhow::Result<(u64, Vec<Vec<u8>>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut of_tick, mut open) = (None, Vec::new());
        loop {
            let entry = match self.records.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            let Some((tick, chunk, chunks)) = frame_head(&entry.bytes) else {
                let (topic, partition, offset) = (&self.topic, self.partition, entry.offset);
                return Some(Err(anyhow::anyhow!("{topic}/{partition} at offset {offset}: no frame")));
            };
            if self.last.is_some_and(|last| tick <= last) {
                continue;
            }
            if of_tick != Some(tick) {
                of_tick = Some(tick);
                open.clear();
            }
            // Only where records were given up may a frame that was cut short come again as another one.
            if chunk == 0 && open.first().is_some_and(|first| *first != entry.bytes) {
                open.clear();
            }
            // Two writers of one frame may alternate; whoever is first with a chunk has the same bytes.
            if open.len() as u64 == u64::from(chunk) {
                open.push(entry.bytes);
            }
            if open.len() as u64 == u64::from(chunks) {
                self.last = Some(tick);
                return Some(Ok((tick, open)));
            }
        }
    }
}
