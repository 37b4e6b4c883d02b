//! Deciding topics on Kafka: readers determine which record has a number.
//!
//! Every record's key is the number that its writer requested, in decimal. The first record with the last valid number
//! plus one is valid; any other record is void to every reader. A writer appends its record, reads up to it, and then
//! knows whether it won.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::reader::Fetched;
use super::{KafkaLog, POLL_INTERVAL};
use crate::{Appended, Batch, Entry, EventLog, LogError};

/// The maximum number of marks (offsets with a known number) for each topic.
const MARKS_MAX: usize = 1_024;
/// The maximum number of cached winners for each topic, for writers that send a record again.
const WINNERS_MAX: usize = 256;
/// The bounds of one read when looking for winners.
const READ_RECORDS_MAX: usize = 4_096;
const READ_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The state of the deciding topics.
#[derive(Default)]
pub(super) struct Decided {
    topics: Mutex<HashMap<String, Arc<Topic>>>,
}

#[derive(Default)]
struct Topic {
    /// By offset: the number of the next valid record at or after it.
    marks: Mutex<BTreeMap<u64, u64>>,
    /// Held while deciding, so that the writers of one process do not void each other's records.
    winners: Mutex<Winners>,
}

#[derive(Default)]
struct Winners {
    /// The offset up to which records have been read, and the lowest number that none of them has.
    read_to: Option<(u64, u64)>,
    /// By number: offset and bytes.
    latest: BTreeMap<u64, (u64, Vec<u8>)>,
}

impl Decided {
    fn topic(&self, topic: &str) -> Arc<Topic> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(topics.entry(topic.to_owned()).or_default())
    }

    pub(super) fn anchor(&self, topic: &str, number: u64, offset: u64) {
        self.topic(topic).mark(offset, number);
    }
}

impl Topic {
    fn mark(&self, offset: u64, number: u64) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.insert(offset, number);
        if marks.len() > MARKS_MAX {
            marks.pop_first();
        }
    }

    /// Returns the last mark at or before an offset.
    fn mark_before(&self, offset: u64) -> Option<(u64, u64)> {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.range(..=offset).next_back().map(|(offset, number)| (*offset, *number))
    }
}

