//! The probe agent: measures the origin and every CDN of each site all the time, whichever is in use.
//!
//! ```text
//! provisioning ──assignments()──▶ Schedule ──due──▶ measure() ──Attempt──▶ Outbox ──MeasurementBatch──▶ sink
//!                                 (jitter)          (bounded)              (bounded, oldest dropped)    (retried)
//! ```
//!
//! This first version speaks plain HTTP/1.1 and measures response time only. It reports a target that it cannot measure,
//! such as one with `https`, as refused and not as failed: that is no evidence about the target.
//!
//! Nothing here follows a redirect, connects to an address that was not vetted, or keeps a body.
#![warn(missing_docs)]

mod agent;
mod assignment;
mod attempt;
mod body;
mod head;
mod limits;
mod measure;
mod outbox;
mod resolve;
mod schedule;
mod sender;
mod target;

pub use agent::{Agent, AgentCounts, AgentSettings};
pub use assignment::{Assignment, assignments};
pub use attempt::{Attempt, AttemptError, Stage};
pub use limits::{
    ADDRESSES_TRIED_MAX, ASSIGNMENTS_MAX, ATTEMPTS_AT_ONCE_MAX, BATCH_RECORDS_LIMIT, HEAD_BYTES_MAX,
    INTERVAL_MAX, INTERVAL_MIN, Limits, QUEUE_BATCHES_LIMIT, RESOLUTIONS_AT_ONCE_MAX, TIMEOUT_MAX,
    URL_BYTES_MAX,
};
pub use measure::measure;
pub use target::{Target, TargetError};
