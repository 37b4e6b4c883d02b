//! Reads a partition backwards from its end, within a budget.

use std::ops::Range;

use spillway_eventlog::{Entry, EventLog, LogError};

/// The most offsets of one piece.
const PIECE_RECORDS_MAX: u64 = 4_096;

/// How much may still be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) records: u64,
    pub(super) bytes: usize,
}

/// One step backwards.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Records in the order of their offsets; none where the offsets have gaps.
    Records(Vec<Entry>),
    /// The partition has been read to its start.
    Start,
    /// The next piece does not fit into the budget. It was dropped whole, so that what was read has no holes.
    OverBudget,
}

/// The part of a partition that has not been read yet.
pub(super) struct Tail<'a> {
    log: &'a dyn EventLog,
    topic: &'static str,
    partition: u32,
    start: u64,
    end: u64,
    /// The length of the next piece: 1, 2, 4 … 4,096 offsets.
    piece_records: u64,
}

impl<'a> Tail<'a> {
    /// All of a partition.
    ///
    /// # Errors
    /// If the log does not say where the partition starts and ends.
    pub(super) fn new(log: &'a dyn EventLog, topic: &'static str, partition: u32) -> Result<Self, LogError> {
        let start = log.start(topic, partition)?;
        let end = log.end(topic, partition)?;
        Ok(Self { log, topic, partition, start, end, piece_records: 1 })
    }

    /// Only what is before an offset.
    pub(super) fn before(mut self, end: u64) -> Self {
        self.end = self.end.min(end);
        self
    }

    /// Reads the piece before those that were read.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub(super) fn previous(&mut self, budget: &mut Budget) -> Result<Piece, LogError> {
        if self.end <= self.start {
            return Ok(Piece::Start);
        }
        let records = self.piece_records.min(self.end - self.start).min(budget.records);
        if records == 0 {
            return Ok(Piece::OverBudget);
        }
        let range = self.end - records..self.end;
        let read = match self.read(range.clone(), budget.bytes) {
            // Retention has deleted the rest meanwhile.
            Err(LogError::Truncated { .. }) => {
                self.start = self.end;
                return Ok(Piece::Start);
            }
            read => read?,
        };
        let Some(entries) = read else { return Ok(Piece::OverBudget) };
        budget.records -= records;
        budget.bytes -= entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
        self.end = range.start;
        self.piece_records = (2 * self.piece_records).min(PIECE_RECORDS_MAX);
        Ok(Piece::Records(entries))
    }

    /// The records of a range of offsets; none if they have more than `bytes_max` bytes.
    fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Option<Vec<Entry>>, LogError> {
        let (mut entries, mut bytes, mut from) = (Vec::new(), 0, range.start);
        while from < range.end {
            let records_max = usize::try_from(range.end - from).unwrap_or(usize::MAX);
            // The log returns one record even if it has more bytes: the check below finds that.
            let read = self.log.read(self.topic, self.partition, from, records_max, bytes_max - bytes)?;
            let Some(last) = read.last() else { break };
            from = last.offset + 1;
            // Where offsets have gaps the log may return records from behind the range.
            let wanted = read.into_iter().filter(|entry| entry.offset < range.end);
            entries.extend(wanted.inspect(|entry| bytes += entry.bytes.len()));
            if bytes > bytes_max {
                return Ok(None);
            }
        }
        Ok(Some(entries))
    }

    /// The last record before the end, if there is one within the budget.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub(super) fn last(mut self, budget: &mut Budget) -> Result<Option<Entry>, LogError> {
        while let Piece::Records(mut entries) = self.previous(budget)? {
            if let Some(last) = entries.pop() {
                return Ok(Some(last));
            }
        }
        Ok(None)
    }
}
