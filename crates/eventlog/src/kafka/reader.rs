//! Reading a partition at a place that moves on. A client fetches a partition from one place at a time, so two
//! clients take turns: one that goes on where it was is left alone, and the other goes where somebody looks.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::client::{Context, Health, LOOK, REQUEST, is_passing, refused};
use crate::LogError;

/// How long a record may take to follow the event of an end that it stands behind: one that is there comes at once.
const BEHIND_AN_END: Duration = Duration::from_millis(20);

/// A record as it came, with the number in its key.
pub(super) struct Fetched {
    pub(super) offset: u64,
    pub(super) number: Option<u64>,
    pub(super) bytes: Vec<u8>,
}

/// All partitions that are read.
pub(super) struct Readers {
    consumers: [Arc<BaseConsumer<Context>>; 2],
    health: Arc<Health>,
    places: Mutex<HashMap<(String, u32), Arc<Pair>>>,
}

/// One place for each client.
type Pair = [Mutex<Reader>; 2];

/// One client's place in one partition.
pub(super) struct Reader {
    consumer: Arc<BaseConsumer<Context>>,
    health: Arc<Health>,
    topic: String,
    partition: u32,
    /// Of its own, apart from those of other partitions.
    queue: Option<PartitionQueue<Context>>,
    /// From where it reads on; nothing before the first look.
    next: Option<u64>,
    /// From here up to `next` there is no record.
    empty_from: u64,
    is_assigned: bool,
    /// Fetched but not handed out.
    stash: VecDeque<Fetched>,
    /// The end of the partition as it was known when the place was taken: an end-of-partition event that comes
    /// later tells at least of that one.
    end_at_start: u64,
}

impl Readers {
    pub(super) fn new(consumers: [Arc<BaseConsumer<Context>>; 2], health: Arc<Health>) -> Self {
        Self { consumers, health, places: Mutex::default() }
    }