impl KafkaLog {
    /// Reads valid records from an offset on. `end` is the current end.
    pub(super) fn read_decided(
        &self,
        topic: &str,
        from: u64,
        end: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, LogError> {
        let marks = self.decided.topic(topic);
        let (mut at, mut number) = self.mark_or_start(topic, from)?;
        let mut entries = Vec::new();
        // A reader that continues is at a mark. Another reader first reads from a mark to its offset.
        while at < end && entries.is_empty() {
            let (records_max, bytes_max) =
                if at < from { (READ_RECORDS_MAX, READ_BYTES_MAX) } else { (records_max, bytes_max) };
            let fetched = self.fetch((topic, 0), at, end, records_max, bytes_max)?;
            at = fetched.last().map_or(end, |last| last.offset + 1);
            for Fetched { offset, bytes, .. } in valid(&mut number, fetched) {
                if offset >= from {
                    entries.push(Entry { offset, bytes });
                }
            }
            if let Some(number) = number {
                marks.mark(at, number);
            }
        }
        // The read that reached `from` may exceed the requested bounds.
        let kept = within(&entries, records_max, bytes_max);
        if let (Some(number), Some(last)) = (number, entries[..kept].last()) {
            marks.mark(last.offset + 1, number - (entries.len() - kept) as u64);
        }
        entries.truncate(kept);
        Ok(entries)
    }

    /// Returns where to start reading so that validity at an offset is known, and the number expected there. At the start
    /// of a truncated topic the first number found counts as valid.
    fn mark_or_start(&self, topic: &str, offset: u64) -> Result<(u64, Option<u64>), LogError> {
        if let Some((at, number)) = self.decided.topic(topic).mark_before(offset) {
            return Ok((at, Some(number)));
        }
        let start = EventLog::start(self, topic, 0)?;
        Ok((start.min(offset), (start == 0).then_some(0)))
    }

    /// Appends a numbered record and reads whether it won.
    pub(super) fn decide(&self, topic: &str, number: u64, record: &[u8]) -> Result<Appended, LogError> {
        let known = self.decided.topic(topic);
        let mut winners = known.winners.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_appended = false;
        loop {
            let next = self.read_winners(topic, &mut winners)?;
            if number > next {
                return Ok(Appended::Lost { next });
            }
            if number < next {
                return self.winner(topic, &winners, number, record, next);
            }
            if is_appended {
                // The record is acknowledged but not yet below the last stable offset.
                self.health.check()?;
                std::thread::sleep(POLL_INTERVAL / 20);
                continue;
            }
            let batch = Batch { topic, partition: 0, records: &[record] };
            self.produce(&[(batch, Some(number))])?;
            is_appended = true;
        }
    }

    /// Reads up to the end; returns the lowest number that no record has.
    fn read_winners(&self, topic: &str, winners: &mut Winners) -> Result<u64, LogError> {
        let (mut at, mut next) = match winners.read_to {
            Some(position) => position,
            None => self.latest_mark(topic)?,
        };
        let end = self.end(topic, 0)?;
        while at < end {
            let entries = self.read_decided(topic, at, end, READ_RECORDS_MAX, READ_BYTES_MAX)?;
            at = entries.last().map_or(end, |last| last.offset + 1);
            for Entry { offset, bytes } in entries {
                winners.latest.insert(next, (offset, bytes));
                next += 1;
                if winners.latest.len() > WINNERS_MAX {
                    winners.latest.pop_first();
                }
            }
        }
        winners.read_to = Some((at, next));
        Ok(next)
    }

    /// Returns the latest mark, or the start of the topic and its number.
    fn latest_mark(&self, topic: &str) -> Result<(u64, u64), LogError> {
        let (at, number) = self.mark_or_start(topic, u64::MAX)?;
        match number {
            Some(number) => Ok((at, number)),
            None => {
                let end = self.end(topic, 0)?;
                let fetched = if at < end { self.fetch((topic, 0), at, end, 1, 1)? } else { Vec::new() };
                Ok((at, fetched.first().and_then(|first| first.number).unwrap_or(0)))
            }
        }
    }

    /// Decides whether the record with a number is this one.
    fn winner(
        &self,
        topic: &str,
        winners: &Winners,
        number: u64,
        record: &[u8],
        next: u64,
    ) -> Result<Appended, LogError> {
        let start = EventLog::start(self, topic, 0)?;
        let found = match winners.latest.get(&number) {
            Some((offset, bytes)) => Some((*offset, bytes == record)),
            None => self.search(topic, number, record, start)?,
        };
        match found {
            Some((offset, is_same)) if offset >= start => {
                Ok(if is_same { Appended::Won(offset) } else { Appended::Lost { next } })
            }
            _ => {
                let kept = winners.latest.iter().find(|(_, (offset, _))| *offset >= start);
                let first = kept.map_or(next, |(number, _)| *number);
                Err(LogError::Truncated { topic: topic.to_owned(), partition: 0, wanted: number, first })
            }
        }
    }

    /// Searches the whole topic for the record of a number.
    fn search(
        &self,
        topic: &str,
        number: u64,
        record: &[u8],
        start: u64,
    ) -> Result<Option<(u64, bool)>, LogError> {
        let end = self.end(topic, 0)?;
        let mut expected = (start == 0).then_some(0);
        let mut at = start;
        while at < end {
            let fetched = self.readers.read((topic, 0), at, end, READ_RECORDS_MAX, READ_BYTES_MAX)?;
            at = fetched.last().map_or(end, |last| last.offset + 1);
            for found in valid(&mut expected, fetched) {
                if found.number == Some(number) {
                    return Ok(Some((found.offset, found.bytes == record)));
                }
            }
        }
        Ok(None)
    }
}

/// Returns how many of the first entries are within the bounds; at least one.
fn within(entries: &[Entry], records_max: usize, bytes_max: usize) -> usize {
    let mut bytes = 0_usize;
    let fits = |entry: &&Entry| {
        bytes = bytes.saturating_add(entry.bytes.len());
        bytes <= bytes_max
    };
    let fitting = entries.iter().take(records_max).take_while(fits).count();
    fitting.max(1).min(entries.len())
}

/// Keeps the records that have the expected number, which increases with each. Without an expected number, the first
/// number found is expected.
fn valid(expected: &mut Option<u64>, fetched: Vec<Fetched>) -> Vec<Fetched> {
    let is_valid = |fetched: &Fetched| {
        let number = fetched.number.filter(|number| expected.is_none_or(|expected| expected == *number));
        *expected = number.map_or(*expected, |number| Some(number.saturating_add(1)));
        number.is_some()
    };
    let mut is_valid = is_valid;
    fetched.into_iter().filter(|fetched| is_valid(fetched)).collect()
}
