//! Stretches of time: periods, their parts, slots and minutes.

/// The length of a slot in ms.
pub const SLOT_MS: i64 = 300_000;
/// The length of a minute in ms.
pub const MINUTE_MS: i64 = 60_000;

/// The time from one moment to another, in ms since 1970. The end is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Where it begins.
    pub begin_ms: i64,
    /// Where it ends.
    pub end_ms: i64,
}

impl Span {
    /// Its length in ms; 0 if it ends before it begins.
    #[must_use]
    pub fn ms(self) -> u64 {
        u64::try_from(i128::from(self.end_ms) - i128::from(self.begin_ms)).unwrap_or(0)
    }

    /// Whether a moment is part of it.
    #[must_use]
    pub fn contains(self, ms: i64) -> bool {
        (self.begin_ms..self.end_ms).contains(&ms)
    }

    /// The time that is part of both.
    #[must_use]
    pub fn overlap(self, other: Self) -> Self {
        Self { begin_ms: self.begin_ms.max(other.begin_ms), end_ms: self.end_ms.min(other.end_ms) }
    }

    /// How many slots begin in it.
    #[must_use]
    pub fn slots(self) -> u64 {
        let before = |ms: i64| ms.div_euclid(SLOT_MS) + i64::from(ms.rem_euclid(SLOT_MS) > 0);
        u64::try_from(before(self.end_ms) - before(self.begin_ms)).unwrap_or(0)
    }
}

/// Where the slot begins that holds a moment.
#[must_use]
pub fn slot_of(ms: i64) -> i64 {
    ms - ms.rem_euclid(SLOT_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_belong_to_the_period_in_which_they_begin() {
        let slots = |begin_ms, end_ms| Span { begin_ms, end_ms }.slots();
        assert_eq!(slots(0, SLOT_MS), 1);
        assert_eq!(slots(1, SLOT_MS), 0);
        assert_eq!(slots(1, SLOT_MS + 1), 1);
        assert_eq!(slots(-SLOT_MS, 1), 2);
        assert_eq!(slots(5, 0), 0);
        assert_eq!((slot_of(-1), slot_of(0), slot_of(SLOT_MS - 1)), (-SLOT_MS, 0, 0));
    }

    #[test]
    fn an_empty_overlap_has_no_length() {
        let (one, other) = (Span { begin_ms: 0, end_ms: 5 }, Span { begin_ms: 7, end_ms: 9 });
        assert_eq!((one.overlap(other).ms(), one.overlap(one).ms()), (0, 5));
        assert_eq!(Span { begin_ms: i64::MIN, end_ms: i64::MAX }.ms(), u64::MAX);
        assert!(one.contains(0) && !one.contains(5));
    }
}
