//! The ranks of the samples in one window.

use crate::evidence::ProbeStat;
use crate::rank::{FAILED, Rank};

/// With more samples than this, a window counts them by rank instead of listing them.
const LISTED_MAX: usize = 256;

/// The ranks of the samples in one window: a multiset that tells the sample at a position from the best.
#[derive(Debug)]
pub(super) enum Ranks {
    /// One entry a sample, from the best.
    Listed(Vec<Rank>),
    Counted(Counts),
}

/// The ranks from the best, with the number of samples of each.
#[derive(Debug, Default)]
pub(super) struct Counts {
    counts: Vec<(Rank, u32)>,
    samples: usize,
}

impl Default for Ranks {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Ranks {
    pub(super) fn samples(&self) -> usize {
        match self {
            Self::Listed(ranks) => ranks.len(),
            Self::Counted(counts) => counts.samples,
        }
    }

    #[inline]
    pub(super) fn add(&mut self, rank: Rank) {
        match self {
            Self::Listed(ranks) => {
                let index = ranks.partition_point(|other| *other < rank);
                ranks.insert(index, rank);
                if ranks.len() > LISTED_MAX {
                    *self = Self::Counted(Counts::of(ranks));
                }
            }
            Self::Counted(counts) => counts.add(rank),
        }
    }

    #[inline]
    pub(super) fn remove(&mut self, rank: Rank) {
        match self {
            Self::Listed(ranks) => {
                let index = ranks.partition_point(|other| *other < rank);
                if ranks.get(index) == Some(&rank) {
                    ranks.remove(index);
                }
            }
            Self::Counted(counts) => {
                counts.remove(rank);
                if counts.samples <= LISTED_MAX / 2 {
                    *self = Self::Listed(counts.listed());
                }
            }
        }
    }

    /// The value with at least `samples_min` samples: the one of rank ⌈p·n ÷ 100⌉ from the best; and whether any sample did
    /// not fail.
    #[inline]
    pub(super) fn stat(&self, percentile: u8, samples_min: u32) -> ProbeStat {
        let samples = self.samples() as u64;
        let best = match self {
            Self::Listed(ranks) => ranks.first(),
            Self::Counted(counts) => counts.counts.first().map(|(rank, _)| rank),
        };
        let has_success = best.is_some_and(|rank| *rank != FAILED);
        if samples < u64::from(samples_min.max(1)) {
            return ProbeStat { value: None, has_success };
        }
        let from_best = (u64::from(percentile) * samples).div_ceil(100);
        let value = match self {
            Self::Listed(ranks) => usize::try_from(from_best)
                .ok()
                .and_then(|from_best| ranks.get(from_best.saturating_sub(1)).copied()),
            Self::Counted(counts) => counts.nth(from_best),
        };
        ProbeStat { value, has_success }
    }
}

impl Counts {
    fn of(ranks: &[Rank]) -> Self {
        let mut counts = Self::default();
        for rank in ranks {
            match counts.counts.last_mut() {
                Some((last, count)) if last == rank => *count += 1,
                _ => counts.counts.push((*rank, 1)),
            }
        }
        counts.samples = ranks.len();
        counts
    }

    fn listed(&self) -> Vec<Rank> {
        let of_rank = |(rank, count): &(Rank, u32)| std::iter::repeat_n(*rank, *count as usize);
        self.counts.iter().flat_map(of_rank).collect()
    }

    fn add(&mut self, rank: Rank) {
        match self.counts.binary_search_by_key(&rank, |(rank, _)| *rank) {
            Ok(index) => self.counts[index].1 += 1,
            Err(index) => self.counts.insert(index, (rank, 1)),
        }
        self.samples += 1;
    }

    fn remove(&mut self, rank: Rank) {
        let Ok(index) = self.counts.binary_search_by_key(&rank, |(rank, _)| *rank) else { return };
        self.counts[index].1 -= 1;
        if self.counts[index].1 == 0 {
            self.counts.remove(index);
        }
        self.samples -= 1;
    }

    /// The rank of the sample at a position from the best, counted from 1. Searches from the nearer end, because common
    /// percentiles are near the worst value.
    fn nth(&self, from_best: u64) -> Option<Rank> {
        let from_worst = self.samples as u64 + 1 - from_best;
        if from_worst < from_best {
            nth(self.counts.iter().rev(), from_worst)
        } else {
            nth(self.counts.iter(), from_best)
        }
    }
}

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
        // Compares with a sorted list through additions and removals, across the number at which samples are counted.
        #[test]
        fn the_value_is_that_of_a_sorted_list(
            steps in prop::collection::vec((0_u64..2_000, any::<bool>(), 0_usize..80), 1..40),
            percentile in 1_u8..=99, samples_min in 0_u32..300,
        ) {
            let mut ranks = Ranks::default();
            let mut all: Vec<Rank> = Vec::new();
            for (number, removes, times) in steps {
                for step in 0..times as u64 {
                    if removes && !all.is_empty() {
                        let index = usize::try_from(number + step).unwrap() % all.len();
                        ranks.remove(all.remove(index));
                    } else {
                        // One in 7 failed, so that failures are at the percentile too.
                        let number = (number * 31 + step * 17) % 2_000;
                        let rank = if number % 7 == 0 { FAILED } else { Rank::of(Metric::ResponseTime, number) };
                        ranks.add(rank);
                        all.push(rank);
                        all.sort_unstable();
                    }
                }
                let position = (usize::from(percentile) * all.len()).div_ceil(100);
                let has_value = all.len() >= samples_min.max(1) as usize;
                let expected = ProbeStat {
                    value: has_value.then(|| all[position - 1]),
                    has_success: all.iter().any(|rank| *rank != FAILED),
                };
                prop_assert_eq!(ranks.stat(percentile, samples_min), expected);
                prop_assert_eq!(ranks.samples(), all.len());
                prop_assert!(all.len() <= LISTED_MAX || matches!(ranks, Ranks::Counted(_)));
                prop_assert!(all.len() > LISTED_MAX / 2 || matches!(ranks, Ranks::Listed(_)));
            }
        }
    }
}
