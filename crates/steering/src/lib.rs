//! The rules of steering: windows, values, verdicts, routes; the table they make, and the answers it gives.
//!
//! This crate knows no clock, no randomness, no file and no network.
#![warn(missing_docs)]

pub mod answer;
mod choice;
mod evidence;
mod rank;
mod sample;
mod site;
mod steering;
pub mod table;
mod topology;
mod window;

pub use choice::{CdnView, Chosen, INFINITE, Permille, choose_cdn};
pub use evidence::{Evidence, ProbeStat};
pub use rank::{FAILED, NOTHING, Rank, is_three_digits};
pub use sample::{AHEAD_MAX_US, Sample, rank_measurement};
pub use steering::{Directory, Outcome, Steering};
pub use topology::Topology;
pub use window::{Panes, Window};
