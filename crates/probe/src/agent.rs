//! The agent: runs assignments when they are due, and hands the measurements to the sink.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use spillway_events::{MeasurementBatch, Outcome, Series, SourceName, TimeMicros};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::assignment::Assignment;
use crate::attempt::Attempt;
use crate::limits::{
    ASSIGNMENTS_MAX, ATTEMPTS_AT_ONCE_MAX, BATCH_RECORDS_LIMIT, Limits, QUEUE_BATCHES_LIMIT,
};
use crate::measure::measure;
use crate::outbox::Outbox;
use crate::schedule::Schedule;
use crate::sender::Sender;

/// The settings of an agent.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// The source of its batches.
    pub source: SourceName,
    /// The boot id of its batches. It must differ at every start.
    pub boot: u64,
    /// Spreads the attempts over their intervals. The same seed gives the same times.
    pub seed: u64,
    /// Bounds of each attempt.
    pub limits: Limits,
    /// The maximum time from a measurement until its batch is closed.
    pub flush_interval: Duration,
    /// A batch with this many measurements is closed; at least 1, at most [`BATCH_RECORDS_LIMIT`].
    pub batch_records_max: usize,
    /// The maximum number of closed batches that wait for the sink; beyond it the oldest is dropped. At least 1, at most
    /// [`QUEUE_BATCHES_LIMIT`].
    pub queue_batches_max: usize,
    /// The pause after the sink failed; it doubles up to 10 seconds while the sink keeps failing.
    pub retry_interval: Duration,
    /// How long the agent tries to hand over its measurements after it is cancelled.
    pub stop_timeout: Duration,
    /// The wall clock, for the time of each measurement.
    pub now: fn() -> TimeMicros,
}

/// Counts since the start of an agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AgentCounts {
    /// Assignments that it runs now.
    pub assignments: u64,
    /// Assignments beyond [`ASSIGNMENTS_MAX`], which it does not run.
    pub assignments_dropped: u64,
    /// Attempts that ended.
    pub attempts: u64,
    /// Attempts that failed.
    pub attempts_failed: u64,
    /// Attempts that were refused: nothing was tried.
    pub attempts_refused: u64,
    /// Slots that were skipped because too many attempts ran, or because the last attempt of the series still ran.
    pub slots_missed: u64,
    /// Batches that the sink accepted.
    pub batches_delivered: u64,
    /// Times that the sink failed.
    pub deliveries_failed: u64,
    /// Batches dropped because the queue was full, or undelivered at the end.
    pub batches_dropped: u64,
    /// The measurements in the dropped batches.
    pub measurements_dropped: u64,
}

/// A probe agent, ready to run.
#[derive(Debug)]
pub struct Agent {
    settings: AgentSettings,
    counts: watch::Sender<AgentCounts>,
}

impl Agent {
    /// An agent with its settings.
    #[must_use]
    pub fn new(settings: AgentSettings) -> Self {
        Self { settings, counts: watch::Sender::default() }
    }

    /// The counts of the agent, updated while it runs.
    #[must_use]
    pub fn counts(&self) -> watch::Receiver<AgentCounts> {
        self.counts.subscribe()
    }

    /// Runs the newest assignments until cancelled; then hands over the remaining measurements.
    ///
    /// The sink gets one batch at a time, and the same one again until it returns `Ok`: an error means "retry later". A sink
    /// that will never accept a batch must return `Ok` too. A call may take any time; a sink that could block for ever needs
    /// a timeout of its own. Attempts in flight at the end are dropped. Returns the counts.
    pub async fn run<S, F>(
        self,
        mut assignments: watch::Receiver<Arc<Vec<Assignment>>>,
        sink: S,
        cancel: CancellationToken,
    ) -> AgentCounts
    where
        S: Fn(MeasurementBatch) -> F,
        F: Future<Output = Result<(), String>>,
    {
        let mut sender = Sender::new(sink, self.settings.retry_interval);
        let mut state = Running::new(self.settings, self.counts);
        assignments.mark_changed();
        let mut provisioned = true;
        loop {
            let has_room = state.attempts.len() < ATTEMPTS_AT_ONCE_MAX;
            tokio::select! {
                () = cancel.cancelled() => break,
                changed = assignments.changed(), if provisioned => {
                    // If the sender is gone, the last assignments stay.
                    provisioned = changed.is_ok();
                    if provisioned {
                        let newest = Arc::clone(&assignments.borrow_and_update());
                        state.adopt(&newest);
                    }
                }
                Some(ended) = state.attempts.join_next() => state.end(ended),
                () = at(state.schedule.next_at()), if has_room => state.start(),
                () = at(state.outbox.flush_at()) => state.flush(),
                outcome = sender.step(&mut state.outbox.queue) => state.delivered(&outcome),
            }
        }
        state.stop(sender).await
    }
}

/// An attempt that ended: its series, its outcome, and its time.
type Ended = (Series, Attempt, TimeMicros);

