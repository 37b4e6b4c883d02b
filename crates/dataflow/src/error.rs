//! Why a dataflow failed.

use spillway_events::DecodeError;

/// Why a dataflow failed. `Display` does not print the cause; print the chain of sources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataflowError {
    /// The worker threads did not start.
    #[error("the workers of the dataflow did not start: {0}")]
    Start(String),
    /// Something that the dataflow emits or keeps cannot be encoded.
    #[error("{part} cannot be encoded")]
    Encode {
        /// What it is.
        part: &'static str,
        /// Why.
        source: DecodeError,
    },
    /// A checkpoint is complete, but its state cannot be restored.
    #[error("the checkpoint of tick {tick} cannot be restored: {part}: {why}")]
    Restore {
        /// The tick of the checkpoint.
        tick: u64,
        /// What cannot be restored.
        part: &'static str,
        /// Why.
        why: String,
    },
    /// A worker panicked.
    #[error("worker {worker} of the dataflow panicked: {message}")]
    Panicked {
        /// The worker, counted over all processes.
        worker: usize,
        /// The message of the panic.
        message: String,
    },
}
