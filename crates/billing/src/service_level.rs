//! The service level: minutes in which the agreed level was met, missed, or is not known.

pub(crate) mod judge;

use spillway_events::ServiceLevel;

use crate::wide::TooGreat;

/// 10⁶.
const MILLION: u128 = 1_000_000;

/// Minutes of a site in its networks, each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Minutes {
    /// Minutes within the level.
    pub met: u64,
    /// Minutes at or above it.
    pub missed: u64,
    /// Minutes without evidence.
    pub unknown: u64,
    /// Minutes that do not count.
    pub excluded: u64,
}

impl Minutes {
    /// The minutes within the level of those that are known, in ppm, rounded down; none if none is known.
    #[must_use]
    pub fn attainment_ppm(&self) -> Option<u32> {
        ppm(self.met.into(), u128::from(self.met) + u128::from(self.missed))
    }

    /// The minutes that are known of those that count, in ppm, rounded down; none if none counts.
    #[must_use]
    pub fn coverage_ppm(&self) -> Option<u32> {
        let known = u128::from(self.met) + u128::from(self.missed);
        ppm(known, known + u128::from(self.unknown))
    }

    /// The sum of both.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn and(self, other: Self) -> Result<Self, TooGreat> {
        let sum = |one: u64, other: u64| one.checked_add(other).ok_or(TooGreat);
        Ok(Self {
            met: sum(self.met, other.met)?,
            missed: sum(self.missed, other.missed)?,
            unknown: sum(self.unknown, other.unknown)?,
            excluded: sum(self.excluded, other.excluded)?,
        })
    }
}

/// The minutes of one record.
impl From<&ServiceLevel> for Minutes {
    fn from(record: &ServiceLevel) -> Self {
        let ServiceLevel {
            met,
            missed,
            unknown,
            excluded_pinned,
            excluded_drained,
            excluded_maintenance,
            ..
        } = record;
        let excluded = [excluded_pinned, excluded_drained, excluded_maintenance];
        Self {
            met: u64::from(*met),
            missed: u64::from(*missed),
            unknown: u64::from(*unknown),
            excluded: excluded.into_iter().map(|minutes| u64::from(*minutes)).sum(),
        }
    }
}

fn ppm(part: u128, whole: u128) -> Option<u32> {
    u32::try_from((part * MILLION).checked_div(whole)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attainment_and_coverage_are_rounded_down() {
        let minutes = Minutes { met: 2, missed: 1, unknown: 3, excluded: 10 };
        assert_eq!((minutes.attainment_ppm(), minutes.coverage_ppm()), (Some(666_666), Some(500_000)));
        let month = Minutes { met: 43_199, missed: 1, ..Minutes::default() };
        assert_eq!((month.attainment_ppm(), month.coverage_ppm()), (Some(999_976), Some(1_000_000)));
        let unknown = Minutes { unknown: 5, ..Minutes::default() };
        assert_eq!((unknown.attainment_ppm(), unknown.coverage_ppm()), (None, Some(0)));
        let excluded = Minutes { excluded: 5, ..Minutes::default() };
        assert_eq!((excluded.attainment_ppm(), excluded.coverage_ppm()), (None, None));
        let most = Minutes { met: u64::MAX, missed: u64::MAX, ..Minutes::default() };
        assert_eq!(most.attainment_ppm(), Some(500_000));
        assert_eq!(most.and(minutes), Err(TooGreat));
        assert_eq!(minutes.and(minutes).unwrap(), Minutes { met: 4, missed: 2, unknown: 6, excluded: 20 });
    }
}