struct Running {
    now: fn() -> TimeMicros,
    stop_timeout: Duration,
    limits: Arc<Limits>,
    schedule: Schedule,
    attempts: JoinSet<Ended>,
    /// Series being measured: a series is not measured twice at once.
    under_way: HashMap<Series, Id>,
    outbox: Outbox,
    counts: watch::Sender<AgentCounts>,
}

impl Running {
    fn new(settings: AgentSettings, counts: watch::Sender<AgentCounts>) -> Self {
        Self {
            now: settings.now,
            stop_timeout: settings.stop_timeout,
            limits: Arc::new(settings.limits),
            schedule: Schedule::new(Instant::now(), settings.seed),
            attempts: JoinSet::new(),
            under_way: HashMap::new(),
            outbox: Outbox::new(
                settings.source,
                settings.boot,
                settings.batch_records_max.clamp(1, BATCH_RECORDS_LIMIT),
                settings.queue_batches_max.clamp(1, QUEUE_BATCHES_LIMIT),
                settings.flush_interval,
            ),
            counts,
        }
    }

    /// Applies new assignments, including targets that cannot be measured: each attempt on them is recorded as refused.
    fn adopt(&mut self, assignments: &[Assignment]) {
        let given = assignments.len() as u64;
        let taken = given.min(ASSIGNMENTS_MAX as u64);
        if given > taken {
            tracing::warn!(given, taken, "too many assignments");
        }
        self.schedule.adopt(assignments.iter().take(ASSIGNMENTS_MAX).cloned(), Instant::now());
        self.counts.send_modify(|counts| {
            counts.assignments = taken;
            counts.assignments_dropped = given - taken;
        });
    }

    /// Starts the attempt that is due.
    fn start(&mut self) {
        let Some(due) = self.schedule.take(Instant::now()) else { return };
        let assignment = due.assignment;
        let busy = self.under_way.contains_key(&assignment.series);
        let missed = due.missed + u64::from(busy);
        if missed > 0 {
            self.counts.send_modify(|counts| counts.slots_missed += missed);
        }
        if busy {
            return;
        }
        let series = assignment.series.clone();
        let (limits, now) = (Arc::clone(&self.limits), self.now);
        let handle = self.attempts.spawn(async move {
            let attempt = measure(&assignment.target, &limits).await;
            (assignment.series.clone(), attempt, now())
        });
        self.under_way.insert(series, handle.id());
    }

    fn end(&mut self, ended: Result<Ended, JoinError>) {
        let (series, attempt, at_us) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "the task of an attempt ended with a panic");
                self.under_way.retain(|_, id| *id != error.id());
                return;
            }
        };
        self.under_way.remove(&series);
        let dropped = self.outbox.push(&series, &attempt, at_us, Instant::now());
        self.counts.send_modify(|counts| {
            counts.attempts += 1;
            counts.attempts_failed += u64::from(attempt.outcome() == Outcome::Failed);
            counts.attempts_refused += u64::from(attempt.outcome() == Outcome::Refused);
        });
        self.drop_batches(dropped.iter());
    }

    fn flush(&mut self) {
        let dropped = self.outbox.close();
        self.drop_batches(dropped.iter());
    }

    fn delivered(&self, outcome: &Result<(), String>) {
        if let Err(error) = outcome {
            tracing::warn!(error, queued = self.outbox.queue.len(), "the sink did not accept a batch");
        }
        self.counts.send_modify(|counts| match outcome {
            Ok(()) => counts.batches_delivered += 1,
            Err(_) => counts.deliveries_failed += 1,
        });
    }

    fn drop_batches<'a>(&self, dropped: impl Iterator<Item = &'a MeasurementBatch>) {
        for batch in dropped {
            tracing::warn!(sequence = batch.sequence, "a batch was dropped");
            self.counts.send_modify(|counts| {
                counts.batches_dropped += 1;
                counts.measurements_dropped += batch.measurements.len() as u64;
            });
        }
    }

    /// Hands over the remaining batches until the time is over.
    async fn stop<S, F>(mut self, mut sender: Sender<S, F>) -> AgentCounts
    where
        S: Fn(MeasurementBatch) -> F,
        F: Future<Output = Result<(), String>>,
    {
        while let Some(ended) = self.attempts.try_join_next() {
            self.end(ended);
        }
        self.attempts.abort_all();
        self.flush();
        sender.hurry();
        let stop_timeout = self.stop_timeout;
        let hand_over = async {
            while sender.in_hand().is_some() || !self.outbox.queue.is_empty() {
                let outcome = sender.step(&mut self.outbox.queue).await;
                self.delivered(&outcome);
            }
        };
        if timeout(stop_timeout, hand_over).await.is_err() {
            self.drop_batches(sender.in_hand().into_iter().chain(&self.outbox.queue));
        }
        *self.counts.borrow()
    }
}

/// Returns at a time; never returns without one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}
