//! Why a dataflow on a log stopped.

use spillway_dataflow::{DataflowError, Stopped};
use spillway_eventlog::{LogError, ReadError};
use spillway_events::DecodeError;

use crate::missing::MissingRecords;
use crate::peers::PeerError;

/// Why a dataflow on a log stopped. `Display` does not print the cause; print the chain of sources.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Reading the log failed.
    #[error("the dataflow cannot read its input")]
    Read(#[from] ReadError),
    /// The checkpoints of the log cannot be read. The dataflow does not start without them: the newest one may be there.
    #[error("the newest checkpoint cannot be read")]
    Checkpoint(#[source] ReadError),
    /// Another call on the log failed.
    #[error("the log failed")]
    Log(#[from] LogError),
    /// A record cannot be encoded.
    #[error("a record for topic {topic} cannot be encoded")]
    Encode {
        /// The topic.
        topic: &'static str,
        /// Why.
        source: DecodeError,
    },
    /// The dataflow failed.
    #[error("the dataflow failed")]
    Dataflow(#[from] DataflowError),
    /// A thread beside the workers of the dataflow ended with a panic.
    #[error("a thread of the dataflow ended with a panic: {0}")]
    Panicked(String),
    /// The dataflow ended while it was fed.
    #[error("the dataflow ended early")]
    EndedEarly(#[from] Stopped),
    /// A checkpoint that was asked for is not there.
    #[error("the checkpoint of tick {tick} is not in the log, or is not complete")]
    NoCheckpoint {
        /// Its tick.
        tick: u64,
    },
    /// The tick of a checkpoint is not there.
    #[error("tick {tick}, whose checkpoint is in the log, is not in the log itself")]
    NoTick {
        /// The tick.
        tick: u64,
    },
    /// A tick of a newer release.
    #[error(
        "tick {tick} follows version {rules} of the rules, which this release does not know: run a newer release"
    )]
    UnknownRules {
        /// The tick.
        tick: u64,
        /// The version of the rules.
        rules: u32,
    },
    /// A tick of a newer release.
    #[error("tick {tick} reads topic {topic}, which this release does not know: run a newer release")]
    UnknownTopic {
        /// The tick.
        tick: u64,
        /// The topic.
        topic: String,
    },
    /// A tick is not later than the one before, and not marked as a restart.
    #[error("tick {tick} is not later than the tick before it, and is not marked as a restart of time")]
    TimeNotRising {
        /// The tick.
        tick: u64,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for the id of the installation")]
    Random(#[source] getrandom::Error),
    /// Retention has deleted records that the dataflow needs.
    #[error(transparent)]
    MissingRecords(#[from] MissingRecords),
    /// Another process took over.
    #[error(
        "another dataflow ticks on this log: the log expects tick {next}, this one wanted to cut tick {wanted}"
    )]
    TickLost {
        /// The number that the log expects next.
        next: u64,
        /// The number that this dataflow wanted.
        wanted: u64,
    },
    /// A topic has been given more partitions.
    #[error(
        "topic {topic} has {partitions} partitions, but had {known} at the first tick; the number of partitions can never \
         change: restore it"
    )]
    PartitionsChanged {
        /// The topic.
        topic: String,
        /// How many it has.
        partitions: u32,
        /// How many it had.
        known: usize,
    },
    /// The processes of the dataflow do not work together.
    #[error("the processes of the dataflow do not work together")]
    Peer(#[from] PeerError),
}

impl RuntimeError {
    /// Whether the dataflow ended because it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Read(error) | Self::Checkpoint(error) => error.is_cancelled(),
            Self::Log(error) => matches!(error, LogError::Cancelled),
            _ => false,
        }
    }
}
