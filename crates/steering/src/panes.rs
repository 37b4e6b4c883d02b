//! How time is cut into panes.

use spillway_events::{Micros, Objective, TimeMicros};

/// How an objective's window is cut into panes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Panes {
    pane_us: i64,
    panes: i64,
}

impl Panes {
    /// A pane is max(1 s, window ÷ 60); the window has window ÷ pane of them.
    #[must_use]
    pub fn of(objective: &Objective) -> Self {
        let Micros(window_us) = objective.window_us;
        let window_us = i64::try_from(window_us).unwrap_or(i64::MAX);
        let pane_us = (window_us / 60).max(1_000_000);
        Self { pane_us, panes: (window_us / pane_us).max(1) }
    }

    /// The pane that holds a time.
    #[must_use]
    pub fn pane(self, at: TimeMicros) -> i64 {
        at.0.div_euclid(self.pane_us)
    }

    /// The oldest pane in the window at a time.
    #[must_use]
    pub fn oldest(self, now: TimeMicros) -> i64 {
        self.pane(now) - self.panes + 1
    }

    /// The time at which a pane begins.
    pub(crate) fn begins_at(self, pane: i64) -> TimeMicros {
        TimeMicros(pane.saturating_mul(self.pane_us))
    }

    /// The time at which a pane leaves the window.
    #[must_use]
    pub fn leaves_at(self, pane: i64) -> TimeMicros {
        self.begins_at(pane.saturating_add(self.panes))
    }
}
