//! What the API, the portal and the command line ask of an installation.
//!
//! [`Provisioner`] follows the head of provisioning and is the only writer of provisioning records in a process.
//! [`History`] reads what was provisioned at a time.
//! [`Explainer`] finds the decisions that held at a time. [`Recent`] reads what probes have tried lately, and what holds for a
//! site now.
#![warn(missing_docs)]

mod commands;
mod explain;
mod history;
mod provisioner;
mod recent;

pub use explain::{ExplainError, Explainer, nearest};
pub use history::{History, Moment};
pub use provisioner::{Applied, ProvisionError, Provisioner};
pub use recent::{
    Attempt, Cause, Explanation, Failure, ProbeName, ProbesReport, Recent, SeriesReport, SiteNow,
};
