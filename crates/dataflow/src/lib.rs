//! The pure crates, connected to one graph. No I/O: ticks with their records come in over bounded channels, frames and
//! checkpoints go out over one. Timely's timestamp is the tick's number.
//!
//! ```text
//!            worker w                                             every worker
//!
//!  ticks, ─► ingest ─┬─ batches, to the worker of the source's shard ─► repeats ─┐ those that do not count,
//!  records   source  │                                                  boots    │ to every worker
//!            names   ├─ samples, to the worker of the site's shard ──────────────┴► steer ──┬─ items, to the worker of
//!            receipts├─ statistics, to every worker ──────────────────────────────►  sites   │  the output partition
//!                    ├─ the tick's provisioning, to itself ───────────────────────►  windows │
//!                    └─ rejected, receipts ───────────────────────────────────────►  routes  ▼
//!                                                                                          frame ──► frames, checkpoints,
//!                                                                                          publish   done
//!                                                                                          (worker 0)
//! ```
//!
//! Every worker is given every tick with its provisioning, and the records of the input partitions that it owns. The workers
//! may be threads of several processes, which exchange messages over connections that the caller has made.
//!
//! # What makes everything derived a pure function of the log
//!
//! 1. **Ticks.** A tick has a number, a time, and for every input partition the offset up to which it reads. "Now" is the
//!    tick's time; nothing here reads a clock. Tick numbers are the timestamps of the graph.
//!    A tick marked `restart` may have a lower time than the one before. At it, before anything else, all windows and latest
//!    reports are forgotten, so the verdict of every site is unknown and its route is held until there is evidence again.
//! 2. **Order within a tick.** `repeats`, `steer` and `frame` act on a tick once their frontier has passed it: provisioning in
//!    offset order, then inputs, then passing time, then routes. Repeats are found by topic, source and boot, in the order of
//!    partitions and offsets; without them, folds are counts, sums and maxima, which do not depend on order. The latest of several reports is the one with the greatest (event time,
//!    source, boot, sequence); within one batch, a report that the CDN cannot be used is later than one that it can.
//! 3. **Partitioning.** Provisioning and CDN statistics go to every worker, measurements to the worker of the site's logical
//!    shard. The iteration order of hash maps never reaches an output, so the number of workers changes no byte.
//! 4. **Frames.** What a tick sends to one output partition is one frame: items sorted by their ids, cut into chunks of
//!    bounded size, with a digest. One worker owns each output partition. A reader applies a complete frame once, in rising
//!    tick order.
//! 5. **Checkpoints** hold the state by logical shard, so that another number of workers or processes continues from them.
//! 6. **Rules.** A tick names the version of the rules that decides it. A release that would change an output raises the
//!    version and keeps the old rules.
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
mod performance;
mod provisioning;
mod publish;
mod repeats;
mod run;
mod shard;
mod steer;

pub use checkpoint::Restored;
pub use config::{Config, PERFORMANCE_PERIOD_US};
pub use error::DataflowError;
pub use ingest::RULES_VERSION;
pub use input::{InputRecord, InputTopic, TickInput};
pub use output::Output;
pub use provisioning::{Provisioning, ProvisioningChange};
pub use run::{Input, Running, Stopped, Workers, start};
