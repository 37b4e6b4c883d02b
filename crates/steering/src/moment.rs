//! The time at which a tick decides.

use spillway_events::TimeMicros;

/// The tick that decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) tick: u64,
    pub(crate) at: TimeMicros,
}
