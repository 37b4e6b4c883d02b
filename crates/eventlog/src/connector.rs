//! Where the roles of a process get the log from.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{EmbeddedLog, EventLog, KafkaLog, KafkaSettings, LogError};

/// The log of an installation, before a role has connected to it.
#[derive(Clone)]
pub enum Connector {
    /// Only one process can open the embedded log, so all roles share it.
    Embedded(Arc<EmbeddedLog>),
    /// Each role has a connection of its own, so that it can be cancelled by itself.
    Kafka(KafkaSettings),
}

impl Connector {
    /// Whether other processes can write to the log, so that each CDN gets an inbox.
    #[must_use]
    pub fn has_inboxes(&self) -> bool {
        matches!(self, Self::Kafka(_))
    }

    /// The log. Calls on Kafka end with [`LogError::Cancelled`] after `cancel`; the embedded log never waits for
    /// long.
    ///
    /// # Errors
    /// If the settings of the Kafka client are not valid.
    pub fn connect(&self, cancel: &CancellationToken) -> Result<Arc<dyn EventLog>, LogError> {
        Ok(match self {
            Self::Embedded(log) => Arc::<EmbeddedLog>::clone(log),
            Self::Kafka(settings) => Arc::new(KafkaLog::connect(settings.clone(), cancel.clone())?),
        })
    }
}
