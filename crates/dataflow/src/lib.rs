//! The pure parts wired into one graph. No I/O: ticks with their records come in over bounded channels, frames and
//! checkpoints go out over one. Timely's timestamp is the tick's number.
//!
//! ```text
//!            worker w                                          every worker
//!
//!  ticks, ─► ingest ──┬─ samples, to the worker of the site's shard ──► steer ──┬─ items, to the worker of
//!  records   source   ├─ statistics, to every worker ────────────────►  sites   │  the output partition
//!            repeats  ├─ the tick's facts, to itself ────────────────►  windows │
//!            receipts │                                                 routes  ▼
//!                     └─ rejected, receipts, state ───────────────────────► frame ──► frames, checkpoints, done
//!                                                                          publish
//!                                                                        (worker 0)
//! ```
//!
//! Every worker is given every tick with its provisioning, and the records of the input partitions that it owns.
//! The workers may be threads of several processes, which exchange messages over connections that whoever starts them has
//! made. `steer` and `frame` act on a tick when their frontier has passed it, in the order of DESIGN: provisioning, inputs,
//! passing time, routes. Nothing here depends on how many workers there are.
#![warn(missing_docs)]

mod checkpoint;
mod config;
mod dedupe;
mod error;
mod failure;
mod frame;
mod ingest;
mod input;
mod message;
mod output;
mod publish;
mod run;
mod shard;
mod steer;

pub use checkpoint::Restored;
pub use config::{Config, PERFORMANCE_PERIOD_US};
pub use error::DataflowError;
pub use ingest::RULES_VERSION;
pub use input::{InputRecord, InputTopic, TickInput};
pub use output::Output;
pub use run::{Input, Running, Stopped, Workers, start};
