//! What the API, the portal and the command line ask of an installation.
//!
//! [`Access`] finds out who calls. [`Provisioner`] follows the head of provisioning and is the only writer of provisioning
//! records in a process. [`History`] reads what was provisioned at a time, [`Changes`] who changed it.
//! [`Feed`] tells what has happened as events that can be read again from any of them on.
//! [`Explainer`] finds the decisions that held at a time. [`Recent`] reads what probes have tried lately, and what holds for a
//! site now.
#![warn(missing_docs)]

mod access;
mod changes;
mod commands;
mod explain;
mod feed;
mod history;
mod provisioner;
mod recent;

pub use access::{Access, AccessError, Identity, digest_of, new_token};
pub use changes::{ChangeItem, Changes, ChangesFilter, ChangesPage};
pub use explain::{ExplainError, Explainer, nearest};
pub use feed::{BadPosition, Feed, FeedError, FeedEvent, FeedPage, Position, Reader};
pub use history::{History, Moment};
pub use provisioner::{Applied, CommandHead, Proposal, ProvisionError, Provisioner};
pub use recent::{
    Attempt, Cause, Explanation, Failure, ProbeName, ProbesReport, Recent, SeriesReport, SiteNow,
};
