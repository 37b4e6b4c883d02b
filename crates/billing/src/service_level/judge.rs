//! Judges minutes, each once.

use spillway_events::{Reason, Verdict};

use crate::period::MINUTE_MS;
use crate::terms::Terms;

/// The time after the end of a minute up to which it can be judged, in ms.
const LATEST_MS: i64 = MINUTE_MS;

/// What a minute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The level was met.
    Met,
    /// It was missed.
    Missed,
    /// It is not known.
    Unknown,
    /// The minute does not count: the route was pinned.
    Pinned,
    /// It does not count: a target was drained.
    Drained,
    /// It does not count: maintenance was agreed.
    Maintenance,
}

/// What a tick decides for a site in a network, at its end.
#[derive(Debug, Clone, Copy)]
pub struct Observed {
    /// The tick's time in ms.
    pub tick_ms: i64,
    /// Whether the clock was reset at this tick.
    pub restart: bool,
    /// The reason of the route.
    pub reason: Option<Reason>,
    /// The verdict on the target that the route names.
    pub verdict: Verdict,
    /// Whether the network has a probe of its own.
    pub has_probe: bool,
}

/// Where the judging of a site in a network stands.
///
/// A minute [M, M + 60 s) of tick time is judged at the first tick at or after M + 60 s, after that tick's decisions, on the target
/// that the network's route names then: met if that target's verdict is below, missed if it is at-or-above, else unknown. It is
/// unknown too if it is judged after M + 120 s, or lies, from its beginning to its end, between the last tick before a reset of the
/// clock and the first one after it.
///
/// Before that, it is excluded with the first reason that fits, unless the terms count such minutes: the route was pinned at any
/// instant of the minute; it was drained at any instant; M lies in agreed maintenance. A reason holds from its tick to the tick of
/// the next change.
///
/// A minute exists where an agreement with objectives is in force at M and the network has a probe of its own at the tick that
/// judges. After a clock was set back no minute is judged again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judge {
    /// The first minute that is not judged yet.
    next_ms: i64,
    /// The time of the last tick.
    last_tick_ms: i64,
    /// The reason that holds since then.
    reason: Option<Reason>,
    /// The reasons that held in the minute that is going on, before the last tick.
    seen: Seen,
}

/// The reasons that held at some instant of a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    pinned: bool,
    drained: bool,
}

impl Seen {
    fn and(self, reason: Option<Reason>) -> Self {
        Self {
            pinned: self.pinned || reason == Some(Reason::Pinned),
            drained: self.drained || reason == Some(Reason::Drained),
        }
    }
}

impl Judge {
    /// Begins with the minute of the site's first decision in the network.
    #[must_use]
    pub fn new(first: &Observed) -> Self {
        let next_ms = minute_of(first.tick_ms);
        Self { next_ms, last_tick_ms: first.tick_ms, reason: first.reason, seen: Seen::default() }
    }

    /// Judges the minutes that end by a later tick, and returns those that exist. `terms_at` are the terms in force at a time, if
    /// these have objectives.
    pub fn observe<'a>(
        &mut self,
        observed: &Observed,
        terms_at: impl Fn(i64) -> Option<&'a Terms>,
    ) -> Vec<(i64, Outcome)> {
        // Between the last tick before a reset and the first one after it nothing is known.
        let gap = observed.restart.then_some((self.last_tick_ms, observed.tick_ms));
        let mut judged = Vec::new();
        while self.next_ms + MINUTE_MS <= observed.tick_ms {
            let minute_ms = self.next_ms;
            let is_late = observed.tick_ms > minute_ms + MINUTE_MS + LATEST_MS;
            let is_in_gap = gap.is_some_and(|(from, to)| from <= minute_ms && minute_ms + MINUTE_MS <= to);
            let verdict = if is_late || is_in_gap { Verdict::Unknown } else { observed.verdict };
            // The last reason held up to this tick, and so in every minute that ends by it.
            let seen = self.seen.and(self.reason);
            if let Some(terms) = terms_at(minute_ms).filter(|_| observed.has_probe) {
                judged.push((minute_ms, outcome(minute_ms, verdict, seen, terms)));
            }
            self.next_ms += MINUTE_MS;
            self.seen = Seen::default();
        }
        // The last reason held in the minute that is going on, if it held in it for any time.
        if self.last_tick_ms.max(self.next_ms) < observed.tick_ms {
            self.seen = self.seen.and(self.reason);
        }
        (self.last_tick_ms, self.reason) = (observed.tick_ms, observed.reason);
        judged
    }
}

