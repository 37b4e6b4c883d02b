//! The edge: builds a routing table from snapshots, and answers DNS queries from it.
//!
//! ```text
//! snapshots ──► Follower ──► Arc<ArcSwapOption<Table>> ──► dns ──► resolvers
//!                  │ ▲
//!                  ▼ │
//!                 disk
//! ```
//!
//! [`follower::follow`] reads the snapshots of a log. Readers never lock, and an answer is computed from one table.
#![warn(missing_docs)]

pub mod dns;
pub mod follower;
mod log_limit;
