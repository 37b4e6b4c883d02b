//! The rolling window of one probe on one target for one objective.

use std::collections::{BTreeMap, VecDeque};

use spillway_events::{Micros, Objective, PaneCount, TimeMicros, WindowCounts};

use crate::rank::{FAILED, Rank};

/// Counts of ranks in the panes of a window: integers, sparse, added and subtracted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// In the order of panes; within a pane in the order of arrival.
    entries: VecDeque<Entry>,
    /// The ranks from the best on, with the number of times that each occurs in the window.
    counts: Vec<(Rank, u32)>,
    samples: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    pane: i64,
    rank: Rank,
    count: u32,
}

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

    /// The time at which a pane leaves the window.
    #[must_use]
    pub fn leaves_at(self, pane: i64) -> TimeMicros {
        TimeMicros((pane + self.panes).saturating_mul(self.pane_us))
    }
}

impl Window {
    /// Counts one measurement into its pane.
    pub(crate) fn add(&mut self, pane: i64, rank: Rank) {
        let index = match self.entries.back_mut() {
            Some(last) if last.pane == pane && last.rank == rank => {
                last.count += 1;
                None
            }
            Some(last) if last.pane > pane => Some(self.entries.partition_point(|entry| entry.pane <= pane)),
            _ => Some(self.entries.len()),
        };
        if let Some(index) = index {
            self.entries.insert(index, Entry { pane, rank, count: 1 });
        }
        match self.counts.binary_search_by_key(&rank, |(rank, _)| *rank) {
            Ok(index) => self.counts[index].1 += 1,
            Err(index) => self.counts.insert(index, (rank, 1)),
        }
        self.samples += 1;
    }

    /// Drops the panes before `oldest`.
    pub(crate) fn expire(&mut self, oldest: i64) {
        while let Some(entry) = self.entries.front().copied().filter(|entry| entry.pane < oldest) {
            self.entries.pop_front();
            if let Ok(index) = self.counts.binary_search_by_key(&entry.rank, |(rank, _)| *rank) {
                self.counts[index].1 -= entry.count;
                if self.counts[index].1 == 0 {
                    self.counts.remove(index);
                }
            }
            self.samples -= u64::from(entry.count);
        }
    }

    /// The window for a checkpoint. It does not depend on the order in which measurements came.
    pub(crate) fn save(&self) -> WindowCounts {
        let mut counts: BTreeMap<(i64, Rank), u32> = BTreeMap::new();
        for entry in &self.entries {
            *counts.entry((entry.pane, entry.rank)).or_default() += entry.count;
        }
        let counts = counts.into_iter();
        let counts = counts.map(|((pane, rank), count)| PaneCount { pane, rank: rank.number(), count });
        WindowCounts { counts: counts.collect() }
    }

    /// The window from a checkpoint; `None` if panes or ranks are not in order, or a count is 0.
    pub(crate) fn restore(saved: &WindowCounts) -> Option<Self> {
        let mut window = Self::default();
        let mut counts: BTreeMap<Rank, u32> = BTreeMap::new();
        for &PaneCount { pane, rank, count } in &saved.counts {
            let rank = Rank::from_number(rank)?;
            let follows = |last: &Entry| (last.pane, last.rank) < (pane, rank);
            if count == 0 || !window.entries.back().is_none_or(follows) {
                return None;
            }
            window.entries.push_back(Entry { pane, rank, count });
            let of_rank = counts.entry(rank).or_default();
            *of_rank = of_rank.checked_add(count)?;
            window.samples += u64::from(count);
        }
        window.counts = counts.into_iter().collect();
        Some(window)
    }

    /// The oldest pane that is not empty.
    pub(crate) fn first_pane(&self) -> Option<i64> {
        self.entries.front().map(|entry| entry.pane)
    }

    /// The number of measurements, including failures.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Whether it holds a measurement that did not fail.
    #[must_use]
    pub fn has_success(&self) -> bool {
        self.counts.first().is_some_and(|(rank, _)| *rank != FAILED)
    }

    /// With at least `samples_min` measurements, the one of rank ⌈p·n/100⌉ from the best.
    #[must_use]
    pub fn value(&self, percentile: u32, samples_min: u32) -> Option<Rank> {
        if self.samples < u64::from(samples_min.max(1)) {
            return None;
        }
        let from_best = (u64::from(percentile) * self.samples).div_ceil(100);
        let from_worst = self.samples + 1 - from_best;
        // Searches from the nearer end, because common percentiles are near the worst value.
        if from_worst < from_best {
            nth(self.counts.iter().rev(), from_worst)
        } else {
            nth(self.counts.iter(), from_best)
        }
    }
}

/// The rank of the sample at a position, counted from 1.
fn nth<'a>(counts: impl Iterator<Item = &'a (Rank, u32)>, mut position: u64) -> Option<Rank> {
    for (rank, count) in counts {
        if position <= u64::from(*count) {
            return Some(*rank);
        }
        position -= u64::from(*count);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use spillway_events::Metric;

    use super::*;

    proptest! {
        // Compares a window with a sorted list of its measurements.
        #[test]
        fn the_value_is_that_of_a_sorted_list(
            steps in prop::collection::vec((0_i64..100, 0_u64..5_000, any::<bool>()), 1..200),
            percentile in 1_u32..=99, samples_min in 1_u32..5,
        ) {
            let mut window = Window::default();
            let mut all: Vec<(i64, Rank)> = Vec::new();
            let mut now = 0;
            for (pane, number, failed) in steps {
                now = now.max(pane);
                let rank = if failed { FAILED } else { Rank::of(Metric::ResponseTime, number) };
                let oldest = now - 10;
                window.expire(oldest);
                if pane >= oldest {
                    window.add(pane, rank);
                    all.push((pane, rank));
                }
                let mut inside: Vec<Rank> = all.iter().filter(|(pane, _)| *pane >= oldest).map(|(_, rank)| *rank).collect();
                inside.sort();
                let position = (percentile as usize * inside.len()).div_ceil(100);
                let expected = (inside.len() >= samples_min as usize).then(|| inside[position - 1]);
                prop_assert_eq!(window.value(percentile, samples_min), expected);
                prop_assert_eq!(window.samples(), inside.len() as u64);
                prop_assert_eq!(window.has_success(), inside.iter().any(|rank| *rank != FAILED));
                let restored = Window::restore(&window.save()).unwrap();
                prop_assert_eq!(restored.save(), window.save());
                prop_assert_eq!((restored.counts, restored.samples), (window.counts.clone(), window.samples));
            }
        }
    }

    #[test]
    fn a_window_that_is_not_in_order_is_not_restored() {
        let restore = |counts: &[(i64, u32, u32)]| {
            let counts = counts.iter().map(|&(pane, rank, count)| PaneCount { pane, rank, count }).collect();
            Window::restore(&WindowCounts { counts })
        };
        assert_eq!(restore(&[(1, 5, 2), (1, 6, 1), (2, 0, 1)]).unwrap().samples(), 4);
        assert_eq!(restore(&[(1, 5, 2), (1, 5, 1)]), None);
        assert_eq!(restore(&[(2, 5, 2), (1, 6, 1)]), None);
        assert_eq!(restore(&[(1, 5, 0)]), None);
        assert_eq!(restore(&[(1, 65_536, 1)]), None);
        assert_eq!(restore(&[(1, 5, u32::MAX), (2, 5, 1)]), None);
    }
}
