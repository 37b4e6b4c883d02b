//! From verdicts to a route.

use spillway_events::{Reason, Verdict};

use super::evidence::Judgement;
use super::number::Permille;

/// What stands for a site in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// The CDN by its place in the site's order; nothing is the origin.
    pub(super) cdn: Option<usize>,
    pub(super) verdict: Verdict,
    pub(super) reason: Option<Reason>,
    /// Whether a verdict, this or an earlier one, was other than unknown.
    ever_known: bool,
}

impl Held {
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        (self.cdn, self.verdict, self.reason) == (other.cdn, other.verdict, other.reason)
    }
}

/// Decides from the judgements of the origin and the CDNs, in this order, and from what stood before.
pub(super) fn decide(judged: &[Vec<Judgement>], before: Option<&Held>) -> Held {
    let Some((origin, cdns)) = judged.split_first().filter(|(origin, _)| !origin.is_empty()) else {
        let reason = Some(Reason::NoAgreement);
        return Held { cdn: None, verdict: Verdict::Unknown, reason, ever_known: false };
    };
    let held_cdn = before.and_then(|before| before.cdn);
    let verdict = of_all(origin);
    let ever_known = verdict != Verdict::Unknown || before.is_some_and(|before| before.ever_known);
    let (cdn, reason) = match verdict {
        Verdict::Below => (None, None),
        Verdict::AtOrAbove => {
            match choose(&cdns.iter().map(|cdn| standing(cdn)).collect::<Vec<_>>(), held_cdn) {
                Some(cdn) => (Some(cdn), None),
                None => (None, Some(Reason::NoUsableCdn)),
            }
        }
        Verdict::Unknown if ever_known => (held_cdn, Some(Reason::UnknownHold)),
        Verdict::Unknown => (None, Some(Reason::ColdStart)),
    };
    Held { cdn, verdict, reason, ever_known }
}

/// Of several objectives: any at-or-above, else any unknown, else below.
fn of_all(judgements: &[Judgement]) -> Verdict {
    let any = |verdict| judgements.iter().any(|judgement| judgement.verdict == verdict);
    if any(Verdict::AtOrAbove) {
        Verdict::AtOrAbove
    } else if any(Verdict::Unknown) {
        Verdict::Unknown
    } else {
        Verdict::Below
    }
}

/// A CDN's verdict, and the permille of its worst objective.
pub(super) type Standing = (Verdict, Option<Permille>);

fn standing(judgements: &[Judgement]) -> Standing {
    (of_all(judgements), judgements.iter().filter_map(|judgement| judgement.permille).max())
}

/// Which CDN, by its place in the site's order; all of them are usable. Nothing where there is none.
pub(super) fn choose(cdns: &[Standing], present: Option<usize>) -> Option<usize> {
    let is_below = |cdn: &Standing| cdn.0 == Verdict::Below;
    // 1. The present one while it is below, unless an earlier one is clearly below.
    if let Some(present) = present.filter(|present| is_below(&cdns[*present])) {
        let clearly = |cdn: &Standing| is_below(cdn) && cdn.1.is_some_and(|p| p <= Permille::Finite(900));
        return cdns[..present].iter().position(clearly).or(Some(present));
    }
    // 2. The first below; 3. the first unknown.
    let first_below = cdns.iter().position(is_below);
    let first_unknown = || cdns.iter().position(|cdn| cdn.0 == Verdict::Unknown);
    if let Some(first) = first_below.or_else(first_unknown) {
        return Some(first);
    }
    // 4. The least bad; of equals `min_by_key` takes the first.
    let bad = |cdn: usize| cdns[cdn].1.unwrap_or(Permille::Infinite);
    let least = (0..cdns.len()).min_by_key(|cdn| bad(*cdn))?;
    let Some(present) = present else { return Some(least) };
    let is_clearly_better = match (bad(least), bad(present)) {
        (Permille::Finite(least), Permille::Finite(own)) => 100 * least <= 90 * own,
        (Permille::Finite(_), Permille::Infinite) => true,
        (Permille::Infinite, _) => false,
    };
    Some(if is_clearly_better { least } else { present })
}
