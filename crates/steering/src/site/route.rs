//! The route of a site in one network.

use spillway_events::{Candidate, Reason, Route, SilentRoute, TimeMicros, Verdict};

use super::{Current, SiteState};
use crate::choice::{CdnView, Chosen, INFINITE, Permille, Usable, choose_cdn, passed_over};
use crate::overrides::OfSite;

/// What a route in a network follows from, beside the values of CDNs.
pub(super) struct Facts<'a> {
    pub(super) overrides: OfSite<'a>,
    /// The route before.
    pub(super) previous: Option<&'a Current>,
    pub(super) verdict: Verdict,
    /// The tick's time.
    pub(super) at: TimeMicros,
    /// Since when the verdict has been unknown.
    pub(super) unknown_since: Option<TimeMicros>,
    /// The CDNs that may be used in the network, by their indexes in the site's list, in order of preference.
    pub(super) order: &'a [usize],
    /// The origin's worst objective.
    pub(super) origin_permille: Option<Permille>,
}

/// A route, the reason if it differs from the verdict, and the CDNs that were considered.
pub(super) type Routed = (Route, Option<Reason>, Vec<Candidate>);

impl SiteState {
    /// The route for a verdict. `views` are of the CDNs that may be used, in order.
    pub(super) fn route(
        &self,
        facts: &Facts<'_>,
        views: impl Fn() -> Vec<CdnView>,
        origin_has_success: impl Fn() -> bool,
    ) -> Routed {
        let Facts { overrides, previous, verdict, order, .. } = facts;
        if let Some(pinned) = overrides.pin.and_then(|target| self.route_to(target)) {
            return (pinned, Some(Reason::Pinned), Vec::new());
        }
        let last = previous.map(|previous| &previous.route).filter(|route| self.has(route));
        if let Some(last) = last.filter(|_| overrides.is_frozen) {
            return (last.clone(), Some(Reason::Frozen), Vec::new());
        }
        if self.spec.objectives.is_empty() {
            return (Route::ORIGIN, Some(Reason::NoAgreement), Vec::new());
        }
        let is_drained = overrides.is_origin_drained && *verdict != Verdict::AtOrAbove;
        let held = previous.filter(|previous| previous.known).map(|previous| &previous.route);
        let present = previous.and_then(|previous| previous.route.cdn.as_ref());
        let present = order.iter().position(|index| Some(&self.spec.cdns[*index].cdn) == present);
        let silent = self.silent_route(facts);
        let reason = match (verdict, held) {
            _ if is_drained => Some(Reason::Drained),
            (Verdict::Below, _) => return self.kept(facts, present, views),
            (Verdict::Unknown, None) => return (Route::ORIGIN, Some(Reason::ColdStart), Vec::new()),
            (Verdict::Unknown, Some(held)) => match silent {
                None if held.cdn.is_some() => Some(Reason::UnknownHold),
                Some(SilentRoute::Cdn) => Some(Reason::UnknownHold),
                None | Some(SilentRoute::Origin) => {
                    return (Route::ORIGIN, Some(Reason::UnknownHold), Vec::new());
                }
            },
            (Verdict::AtOrAbove, _) => None,
        };
        let views = views();
        let holds = !is_drained && *verdict == Verdict::Unknown && silent.is_none();
        let chosen = match present {
            Some(present) if holds && views[present].usable == Usable::Yes => Chosen::Cdn(present),
            // A drained origin is left for a CDN that can be used, and for no other.
            _ if is_drained && views.iter().all(|view| view.usable != Usable::Yes) => Chosen::Origin,
            _ => choose_cdn(&views, present, origin_has_success()),
        };
        let candidates = self.candidates(order, &views, chosen);
        match chosen {
            Chosen::Cdn(at) => (self.route_of(order, at), reason, candidates),
            Chosen::Origin => (Route::ORIGIN, Some(Reason::NoUsableCdn), candidates),
        }
    }

