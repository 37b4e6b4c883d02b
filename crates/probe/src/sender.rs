//! Hands batches to the sink, one at a time, each until the sink accepts it.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use spillway_events::MeasurementBatch;
use tokio::time::{Instant, sleep_until};

use crate::limits::RETRY_INTERVAL_MAX;

/// The sink, and the batch that is handed over now.
pub(crate) struct Sender<S, F> {
    sink: S,
    in_hand: Option<MeasurementBatch>,
    sending: Option<Pin<Box<F>>>,
    retry_at: Option<Instant>,
    retry_interval: Duration,
    retry_interval_min: Duration,
}

impl<S, F> Sender<S, F>
where
    S: Fn(MeasurementBatch) -> F,
    F: Future<Output = Result<(), String>>,
{
    pub(crate) fn new(sink: S, retry_interval: Duration) -> Self {
        let retry_interval = retry_interval.min(RETRY_INTERVAL_MAX);
        Self {
            sink,
            in_hand: None,
            sending: None,
            retry_at: None,
            retry_interval,
            retry_interval_min: retry_interval,
        }
    }

    /// The batch that is being handed over, and is not known to be accepted.
    pub(crate) fn in_hand(&self) -> Option<&MeasurementBatch> {
        self.in_hand.as_ref()
    }

    /// Retries without a pause.
    pub(crate) fn hurry(&mut self) {
        self.retry_at = None;
    }

    /// Hands over the current batch, or else the oldest of the queue, and returns the result of the sink. Does not return
    /// while there is no batch. If the call is dropped, the next call continues with the same batch.
    pub(crate) async fn step(&mut self, queue: &mut VecDeque<MeasurementBatch>) -> Result<(), String> {
        if self.in_hand.is_none() {
            self.in_hand = queue.pop_front();
        }
        let Some(batch) = &self.in_hand else { return pending().await };
        if let Some(at) = self.retry_at {
            sleep_until(at).await;
            self.retry_at = None;
        }
        let hand_over = || Box::pin((self.sink)(batch.clone()));
        let outcome = self.sending.get_or_insert_with(hand_over).await;
        self.sending = None;
        if outcome.is_ok() {
            self.in_hand = None;
            self.retry_interval = self.retry_interval_min;
        } else {
            self.retry_at = Some(Instant::now() + self.retry_interval);
            self.retry_interval = (self.retry_interval * 2).min(RETRY_INTERVAL_MAX);
        }
        outcome
    }
}
