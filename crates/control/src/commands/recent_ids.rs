//! The index of commands in memory: bounded, and the log is searched for older commands.

use std::collections::{HashMap, VecDeque};

use spillway_eventlog::{EventLog, ReadError, RecordReader};
use spillway_events::{ProvisioningRecord, topics};

use super::key_of_record;

/// The most commands that are held: about 10 MiB.
const IDS_MAX: usize = 65_536;

/// The offsets of the last records of provisioning, by author and id of the command.
pub(super) struct RecentIds {
    ids_max: usize,
    offsets: HashMap<String, u64>,
    /// The keys in the order of their offsets.
    order: VecDeque<String>,
    /// The offset after the last record that was forgotten.
    held_from: u64,
    /// The offset after the last record read.
    next: u64,
}

impl Default for RecentIds {
    fn default() -> Self {
        Self::new(IDS_MAX)
    }
}

impl RecentIds {
    pub(super) fn new(ids_max: usize) -> Self {
        Self { ids_max, offsets: HashMap::new(), order: VecDeque::new(), held_from: 0, next: 0 }
    }

    /// Returns the record of a command, if the log has one as of its end.
    pub(super) fn find(
        &mut self,
        log: &dyn EventLog,
        key: &str,
    ) -> Result<Option<ProvisioningRecord>, ReadError> {
        for record in RecordReader::<ProvisioningRecord>::new(log, topics::PROVISIONING, 0, self.next) {
            let (offset, record) = record?;
            self.take(offset, key_of_record(&record));
        }
        let (from, to) = match self.offsets.get(key) {
            Some(offset) => (*offset, offset + 1),
            None => (0, self.held_from),
        };
        let mut records = RecordReader::<ProvisioningRecord>::new(log, topics::PROVISIONING, 0, from);
        while let Some((_, record)) = records.next_before(to)? {
            if key_of_record(&record) == key {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// The number of commands that are held.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    fn take(&mut self, offset: u64, key: String) {
        self.next = offset + 1;
        // The first record of a key counts.
        if !self.offsets.contains_key(&key) {
            self.offsets.insert(key.clone(), offset);
            self.order.push_back(key);
        }
        if self.order.len() > self.ids_max
            && let Some(offset) = self.order.pop_front().and_then(|key| self.offsets.remove(&key))
        {
            self.held_from = offset + 1;
        }
    }
}
