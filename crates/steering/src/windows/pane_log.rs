//! What all windows of one length gained, by pane.

use std::collections::VecDeque;

use spillway_events::TimeMicros;

use super::WindowId;
use crate::panes::Panes;
use crate::rank::Rank;

/// The panes before the present one that may still gain many samples, because some come late.
const FILLING_PANES: i64 = 2;

/// The samples of all windows of one length that are in the window now, by pane. When a pane leaves, its list tells which
/// windows lose which samples.
#[derive(Debug)]
pub(super) struct PaneLog {
    pub(super) panes: Panes,
    /// The pane of the first entry of `ring`.
    first: i64,
    ring: VecDeque<Pane>,
    /// The oldest pane in the window at the present time.
    oldest: i64,
    /// The pane of the last sample, and the time from and until which samples belong to it: samples come in nearly the order
    /// of time, and a division for each would take longer.
    last: (i64, TimeMicros, TimeMicros),
    /// Panes before this one have given back the memory that they do not need.
    shrunk: i64,
}

/// The samples of one pane, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Pane {
    pub(super) windows: Vec<WindowId>,
    pub(super) ranks: Vec<Rank>,
}

impl PaneLog {
    pub(super) fn new(panes: Panes, now: TimeMicros) -> Self {
        let mut log = Self {
            panes,
            first: 0,
            ring: VecDeque::new(),
            oldest: 0,
            last: (0, TimeMicros(0), TimeMicros(0)),
            shrunk: 0,
        };
        log.set_now(now);
        log
    }

    /// Sets the present time. Panes that have left the window stay until [`PaneLog::pop_left`].
    pub(super) fn set_now(&mut self, now: TimeMicros) {
        let pane = self.panes.pane(now);
        self.oldest = self.panes.oldest(now);
        let filled = (pane - FILLING_PANES).min(self.first + i64::try_from(self.ring.len()).unwrap_or(0));
        for number in self.shrunk.max(self.first)..filled {
            if let Some(pane) =
                usize::try_from(number - self.first).ok().and_then(|index| self.ring.get_mut(index))
            {
                pane.windows.shrink_to_fit();
                pane.ranks.shrink_to_fit();
            }
        }
        self.shrunk = filled;
    }

    /// The pane of a sample; `None` if it has left the window.
    #[inline]
    pub(super) fn pane(&mut self, at: TimeMicros) -> Option<i64> {
        let (mut pane, from, until) = self.last;
        if at < from || at >= until {
            pane = self.panes.pane(at);
            self.last = (pane, self.panes.begins_at(pane), self.panes.begins_at(pane + 1));
        }
        (pane >= self.oldest).then_some(pane)
    }

    /// Adds a sample to a pane that is not older than the oldest one in the window, nor newer than the present one.
    #[inline]
    pub(super) fn push(&mut self, pane: i64, window: WindowId, rank: Rank) {
        if self.ring.is_empty() {
            self.first = pane;
        }
        while pane < self.first {
            self.ring.push_front(Pane::default());
            self.first -= 1;
        }
        let index = usize::try_from(pane - self.first).unwrap_or(0);
        while self.ring.len() <= index {
            self.ring.push_back(Pane::default());
        }
        if let Some(pane) = self.ring.get_mut(index) {
            pane.windows.push(window);
            pane.ranks.push(rank);
        }
    }

    /// Removes the first pane that has left the window.
    pub(super) fn pop_left(&mut self) -> Option<Pane> {
        if self.first >= self.oldest {
            return None;
        }
        let pane = self.ring.pop_front()?;
        self.first += 1;
        Some(pane)
    }

    /// The panes with their numbers, from the oldest.
    pub(super) fn panes(&self) -> impl Iterator<Item = (i64, &Pane)> {
        (self.first..).zip(&self.ring)
    }
}
