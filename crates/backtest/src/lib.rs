//! Runs the dataflow over recorded measurements, in their own event time: what a policy would have decided.
//!
//! ```text
//! CSV ──► Rows ──► Ticks ──► the dataflow of a running system ──► decisions ──► Report
//! ```
//!
//! [`run`] keeps nothing; [`run_durable`] puts input and ticks on an embedded log first and can be continued after a stop;
//! [`run_recorded`] uses the ticks and the policy of a recorded log.
#![warn(missing_docs)]

mod bound;
mod columns;
mod durable;
mod error;
mod jumps;
mod report;
mod rows;
mod run;
mod summary;
mod ticks;

pub use columns::ColumnNames;
pub use durable::run_durable;
pub use error::BacktestError;
pub use report::{Format, Report};
pub use rows::{Counts, Renames, Rows};
pub use run::{first_record, run, run_recorded};
pub use ticks::Ticks;
