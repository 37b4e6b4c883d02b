//! Measurements that wait for the sink: one open batch, and a bounded queue of closed ones.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use spillway_events::{Measurement, MeasurementBatch, Series, SourceName, TimeMicros};
use tokio::time::Instant;

use crate::attempt::Attempt;

/// The measurements that wait for the sink.
pub(crate) struct Outbox {
    source: SourceName,
    boot: u64,
    sequence: u64,
    records_max: usize,
    batches_max: usize,
    flush_interval: Duration,
    flush_at: Option<Instant>,
    series: Vec<Series>,
    numbers: HashMap<Series, u32>,
    measurements: Vec<Measurement>,
    /// Closed batches, oldest first.
    pub queue: VecDeque<MeasurementBatch>,
}

impl Outbox {
    pub(crate) fn new(
        source: SourceName,
        boot: u64,
        records_max: usize,
        batches_max: usize,
        flush_interval: Duration,
    ) -> Self {
        Self {
            source,
            boot,
            sequence: 0,
            records_max,
            batches_max,
            flush_interval,
            flush_at: None,
            series: Vec::new(),
            numbers: HashMap::new(),
            measurements: Vec::new(),
            queue: VecDeque::new(),
        }
    }

    /// Adds an attempt, and closes the batch if it is full. Returns the batch that was dropped for it, if any.
    pub(crate) fn push(
        &mut self,
        series: &Series,
        attempt: &Attempt,
        at_us: TimeMicros,
        now: Instant,
    ) -> Option<MeasurementBatch> {
        let number = match self.numbers.get(series) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
                self.series.push(series.clone());
                self.numbers.insert(series.clone(), number);
                number
            }
        };
        self.flush_at.get_or_insert_with(|| now + self.flush_interval);
        self.measurements.push(attempt.measurement(number, at_us));
        if self.measurements.len() >= self.records_max { self.close() } else { None }
    }

    /// The time at which the open batch has to be closed. While other batches wait it is closed only when it is full, so
    /// that the queue holds as many measurements as possible while the log is unavailable.
    pub(crate) fn flush_at(&self) -> Option<Instant> {
        self.flush_at.filter(|_| self.queue.is_empty())
    }

    /// Closes the open batch, unless it is empty. Returns the oldest batch of the queue if it had to be dropped.
    pub(crate) fn close(&mut self) -> Option<MeasurementBatch> {
        self.flush_at = None;
        if self.measurements.is_empty() {
            return None;
        }
        self.sequence += 1;
        self.numbers.clear();
        let batch = MeasurementBatch {
            source: self.source.clone(),
            boot: self.boot,
            sequence: self.sequence,
            series: std::mem::take(&mut self.series),
            measurements: std::mem::take(&mut self.measurements),
        };
        let dropped = if self.queue.len() >= self.batches_max { self.queue.pop_front() } else { None };
        self.queue.push_back(batch);
        dropped
    }
}
