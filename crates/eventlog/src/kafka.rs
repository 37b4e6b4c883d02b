//! The log on Apache Kafka: a topic is a Kafka topic, an offset a Kafka offset.
//!
//! ```text
//!  appenders ──► one idempotent producer ──► brokers: acknowledged by all replicas in sync ──► acknowledgements
//!                                               │
//!  readers, waiters ◄── two consumers ◄─────────┘   each partition read where it was left, at most in two partitions
//! ```
//!
//! It uses no consumer groups, transactions or compaction. Aborted transactions of other producers are skipped; they and
//! transaction markers leave gaps in the offsets. In deciding topics the record's key is its number as decimal text. The
//! first record with the last number plus one is valid; any other record is void and not returned (`decided`).
//!
//! While no broker answers, calls retry until the retry timeout of the settings or until the stop flag is set.

mod client;
mod decided;
mod reader;
mod settings;
mod topics;

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use spillway_events::topics::{INBOX_PREFIX, decides};
use tokio_util::sync::CancellationToken;

use self::client::{Context, Delivery, Health, POLL_INTERVAL, REQUEST_TIMEOUT, refused};
use self::decided::Decided;
use self::reader::{Fetched, Readers};
pub use self::settings::{KafkaSecurity, KafkaSettings};
pub use self::topics::{Kept, TopicMismatch, TopicSpec};
use crate::checks::{check_batches, check_topic};
use crate::{Appended, Batch, Entry, EventLog, LogError};

/// The log on a cluster. Dropping it discards records that are not acknowledged.
pub struct KafkaLog {
    settings: KafkaSettings,
    health: Arc<Health>,
    /// Stops the thread of this log when it is dropped.
    dropped: Arc<AtomicBool>,
    readers: Readers,
    /// Sends queries and fetches nothing. A broker answers the requests of a connection in order, and it may hold a fetch
    /// back, so queries need a connection of their own.
    query_client: Arc<BaseConsumer<Context>>,
    producer: ThreadedProducer<Context>,
    /// Held while the records of one append are enqueued, so that they are contiguous.
    enqueue_lock: Mutex<()>,
    partitions: Mutex<HashMap<String, u32>>,
    decided: Decided,
    events_thread: Option<JoinHandle<()>>,
}

impl KafkaLog {
    /// Prepares the clients without connecting. After `cancel`, every call fails with [`LogError::Cancelled`].
    ///
    /// # Errors
    /// [`LogError::Settings`].
    pub fn connect(settings: KafkaSettings, cancel: CancellationToken) -> Result<Self, LogError> {
        let health = Arc::new(Health::new(cancel, settings.retry_timeout));
        let invalid = |error: &KafkaError| LogError::Settings { reason: error.to_string() };
        let consumer = || {
            let context = Context(Arc::clone(&health));
            BaseConsumer::from_config_and_context(&settings.consumer()?, context)
                .map(Arc::new)
                .map_err(|error| invalid(&error))
        };
        let (consumers, query_client) = ([consumer()?, consumer()?], consumer()?);
        let producer =
            ThreadedProducer::from_config_and_context(&settings.producer()?, Context(Arc::clone(&health)))
                .map_err(|error| invalid(&error))?;
        let readers = Readers::new(consumers, Arc::clone(&health));
        let dropped = Arc::new(AtomicBool::new(false));
        let events_thread = readers
            .serve(Arc::clone(&query_client), Arc::clone(&dropped))
            .map_err(|error| LogError::Settings { reason: error.to_string() })?;
        Ok(Self {
            settings,
            health,
            dropped,
            readers,
            query_client,
            producer,
            enqueue_lock: Mutex::new(()),
            partitions: Mutex::default(),
            decided: Decided::default(),
            events_thread: Some(events_thread),
        })
    }

    /// Checks that a partition exists.
    fn find(&self, topic: &str, partition: u32) -> Result<(), LogError> {
        let partitions = self.partitions(topic)?;
        if partition < partitions {
            return Ok(());
        }
        Err(LogError::NoPartition { topic: topic.to_owned(), partition, partitions })
    }

