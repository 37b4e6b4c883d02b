//! The log on Apache Kafka: a topic is a Kafka topic, an offset a Kafka offset.
//!
//! ```text
//!  appenders ──► one idempotent producer ──► brokers: acknowledged by all replicas in sync ──► acknowledgements
//!                                               │
//!  readers, waiters ◄── two consumers ◄─────────┘   each partition read where it was left, at most in two places
//! ```
//!
//! No groups, no transactions, no compaction. Aborted transactions of strangers are not seen; they and markers leave
//! gaps in the offsets. In topics that decide, the number stands in the record's key as decimal text: the first record
//! that carries the last number plus one is valid, and any other is void and not handed out (`decided`).
//!
//! While no broker answers, calls go on trying, for as long as the settings say or until told to stop.

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

use self::client::{Context, Delivery, Health, LOOK, REQUEST, refused};
use self::decided::Decided;
use self::reader::{Fetched, Readers};
pub use self::settings::{KafkaSecurity, KafkaSettings};
pub use self::topics::{Kept, TopicMismatch, TopicSpec};
use crate::limits::{check_batches, check_topic};
use crate::{Appended, Batch, Entry, EventLog, LogError};

/// The log on a cluster. Dropping it gives up what is not acknowledged.
pub struct KafkaLog {
    settings: KafkaSettings,
    health: Arc<Health>,
    /// Told to stop when this log is dropped, apart from the caller's own flag.
    dropped: Arc<AtomicBool>,
    readers: Readers,
    /// Asks questions and fetches nothing: a broker answers one request of a connection after the other, and a fetch
    /// may be kept for a while.
    asker: Arc<BaseConsumer<Context>>,
    producer: ThreadedProducer<Context>,
    /// Held while the records of one append are handed over, so that they stand together.
    handing_over: Mutex<()>,
    partitions: Mutex<HashMap<String, u32>>,
    decided: Decided,
    serving: Option<JoinHandle<()>>,
}

impl KafkaLog {
    /// Prepares the clients; opens no connection yet. After `cancel` every call ends with [`LogError::Cancelled`].
    ///
    /// # Errors
    /// [`LogError::Settings`].
    pub fn connect(settings: KafkaSettings, cancel: CancellationToken) -> Result<Self, LogError> {
        let health = Arc::new(Health::new(cancel, settings.patience));
        let told = |error: &KafkaError| LogError::Settings { reason: error.to_string() };
        let consumer = || {
            let context = Context(Arc::clone(&health));
            BaseConsumer::from_config_and_context(&settings.consumer()?, context)
                .map(Arc::new)
                .map_err(|error| told(&error))
        };
        let (consumers, asker) = ([consumer()?, consumer()?], consumer()?);
        let producer =
            ThreadedProducer::from_config_and_context(&settings.producer()?, Context(Arc::clone(&health)))
                .map_err(|error| told(&error))?;
        let readers = Readers::new(consumers, Arc::clone(&health));
        let dropped = Arc::new(AtomicBool::new(false));
        let serving = readers
            .serve(Arc::clone(&asker), Arc::clone(&dropped))
            .map_err(|error| LogError::Settings { reason: error.to_string() })?;
        Ok(Self {
            settings,
            health,
            dropped,
            readers,
            asker,
            producer,
            handing_over: Mutex::new(()),
            partitions: Mutex::default(),
            decided: Decided::default(),
            serving: Some(serving),
        })
    }

    /// Checks that a partition is there.
    fn find(&self, topic: &str, partition: u32) -> Result<(), LogError> {
        let partitions = self.partitions(topic)?;
        if partition < partitions {
            return Ok(());
        }
        Err(LogError::NoPartition { topic: topic.to_owned(), partition, partitions })
    }

