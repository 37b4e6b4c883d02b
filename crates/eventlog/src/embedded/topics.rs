//! The topics in memory: names, partitions, their durable spans, and the threads that wait for new records.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::rows::Span;
use crate::LogError;

/// All topics by name.
#[derive(Default)]
pub(super) struct Topics(RwLock<BTreeMap<String, Arc<Topic>>>);

/// One topic.
pub(super) struct Topic {
    /// Its id in the store.
    pub(super) id: u32,
    pub(super) name: String,
    spans: Vec<RwLock<Span>>,
    /// The threads to wake when a span changes.
    waiters: Mutex<Vec<Arc<Waiter>>>,
}

/// A waiting thread.
#[derive(Default)]
struct Waiter {
    lock: Mutex<()>,
    wake: Condvar,
}

impl Waiter {
    fn wake(&self) {
        // The thread holds this lock from checking the ends until it sleeps, so it misses no wake-up.
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_all();
    }
}

/// A partition and the end that a waiting thread has seen.
pub(super) struct Awaited {
    pub(super) topic: Arc<Topic>,
    pub(super) partition: u32,
    pub(super) end_seen: u64,
}

/// Waits and returns whether any end exceeded the one seen before the timeout or the stop.
pub(super) fn wait_any(awaited: &[Awaited], timeout: Duration, stopped: impl Fn() -> bool) -> bool {
    let moved = || awaited.iter().any(|end| end.topic.span(end.partition).end > end.end_seen);
    let waiter = Arc::new(Waiter::default());
    for Awaited { topic, .. } in awaited {
        topic.waiters.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&waiter));
    }
    let guard = waiter.lock.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = waiter.wake.wait_timeout_while(guard, timeout, |()| !moved() && !stopped());
    drop(waited.unwrap_or_else(PoisonError::into_inner));
    for Awaited { topic, .. } in awaited {
        let mut waiters = topic.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.retain(|registered| !Arc::ptr_eq(registered, &waiter));
    }
    moved()
}

impl Topics {
    pub(super) fn find(&self, topic: &str) -> Result<Arc<Topic>, LogError> {
        let topics = self.0.read().unwrap_or_else(PoisonError::into_inner);
        topics.get(topic).map(Arc::clone).ok_or_else(|| LogError::NoTopic { topic: topic.to_owned() })
    }

    pub(super) fn find_partition(&self, topic: &str, partition: u32) -> Result<Arc<Topic>, LogError> {
        let found = self.find(topic)?;
        let partitions = found.partitions();
        if partition >= partitions {
            return Err(LogError::NoPartition { topic: topic.to_owned(), partition, partitions });
        }
        Ok(found)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn all(&self) -> Vec<Arc<Topic>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect()
    }

    pub(super) fn add(&self, topic: Arc<Topic>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(topic.name.clone(), topic);
    }
}

impl Topic {
    pub(super) fn new(id: u32, name: &str, partitions: u32) -> Self {
        Self {
            id,
            name: name.to_owned(),
            spans: (0..partitions).map(|_| RwLock::default()).collect(),
            waiters: Mutex::default(),
        }
    }

    pub(super) fn partitions(&self) -> u32 {
        u32::try_from(self.spans.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn require_partitions(&self, wanted: u32) -> Result<(), LogError> {
        let has = self.partitions();
        if has == wanted {
            return Ok(());
        }
        Err(LogError::PartitionsDiffer { topic: self.name.clone(), has, wanted })
    }

    /// Returns the span of a partition, or an empty one if the partition does not exist.
    pub(super) fn span(&self, partition: u32) -> Span {
        self.at(partition)
            .map_or_else(Span::default, |span| *span.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a durable change visible and wakes the waiting threads.
    pub(super) fn publish(&self, partition: u32, span: Span) {
        if let Some(published) = self.at(partition) {
            *published.write().unwrap_or_else(PoisonError::into_inner) = span;
        }
        self.wake_all();
    }

    pub(super) fn wake_all(&self) {
        for waiter in self.waiters.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            waiter.wake();
        }
    }

    fn at(&self, partition: u32) -> Option<&RwLock<Span>> {
        self.spans.get(usize::try_from(partition).ok()?)
    }
}