    /// The route of an origin that is below its threshold: the CDN in use while the return band or the dwell keeps it.
    fn kept(&self, facts: &Facts<'_>, present: Option<usize>, views: impl Fn() -> Vec<CdnView>) -> Routed {
        let origin = || (Route::ORIGIN, None, Vec::new());
        let (Some(terms), Some(present)) = (&self.terms, present) else { return origin() };
        let worst = facts.origin_permille.map_or(0, |permille| permille.0);
        let left_at = facts.previous.and_then(|previous| previous.left_origin_at);
        let reason = if terms.return_band_permille > 0 && worst > 1_000 - terms.return_band_permille {
            Reason::ReturnBand
        } else if left_at.is_some_and(|left| facts.at.0 < left.0.saturating_add(terms.dwell_us)) {
            Reason::Dwell
        } else {
            return origin();
        };
        let views = views();
        let view = views[present];
        if view.usable != Usable::Yes || view.verdict == Verdict::AtOrAbove {
            return origin();
        }
        let candidates = self.candidates(facts.order, &views, Chosen::Cdn(present));
        (self.route_of(facts.order, present), Some(reason), candidates)
    }

    /// Where traffic goes because there was no evidence for the agreed time; none before that.
    fn silent_route(&self, facts: &Facts<'_>) -> Option<SilentRoute> {
        let agreed = self.terms.as_ref()?.on_silence?;
        let since = facts.unknown_since?;
        let hold_us = i64::try_from(agreed.hold_us.0).unwrap_or(i64::MAX);
        (facts.at.0 >= since.0.saturating_add(hold_us)).then_some(agreed.then)
    }

    /// The next time after a tick at which a route can change because time passes: a dwell or a hold ends.
    pub(crate) fn next_due(&self, now: TimeMicros) -> Option<TimeMicros> {
        let terms = self.terms.as_ref()?;
        let hold_us = terms.on_silence.and_then(|agreed| i64::try_from(agreed.hold_us.0).ok());
        let end = |current: &Current| match current.reason {
            Some(Reason::Dwell) => Some(current.left_origin_at?.0.saturating_add(terms.dwell_us)),
            Some(Reason::UnknownHold) => Some(current.unknown_since?.0.saturating_add(hold_us?)),
            _ => None,
        };
        let others = self.current.others().filter_map(|(_, current)| current.as_ref());
        let all = self.current.usual().iter().chain(others);
        all.filter_map(end).filter(|end| *end > now.0).min().map(TimeMicros)
    }

    fn route_of(&self, order: &[usize], at: usize) -> Route {
        Route::to_cdn(self.spec.cdns[order[at]].cdn.clone())
    }

    /// The route to one of the site's targets.
    fn route_to(&self, target: &str) -> Option<Route> {
        if self.spec.origin.name == target {
            return Some(Route::ORIGIN);
        }
        let mut cdns = self.spec.cdns.iter().map(|cdn| &cdn.cdn);
        cdns.find(|cdn| cdn.as_str() == target).map(|cdn| Route::to_cdn(cdn.clone()))
    }

    /// Whether a route still goes to one of the site's targets.
    pub(super) fn has(&self, route: &Route) -> bool {
        route.cdn.as_ref().is_none_or(|cdn| self.spec.cdns.iter().any(|of| of.cdn == *cdn))
    }

    fn candidates(&self, order: &[usize], views: &[CdnView], chosen: Chosen) -> Vec<Candidate> {
        let candidate = |(at, (index, view)): (usize, (&usize, &CdnView))| Candidate {
            cdn: self.spec.cdns[*index].cdn.clone(),
            verdict: view.verdict,
            permille: view.permille.filter(|permille| *permille != INFINITE).map(|permille| permille.0),
            passed_over: (chosen != Chosen::Cdn(at)).then(|| passed_over(*view)),
        };
        order.iter().zip(views).enumerate().map(candidate).collect()
    }
}