fn outcome(minute_ms: i64, verdict: Verdict, seen: Seen, terms: &Terms) -> Outcome {
    let is_maintained = terms.maintenance.iter().any(|window| window.contains(minute_ms));
    match verdict {
        _ if seen.pinned && !terms.counted.pinned => Outcome::Pinned,
        _ if seen.drained && !terms.counted.drained => Outcome::Drained,
        _ if is_maintained && !terms.counted.maintenance => Outcome::Maintenance,
        Verdict::Below => Outcome::Met,
        Verdict::AtOrAbove => Outcome::Missed,
        Verdict::Unknown => Outcome::Unknown,
    }
}

fn minute_of(ms: i64) -> i64 {
    ms - ms.rem_euclid(MINUTE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::Span;
    use crate::terms::CountedMinutes;

    const BELOW: Observed =
        Observed { tick_ms: 0, restart: false, reason: None, verdict: Verdict::Below, has_probe: true };

    fn at(tick_ms: i64) -> Observed {
        Observed { tick_ms, ..BELOW }
    }

    /// What ticks judge under terms that are in force from a time on.
    fn judged_from(from_ms: i64, terms: &Terms, ticks: &[Observed]) -> Vec<(i64, Outcome)> {
        let mut judge = Judge::new(&ticks[0]);
        let rest = ticks[1..].iter();
        let judged = rest.map(|tick| judge.observe(tick, |ms| (ms >= from_ms).then_some(terms)));
        judged.flatten().collect()
    }

    fn judged(ticks: &[Observed]) -> Vec<(i64, Outcome)> {
        judged_from(0, &Terms::default(), ticks)
    }

    #[test]
    fn a_minute_is_judged_once_by_the_first_tick_at_or_after_its_end() {
        assert_eq!(judged(&[at(0), at(59_999)]), []);
        let missed = Observed { verdict: Verdict::AtOrAbove, ..at(60_000) };
        assert_eq!(judged(&[at(0), missed, at(60_001), at(119_999)]), [(0, Outcome::Missed)]);
        let unknown = Observed { verdict: Verdict::Unknown, ..at(119_999) };
        assert_eq!(judged(&[at(0), unknown]), [(0, Outcome::Unknown)]);
    }

    #[test]
    fn a_minute_that_is_judged_late_is_unknown() {
        assert_eq!(judged(&[at(0), at(120_000)]), [(0, Outcome::Met), (60_000, Outcome::Met)]);
        assert_eq!(judged(&[at(0), at(120_001)]), [(0, Outcome::Unknown), (60_000, Outcome::Met)]);
    }

    #[test]
    fn a_reset_of_the_clock_leaves_its_gap_unknown_and_judges_nothing_again() {
        let reset = |tick_ms| Observed { restart: true, ..at(tick_ms) };
        assert_eq!(judged(&[at(0), reset(120_000)]), [(0, Outcome::Unknown), (60_000, Outcome::Unknown)]);
        assert_eq!(judged(&[at(0), at(30_000), reset(119_000)]), [(0, Outcome::Met)]);
        assert_eq!(
            judged(&[at(0), at(60_000), reset(90_000), at(120_000)]),
            [(0, Outcome::Met), (60_000, Outcome::Met)]
        );
        // Set back by two minutes: the minutes judged stay judged.
        let back = [at(0), at(60_000), at(120_000), reset(10_000), at(70_000), at(130_000), at(180_000)];
        assert_eq!(judged(&back), [(0, Outcome::Met), (60_000, Outcome::Met), (120_000, Outcome::Met)]);
    }

    #[test]
    fn a_reason_excludes_every_minute_in_which_it_held() {
        let with = |tick_ms, reason| Observed { reason: Some(reason), ..at(tick_ms) };
        // Pinned from 59.9 s to 60 s: the first minute only. The route of the tick at 60 s is not of the minute before.
        let ticks = [at(0), with(59_900, Reason::Pinned), at(60_000), at(120_000)];
        assert_eq!(judged(&ticks), [(0, Outcome::Pinned), (60_000, Outcome::Met)]);
        let ticks = [at(0), at(59_900), with(60_000, Reason::Pinned), at(120_000)];
        assert_eq!(judged(&ticks), [(0, Outcome::Met), (60_000, Outcome::Pinned)]);
        // From one minute into the next.
        let ticks = [at(0), with(50_000, Reason::Drained), at(61_000), at(120_000), at(180_000)];
        assert_eq!(
            judged(&ticks),
            [(0, Outcome::Drained), (60_000, Outcome::Drained), (120_000, Outcome::Met)]
        );
        // Pinned goes first, whichever was first.
        let ticks = [at(0), with(1_000, Reason::Drained), with(2_000, Reason::Pinned), at(3_000), at(60_000)];
        assert_eq!(judged(&ticks), [(0, Outcome::Pinned)]);
        for reason in [Reason::Frozen, Reason::Guarded, Reason::UnknownHold] {
            assert_eq!(judged(&[at(0), with(1_000, reason), at(60_000)]), [(0, Outcome::Met)]);
        }
        // Also where it is judged late.
        let ticks = [at(0), with(1_000, Reason::Pinned), at(500_000)];
        assert!(judged(&ticks).iter().all(|(_, outcome)| *outcome == Outcome::Pinned));
    }

    #[test]
    fn maintenance_excludes_minutes_that_begin_in_it() {
        let maintenance = vec![Span { begin_ms: 30_000, end_ms: 120_000 }];
        let terms = Terms { maintenance, ..Terms::default() };
        let ticks = [at(0), at(60_000), at(120_000), at(180_000)];
        let expected = [(0, Outcome::Met), (60_000, Outcome::Maintenance), (120_000, Outcome::Met)];
        assert_eq!(judged_from(0, &terms, &ticks), expected);
    }

    #[test]
    fn terms_can_count_what_is_excluded() {
        let counted = CountedMinutes { pinned: true, drained: false, maintenance: true };
        let maintenance = vec![Span { begin_ms: 0, end_ms: 600_000 }];
        let terms = Terms { counted, maintenance, ..Terms::default() };
        let with = |tick_ms, reason| Observed { reason: Some(reason), ..at(tick_ms) };
        let ticks = [with(0, Reason::Pinned), with(60_000, Reason::Drained), at(120_000), at(180_000)];
        let expected = [(0, Outcome::Met), (60_000, Outcome::Drained), (120_000, Outcome::Met)];
        assert_eq!(judged_from(0, &terms, &ticks), expected);
    }

    #[test]
    fn a_minute_exists_under_an_agreement_and_with_a_probe() {
        let without = Observed { has_probe: false, ..at(120_000) };
        let ticks = [at(0), at(60_000), without, at(180_000)];
        assert_eq!(judged_from(1, &Terms::default(), &ticks), [(120_000, Outcome::Met)]);
        assert_eq!(judged_from(0, &Terms::default(), &ticks), [(0, Outcome::Met), (120_000, Outcome::Met)]);
        // The first decision is in the middle of a minute, in which no agreement was in force at its beginning.
        assert_eq!(
            judged_from(30_000, &Terms::default(), &[at(30_000), at(60_000), at(120_000)]),
            [(60_000, Outcome::Met)]
        );
    }
}
