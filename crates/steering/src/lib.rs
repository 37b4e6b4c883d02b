//! The rules of steering: windows, performance values, verdicts and routes.
//!
//! This crate knows no clock, no randomness, no file and no network.
#![warn(missing_docs)]

mod choice;
mod directory;
mod evidence;
mod moment;
mod rank;
mod restore;
mod sample;
mod site;
mod steering;
mod topology;
mod window;

pub use choice::{CdnView, Chosen, INFINITE, Permille, choose_cdn};
pub use directory::Directory;
pub use evidence::{Evidence, ProbeStat};
pub use rank::{FAILED, Rank, is_three_digits};
pub use restore::RestoreError;
pub use sample::{AHEAD_MAX_US, Sample, rank_measurement};
pub use steering::{Outcome, Steering};
pub use topology::Topology;
pub use window::{Panes, Window};
