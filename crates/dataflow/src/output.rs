//! What the dataflow emits.

use spillway_events::TimeMicros;

/// What the dataflow emits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A frame: records for one output partition, in order.
    Frame {
        /// The tick.
        tick: u64,
        /// The topic.
        topic: &'static str,
        /// The partition.
        partition: u32,
        /// The encoded chunks.
        records: Vec<Vec<u8>>,
    },
    /// This process's part of a checkpoint, to be written after the tick's frames.
    Checkpoint {
        /// The tick whose state this is.
        tick: u64,
        /// That tick's time.
        at: TimeMicros,
        /// Its offset in `ticks`.
        tick_offset: u64,
        /// The id of the installation.
        installation: String,
        /// The encoded chunks.
        chunks: Vec<Vec<u8>>,
    },
    /// One worker has sent everything of a tick.
    Done {
        /// The tick.
        tick: u64,
        /// The worker.
        worker: usize,
    },
}
