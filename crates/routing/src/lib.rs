//! The routing table and the answers that it gives.
//!
//! ```text
//! snapshots ──► Table ──► answer(table, zone, nsid, query) ──► Answer
//! ```
//!
//! The publisher in the dataflow hashes entries with the functions of [`table`], and the edge builds tables from the same
//! entries, so both arrive at the same digest. This crate knows no clock, no randomness, no file and no socket.
#![warn(missing_docs)]

pub mod answer;
pub mod table;
