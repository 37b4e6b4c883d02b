//! The queue of jobs for the writer, bounded in jobs and in bytes. Callers wait while it is full.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::topics::Topic;
use crate::block::Packed;
use crate::limits::{JOB_BYTES, QUEUE_BYTES_MAX, QUEUE_JOBS_MAX};
use crate::{Appended, LogError};

/// One job for the writer, and the channel for its answer.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) reply: SyncSender<Result<Done, LogError>>,
}

/// The work of a job.
pub(super) enum Work {
    Append { parts: Vec<Part> },
    AppendAt { topic: Arc<Topic>, number: u64, record: Vec<u8> },
    Create { topic: String, partitions: u32 },
    Truncate { topic: Arc<Topic>, partition: u32, offset: u64 },
}

/// Records for one partition.
pub(super) struct Part {
    pub(super) topic: Arc<Topic>,
    pub(super) partition: u32,
    pub(super) records: Packed,
}

/// The result of a job.
pub(super) enum Done {
    Offsets(Vec<u64>),
    Decided(Appended),
    Nothing,
}

/// The queue.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    emptied: Condvar,
}

struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::new(Waiting { jobs: VecDeque::new(), bytes: 0, closed: false }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        }
    }

    /// Adds a job; waits while the queue is full. A job for a closed queue is dropped, which closes its reply channel.
    pub(super) fn push(&self, job: Job) {
        let bytes = job.bytes();
        let mut waiting = self
            .emptied
            .wait_while(self.lock(), |waiting| {
                let full = waiting.jobs.len() >= QUEUE_JOBS_MAX || waiting.bytes + bytes > QUEUE_BYTES_MAX;
                full && !waiting.jobs.is_empty() && !waiting.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        if !waiting.closed {
            waiting.bytes += bytes;
            waiting.jobs.push_back(job);
            self.filled.notify_one();
        }
    }

    /// Waits for jobs and takes all of them: none after the timeout. Returns `None` once the queue is closed and empty.
    pub(super) fn take_all(&self, timeout: Option<Duration>) -> Option<VecDeque<Job>> {
        let (mut waiting, _) = self
            .filled
            .wait_timeout_while(self.lock(), timeout.unwrap_or(Duration::MAX), |waiting| {
                waiting.jobs.is_empty() && !waiting.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        waiting.bytes = 0;
        let jobs = std::mem::take(&mut waiting.jobs);
        self.emptied.notify_all();
        (!jobs.is_empty() || !waiting.closed).then_some(jobs)
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    fn bytes(&self) -> usize {
        let records = match &self.work {
            Work::Append { parts } => parts.iter().map(|part| JOB_BYTES + part.records.bytes.len()).sum(),
            Work::AppendAt { record, .. } => record.len(),
            Work::Create { .. } | Work::Truncate { .. } => 0,
        };
        JOB_BYTES + records
    }
}
