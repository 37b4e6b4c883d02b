//! The rules of steering: windows, performance values, verdicts and routes.
//!
//! # Numbers
//!
//! Response time is whole microseconds, throughput whole bit/s. Values are counted in buckets whose edges are the numbers of
//! three significant decimal digits: response time is rounded down to its bucket, throughput up. A threshold must be such a
//! number, so comparing buckets with it gives the same as comparing the exact values.
//!
//! # Windows
//!
//! There is one window per site, target, probe and objective. A pane is max(1 s, window ÷ 60). A measurement of event time *t*
//! belongs to pane ⌊t ÷ pane⌋; at a tick of time *T* the window is the n panes ⌊T ÷ pane⌋ − n + 1 … ⌊T ÷ pane⌋ with
//! n = window ÷ pane. Event times up to 5 minutes ahead count as *T*; later ones are rejected. An objective that differs in
//! any field from all earlier ones of the site starts with an empty window; an equal one keeps its windows.
//!
//! # Values
//!
//! A probe with at least `samples_min` measurements in the window (failures count) has the value of rank ⌈p·n ÷ 100⌉ from the
//! best; a failed measurement is worse than any number. A measurement that the probe refused to make, or made while the
//! probe itself was cut off, is in no window. A network has the value of rank ⌈n ÷ 2⌉ from the best over the probes in it or
//! below it in the tree that have a value. With fewer than `probes_min` of them (or than all that are provisioned there, if
//! these are fewer), the nearest ancestor with enough evidence counts instead, and is named.
//!
//! # Verdicts
//!
//! Per objective: response time is at-or-above if value ≥ threshold, available bandwidth if value ≤ the agreed level; else
//! below; unknown without evidence. Of several objectives: any at-or-above, else any unknown, else below. The verdict is always
//! this literal outcome. CDNs are judged by the same rule.
//!
//! # Routes
//!
//! Below: the origin. At-or-above: a CDN. A route differs from the verdict only with a reason. Of several the first decides:
//!
//! 1. `pinned`: an operator's target, in all networks, usable or not.
//! 2. `frozen`: the last route, if there is one.
//! 3. `no_agreement`: no objectives are in force; the origin.
//! 4. `drained`: the origin is drained and the verdict is not at-or-above: a CDN is chosen as if it were. Without a usable one
//!    the origin, with `no_usable_cdn`.
//! 5. `cold_start`: unknown, and never known before; the origin.
//! 6. `unknown_hold`: unknown; the last route stays. Unknown for the agreed time without a break: the agreed choice, the origin or a
//!    CDN, for the same reason.
//! 7. `return_band` *b*, then `dwell` *d*: below, and the last route is a CDN that is usable and not at-or-above: it stays while the
//!    origin's worst permille is above 1000 − *b*, or while *T* is before the time at which the route last left the origin plus *d*.
//!
//! and `no_usable_cdn` where a CDN is wanted and none is usable. An override ends at the first tick at or after its expiry; a reset
//! of the clock brings none back.
//!
//! # Agreements
//!
//! What is in force at a tick is settled before its samples are read, at the greatest time of a tick so far: a version from its
//! beginning to its end, before the first one the objectives of the site's document, after the last one nothing. A reset of the clock
//! undoes no beginning and no end; what is unknown is unknown since the reset, and no route left the origin after it.
//!
//! # Which CDN
//!
//! A CDN that is not agreed is never a candidate. Agreed in a network are the CDNs of its own list, else those of its nearest
//! ancestor that has a list, else all; their order is the agreement's, else the site's.
//!
//! A CDN is usable unless it is drained or its latest statistics exclude it. Among the usable ones, in that order: the present one
//! while it is below and no earlier one is below at 900 permille of its level or less; the first that is below; the first that is
//! unknown; if all are at-or-above, the one with the least permille of its worst objective, where the present one stays unless the
//! least is at most 90 % of its own. A held route whose CDN is no longer usable is chosen again. If no CDN is usable: the origin if a
//! window of it holds a success, else those that are not drained count as usable, or if there are none, the drained ones; without any
//! CDN, the origin.
//!
//! # Decisions
//!
//! The tick that first sees a site decides it in every network. After that, a decision is emitted whenever route, verdict or
//! reason of a site in a network changes, in the order of site, then network. `tests/stories` shows these rules by examples.
//!
//! This crate uses no clock, randomness, file or network.
#![warn(missing_docs)]

mod agreed;
mod choice;
mod directory;
mod error;
mod evidence;
mod moment;
mod overrides;
mod panes;
mod per_network;
mod rank;
mod restore;
mod sample;
mod site;
mod steering;
mod topology;
mod windows;

pub use choice::{CdnView, Chosen, INFINITE, Permille, Usable, choose_cdn};
pub use directory::Directory;
pub use error::RestoreError;
pub use evidence::{Evidence, ProbeStat};
pub use panes::Panes;
pub use per_network::PerNetwork;
pub use rank::{FAILED, Rank, is_three_digits};
pub use sample::{AHEAD_MAX_US, Ranked, Samples, SeriesId, rank_measurement};
pub use site::SitePerformance;
pub use steering::Steering;
pub use topology::Topology;
