//! The settings of a Kafka cluster and of its clients.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::{LogError, RECORD_BYTES_MAX};

/// How much a batch of records may exceed the maximum record: Kafka's overhead, and the records that librdkafka puts into
/// the same batch, by default at most 1,000,000 bytes.
pub(super) const MESSAGE_OVERHEAD_BYTES: usize = 1024 * 1024;
/// The maximum size of a batch of records of any topic.
const MESSAGE_BYTES_MAX: usize = RECORD_BYTES_MAX + MESSAGE_OVERHEAD_BYTES;
/// How long a broker may hold back a fetch that finds nothing new. A seeking reader waits at most as long, and an idle
/// client fetches as often.
pub(super) const FETCH_WAIT_MAX: Duration = Duration::from_millis(50);

/// The settings of a cluster.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// Addresses of some of its brokers: `HOST:PORT,HOST:PORT`.
    pub bootstrap: String,
    /// TLS and credentials; `None` for a plain connection.
    pub security: Option<KafkaSecurity>,
    /// The replication factor of topics that are created. With 3 or more, 2 replicas must be in sync to acknowledge.
    pub replication: u32,
    /// How long a call retries while no broker answers; `None` for no limit.
    pub retry_timeout: Option<Duration>,
}

/// TLS, and SASL/SCRAM-SHA-512 on top of it.
#[derive(Clone)]
pub struct KafkaSecurity {
    /// PEM file of the certificate authorities; `None` for the system's.
    pub ca_file: Option<PathBuf>,
    /// The user; `None` for TLS without authentication.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
}

/// Hides the password.
impl fmt::Debug for KafkaSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSecurity")
            .field("ca_file", &self.ca_file)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "(hidden)"))
            .finish()
    }
}

impl KafkaSettings {
    /// A plain connection without retry timeout, for a cluster with a replication factor of 1.
    #[must_use]
    pub fn plain(bootstrap: impl Into<String>) -> Self {
        Self { bootstrap: bootstrap.into(), security: None, replication: 1, retry_timeout: None }
    }

    fn common(&self) -> Result<ClientConfig, LogError> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config.set("client.id", "spillway");
        // Reconnect to a restarted broker soon; the default is 10 s.
        config.set("reconnect.backoff.max.ms", "1000");
        // Errors come through the context.
        config.set_log_level(RDKafkaLogLevel::Error);
        let Some(security) = &self.security else { return Ok(config) };
        if cfg!(not(feature = "kafka-tls")) {
            let reason =
                "this program was built without TLS for Kafka; build it with the feature `kafka-tls`";
            return Err(LogError::Settings { reason: reason.to_owned() });
        }
        config.set("security.protocol", if security.user.is_some() { "SASL_SSL" } else { "SSL" });
        if let Some(file) = &security.ca_file {
            config.set("ssl.ca.location", file.display().to_string());
        }
        if let Some(user) = &security.user {
            config.set("sasl.mechanism", "SCRAM-SHA-512");
            config.set("sasl.username", user);
            config.set("sasl.password", security.password.as_deref().unwrap_or_default());
        }
        Ok(config)
    }

    pub(super) fn admin(&self) -> Result<ClientConfig, LogError> {
        self.common()
    }

    pub(super) fn consumer(&self) -> Result<ClientConfig, LogError> {
        let mut config = self.common()?;
        // The group is never joined and no offset is committed, but librdkafka requires an id.
        config.set("group.id", "spillway");
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        // A missing offset is an error; the client must not move to another one.
        config.set("auto.offset.reset", "error");
        // Skip records of open and aborted transactions.
        config.set("isolation.level", "read_committed");
        // Tells a reader that only transaction markers are left before the end.
        config.set("enable.partition.eof", "true");
        config.set("check.crcs", "true");
        config.set("fetch.wait.max.ms", FETCH_WAIT_MAX.as_millis().to_string());
        config.set("fetch.error.backoff.ms", "100");
        config.set("fetch.message.max.bytes", "4194304");
        // Bounds of prefetching for each partition. It resumes soon after they were reached.
        config.set("queued.max.messages.kbytes", "16384");
        config.set("queued.min.messages", "100000");
        config.set("fetch.queue.backoff.ms", "5");
        Ok(config)
    }

    pub(super) fn producer(&self) -> Result<ClientConfig, LogError> {
        let mut config = self.common()?;
        // Requests may be retried without changing order or duplicating records.
        config.set("enable.idempotence", "true");
        config.set("acks", "all");
        // A record is retried until it is acknowledged, because giving up could change the order. The caller of an append
        // has its own timeout.
        config.set("message.timeout.ms", "0");
        config.set("message.max.bytes", MESSAGE_BYTES_MAX.to_string());
        config.set("compression.type", "zstd");
        // Callers wait for the acknowledgement, so a batch is what they enqueue at once.
        config.set("linger.ms", "1");
        config.set("retry.backoff.ms", "50");
        config.set("retry.backoff.max.ms", "500");
        // Bounds of the queue; callers wait while it is full.
        config.set("queue.buffering.max.kbytes", "65536");
        config.set("queue.buffering.max.messages", "1000000");
        Ok(config)
    }
}
