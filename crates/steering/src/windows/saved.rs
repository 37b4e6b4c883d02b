//! Windows as a checkpoint holds them: each by itself, with the panes of its samples.

use spillway_events::{PaneCount, WindowCounts};

use super::{WindowId, Windows};
use crate::rank::{FAILED, Rank};

/// The samples of some windows, by window.
pub(crate) struct SamplesByWindow {
    /// By the window's index: its index in `ends`, plus 1; 0 for windows that are not among them.
    indexes: Vec<u32>,
    /// Where the samples of each window end.
    ends: Vec<usize>,
    /// The index of the pane, and the rank.
    samples: Vec<(u16, Rank)>,
    /// By the index of a log: the number of its first pane.
    first_panes: Vec<i64>,
}

impl Windows {
    /// Collects the samples of some windows. It reads every pane once, so it is called for many windows at once.
    pub(crate) fn samples_by_window(&self, ids: &[WindowId]) -> SamplesByWindow {
        let mut indexes = vec![0; self.windows.len()];
        let mut next = Vec::with_capacity(ids.len());
        let mut total = 0;
        for (index, id) in (1..).zip(ids) {
            indexes[id.0 as usize] = index;
            next.push(total);
            total += self.windows[id.0 as usize].ranks.samples();
        }
        let mut samples = vec![(0, FAILED); total];
        for log in &self.logs {
            for (pane_index, (_, pane)) in (0_u16..).zip(log.panes()) {
                for (id, rank) in pane.windows.iter().zip(&pane.ranks) {
                    let index = indexes[id.0 as usize] as usize;
                    let Some(next) = index.checked_sub(1).and_then(|index| next.get_mut(index)) else {
                        continue;
                    };
                    if let Some(sample) = samples.get_mut(*next) {
                        *sample = (pane_index, *rank);
                    }
                    *next += 1;
                }
            }
        }
        let first_panes = self.logs.iter().map(|log| log.panes().next().map_or(0, |(first, _)| first));
        SamplesByWindow { indexes, ends: next, samples, first_panes: first_panes.collect() }
    }

    /// A window for a checkpoint. It does not depend on the order in which measurements came.
    pub(crate) fn save(&self, id: WindowId, of: &SamplesByWindow) -> WindowCounts {
        let first = of.first_panes[usize::from(self.windows[id.0 as usize].log.0)];
        let mut samples = of.samples_of(id).to_vec();
        samples.sort_unstable();
        let counts = samples.chunk_by(|one, other| one == other).filter_map(|equal| {
            let (index, rank) = *equal.first()?;
            let count = u32::try_from(equal.len()).unwrap_or(u32::MAX);
            Some(PaneCount { pane: first + i64::from(index), rank: rank.number(), count })
        });
        WindowCounts { counts: counts.collect() }
    }

    /// Adds the samples of a checkpoint to an empty window; `None` if panes or ranks are not in order, a count is 0, or a pane
    /// is not in the window at the present time.
    pub(crate) fn restore(&mut self, id: WindowId, saved: &WindowCounts) -> Option<()> {
        let window = &mut self.windows[id.0 as usize];
        let log = self.logs.get_mut(usize::from(window.log.0))?;
        let in_window = log.panes.oldest(self.now)..=log.panes.pane(self.now);
        let mut last = None;
        for &PaneCount { pane, rank, count } in &saved.counts {
            let rank = Rank::from_number(rank)?;
            if count == 0 || !in_window.contains(&pane) || last >= Some((pane, rank)) {
                return None;
            }
            last = Some((pane, rank));
            for _ in 0..count {
                log.push(pane, id, rank);
                window.ranks.add(rank);
            }
        }
        window.stat = window.ranks.stat(window.percentile, window.samples_min);
        Some(())
    }
}

impl SamplesByWindow {
    fn samples_of(&self, id: WindowId) -> &[(u16, Rank)] {
        let index = self.indexes.get(id.0 as usize).map_or(0, |index| *index as usize);
        let Some(index) = index.checked_sub(1) else { return &[] };
        let from = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.samples.get(from..self.ends[index]).unwrap_or_default()
    }
}
