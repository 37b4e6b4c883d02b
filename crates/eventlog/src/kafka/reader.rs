//! Readers of partitions. A client fetches a partition from one position at a time, so there are two clients: one
//! continues at its position, and the other seeks to any other requested offset.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::client::{Context, Health, POLL_INTERVAL, REQUEST_TIMEOUT, is_transient, refused};
use crate::LogError;

/// How long to wait for a record after an end-of-partition event that may be stale. A record that exists follows at once.
const STALE_EOF_TIMEOUT: Duration = Duration::from_millis(20);

/// A fetched record, with the number in its key.
pub(super) struct Fetched {
    pub(super) offset: u64,
    pub(super) number: Option<u64>,
    pub(super) bytes: Vec<u8>,
}

/// The readers of all partitions.
pub(super) struct Readers {
    consumers: [Arc<BaseConsumer<Context>>; 2],
    health: Arc<Health>,
    pairs: Mutex<HashMap<(String, u32), Arc<Pair>>>,
}

/// One reader for each client.
type Pair = [Mutex<Reader>; 2];

/// The position of one client in one partition.
pub(super) struct Reader {
    consumer: Arc<BaseConsumer<Context>>,
    health: Arc<Health>,
    topic: String,
    partition: u32,
    /// The queue of this partition alone.
    queue: Option<PartitionQueue<Context>>,
    /// The next offset to read; `None` before the first read.
    next: Option<u64>,
    /// The offset range from here to `next` holds no record.
    empty_from: u64,
    is_assigned: bool,
    /// Records that were fetched and not returned yet.
    fetched_ahead: VecDeque<Fetched>,
    /// The end of the partition when this position was assigned. Later end-of-partition events are of this end or beyond.
    end_at_start: u64,
}

impl Readers {
    pub(super) fn new(consumers: [Arc<BaseConsumer<Context>>; 2], health: Arc<Health>) -> Self {
        Self { consumers, health, pairs: Mutex::default() }
    }

