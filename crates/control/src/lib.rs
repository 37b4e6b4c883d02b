//! What the API, the portal and the command line ask of an installation.
//!
//! [`Provisioner`] follows the head of provisioning and is the only writer of provisioning records in a process.
//! [`Explainer`] finds the decisions that held at a time.
#![warn(missing_docs)]

mod explain;
mod provisioner;

pub use explain::{ExplainError, Explainer};
pub use provisioner::{Applied, ProvisionError, Provisioner};
