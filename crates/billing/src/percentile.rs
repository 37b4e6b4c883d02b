//! The 95th percentile of a target's egress.
//!
//! Of the n slots that count, ascending by bytes, the one of rank ⌈95 n ÷ 100⌉ counts (the nearest-rank method), and its
//! quantity is ⌊bytes × 8 ÷ 300⌋ bit/s. Slots without a report count as 0 bytes or not at all. Without slots the quantity is 0.

use std::collections::BTreeMap;

use spillway_events::TargetName;

use crate::period::Span;
use crate::terms::MissingSlots;
use crate::wide::TooGreat;

/// How a 95th percentile was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Percentile {
    /// The target.
    pub target: TargetName,
    /// How many slots count.
    pub slots: u64,
    /// How many of them have a report.
    pub reported: u64,
    /// The rank of the slot that decides, from 1; 0 if there are no slots.
    pub rank: u64,
    /// The slot that decides; none if it has no report.
    pub slot_ms: Option<i64>,
    /// Its bytes.
    pub bytes: i128,
    /// The percentile.
    pub bps: i128,
}

impl Percentile {
    /// The percentile of a target, by the bytes of its slots that have a report.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn of(
        target: &TargetName,
        reported: Option<&BTreeMap<i64, i128>>,
        part: Span,
        missing: MissingSlots,
    ) -> Result<Self, TooGreat> {
        let mut slots: Vec<(i128, Option<i64>)> =
            reported.into_iter().flatten().map(|(slot, bytes)| (*bytes, Some(*slot))).collect();
        let reported = slots.len() as u64;
        let zeros = match missing {
            MissingSlots::Zero => part.slots().saturating_sub(reported),
            MissingSlots::Excluded => 0,
        };
        let count = reported + zeros;
        let rank = (95 * count).div_ceil(100);
        slots.sort_unstable();
        let negative = slots.iter().take_while(|(bytes, _)| *bytes < 0).count() as u64;
        // The zeros stand behind what is below zero, and before what is not.
        let index = if rank <= negative {
            Some(rank)
        } else {
            rank.checked_sub(zeros).filter(|rank| *rank > negative)
        };
        let found = index.and_then(|index| usize::try_from(index).ok()?.checked_sub(1));
        let (bytes, slot_ms) = found.and_then(|index| slots.get(index).copied()).unwrap_or_default();
        let bps = bytes.checked_mul(8).ok_or(TooGreat)?.div_euclid(300);
        Ok(Self { target: target.clone(), slots: count, reported, rank, slot_ms, bytes, bps })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::period::SLOT_MS;

    fn of(bytes: &[i128], slots: i64, missing: MissingSlots) -> (u64, u64, i128, i128) {
        let reported: BTreeMap<i64, i128> = (0..).step_by(300_000).zip(bytes.iter().copied()).collect();
        let target = TargetName::new("edge-one").unwrap();
        let part = Span { begin_ms: 0, end_ms: slots * SLOT_MS };
        let found = Percentile::of(&target, Some(&reported), part, missing).unwrap();
        (found.slots, found.rank, found.bytes, found.bps)
    }

    /// The worked example of the nearest-rank method in Wikipedia's "Percentile": of 15, 20, 35, 40, 50 the 95th is 50. And of
    /// twenty numbers the 95th is the 19th, so that one slot in twenty is free.
    #[test]
    fn the_nearest_rank_decides() {
        assert_eq!(of(&[15, 20, 35, 40, 50], 5, MissingSlots::Zero).2, 50);
        let twenty: Vec<i128> = (1..=20).rev().collect();
        assert_eq!(of(&twenty, 20, MissingSlots::Zero).2, 19);
        // A month of 30 days: 8,640 slots, of which 432 are free.
        let month: Vec<i128> = (1..=8_640).collect();
        assert_eq!(of(&month, 8_640, MissingSlots::Zero), (8_640, 8_208, 8_208, 218));
    }

    #[test]
    fn slots_without_a_report_count_as_agreed() {
        assert_eq!(of(&[900, 600], 40, MissingSlots::Zero), (40, 38, 0, 0));
        assert_eq!(of(&[900, 600], 40, MissingSlots::Excluded), (2, 2, 900, 24));
        assert_eq!(of(&[900, 600, 300], 40, MissingSlots::Zero), (40, 38, 300, 8));
        assert_eq!(of(&[], 0, MissingSlots::Zero), (0, 0, 0, 0));
        assert_eq!(of(&[], 9, MissingSlots::Excluded), (0, 0, 0, 0));
        // 37 bytes are 296 bits: less than one bit/s.
        assert_eq!(of(&[37], 1, MissingSlots::Zero).3, 0);
        assert_eq!(of(&[38], 1, MissingSlots::Zero).3, 1);
    }

    proptest! {
        /// Beside a plain list of all slots.
        #[test]
        fn zeros_need_not_be_listed(bytes in prop::collection::vec(-3_i128..50, 0..60), more in 0..60_usize) {
            let slots = bytes.len() + more;
            let mut all = bytes.clone();
            all.resize(slots, 0);
            all.sort_unstable();
            let rank = (95 * slots).div_ceil(100);
            let expected = rank.checked_sub(1).map_or(0, |index| all[index]);
            prop_assert_eq!(of(&bytes, i64::try_from(slots).unwrap(), MissingSlots::Zero).2, expected);
        }
    }
}