    /// Asks the brokers for the number of partitions of a topic. Returns `None` if the topic does not exist.
    fn ask_partitions(&self, topic: &str) -> Result<Option<u32>, LogError> {
        let what = format!("looking up topic `{topic}`");
        let metadata = self.health.request(&what, || {
            let metadata = self.query_client.fetch_metadata(Some(topic), REQUEST_TIMEOUT)?;
            match metadata.topics().first().and_then(rdkafka::metadata::MetadataTopic::error) {
                None => Ok(metadata),
                Some(code) => Err(KafkaError::MetadataFetch(code.into())),
            }
        });
        match metadata {
            Ok(metadata) => {
                let found = metadata.topics().iter().find(|found| found.name() == topic);
                Ok(found.and_then(|found| u32::try_from(found.partitions().len()).ok()).filter(|n| *n > 0))
            }
            Err(LogError::Refused { reason, .. })
                if reason == unknown(RDKafkaErrorCode::UnknownTopicOrPartition)
                    || reason == unknown(RDKafkaErrorCode::InvalidTopic) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the first offset of a partition and the offset after its last stable record.
    fn span(&self, topic: &str, partition: u32) -> Result<(u64, u64), LogError> {
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        let what = format!("asking for the ends of topic `{topic}`, partition {partition}");
        let (low, _) = self
            .health
            .request(&what, || self.query_client.fetch_watermarks(topic, number, REQUEST_TIMEOUT))?;
        let end = self.stable_ends(&[(topic, partition)])?;
        Ok((u64::try_from(low).unwrap_or(0), end.first().copied().unwrap_or(0)))
    }

    /// Returns the last stable offsets of partitions, with one request to each broker.
    fn stable_ends(&self, partitions: &[(&str, u32)]) -> Result<Vec<u64>, LogError> {
        if partitions.is_empty() {
            // librdkafka rejects an empty list.
            return Ok(Vec::new());
        }
        let mut asked = TopicPartitionList::new();
        for (topic, partition) in partitions {
            let number = i32::try_from(*partition).unwrap_or(i32::MAX);
            asked
                .add_partition_offset(topic, number, Offset::End)
                .map_err(|error| refused("asking for ends", &error))?;
        }
        let answer = self.health.request("asking for the ends of partitions", || {
            let answer = self.query_client.offsets_for_times(asked.clone(), REQUEST_TIMEOUT)?;
            answer
                .elements()
                .iter()
                .try_for_each(rdkafka::topic_partition_list::TopicPartitionListElem::error)?;
            Ok(answer)
        })?;
        let end = |(topic, partition): &(&str, u32)| {
            let found = answer.find_partition(topic, i32::try_from(*partition).ok()?)?;
            found.offset().to_raw().and_then(|offset| u64::try_from(offset).ok())
        };
        let missing = |(topic, partition): &(&str, u32)| LogError::Refused {
            what: format!("asking for the end of topic `{topic}`, partition {partition}"),
            reason: "the answer does not contain it".to_owned(),
        };
        partitions.iter().map(|index| end(index).ok_or_else(|| missing(index))).collect()
    }

    /// Reads records from `from` on. `from` is below `end`, the current end of the partition.
    fn fetch(
        &self,
        (topic, partition): (&str, u32),
        from: u64,
        end: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Fetched>, LogError> {
        let fetched = self.readers.read((topic, partition), from, end, records_max, bytes_max);
        if let Err(LogError::MissingRecords { .. }) = fetched {
            let (first, _) = self.span(topic, partition)?;
            if first > from {
                let topic = topic.to_owned();
                return Err(LogError::Truncated { topic, partition, wanted: from, first });
            }
        }
        fetched
    }

    /// Appends records, with numbers as keys if given. Returns the offset of the first record of each batch.
    fn produce(&self, batches: &[(Batch<'_>, Option<u64>)]) -> Result<Vec<Option<u64>>, LogError> {
        let count = batches.iter().map(|(batch, _)| batch.records.len()).sum();
        let (to, outcomes) = sync_channel(count);
        let mut index = 0;
        let mut firsts = Vec::with_capacity(batches.len());
        let enqueue_lock = self.enqueue_lock.lock().unwrap_or_else(PoisonError::into_inner);
        for (batch, number) in batches {
            firsts.push((!batch.records.is_empty()).then_some(index));
            for (bytes, nth) in batch.records.iter().zip(0_u64..) {
                let key = number.map(|first| (first + nth).to_string());
                self.enqueue(batch, bytes, key.as_deref(), index, &to)?;
                index += 1;
            }
        }
        drop(enqueue_lock);
        let mut offsets = vec![0; count];
        let since = Instant::now();
        for _ in 0..count {
            let (index, outcome) = loop {
                match outcomes.recv_timeout(POLL_INTERVAL) {
                    Ok(outcome) => break outcome,
                    Err(RecvTimeoutError::Timeout) => self.health.check_retry(since, "appending")?,
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(LogError::Stopped { reason: "the producer has stopped".to_owned() });
                    }
                }
            };
            offsets[index] = match outcome {
                Ok(offset) => u64::try_from(offset).unwrap_or(0),
                Err(error) => {
                    self.health.check()?;
                    return Err(refused("appending", &error));
                }
            };
        }
        Health::log_recovery(since, "appending");
        Ok(firsts.into_iter().map(|first| first.map(|index| offsets[index])).collect())
    }

    /// Appends records copied from another log. In a deciding topic they get numbers from `first_number` on, or are void
    /// without it. Returns the offset of the first.
    ///
    /// # Errors
    /// As [`EventLog::append`].
    pub fn append_copied(
        &self,
        topic: &str,
        partition: u32,
        first_number: Option<u64>,
        records: &[&[u8]],
    ) -> Result<u64, LogError> {
        let batch = Batch { topic, partition, records };
        check_batches(&[batch])?;
        self.find(topic, partition)?;
        let firsts = self.produce(&[(batch, first_number.filter(|_| decides(topic)))])?;
        firsts.first().copied().flatten().map_or_else(|| self.end(topic, partition), Ok)
    }

    /// Passes one record to the producer. Waits while the producer's queue is full.
    fn enqueue(
        &self,
        batch: &Batch<'_>,
        bytes: &[u8],
        key: Option<&str>,
        index: usize,
        to: &std::sync::mpsc::SyncSender<(usize, Result<i64, KafkaError>)>,
    ) -> Result<(), LogError> {
        let since = Instant::now();
        let mut record =
            BaseRecord::with_opaque_to(batch.topic, Box::new(Delivery { index, to: to.clone() }))
                .partition(i32::try_from(batch.partition).unwrap_or(i32::MAX))
                .payload(bytes);
        record.key = key;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), returned)) => {
                    self.health.check_retry(since, "appending")?;
                    record = returned;
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err((error, _)) => return Err(refused("appending", &error)),
            }
        }
    }
}

