//! Topics that decide, on Kafka: whose record has a number is a matter of reading.
//!
//! Every record's key is the number that its writer wanted, in decimal. From the first record on, the one that carries
//! the last number plus one is valid; any other is void to every reader. A writer appends, reads what came before it and
//! its own record, and knows.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::reader::Fetched;
use super::{KafkaLog, LOOK};
use crate::{Appended, Batch, Entry, EventLog, LogError};

/// How many places with a known number are remembered for each topic.
const MARKS_MAX: usize = 1_024;
/// How many winners are remembered for each topic, for writers that repeat themselves.
const WINNERS_MAX: usize = 256;
/// How much is read in one go to learn who won.
const READ_RECORDS_MAX: usize = 4_096;
const READ_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What is known of the topics that decide.
#[derive(Default)]
pub(super) struct Decided {
    topics: Mutex<HashMap<String, Arc<Topic>>>,
}

#[derive(Default)]
struct Topic {
    /// By offset: the number that the next valid record at or after it carries.
    marks: Mutex<BTreeMap<u64, u64>>,
    /// Held by the one who decides, so that writers of one process void nothing of each other.
    winners: Mutex<Winners>,
}

#[derive(Default)]
struct Winners {
    /// Up to where records have been read, and the lowest number that none of them has; nothing at first.
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

    /// The known place nearest before an offset, or at it.
    fn mark_before(&self, offset: u64) -> Option<(u64, u64)> {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.range(..=offset).next_back().map(|(offset, number)| (*offset, *number))
    }
}

impl KafkaLog {
    /// Valid records from an offset on. `end` is the end as it was just now.
    pub(super) fn read_decided(
        &self,
        topic: &str,
        from: u64,
        end: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, LogError> {
        let marks = self.decided.topic(topic);
        let (mut at, mut number) = self.place_before(topic, from)?;
        let mut entries = Vec::new();
        // A reader that goes on where it was stands at a mark; another one reads on to its place first.
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
        // What was read on the way to `from` may go beyond what was asked for.
        let kept = within(&entries, records_max, bytes_max);
        if let (Some(number), Some(last)) = (number, entries[..kept].last()) {
            marks.mark(last.offset + 1, number - (entries.len() - kept) as u64);
        }
        entries.truncate(kept);
        Ok(entries)
    }

    /// Where to begin so that validity at an offset is known, with the number expected there. At the beginning of a
    /// topic whose head was truncated the first number found is taken for valid.
    fn place_before(&self, topic: &str, offset: u64) -> Result<(u64, Option<u64>), LogError> {
        if let Some((at, number)) = self.decided.topic(topic).mark_before(offset) {
            return Ok((at, Some(number)));
        }
        let start = EventLog::start(self, topic, 0)?;
        Ok((start.min(offset), (start == 0).then_some(0)))
    }

    /// Appends the record of a number and reads who won.
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
                // Acknowledged, but not yet below the last stable offset.
                self.health.check()?;
                std::thread::sleep(LOOK / 20);
                continue;
            }
            let batch = Batch { topic, partition: 0, records: &[record] };
            self.produce(&[(batch, Some(number))])?;
            is_appended = true;
        }
    }

    /// Reads on to the end; returns the lowest number that no record has.
    fn read_winners(&self, topic: &str, winners: &mut Winners) -> Result<u64, LogError> {
        let (mut at, mut next) = match winners.read_to {
            Some(place) => place,
            None => self.latest_place(topic)?,
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

    /// The latest place where the number is known; the first of the topic if there is none.
    fn latest_place(&self, topic: &str) -> Result<(u64, u64), LogError> {
        let (at, number) = self.place_before(topic, u64::MAX)?;
        match number {
            Some(number) => Ok((at, number)),
            None => {
                let end = self.end(topic, 0)?;
                let fetched = if at < end { self.fetch((topic, 0), at, end, 1, 1)? } else { Vec::new() };
                Ok((at, fetched.first().and_then(|first| first.number).unwrap_or(0)))
            }
        }
    }

    /// Whether the record that has a number is this one.
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

    /// Looks for the record of a number that won long ago.
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

/// How many entries from the first are within the bounds; one at least.
fn within(entries: &[Entry], records_max: usize, bytes_max: usize) -> usize {
    let mut bytes = 0_usize;
    let fits = |entry: &&Entry| {
        bytes = bytes.saturating_add(entry.bytes.len());
        bytes <= bytes_max
    };
    let fitting = entries.iter().take(records_max).take_while(fits).count();
    fitting.max(1).min(entries.len())
}

/// Keeps the records that carry the expected number, which rises with each; the first number found where none is.
fn valid(expected: &mut Option<u64>, fetched: Vec<Fetched>) -> Vec<Fetched> {
    let is_valid = |fetched: &Fetched| {
        let number = fetched.number.filter(|number| expected.is_none_or(|expected| expected == *number));
        *expected = number.map_or(*expected, |number| Some(number.saturating_add(1)));
        number.is_some()
    };
    let mut is_valid = is_valid;
    fetched.into_iter().filter(|fetched| is_valid(fetched)).collect()
}
