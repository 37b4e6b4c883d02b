//! One site: its windows, their values, and its route in every network.

mod objective_windows;
mod performance;
mod route;
mod saved;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use spillway_events::{
    CdnName, Decision, LISTED_PROBES_MAX, Objective, ObjectiveEvidence, ProbeValue, Reason, Route, Site,
    TimeMicros, Value, Verdict,
};

use crate::agreed::{Agreed, RouteTerms};
use crate::choice::{CdnView, Permille, Usable};
use crate::directory::Directory;
use crate::evidence::{Votes, combine, evidence, permille, verdict};
use crate::moment::Moment;
use crate::overrides::OfSite;
use crate::per_network::PerNetwork;
use crate::rank::Rank;
use crate::topology::Topology;
use crate::windows::{Change, Windows};
pub(crate) use objective_windows::ObjectiveWindows;
pub use performance::SitePerformance;
use route::Facts;

/// The state of one site.
#[derive(Debug)]
pub(crate) struct SiteState {
    /// With the objectives that are in force.
    pub(crate) spec: Arc<Site>,
    agreement: u64,
    /// What is agreed beside the objectives.
    terms: Option<Arc<RouteTerms>>,
    /// One for each objective.
    pub(crate) windows: Vec<ObjectiveWindows>,
    /// By the network's index in the topology; `None` if the site has not been decided yet.
    current: PerNetwork<Option<Current>>,
    /// Whether the verdict is below and followed in every network, so that no CDN's value matters.
    is_below_everywhere: bool,
    /// When it is decided next because time passes.
    pub(crate) due: Option<TimeMicros>,
}

/// What a site is decided from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Basis<'a> {
    pub(crate) topology: &'a Topology,
    pub(crate) directory: &'a Directory,
    pub(crate) windows: &'a Windows,
}

/// The origin's index among the targets of a site.
const ORIGIN: u16 = 0;

/// The route of a site in a network, as of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Current {
    route: Route,
    verdict: Verdict,
    reason: Option<Reason>,
    /// Whether the verdict was ever known.
    known: bool,
    /// The tick that last changed route or reason.
    decided_tick: u64,
    /// When the route last left the origin.
    left_origin_at: Option<TimeMicros>,
    /// Since when the verdict on objectives in force has been unknown without a break.
    unknown_since: Option<TimeMicros>,
}

impl SiteState {
    pub(crate) fn new(agreed: Agreed, windows: &mut Windows) -> Self {
        let Agreed { site: spec, agreement, terms } = agreed;
        let windows = objective_windows::empty(&spec, windows);
        let (current, due) = (PerNetwork::default(), None);
        Self { spec, agreement, terms, windows, current, is_below_everywhere: false, due }
    }

    /// Whether this is agreed for the site.
    pub(crate) fn is_as(&self, agreed: &Agreed) -> bool {
        *self.spec == *agreed.site && self.agreement == agreed.agreement && self.terms == agreed.terms
    }

    /// Applies a new specification of the site with this number. Windows are kept by the target's name and the objective; a
    /// changed objective starts with an empty window.
    pub(crate) fn respecify(&mut self, number: u32, agreed: Agreed, windows: &mut Windows) {
        let Agreed { site: spec, agreement, terms } = agreed;
        let old = std::mem::take(&mut self.windows);
        self.windows = objective_windows::rearranged(old, &self.spec, number, &spec, windows);
        self.spec = spec;
        (self.agreement, self.terms) = (agreement, terms);
    }

    /// Moves the route of each network to the network's index in a new topology; drops the routes of networks that are gone.
    pub(crate) fn retopologize(&mut self, old: &Topology, new: &Topology) {
        let mut current = vec![None; new.networks_count()];
        for (network, held) in self.current.to_vec(old.networks_count()).into_iter().enumerate() {
            if let Some(slot) = new.index(old.name(network)).and_then(|network| current.get_mut(network)) {
                *slot = held;
            }
        }
        self.current = PerNetwork::new(&current, new.root());
    }

    /// Whether the site has windows of one of these probes.
    pub(crate) fn has_any_probe(&self, probes: &BTreeSet<u32>) -> bool {
        self.windows.iter().any(|objective| objective.iter().any(|(_, probe, _)| probes.contains(&probe)))
    }

    /// Forgets the windows of these probes.
    pub(crate) fn drop_probes(&mut self, probes: &BTreeSet<u32>, windows: &mut Windows) {
        objective_windows::drop_probes(&mut self.windows, probes, windows);
    }

    /// Time starts again at a tick: what is unknown is unknown since then, and no route left the origin later.
    pub(crate) fn restart(&mut self, at: TimeMicros, topology: &Topology) {
        let mut current = self.current.to_vec(topology.networks_count());
        for held in current.iter_mut().flatten() {
            held.unknown_since = held.unknown_since.map(|_| at);
            held.left_origin_at = held.left_origin_at.map(|left| left.min(at));
        }
        self.hold(&current, topology);
    }

