//! The edge: a table that follows snapshots, and DNS that answers from it.
//!
//! ```text
//! snapshots ──► Follower ──► Arc<ArcSwapOption<Table>> ──► dns ──► resolvers
//!                  │ ▲
//!                  ▼ │
//!                 disk
//! ```
//!
//! [`follower::follow`] reads the snapshots of a log. Readers never lock; an answer is computed from one table.
#![warn(missing_docs)]

pub mod dns;
pub mod follower;
mod log_limit;