    /// How many partitions a topic has, as the brokers say now; nothing if there is no such topic.
    fn ask_partitions(&self, topic: &str) -> Result<Option<u32>, LogError> {
        let what = format!("looking for topic `{topic}`");
        let metadata = self.health.request(&what, || {
            let metadata = self.asker.fetch_metadata(Some(topic), REQUEST)?;
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

    /// The first offset of a partition and the one after its last stable record.
    fn span(&self, topic: &str, partition: u32) -> Result<(u64, u64), LogError> {
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        let what = format!("asking for the ends of topic `{topic}`, partition {partition}");
        let (low, _) = self.health.request(&what, || self.asker.fetch_watermarks(topic, number, REQUEST))?;
        let end = self.stable_ends(&[(topic, partition)])?;
        Ok((u64::try_from(low).unwrap_or(0), end.first().copied().unwrap_or(0)))
    }

    /// The last stable offsets of partitions, one request a broker.
    fn stable_ends(&self, places: &[(&str, u32)]) -> Result<Vec<u64>, LogError> {
        if places.is_empty() {
            // librdkafka calls that an invalid argument.
            return Ok(Vec::new());
        }
        let mut asked = TopicPartitionList::new();
        for (topic, partition) in places {
            let number = i32::try_from(*partition).unwrap_or(i32::MAX);
            asked
                .add_partition_offset(topic, number, Offset::End)
                .map_err(|error| refused("asking for ends", &error))?;
        }
        let answer = self.health.request("asking for the ends of partitions", || {
            let answer = self.asker.offsets_for_times(asked.clone(), REQUEST)?;
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
            reason: "the answer leaves it out".to_owned(),
        };
        places.iter().map(|place| end(place).ok_or_else(|| missing(place))).collect()
    }

    /// Reads records from `from` on, which is below `end`, the partition's end as it was just now.
    fn fetch(
        &self,
        (topic, partition): (&str, u32),
        from: u64,
        end: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Fetched>, LogError> {
        let fetched = self.readers.read((topic, partition), from, end, records_max, bytes_max);
        if let Err(LogError::Gone { .. }) = fetched {
            let (first, _) = self.span(topic, partition)?;
            if first > from {
                let topic = topic.to_owned();
                return Err(LogError::Truncated { topic, partition, wanted: from, first });
            }
        }
        fetched
    }

    /// Appends records with the keys that they have; returns the offset of the first of each batch.
    fn produce(&self, batches: &[(Batch<'_>, Option<u64>)]) -> Result<Vec<Option<u64>>, LogError> {
        let count = batches.iter().map(|(batch, _)| batch.records.len()).sum();
        let (to, outcomes) = sync_channel(count);
        let mut place = 0;
        let mut firsts = Vec::with_capacity(batches.len());
        let handing_over = self.handing_over.lock().unwrap_or_else(PoisonError::into_inner);
        for (batch, number) in batches {
            firsts.push((!batch.records.is_empty()).then_some(place));
            for (bytes, nth) in batch.records.iter().zip(0_u64..) {
                let key = number.map(|first| (first + nth).to_string());
                self.hand_over(batch, bytes, key.as_deref(), place, &to)?;
                place += 1;
            }
        }
        drop(handing_over);
        let mut offsets = vec![0; count];
        let since = Instant::now();
        for _ in 0..count {
            let (place, outcome) = loop {
                match outcomes.recv_timeout(LOOK) {
                    Ok(outcome) => break outcome,
                    Err(RecvTimeoutError::Timeout) => self.health.wait_on(since, "appending")?,
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(LogError::Stopped { reason: "the producer has ended".to_owned() });
                    }
                }
            };
            offsets[place] = match outcome {
                Ok(offset) => u64::try_from(offset).unwrap_or(0),
                Err(error) => {
                    self.health.check()?;
                    return Err(refused("appending", &error));
                }
            };
        }
        Health::answered(since, "appending");
        Ok(firsts.into_iter().map(|first| first.map(|place| offsets[place])).collect())
    }

    /// Appends records of another log, to be followed by others: in a topic that decides with numbers from the first one
    /// on, or void without it. Returns the offset of the first.
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

    /// Gives one record to the producer; waits while it has too many.
    fn hand_over(
        &self,
        batch: &Batch<'_>,
        bytes: &[u8],
        key: Option<&str>,
        place: usize,
        to: &std::sync::mpsc::SyncSender<(usize, Result<i64, KafkaError>)>,
    ) -> Result<(), LogError> {
        let since = Instant::now();
        let mut record =
            BaseRecord::with_opaque_to(batch.topic, Box::new(Delivery { place, to: to.clone() }))
                .partition(i32::try_from(batch.partition).unwrap_or(i32::MAX))
                .payload(bytes);
        record.key = key;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), returned)) => {
                    self.health.wait_on(since, "appending")?;
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
        let metadata = self.health.request("listing topics", || self.asker.fetch_metadata(None, REQUEST))?;
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        // Kafka's own begin so.
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
            // What was there a moment ago; should it be gone, fetching it fails.
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

    fn ends(&self, places: &[(&str, u32)]) -> Result<Vec<u64>, LogError> {
        places.iter().try_for_each(|(topic, partition)| self.find(topic, *partition))?;
        self.stable_ends(places)
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
            // A record wakes at once. An end that moves by markers alone is seen at the next look.
            if end < end_seen {
                std::thread::sleep(left.min(LOOK));
            } else if self.readers.peek((topic, partition), end, left.min(LOOK))? {
                return Ok(true);
            }
        }
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        self.dropped.store(true, std::sync::atomic::Ordering::Release);
        if let Some(serving) = self.serving.take() {
            // A panic of that thread has been reported by the panic hook.
            let _ = serving.join();
        }
    }
}