    /// Forgets all windows.
    pub(crate) fn drop_windows(&mut self, windows: &mut Windows) {
        objective_windows::drop_all(&mut self.windows, windows);
    }

    /// Removes the window if it is empty. Returns whether its change can alter a verdict or a choice: values of the origin only
    /// if they change their side of the threshold or a return band is agreed, values of a CDN only if traffic may leave the origin.
    pub(crate) fn take_change(&mut self, change: &Change, windows: &mut Windows) -> bool {
        if change.is_empty
            && let Some(objective) = self.windows.get_mut(usize::from(change.of.objective))
        {
            objective.remove(change.of.series, windows);
        }
        if change.of.series.target == ORIGIN {
            let is_in_band = || self.terms.as_ref().is_some_and(|terms| terms.return_band_permille > 0);
            change.crosses
                || change.success_changes
                || change.changes && !self.is_below_everywhere && is_in_band()
        } else {
            change.changes && !self.is_below_everywhere
        }
    }

    /// What the windows of a target say, by objective.
    fn votes(&self, topology: &Topology, windows: &Windows, target: u16) -> Vec<Votes> {
        let of_objective = |(objective, held): (&Objective, &ObjectiveWindows)| {
            let by_probe = held.votes(target, topology, windows);
            let by_network = evidence(topology, objective, &by_probe);
            Votes { by_probe, by_network }
        };
        self.spec.objectives.iter().zip(&self.windows).map(of_objective).collect()
    }

    /// Decides the site in every network. Returns a decision for each network whose route, verdict or reason changed, or for
    /// all networks, in their order.
    pub(crate) fn decide(
        &mut self,
        moment: Moment,
        overrides: OfSite<'_>,
        basis: Basis<'_>,
        usable: impl Fn(&CdnName) -> Usable,
        redecide_all: bool,
    ) -> Vec<Decision> {
        let Basis { topology, directory, windows } = basis;
        let origin = self.votes(topology, windows, ORIGIN);
        let cdns = OnceCell::new();
        let cdns = || cdns.get_or_init(|| self.cdn_votes(topology, windows));
        let usable: Vec<Usable> = self.spec.cdns.iter().map(|cdn| usable(&cdn.cdn)).collect();
        let all_cdns: Vec<usize> = (0..self.spec.cdns.len()).collect();
        let mut changes = Vec::new();
        for network in 0..topology.networks_count() {
            let previous = self.current.get(network).as_ref();
            let literal = combine(self.verdicts(&origin, network));
            let since = previous.and_then(|previous| previous.unknown_since);
            // Without an objective there is nothing to know.
            let is_unknown = literal == Verdict::Unknown && !self.spec.objectives.is_empty();
            let unknown_since = is_unknown.then(|| since.unwrap_or(moment.at));
            let order = self.terms.as_ref().map_or(&all_cdns[..], |terms| terms.order(topology, network));
            // Only a return band asks for it.
            let origin_permille = self.terms.as_ref().and_then(|_| self.worst_permille(&origin, network));
            let (verdict, at) = (literal, moment.at);
            let facts = Facts { overrides, previous, verdict, at, unknown_since, order, origin_permille };
            let views = || self.views(order, cdns(), &usable, network);
            let has_success = || has_success(&origin, topology, network);
            let (route, reason, candidates) = self.route(&facts, views, has_success);
            let known = literal != Verdict::Unknown || previous.is_some_and(|previous| previous.known);
            let same = previous.filter(|previous| (&previous.route, previous.reason) == (&route, reason));
            let decided_tick = same.map_or(moment.tick, |previous| previous.decided_tick);
            let left_before = previous.and_then(|previous| previous.left_origin_at);
            let was_on_cdn = previous.is_some_and(|previous| previous.route.cdn.is_some());
            let leaves = route.cdn.is_some() && !was_on_cdn;
            let left_origin_at = if leaves { Some(moment.at) } else { left_before };
            let current =
                Current { route, verdict, reason, known, decided_tick, left_origin_at, unknown_since };
            if !redecide_all && previous.is_some_and(|previous| same_outcome(previous, &current)) {
                // The other parts change only together with route or verdict, so they are not compared.
                continue;
            }
            let decision = Decision {
                site: self.spec.name.clone(),
                network: topology.name(network).clone(),
                tick: moment.tick,
                at_us: moment.at,
                route: current.route.clone(),
                verdict: literal,
                reason,
                objectives: self.objective_evidence(topology, directory, &origin, network),
                candidates,
                agreement: self.agreement,
            };
            changes.push((network, current, decision));
        }
        if changes.is_empty() {
            return Vec::new();
        }
        let mut held = self.current.to_vec(topology.networks_count());
        let mut decisions = Vec::with_capacity(changes.len());
        for (network, current, decision) in changes {
            held[network] = Some(current);
            decisions.push(decision);
        }
        self.hold(&held, topology);
        decisions
    }

    /// Whether the site has a last route in every network, to one of its targets, so that it can be frozen everywhere.
    pub(crate) fn has_last_routes(&self, topology: &Topology) -> bool {
        let last = |network| self.current.get(network).as_ref();
        let has_last = |network| last(network).is_some_and(|current| self.has(&current.route));
        (0..topology.networks_count()).all(has_last)
    }

