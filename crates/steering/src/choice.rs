//! Chooses the CDN of a route that leaves the origin.

use spillway_events::{PassedOver, Verdict};

/// A value in permille of the agreed level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permille(pub u64);

/// The permille of a failed value, and of throughput 0.
pub const INFINITE: Permille = Permille(u64::MAX);

/// Traffic returns to an earlier CDN only at this level or below it.
const RETURN_TO_EARLIER: Permille = Permille(900);

/// A CDN of a site as seen from one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CdnView {
    /// Whether it can be used.
    pub usable: Usable,
    /// The verdict on it.
    pub verdict: Verdict,
    /// The permille of its worst objective; objectives without evidence do not count.
    pub permille: Option<Permille>,
}

/// Whether a CDN can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usable {
    /// It is healthy, accepting and not full, as far as its latest statistics say.
    Yes,
    /// Its latest statistics exclude it.
    No,
    /// An operator drains it, whatever its statistics say.
    Drained,
}

/// The outcome of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// The CDN at that index in the site's order.
    Cdn(usize),
    /// No CDN can be used, and the origin answers a probe.
    Origin,
}

/// Chooses among a site's CDNs, which are in order of preference. `present` is the index of the one in use.
#[must_use]
pub fn choose_cdn(views: &[CdnView], present: Option<usize>, origin_has_success: bool) -> Chosen {
    let with = |usable: &[Usable]| -> Vec<usize> {
        (0..views.len()).filter(|index| usable.contains(&views[*index].usable)).collect()
    };
    let mut candidates = with(&[Usable::Yes]);
    if candidates.is_empty() {
        if origin_has_success || views.is_empty() {
            return Chosen::Origin;
        }
        candidates = with(&[Usable::No]);
        if candidates.is_empty() {
            candidates = with(&[Usable::Drained]);
        }
    }
    let present = present.filter(|present| candidates.contains(present));
    let is = |verdict: Verdict| move |index: &usize| views[*index].verdict == verdict;
    if let Some(present) = present.filter(is(Verdict::Below)) {
        let returns = |index: &usize| {
            *index < present
                && views[*index].verdict == Verdict::Below
                && views[*index].permille.is_some_and(|permille| permille <= RETURN_TO_EARLIER)
        };
        return Chosen::Cdn(candidates.iter().copied().find(returns).unwrap_or(present));
    }
    let first = |verdict: Verdict| candidates.iter().copied().find(is(verdict));
    if let Some(index) = first(Verdict::Below).or_else(|| first(Verdict::Unknown)) {
        return Chosen::Cdn(index);
    }
    let permille = |index: usize| views[index].permille.unwrap_or(INFINITE);
    // `min_by_key` returns the first of equals, which is the first in the site's order.
    let Some(least) = candidates.iter().copied().min_by_key(|index| permille(*index)) else {
        return Chosen::Origin;
    };
    match present {
        Some(present) if !is_much_better(permille(least), permille(present)) => Chosen::Cdn(present),
        _ => Chosen::Cdn(least),
    }
}

/// 100 × the least ≤ 90 × its own, or only its own is infinite.
fn is_much_better(least: Permille, own: Permille) -> bool {
    match (least == INFINITE, own == INFINITE) {
        (true, _) => false,
        (false, true) => true,
        (false, false) => 100 * u128::from(least.0) <= 90 * u128::from(own.0),
    }
}

/// Why a CDN that was not chosen was passed over.
pub(crate) fn passed_over(view: CdnView) -> PassedOver {
    match view.verdict {
        _ if view.usable != Usable::Yes => PassedOver::NotUsable,
        Verdict::AtOrAbove => PassedOver::AtOrAbove,
        Verdict::Unknown => PassedOver::Unknown,
        Verdict::Below => PassedOver::Preferred,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(permille: u64) -> CdnView {
        CdnView { usable: Usable::Yes, verdict: Verdict::Below, permille: Some(Permille(permille)) }
    }

    fn above(permille: u64) -> CdnView {
        CdnView { usable: Usable::Yes, verdict: Verdict::AtOrAbove, permille: Some(Permille(permille)) }
    }

    const UNKNOWN: CdnView = CdnView { usable: Usable::Yes, verdict: Verdict::Unknown, permille: None };
    const FAILED: CdnView =
        CdnView { usable: Usable::Yes, verdict: Verdict::AtOrAbove, permille: Some(INFINITE) };

    fn unusable(view: CdnView) -> CdnView {
        CdnView { usable: Usable::No, ..view }
    }

    #[test]
    fn the_first_that_is_below_is_chosen_then_the_first_unknown() {
        assert_eq!(choose_cdn(&[above(2000), below(999), below(1)], None, true), Chosen::Cdn(1));
        assert_eq!(choose_cdn(&[above(1000), UNKNOWN, UNKNOWN], None, true), Chosen::Cdn(1));
        assert_eq!(choose_cdn(&[UNKNOWN, below(999)], None, true), Chosen::Cdn(1));
        assert_eq!(choose_cdn(&[unusable(below(1)), below(999)], None, true), Chosen::Cdn(1));
    }

    #[test]
    fn the_present_one_stays_while_below_unless_an_earlier_one_is_clearly_below() {
        assert_eq!(choose_cdn(&[below(901), below(999)], Some(1), true), Chosen::Cdn(1));
        assert_eq!(choose_cdn(&[below(900), below(999)], Some(1), true), Chosen::Cdn(0));
        assert_eq!(choose_cdn(&[below(999), below(100)], Some(0), true), Chosen::Cdn(0));
        assert_eq!(choose_cdn(&[unusable(below(1)), below(999)], Some(1), true), Chosen::Cdn(1));
        assert_eq!(choose_cdn(&[below(999), UNKNOWN], Some(1), true), Chosen::Cdn(0));
    }

    #[test]
    fn all_being_at_or_above_the_least_is_chosen_but_the_present_stays_within_a_tenth() {
        assert_eq!(choose_cdn(&[above(1500), above(1200), above(1200)], None, true), Chosen::Cdn(1));
        assert_eq!(choose_cdn(&[above(1501), above(1351)], Some(0), true), Chosen::Cdn(0));
        assert_eq!(choose_cdn(&[above(1500), above(1350)], Some(0), true), Chosen::Cdn(1));
        assert_eq!(choose_cdn(&[FAILED, above(5000)], Some(0), true), Chosen::Cdn(1));
        assert_eq!(choose_cdn(&[FAILED, FAILED], Some(1), true), Chosen::Cdn(1));
        assert_eq!(choose_cdn(&[above(5000), FAILED], Some(0), true), Chosen::Cdn(0));
    }

    #[test]
    fn none_usable_is_the_origin_while_it_answers_somebody() {
        assert_eq!(choose_cdn(&[unusable(below(1)), unusable(below(2))], None, true), Chosen::Origin);
        assert_eq!(choose_cdn(&[unusable(above(1001)), unusable(below(2))], None, false), Chosen::Cdn(1));
        assert_eq!(choose_cdn(&[], None, false), Chosen::Origin);
    }
}
