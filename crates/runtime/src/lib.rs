//! Feeds the dataflow from a log, and appends to the log what the dataflow derives.
//!
//! ```text
//!            ┌─ ticker: cuts ticks ◄── ends of the input partitions
//!            ▼
//!  log ──► ticks ──► run ──► dataflow ──► writer ──► log
//!            ▲                              │
//!            └───── checkpoint ◄────────────┘
//! ```
//!
//! [`process`] is one process of the dataflow of a running system: it ticks or stands by, and derives. [`catch_up`] derives
//! what a log lacks, and [`verify`] recomputes everything and compares. All of them feed the same ticks to the same
//! dataflow, so what they derive is the same bytes.
#![warn(missing_docs)]

mod checkpoint;
mod clock;
mod error;
mod in_flight;
mod missing;
mod peers;
pub mod process;
mod replay;
mod retention;
mod run;
mod ticker;
mod ticks;
pub mod topics;
mod writer;

pub use checkpoint::Checkpoint;
pub use clock::ClockStatus;
pub use error::RuntimeError;
pub use missing::MissingRecords;
pub use peers::PeerError;
pub use replay::{Verification, verify};
pub use retention::drop_expired;
pub use run::{OUTPUT_PARTITIONS, Step, config, measurement_record, run};
pub use ticker::TAKEOVER_TIMEOUT;
pub use ticks::LogTicks;
pub use writer::{FrameWriter, catch_up};

#[cfg(test)]
mod tests;
