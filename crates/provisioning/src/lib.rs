//! Provisioning: what operators state, as documents; the decisions these lead to; and the state they make.
//!
//! ```text
//! text ── parse ──▶ Documents ──┐
//!                               ├─ decide ──▶ Events ── apply ──▶ State ── export ──▶ text
//!               State, Command ─┘                └───── diff ──▶ lines for people
//! ```
//!
//! Everything is a pure function of its arguments: this crate knows no clock, no file, no network and no task.
#![warn(missing_docs)]

mod check;
mod command;
mod decide;
mod delete;
mod diff;
mod document;
mod export;
mod facts;
mod fields;
mod gap;
mod host;
pub mod limits;
mod mistake;
mod networks;
mod objective;
mod parse;
mod shape;
mod site;
mod state;
mod yaml;

pub use command::{Change, Command, Refusal};
pub use decide::decide;
pub use diff::{ChangeLine, Sign, diff};
pub use document::{Document, Object};
pub use export::export;
pub use mistake::Mistake;
pub use parse::{Parsed, parse};
pub use state::{ApplyError, ProvisionedSite, Remembered, State};

#[cfg(test)]
mod tests;