fn unknown(code: RDKafkaErrorCode) -> String {
    KafkaError::MetadataFetch(code).to_string()
}

impl EventLog for KafkaLog {
    fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError> {
        let kept = if topic.starts_with(INBOX_PREFIX) { Kept::Days(30) } else { Kept::ForEver };
        self.create(&TopicSpec { name: topic.to_owned(), partitions, kept })
    }

    fn topics(&self) -> Result<Vec<String>, LogError> {
        let metadata = self
            .health
            .request("listing topics", || self.query_client.fetch_metadata(None, REQUEST_TIMEOUT))?;
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        // Kafka's internal topics begin with two underscores.
        let mut names: Vec<String> = names.filter(|name| !name.starts_with("__")).collect();
        names.sort();
        Ok(names)
    }

    fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        let known = self.partitions.lock().unwrap_or_else(PoisonError::into_inner).get(topic).copied();
        if let Some(partitions) = known {
            return Ok(partitions);
        }
        let found = if check_topic(topic).is_ok() { self.ask_partitions(topic)? } else { None };
        let partitions = found.ok_or_else(|| LogError::NoTopic { topic: topic.to_owned() })?;
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), partitions);
        Ok(partitions)
    }

    fn append(&self, topic: &str, partition: u32, records: &[&[u8]]) -> Result<u64, LogError> {
        let offsets = self.append_many(&[Batch { topic, partition, records }])?;
        offsets.first().copied().ok_or_else(|| LogError::NoTopic { topic: topic.to_owned() })
    }

    fn append_many(&self, batches: &[Batch<'_>]) -> Result<Vec<u64>, LogError> {
        check_batches(batches)?;
        batches.iter().try_for_each(|batch| self.find(batch.topic, batch.partition))?;
        let unnumbered: Vec<(Batch<'_>, Option<u64>)> = batches.iter().map(|batch| (*batch, None)).collect();
        let firsts = self.produce(&unnumbered)?;
        let of_batch = |(batch, first): (&Batch<'_>, Option<u64>)| match first {
            Some(offset) => Ok(offset),
            None => self.end(batch.topic, batch.partition),
        };
        batches.iter().zip(firsts).map(of_batch).collect()
    }

    fn append_at(&self, topic: &str, number: u64, record: &[u8]) -> Result<Appended, LogError> {
        let partitions = self.partitions(topic)?;
        check_batches(&[Batch { topic, partition: 0, records: &[record] }])?;
        if partitions != 1 || !decides(topic) {
            return Err(LogError::NotDeciding { topic: topic.to_owned(), partitions });
        }
        self.decide(topic, number, record)
    }

    fn anchor(&self, topic: &str, number: u64, offset: u64) {
        self.decided.anchor(topic, number, offset);
    }

    fn read(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, LogError> {
        self.find(topic, partition)?;
        let (start, end) = if self.readers.is_at((topic, partition), from) {
            // The reader has just been at this offset. If the record has been deleted since, fetching it fails.
            (from, self.end(topic, partition)?)
        } else {
            self.span(topic, partition)?
        };
        if from < start {
            return Err(LogError::Truncated {
                topic: topic.to_owned(),
                partition,
                wanted: from,
                first: start,
            });
        }
        if from > end {
            return Err(LogError::BeyondEnd { topic: topic.to_owned(), partition, wanted: from, end });
        }
        if decides(topic) {
            return self.read_decided(topic, from, end, records_max, bytes_max);
        }
        let fetched = if from < end {
            self.fetch((topic, partition), from, end, records_max, bytes_max)?
        } else {
            Vec::new()
        };
        Ok(fetched
            .into_iter()
            .map(|fetched| Entry { offset: fetched.offset, bytes: fetched.bytes })
            .collect())
    }

    fn start(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        self.find(topic, partition)?;
        Ok(self.span(topic, partition)?.0)
    }

    fn end(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        self.find(topic, partition)?;
        Ok(self.stable_ends(&[(topic, partition)])?.first().copied().unwrap_or(0))
    }

    fn ends(&self, partitions: &[(&str, u32)]) -> Result<Vec<u64>, LogError> {
        partitions.iter().try_for_each(|(topic, partition)| self.find(topic, *partition))?;
        self.stable_ends(partitions)
    }

    fn truncate_before(&self, topic: &str, partition: u32, offset: u64) -> Result<(), LogError> {
        self.find(topic, partition)?;
        let (start, end) = self.span(topic, partition)?;
        if offset > end {
            return Err(LogError::BeyondEnd { topic: topic.to_owned(), partition, wanted: offset, end });
        }
        if offset <= start { Ok(()) } else { self.delete_before(topic, partition, offset) }
    }

    fn wait(&self, topic: &str, partition: u32, end_seen: u64, timeout: Duration) -> Result<bool, LogError> {
        self.find(topic, partition)?;
        let since = Instant::now();
        loop {
            let end = self.end(topic, partition)?;
            if end > end_seen {
                return Ok(true);
            }
            let left = timeout.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            // A new record wakes this call at once. An end that moves by transaction markers alone is seen at the next poll.
            if end < end_seen {
                std::thread::sleep(left.min(POLL_INTERVAL));
            } else if self.readers.peek((topic, partition), end, left.min(POLL_INTERVAL))? {
                return Ok(true);
            }
        }
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        self.dropped.store(true, std::sync::atomic::Ordering::Release);
        if let Some(events_thread) = self.events_thread.take() {
            // The panic hook has already reported a panic of that thread.
            let _ = events_thread.join();
        }
    }
}