    /// The client that stands at `from`, or the one that is to go there.
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
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry((topic.to_owned(), partition)).or_insert_with(|| {
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
                    stash: VecDeque::new(),
                    end_at_start: 0,
                })
            };
            let [first, second] = &self.consumers;
            Arc::new([reader(first), reader(second)])
        });
        Arc::clone(place)
    }

    /// Whether a client stands at `from` and goes on there.
    pub(super) fn is_at(&self, (topic, partition): (&str, u32), from: u64) -> bool {
        let is_there = |reader: &Mutex<Reader>| reader.try_lock().is_ok_and(|reader| reader.is_at(from));
        self.readers(topic, partition).iter().any(is_there)
    }

    /// Reads records from `from` on, which is below `end`, the partition's end as it was just now: at least one, unless
    /// only transaction markers are left up to there.
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

    /// Waits a moment for a record at `from`, the partition's end as it was just now, or beyond.
    pub(super) fn peek(
        &self,
        (topic, partition): (&str, u32),
        from: u64,
        moment: Duration,
    ) -> Result<bool, LogError> {
        self.with(topic, partition, from, |reader| reader.peek(from, moment))
    }

    /// Serves what the clients have to say besides records, until the log is dropped.
    pub(super) fn serve(
        &self,
        asker: Arc<BaseConsumer<Context>>,
        dropped: Arc<AtomicBool>,
    ) -> std::io::Result<JoinHandle<()>> {
        let [first, second] = self.consumers.clone();
        let (clients, health) = ([first, second, asker], Arc::clone(&self.health));
        std::thread::Builder::new().name("kafka-events".to_owned()).spawn(move || {
            while !dropped.load(Ordering::Acquire) {
                for consumer in &clients {
                    match consumer.poll(LOOK / 3) {
                        // Every partition has a queue of its own before it is fetched.
                        Some(Ok(message)) => {
                            let (topic, offset) = (message.topic(), message.offset());
                            health.fail(format!("a record of {topic} at offset {offset} came astray"));
                        }
                        Some(Err(KafkaError::MessageConsumptionFatal(code))) => health.fail(code.to_string()),
                        Some(Err(error)) => health.note(&error, ""),
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
            // What was taken before is not handed out.
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
        let mut next = self.go_to(from, end)?;
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
                self.stash.push_front(fetched);
                break;
            }
            next = fetched.offset + 1;
            empty_from = next;
            taken.push(fetched);
        }
        (self.next, self.empty_from) = (Some(next), empty_from);
        Ok(taken)
    }

    fn peek(&mut self, from: u64, moment: Duration) -> Result<bool, LogError> {
        let next = self.go_to(from, from)?;
        if self.stash.is_empty() {
            let polled = self.poll(next, moment);
            if polled.is_err() {
                self.next = None;
            }
            self.stash.extend(polled?.record());
        }
        Ok(!self.stash.is_empty())
    }

    fn is_at(&self, from: u64) -> bool {
        self.next.is_some_and(|next| (self.empty_from..=next).contains(&from))
    }

    /// Takes the place at `from`, unless it is there. Returns from where it reads on, which is further where nothing
    /// stands in between.
    fn go_to(&mut self, from: u64, end: u64) -> Result<u64, LogError> {
        match self.next {
            Some(next) if self.is_at(from) => Ok(next),
            _ => self.start_at(from, end).map(|()| from),
        }
    }

    fn start_at(&mut self, from: u64, end: u64) -> Result<(), LogError> {
        let partition = i32::try_from(self.partition).unwrap_or(i32::MAX);
        let mut place = TopicPartitionList::new();
        let offset = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        let what = format!("reading topic `{}`, partition {partition}", self.topic);
        let told = |error: &KafkaError| refused(&what, error);
        place.add_partition_offset(&self.topic, partition, offset).map_err(|error| told(&error))?;
        self.stash.clear();
        self.next = None;
        if std::mem::take(&mut self.is_assigned) {
            self.consumer.incremental_unassign(&place).map_err(|error| told(&error))?;
        }
        let is_first_time = self.queue.is_none();
        if is_first_time {
            // Before anything is fetched, so that nothing goes to the queue that all partitions share.
            self.queue = self.consumer.split_partition_queue(&self.topic, partition);
        }
        self.consumer.incremental_assign(&place).map_err(|error| told(&error))?;
        self.is_assigned = true;
        if is_first_time {
            // Tells the client who leads the partition. By itself it looks once a second, and if this fails it still does.
            let _ = self.consumer.fetch_metadata(Some(&self.topic), REQUEST);
        }
        (self.next, self.empty_from) = (Some(from), from);
        self.end_at_start = end;
        Ok(())
    }

    /// The next record at or after `next`; nothing when only transaction markers are left before `end`.
    ///
    /// An end-of-partition event may be of an earlier end and have waited in the queue. Then a record or another event
    /// follows it. Where none does soon, the place is taken anew: events of before are void then, and one that comes tells
    /// of the end as it is now.
    fn fetch(&mut self, next: u64, end: u64) -> Result<Option<Fetched>, LogError> {
        if let Some(fetched) = self.stash.pop_front() {
            return Ok(Some(fetched));
        }
        let since = Instant::now();
        let mut at_an_end = false;
        loop {
            match self.poll(next, if at_an_end { BEHIND_AN_END } else { LOOK })? {
                Polled::Record(fetched) => return Ok(Some(fetched)),
                Polled::End if self.end_at_start >= end => return Ok(None),
                Polled::End => at_an_end = true,
                Polled::Nothing if at_an_end => {
                    self.start_at(next, end)?;
                    at_an_end = false;
                }
                Polled::Nothing => {
                    let what = format!("reading topic `{}`, partition {}", self.topic, self.partition);
                    self.health.wait_on(since, &what)?;
                }
            }
        }
    }

    fn poll(&mut self, next: u64, moment: Duration) -> Result<Polled, LogError> {
        self.health.check()?;
        let Some(queue) = &self.queue else { return Ok(Polled::Nothing) };
        match queue.poll(moment) {
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
                    // Retention took the records in the meantime, or the cluster lost them.
                    Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                        Err(LogError::Gone {
                            topic: self.topic.clone(),
                            partition: self.partition,
                            offset: next,
                        })
                    }
                    _ if is_passing(&error) => Ok(Polled::Nothing),
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
