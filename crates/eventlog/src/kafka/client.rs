//! What a client reports between calls, and how long a call tries.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use std::sync::mpsc::SyncSender;
use tokio_util::sync::CancellationToken;

use crate::LogError;

/// How often a call that waits looks whether it should stop.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// How long one request may take before it is tried anew.
pub(super) const REQUEST: Duration = Duration::from_secs(5);
/// How long a call waits before that is said, and how often it is said again.
const SAY_AFTER: Duration = Duration::from_secs(10);

/// What all clients of one log share.
pub(super) struct Health {
    /// Cancelled by the caller: every call ends.
    cancel: CancellationToken,
    patience: Option<Duration>,
    /// Why nothing goes on any more; set once.
    fatal: OnceLock<String>,
    /// Trouble with a broker, for messages, and how much it tells.
    trouble: Mutex<Option<(u8, String)>>,
    /// When it was last said that nobody answers.
    said_at: Mutex<Option<Instant>>,
}

impl Health {
    pub(super) fn new(cancel: CancellationToken, patience: Option<Duration>) -> Self {
        Self {
            cancel,
            patience,
            fatal: OnceLock::new(),
            trouble: Mutex::new(None),
            said_at: Mutex::new(None),
        }
    }

    /// An error if nothing goes on any more, or nothing should.
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
        // The first reason is the cause of those after it.
        let _ = self.fatal.set(reason);
    }

    /// Whoever has waited this long for an answer may wait on, or gets an error.
    pub(super) fn wait_on(&self, since: Instant, what: &str) -> Result<(), LogError> {
        self.check()?;
        let waited = since.elapsed();
        if self.patience.is_some_and(|patience| waited >= patience) {
            return Err(LogError::Unavailable { what: what.to_owned(), reason: self.reason() });
        }
        if waited >= SAY_AFTER {
            let mut said_at = self.said_at.lock().unwrap_or_else(PoisonError::into_inner);
            if said_at.is_none_or(|said_at| said_at.elapsed() >= SAY_AFTER) {
                tracing::warn!(
                    waited_secs = waited.as_secs(),
                    reason = self.reason(),
                    "{what}: Kafka does not answer"
                );
                *said_at = Some(Instant::now());
            }
        }
        Ok(())
    }

    fn reason(&self) -> String {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        trouble.map_or_else(|| "no broker answers".to_owned(), |(_, text)| text)
    }

    /// Says that what had waited long has been answered.
    pub(super) fn answered(since: Instant, what: &str) {
        let waited = since.elapsed();
        if waited >= SAY_AFTER {
            tracing::warn!(waited_secs = waited.as_secs(), "{what}: Kafka has answered");
        }
    }

    /// Makes a request until it is answered; what a broker refuses for good is an error at once.
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
                    Self::answered(since, what);
                    return Ok(answer);
                }
                Err(error) if is_passing(&error) => {
                    self.note(&error, "");
                    self.wait_on(since, what)?;
                    std::thread::sleep(LOOK);
                }
                Err(error) => return Err(refused(what, &error)),
            }
        }
    }

    /// Remembers trouble, unless what is known says more.
    pub(super) fn note(&self, error: &KafkaError, reason: &str) {
        let is_told = !reason.is_empty();
        let telling = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL) => 2 + u8::from(is_told),
            Some(RDKafkaErrorCode::AllBrokersDown) => 0,
            _ => u8::from(is_told),
        };
        let text = if is_told { format!("{error}: {reason}") } else { error.to_string() };
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.as_ref().is_none_or(|(known, _)| telling >= *known) {
            *trouble = Some((telling, text));
        }
    }
}

pub(super) fn refused(what: &str, error: &KafkaError) -> LogError {
    LogError::Refused { what: what.to_owned(), reason: error.to_string() }
}

/// Whether the same request may be answered later.
pub(super) fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                // A connection whose broker left while a request was on its way.
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

/// The way from librdkafka's threads to ours.
#[derive(Clone)]
pub(super) struct Context(pub(super) Arc<Health>);

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.note(&error, reason);
        // Raised where order or uniqueness can no longer be kept. Nothing that follows could be trusted.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.0.fail(format!("{error}: {reason}"));
        }
    }

    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, _: &str, _: &str) {}
}

impl ConsumerContext for Context {}

/// Where the outcome of one record of an append goes.
pub(super) struct Delivery {
    pub(super) place: usize,
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
        // Who stopped waiting wants no answer; the channel has room for every record of its append.
        let _ = delivery.to.try_send((delivery.place, outcome));
    }
}
