//! How to reach a Kafka cluster, and what its clients are set to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::{LogError, RECORD_BYTES_MAX};

/// The longest message on the wire: the longest record, and room for what Kafka puts around it.
pub(super) const MESSAGE_BYTES_MAX: usize = RECORD_BYTES_MAX + 1024 * 1024;
/// How long a broker may keep a fetch that finds nothing new. A reader that goes elsewhere waits as long at most,
/// and an idle client asks as often.
pub(super) const FETCH_WAIT: Duration = Duration::from_millis(50);

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// Addresses of some of its brokers: `HOST:PORT,HOST:PORT`.
    pub bootstrap: String,
    /// TLS and who we are; nothing for a plain connection.
    pub security: Option<KafkaSecurity>,
    /// Copies of each partition that topics made here have. With 3 or more, 2 must be in sync to acknowledge.
    pub replication: u32,
    /// How long a call goes on trying while no broker answers; for ever without.
    pub patience: Option<Duration>,
}

/// TLS, and SASL/SCRAM-SHA-512 on top of it.
#[derive(Clone)]
pub struct KafkaSecurity {
    /// PEM file of the authorities that may sign a broker's certificate; the system's without.
    pub ca_file: Option<PathBuf>,
    /// The user; without one the connection is encrypted but nobody's.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
}

/// Says that there is a password, and nothing more.
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
    /// A plain connection that never gives up, to a cluster whose topics have one copy.
    #[must_use]
    pub fn plain(bootstrap: impl Into<String>) -> Self {
        Self { bootstrap: bootstrap.into(), security: None, replication: 1, patience: None }
    }

    fn common(&self) -> Result<ClientConfig, LogError> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config.set("client.id", "spillway");
        // A broker that comes back is found again soon; librdkafka would wait up to 10 s.
        config.set("reconnect.backoff.max.ms", "1000");
        // What a client has to say comes through the context; its own log is for those who look for more.
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
        // Never joined and never committed to: positions stand in what we write. librdkafka wants a name all the same.
        config.set("group.id", "spillway");
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        // A position that is not there is an error to be told, not a reason to jump somewhere else.
        config.set("auto.offset.reset", "error");
        // What an open or aborted transaction holds is not there.
        config.set("isolation.level", "read_committed");
        // Where only transaction markers are left before the end, this is how a reader learns it.
        config.set("enable.partition.eof", "true");
        config.set("check.crcs", "true");
        config.set("fetch.wait.max.ms", FETCH_WAIT.as_millis().to_string());
        config.set("fetch.error.backoff.ms", "100");
        config.set("fetch.message.max.bytes", "4194304");
        // Bounds on what is fetched ahead, for each partition. It goes on soon after they were reached.
        config.set("queued.max.messages.kbytes", "16384");
        config.set("queued.min.messages", "100000");
        config.set("fetch.queue.backoff.ms", "5");
        Ok(config)
    }

    pub(super) fn producer(&self) -> Result<ClientConfig, LogError> {
        let mut config = self.common()?;
        // In order and once, however often a request is sent again.
        config.set("enable.idempotence", "true");
        config.set("acks", "all");
        // It is sent again until it is acknowledged: giving up in between could change the order. Who waits for an
        // acknowledgement is the one who may stop waiting.
        config.set("message.timeout.ms", "0");
        config.set("message.max.bytes", MESSAGE_BYTES_MAX.to_string());
        config.set("compression.type", "zstd");
        // Callers wait for the acknowledgement, so a batch is what they hand over at once.
        config.set("linger.ms", "1");
        config.set("retry.backoff.ms", "50");
        config.set("retry.backoff.max.ms", "500");
        // Bounds on what waits; who finds them reached waits too.
        config.set("queue.buffering.max.kbytes", "65536");
        config.set("queue.buffering.max.messages", "1000000");
        Ok(config)
    }
}
