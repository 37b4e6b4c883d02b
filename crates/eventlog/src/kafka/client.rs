//! The events of the clients, and the retrying of requests.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use std::sync::mpsc::SyncSender;
use tokio_util::sync::CancellationToken;

use crate::LogError;

/// How often a waiting call checks the stop flag.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long one request may take before it is retried.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call waits before a warning is logged, and the interval of further warnings.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The state that all clients of one log share.
pub(super) struct Health {
    /// Cancelled by the caller; every call then ends.
    cancel: CancellationToken,
    retry_timeout: Option<Duration>,
    /// The error after which no call succeeds any more; set once.
    fatal: OnceLock<String>,
    /// The most specific broker error for messages, with its rank.
    last_error: Mutex<Option<(u8, String)>>,
    /// When a warning was last logged.
    logged_at: Mutex<Option<Instant>>,
}

impl Health {
    pub(super) fn new(cancel: CancellationToken, retry_timeout: Option<Duration>) -> Self {
        Self {
            cancel,
            retry_timeout,
            fatal: OnceLock::new(),
            last_error: Mutex::new(None),
            logged_at: Mutex::new(None),
        }
    }

    /// Fails after a fatal error or when the stop flag is set.
    pub(super) fn check(&self) -> Result<(), LogError> {
        if let Some(reason) = self.fatal.get() {
            return Err(LogError::Stopped { reason: reason.clone() });
        }
        if self.cancel.is_cancelled() {
            return Err(LogError::Cancelled);
        }
        Ok(())
    }

    pub(super) fn fail(&self, reason: String) {
        // Only the first reason is kept: it caused the later ones.
        let _ = self.fatal.set(reason);
    }

    /// Fails if a call that began at `since` must not retry any longer. Logs a warning if it has waited for long.
    pub(super) fn check_retry(&self, since: Instant, what: &str) -> Result<(), LogError> {
        self.check()?;
        let waited = since.elapsed();
        if self.retry_timeout.is_some_and(|retry_timeout| waited >= retry_timeout) {
            return Err(LogError::Unavailable { what: what.to_owned(), reason: self.reason() });
        }
        if waited >= LOG_INTERVAL {
            let mut logged_at = self.logged_at.lock().unwrap_or_else(PoisonError::into_inner);
            if logged_at.is_none_or(|logged_at| logged_at.elapsed() >= LOG_INTERVAL) {
                tracing::warn!(
                    waited_secs = waited.as_secs(),
                    reason = self.reason(),
                    "{what}: Kafka does not answer"
                );
                *logged_at = Some(Instant::now());
            }
        }
        Ok(())
    }

    fn reason(&self) -> String {
        let last_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        last_error.map_or_else(|| "no broker answers".to_owned(), |(_, text)| text)
    }

    /// Logs that a request that had waited for long was answered.
    pub(super) fn log_recovery(since: Instant, what: &str) {
        let waited = since.elapsed();
        if waited >= LOG_INTERVAL {
            tracing::warn!(waited_secs = waited.as_secs(), "{what}: Kafka has answered");
        }
    }

    /// Sends a request and retries it until it is answered. Fails at once if a broker refuses it permanently.
    pub(super) fn request<T>(
        &self,
        what: &str,
        mut request: impl FnMut() -> KafkaResult<T>,
    ) -> Result<T, LogError> {
        let since = Instant::now();
        loop {
            self.check()?;
            match request() {
                Ok(answer) => {
                    Self::log_recovery(since, what);
                    return Ok(answer);
                }
                Err(error) if is_transient(&error) => {
                    self.record_error(&error, "");
                    self.check_retry(since, what)?;
                    std::thread::sleep(POLL_INTERVAL);
                }
                Err(error) => return Err(refused(what, &error)),
            }
        }
    }

    /// Remembers a broker error, unless the known one is more specific.
    pub(super) fn record_error(&self, error: &KafkaError, reason: &str) {
        let has_reason = !reason.is_empty();
        let rank = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL) => 2 + u8::from(has_reason),
            Some(RDKafkaErrorCode::AllBrokersDown) => 0,
            _ => u8::from(has_reason),
        };
        let text = if has_reason { format!("{error}: {reason}") } else { error.to_string() };
        let mut last_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        if last_error.as_ref().is_none_or(|(known, _)| rank >= *known) {
            *last_error = Some((rank, text));
        }
    }
}

pub(super) fn refused(what: &str, error: &KafkaError) -> LogError {
    LogError::Refused { what: what.to_owned(), reason: error.to_string() }
}

/// Returns whether a retry of the request may succeed.
pub(super) fn is_transient(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                // The broker left the cluster while a request was in flight.
                | Code::DestroyBroker
                | Code::Outdated
                | Code::FetchSessionIdNotFound
                | Code::InvalidFetchSessionEpoch
                | Code::EligibleLeadersNotAvailable
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::TimedOutQueue
                | Code::WaitingForCoordinator
                | Code::WaitCache
                | Code::InProgress
                | Code::Retry
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::BrokerNotAvailable
                | Code::ReplicaNotAvailable
                | Code::NetworkException
                | Code::NotController
                | Code::NotEnoughReplicas
                | Code::NotEnoughReplicasAfterAppend
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::OffsetNotAvailable
                | Code::KafkaStorageError
                | Code::Authentication
                | Code::SSL
                | Code::Unknown
                | Code::UnknownPartition
                | Code::UnknownTopicId
        )
    )
}

/// Receives the events of librdkafka's threads.
#[derive(Clone)]
pub(super) struct Context(pub(super) Arc<Health>);

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.record_error(&error, reason);
        // librdkafka can no longer guarantee order or uniqueness.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.0.fail(format!("{error}: {reason}"));
        }
    }

    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, _: &str, _: &str) {}
}

impl ConsumerContext for Context {}

/// The index of a record in its append, and the channel for its outcome.
pub(super) struct Delivery {
    pub(super) index: usize,
    pub(super) to: SyncSender<(usize, Result<i64, KafkaError>)>,
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Box<Delivery>) {
        use rdkafka::Message;
        let outcome = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        // The caller may have stopped waiting. The channel has capacity for every record of its append.
        let _ = delivery.to.try_send((delivery.index, outcome));
    }
}