    /// Whether the origin was taken in a network because the held CDN was lost while nothing was known.
    pub(crate) fn lost_its_cdn(&self) -> bool {
        let is_lost = |current: &Current| {
            (current.verdict, current.reason) == (Verdict::Unknown, Some(Reason::NoUsableCdn))
                && current.route.cdn.is_none()
        };
        let others = self.current.others().filter_map(|(_, current)| current.as_ref());
        self.current.usual().iter().chain(others).any(is_lost)
    }

    /// Sets the route in each network.
    fn hold(&mut self, held: &[Option<Current>], topology: &Topology) {
        // With the origin drained the CDNs matter all the same.
        let is_below = |current: &Current| current.verdict == Verdict::Below && current.reason.is_none();
        self.is_below_everywhere = held.iter().all(|current| current.as_ref().is_some_and(is_below));
        self.current = PerNetwork::new(held, topology.root());
    }

    fn cdn_votes(&self, topology: &Topology, windows: &Windows) -> Vec<Vec<Votes>> {
        (1_u16..).take(self.spec.cdns.len()).map(|target| self.votes(topology, windows, target)).collect()
    }

    fn verdicts(&self, votes: &[Votes], network: usize) -> Vec<Verdict> {
        let of_objective =
            |(objective, votes): (&Objective, &Votes)| verdict(objective, votes.by_network[network]);
        self.spec.objectives.iter().zip(votes).map(of_objective).collect()
    }

    /// A target's worst objective; those without evidence do not count.
    fn worst_permille(&self, votes: &[Votes], network: usize) -> Option<Permille> {
        let with_evidence = self.spec.objectives.iter().zip(votes);
        let permilles = with_evidence.filter_map(|(objective, votes)| {
            votes.by_network[network].map(|found| permille(objective, found.value))
        });
        permilles.max()
    }

    /// The CDNs of these indexes, in this order.
    fn views(&self, order: &[usize], cdns: &[Vec<Votes>], usable: &[Usable], network: usize) -> Vec<CdnView> {
        let view = |index: &usize| CdnView {
            usable: usable[*index],
            verdict: combine(self.verdicts(&cdns[*index], network)),
            permille: self.worst_permille(&cdns[*index], network),
        };
        order.iter().map(view).collect()
    }

    fn objective_evidence(
        &self,
        topology: &Topology,
        directory: &Directory,
        origin: &[Votes],
        network: usize,
    ) -> Vec<ObjectiveEvidence> {
        let line = |(objective, votes): (&Objective, &Votes)| {
            let found = votes.by_network[network];
            let (value, failed) = number(found.map(|found| found.value), objective);
            let from = found.map_or(network, |found| found.from);
            let mut probes = probe_values(topology, directory, votes, from, objective);
            let samples = probes.iter().map(|probe| probe.samples).sum();
            let probes_count = probes.len() as u64;
            probes.truncate(LISTED_PROBES_MAX);
            ObjectiveEvidence {
                metric: objective.metric,
                threshold: objective.threshold,
                percentile: objective.percentile,
                window_us: objective.window_us,
                verdict: verdict(objective, found),
                value,
                failed,
                evidence_from: found.map(|found| topology.name(found.from).clone()),
                samples,
                probes_count,
                probes,
            }
        };
        self.spec.objectives.iter().zip(origin).map(line).collect()
    }
}

/// The values of the probes in or below a network.
fn probe_values(
    topology: &Topology,
    directory: &Directory,
    votes: &Votes,
    network: usize,
    objective: &Objective,
) -> Vec<ProbeValue> {
    let value = |position: &u32| {
        let vote = votes.by_probe.get(*position as usize)?;
        let rank = vote.stat.value?;
        let probe = directory.numbered_probe(*topology.probes().get(*position as usize)?)?;
        Some(ProbeValue {
            agent: probe.agent.clone(),
            network: probe.network.clone(),
            value: number(Some(rank), objective).0,
            samples: vote.samples,
        })
    };
    topology.voters(network).iter().filter_map(value).collect()
}

/// Whether a window of the origin holds a success, of any probe that counts for the network.
fn has_success(origin: &[Votes], topology: &Topology, network: usize) -> bool {
    let of_probe = |votes: &Votes, position: u32| {
        votes.by_probe.get(position as usize).is_some_and(|vote| vote.stat.has_success)
    };
    let voters = topology.voters(network);
    origin.iter().any(|votes| voters.iter().any(|position| of_probe(votes, *position)))
}

fn number(rank: Option<Rank>, objective: &Objective) -> (Option<u64>, bool) {
    match rank.map(|rank| rank.value(objective.metric)) {
        None => (None, false),
        Some(Value::Failed) => (None, true),
        Some(Value::Number(number)) => (Some(number), false),
    }
}

fn same_outcome(one: &Current, other: &Current) -> bool {
    (&one.route, one.verdict, one.reason) == (&other.route, other.verdict, other.reason)
}