    /// Runs a function on the reader at `from`, or on the reader that will seek there.
    fn with<T>(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        run: impl FnOnce(&mut Reader) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let readers = self.readers(topic, partition);
        let mut unused: Option<MutexGuard<'_, Reader>> = None;
        for reader in readers.iter() {
            let Ok(mut reader) = reader.try_lock() else { continue };
            if reader.is_at(from) {
                return run(&mut reader);
            }
            if reader.next.is_none() && unused.is_none() {
                unused = Some(reader);
            }
        }
        match unused {
            Some(mut reader) => run(&mut reader),
            None => run(&mut readers[1].lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn readers(&self, topic: &str, partition: u32) -> Arc<Pair> {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let assignment = pairs.entry((topic.to_owned(), partition)).or_insert_with(|| {
            let reader = |consumer: &Arc<BaseConsumer<Context>>| {
                Mutex::new(Reader {
                    consumer: Arc::clone(consumer),
                    health: Arc::clone(&self.health),
                    topic: topic.to_owned(),
                    partition,
                    queue: None,
                    next: None,
                    empty_from: 0,
                    is_assigned: false,
                    fetched_ahead: VecDeque::new(),
                    end_at_start: 0,
                })
            };
            let [first, second] = &self.consumers;
            Arc::new([reader(first), reader(second)])
        });
        Arc::clone(assignment)
    }

    /// Returns whether a reader is at `from`.
    pub(super) fn is_at(&self, (topic, partition): (&str, u32), from: u64) -> bool {
        let is_there = |reader: &Mutex<Reader>| reader.try_lock().is_ok_and(|reader| reader.is_at(from));
        self.readers(topic, partition).iter().any(is_there)
    }

    /// Reads records from `from` on. `from` is below `end`, the current end of the partition. Returns at least one record,
    /// unless only transaction markers are left before the end.
    pub(super) fn read(
        &self,
        (topic, partition): (&str, u32),
        from: u64,
        end: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Fetched>, LogError> {
        self.with(topic, partition, from, |reader| reader.read(from, end, records_max, bytes_max))
    }

    /// Waits up to `timeout` for a record at or after `from`, the current end of the partition.
    pub(super) fn peek(
        &self,
        (topic, partition): (&str, u32),
        from: u64,
        timeout: Duration,
    ) -> Result<bool, LogError> {
        self.with(topic, partition, from, |reader| reader.peek(from, timeout))
    }

    /// Handles the events of the clients other than records, until the log is dropped.
    pub(super) fn serve(
        &self,
        query_client: Arc<BaseConsumer<Context>>,
        dropped: Arc<AtomicBool>,
    ) -> std::io::Result<JoinHandle<()>> {
        let [first, second] = self.consumers.clone();
        let (clients, health) = ([first, second, query_client], Arc::clone(&self.health));
        std::thread::Builder::new().name("kafka-events".to_owned()).spawn(move || {
            while !dropped.load(Ordering::Acquire) {
                for consumer in &clients {
                    match consumer.poll(POLL_INTERVAL / 3) {
                        // Every partition gets its own queue before it is fetched, so no record arrives here.
                        Some(Ok(message)) => {
                            let (topic, offset) = (message.topic(), message.offset());
                            health.fail(format!(
                                "a record of topic `{topic}` at offset {offset} arrived in the wrong queue"
                            ));
                        }
                        Some(Err(KafkaError::MessageConsumptionFatal(code))) => health.fail(code.to_string()),
                        Some(Err(error)) => health.record_error(&error, ""),
                        None => {}
                    }
                }
            }
        })
    }
}

impl Reader {
    fn read(
        &mut self,
        from: u64,
        end: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Fetched>, LogError> {
        let taken = self.take(from, end, records_max, bytes_max);
        if taken.is_err() {
            // The records taken so far are not returned.
            self.next = None;
        }
        taken
    }

    fn take(
        &mut self,
        from: u64,
        end: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Fetched>, LogError> {
        let mut next = self.seek(from, end)?;
        let mut empty_from = self.empty_from;
        let mut taken: Vec<Fetched> = Vec::new();
        let mut bytes = 0_usize;
        while next < end && taken.len() < records_max.max(1) {
            let Some(fetched) = self.fetch(next, end)? else {
                next = end;
                break;
            };
            bytes = bytes.saturating_add(fetched.bytes.len());
            if !taken.is_empty() && bytes > bytes_max {
                self.fetched_ahead.push_front(fetched);
                break;
            }
            next = fetched.offset + 1;
            empty_from = next;
            taken.push(fetched);
        }
        (self.next, self.empty_from) = (Some(next), empty_from);
        Ok(taken)
    }

    fn peek(&mut self, from: u64, timeout: Duration) -> Result<bool, LogError> {
        let next = self.seek(from, from)?;
        if self.fetched_ahead.is_empty() {
            let polled = self.poll(next, timeout);
            if polled.is_err() {
                self.next = None;
            }
            self.fetched_ahead.extend(polled?.record());
        }
        Ok(!self.fetched_ahead.is_empty())
    }

    fn is_at(&self, from: u64) -> bool {
        self.next.is_some_and(|next| (self.empty_from..=next).contains(&from))
    }

    /// Seeks to `from`, unless the reader is there. Returns the next offset to read, which is higher than `from` if there
    /// is no record in between.
    fn seek(&mut self, from: u64, end: u64) -> Result<u64, LogError> {
        match self.next {
            Some(next) if self.is_at(from) => Ok(next),
            _ => self.assign_at(from, end).map(|()| from),
        }
    }

    fn assign_at(&mut self, from: u64, end: u64) -> Result<(), LogError> {
        let partition = i32::try_from(self.partition).unwrap_or(i32::MAX);
        let mut assignment = TopicPartitionList::new();
        let offset = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        let what = format!("reading topic `{}`, partition {partition}", self.topic);
        let failed = |error: &KafkaError| refused(&what, error);
        assignment.add_partition_offset(&self.topic, partition, offset).map_err(|error| failed(&error))?;
        self.fetched_ahead.clear();
        self.next = None;
        if std::mem::take(&mut self.is_assigned) {
            self.consumer.incremental_unassign(&assignment).map_err(|error| failed(&error))?;
        }
        let is_first_time = self.queue.is_none();
        if is_first_time {
            // This precedes the first fetch, so that no record goes to the shared queue.
            self.queue = self.consumer.split_partition_queue(&self.topic, partition);
        }
        self.consumer.incremental_assign(&assignment).map_err(|error| failed(&error))?;
        self.is_assigned = true;
        if is_first_time {
            // This tells the client the partition's leader. If it fails, the client looks it up by itself within a second.
            let _ = self.consumer.fetch_metadata(Some(&self.topic), REQUEST_TIMEOUT);
        }
        (self.next, self.empty_from) = (Some(from), from);
        self.end_at_start = end;
        Ok(())
    }

    /// Fetches the next record at or after `next`. Returns `None` if only transaction markers are left before `end`.
    ///
    /// An end-of-partition event in the queue may be stale. A record or another event then follows it. If none follows
    /// soon, the position is assigned again, which discards stale events.
    fn fetch(&mut self, next: u64, end: u64) -> Result<Option<Fetched>, LogError> {
        if let Some(fetched) = self.fetched_ahead.pop_front() {
            return Ok(Some(fetched));
        }
        let since = Instant::now();
        let mut saw_end = false;
        loop {
            match self.poll(next, if saw_end { STALE_EOF_TIMEOUT } else { POLL_INTERVAL })? {
                Polled::Record(fetched) => return Ok(Some(fetched)),
                Polled::End if self.end_at_start >= end => return Ok(None),
                Polled::End => saw_end = true,
                Polled::Nothing if saw_end => {
                    self.assign_at(next, end)?;
                    saw_end = false;
                }
                Polled::Nothing => {
                    let what = format!("reading topic `{}`, partition {}", self.topic, self.partition);
                    self.health.check_retry(since, &what)?;
                }
            }
        }
    }

    fn poll(&mut self, next: u64, timeout: Duration) -> Result<Polled, LogError> {
        self.health.check()?;
        let Some(queue) = &self.queue else { return Ok(Polled::Nothing) };
        match queue.poll(timeout) {
            None => Ok(Polled::Nothing),
            Some(Ok(message)) => {
                let offset = u64::try_from(message.offset()).unwrap_or(0);
                if offset < next {
                    return Ok(Polled::Nothing);
                }
                let number = message.key().and_then(|key| std::str::from_utf8(key).ok()?.parse().ok());
                let bytes = message.payload().unwrap_or_default().to_vec();
                Ok(Polled::Record(Fetched { offset, number, bytes }))
            }
            Some(Err(KafkaError::PartitionEOF(_))) => Ok(Polled::End),
            Some(Err(error)) => {
                let what = format!("reading topic `{}`, partition {}", self.topic, self.partition);
                match error.rdkafka_error_code() {
                    // The records were deleted by retention, or the cluster has lost them.
                    Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                        Err(LogError::MissingRecords {
                            topic: self.topic.clone(),
                            partition: self.partition,
                            offset: next,
                        })
                    }
                    _ if is_transient(&error) => Ok(Polled::Nothing),
                    _ => Err(refused(&what, &error)),
                }
            }
        }
    }
}

enum Polled {
    Record(Fetched),
    End,
    Nothing,
}

impl Polled {
    fn record(self) -> Option<Fetched> {
        match self {
            Self::Record(fetched) => Some(fetched),
            Self::End | Self::Nothing => None,
        }
    }
}
