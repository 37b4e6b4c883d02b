//! The edge: a table that follows snapshots, and DNS that answers from it.
//!
//! ```text
//! snapshots ──► Follower ──► Arc<ArcSwapOption<Table>> ──► dns ──► resolvers
//!                  │ ▲
//!                  ▼ │
//!                 disk
//! ```
//!
//! The log is read by the caller, who offers each snapshot to the [`follower`]. Readers never lock; an answer is
//! computed from one table from beginning to end.
#![warn(missing_docs)]

pub mod dns;
pub mod follower;
