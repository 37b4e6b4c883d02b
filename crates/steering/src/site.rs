//! One site: its windows, their values, and its route in every network.

mod saved;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use spillway_events::{
    Candidate, CdnName, Decision, LISTED_PROBES_MAX, Objective, ObjectiveEvidence, Performance, ProbeValue,
    Reason, Route, Site, TimeMicros, Value, Verdict,
};

use crate::choice::{CdnView, Chosen, choose_cdn, passed_over};
use crate::directory::{Directory, targets};
use crate::evidence::{Evidence, ProbeStat, combine, evidence, permille, verdict};
use crate::moment::Moment;
use crate::per_network::PerNetwork;
use crate::rank::Rank;
use crate::sample::Sample;
use crate::topology::Topology;
use crate::window::{Panes, Window};

/// The state of one site.
#[derive(Debug)]
pub(crate) struct SiteState {
    spec: Arc<Site>,
    agreement: u64,
    panes: Vec<Panes>,
    series: FxHashMap<SeriesKey, Series>,
    /// By the network's index in the topology; `None` if the site has not been decided yet.
    current: PerNetwork<Option<Current>>,
    /// Whether the verdict is below in every network, so that no CDN's value matters.
    is_below_everywhere: bool,
}

/// The origin's index among the targets of a site.
const ORIGIN: u16 = 0;

/// One probe and one target: the origin is target 0, then the CDNs in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SeriesKey {
    pub(crate) target: u16,
    pub(crate) probe: u32,
}

#[derive(Debug, Default)]
struct Series {
    /// One for each objective.
    windows: Vec<Window>,
    stats: Vec<ProbeStat>,
    /// Whether a window gained or lost since the last `restat`.
    touched: bool,
}

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
}

impl SiteState {
    pub(crate) fn new(spec: Arc<Site>, agreement: u64) -> Self {
        let panes = spec.objectives.iter().map(Panes::of).collect();
        Self {
            spec,
            agreement,
            panes,
            series: FxHashMap::default(),
            current: PerNetwork::default(),
            is_below_everywhere: false,
        }
    }

    /// Whether the site has this specification and agreement.
    pub(crate) fn is_as(&self, spec: &Site, agreement: u64) -> bool {
        *self.spec == *spec && self.agreement == agreement
    }

    /// Applies a new specification. Windows are kept by the target's name and the objective; a changed objective starts with
    /// an empty window.
    pub(crate) fn respecify(&mut self, spec: Arc<Site>, agreement: u64) {
        let targets: Vec<&str> = targets(&spec).collect();
        let old_targets: Vec<String> = self::targets(&self.spec).map(str::to_owned).collect();
        let old_objectives = &self.spec.objectives;
        let keeps: Vec<Option<usize>> =
            spec.objectives.iter().map(|new| old_objectives.iter().position(|old| old == new)).collect();
        let old_series = std::mem::take(&mut self.series);
        for (key, mut old) in old_series {
            let name = old_targets.get(usize::from(key.target)).map_or("", String::as_str);
            let Some(target) = targets.iter().position(|target| *target == name) else { continue };
            let Ok(target) = u16::try_from(target) else { continue };
            let mut series = Series::empty(spec.objectives.len());
            for (objective, kept) in keeps.iter().enumerate() {
                if let Some(kept) = *kept {
                    series.windows[objective] = std::mem::take(&mut old.windows[kept]);
                    series.stats[objective] = old.stats[kept];
                }
            }
            if !series.is_empty() {
                self.series.insert(SeriesKey { target, ..key }, series);
            }
        }
        self.panes = spec.objectives.iter().map(Panes::of).collect();
        self.spec = spec;
        self.agreement = agreement;
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
        self.series.keys().any(|key| probes.contains(&key.probe))
    }

    /// Drops the windows of these probes.
    pub(crate) fn drop_probes(&mut self, probes: &BTreeSet<u32>) {
        self.series.retain(|key, _| !probes.contains(&key.probe));
    }

    /// Empties all windows.
    pub(crate) fn forget_evidence(&mut self) {
        self.series.clear();
    }

    /// Counts a sample into the windows it belongs to. Calls `schedule` with objective and time for each window whose first
    /// pane is new. Returns true if a window gained a sample for the first time since `restat`.
    pub(crate) fn add(
        &mut self,
        sample: &Sample,
        now: TimeMicros,
        mut schedule: impl FnMut(u16, TimeMicros),
    ) -> bool {
        let key = SeriesKey { target: sample.target, probe: sample.probe };
        let objectives = self.spec.objectives.len();
        let series = self.series.entry(key).or_insert_with(|| Series::empty(objectives));
        let mut touched = false;
        for ((objective, panes), (window, number)) in
            self.spec.objectives.iter().zip(&self.panes).zip(series.windows.iter_mut().zip(0_u16..))
        {
            let rank = match objective.metric {
                spillway_events::Metric::ResponseTime => sample.response_time,
                spillway_events::Metric::AvailableBandwidth => sample.bandwidth,
            };
            let pane = panes.pane(sample.at_us);
            let Some(rank) = rank.filter(|_| pane >= panes.oldest(now)) else { continue };
            let first = window.first_pane();
            window.add(pane, rank);
            touched = true;
            if first.is_none_or(|first| pane < first) {
                schedule(number, panes.leaves_at(pane));
            }
        }
        if !touched {
            // No window took the sample, so it must not leave a series of empty windows.
            if series.is_empty() {
                self.series.remove(&key);
            }
            return false;
        }
        !std::mem::replace(&mut series.touched, true)
    }

    /// Removes the panes that leave the window. Calls `schedule` for the next pane if any left. Returns true if any left for
    /// the first time since `restat`.
    pub(crate) fn expire(
        &mut self,
        key: SeriesKey,
        objective: u16,
        now: TimeMicros,
        mut schedule: impl FnMut(TimeMicros),
    ) -> bool {
        let index = usize::from(objective);
        let (Some(series), Some(panes)) = (self.series.get_mut(&key), self.panes.get(index)) else {
            return false;
        };
        let window = &mut series.windows[index];
        let before = window.first_pane();
        window.expire(panes.oldest(now));
        let after = window.first_pane();
        if before == after {
            return false;
        }
        if let Some(first) = after {
            schedule(panes.leaves_at(first));
        }
        !std::mem::replace(&mut series.touched, true)
    }

    /// The times at which each window loses its next pane.
    pub(crate) fn due(&self) -> Vec<(TimeMicros, SeriesKey, u16)> {
        let of_series = |(key, series): (&SeriesKey, &Series)| {
            let windows = series.windows.iter().zip(&self.panes).zip(0_u16..);
            let due = windows.filter_map(|((window, panes), objective)| {
                window.first_pane().map(|first| (panes.leaves_at(first), *key, objective))
            });
            due.collect::<Vec<_>>()
        };
        self.series.iter().flat_map(of_series).collect()
    }

    /// Computes the values of a touched series again. Returns true if the result can change a verdict or a choice: values of
    /// the origin only if they change their side of the threshold, values of a CDN only if traffic may leave the origin.
    pub(crate) fn restat(&mut self, key: SeriesKey) -> bool {
        let Some(series) = self.series.get_mut(&key) else { return false };
        series.touched = false;
        let mut matters = false;
        for ((objective, window), stat) in
            self.spec.objectives.iter().zip(&series.windows).zip(series.stats.iter_mut())
        {
            let new = ProbeStat {
                value: window.value(objective.percentile, objective.samples_min),
                has_success: window.has_success(),
            };
            if new == *stat {
                continue;
            }
            let threshold = Rank::of(objective.metric, objective.threshold);
            let side = |stat: &ProbeStat| stat.value.map(|value| value >= threshold);
            matters |= if key.target == ORIGIN {
                side(&new) != side(stat) || new.has_success != stat.has_success
            } else {
                !self.is_below_everywhere
            };
            *stat = new;
        }
        if series.is_empty() {
            self.series.remove(&key);
        }
        matters
    }

    fn stat(&self, target: u16, probe: u32, objective: usize) -> ProbeStat {
        self.series
            .get(&SeriesKey { target, probe })
            .map_or_else(ProbeStat::default, |series| series.stats[objective])
    }

    /// The evidence for one target, by objective, then network.
    fn target_evidence(&self, topology: &Topology, target: u16) -> Vec<Vec<Option<Evidence>>> {
        let of_objective = |(index, objective): (usize, &Objective)| {
            evidence(topology, objective, |probe| self.stat(target, probe, index))
        };
        self.spec.objectives.iter().enumerate().map(of_objective).collect()
    }

    /// Decides the site in every network. Returns a decision for each network whose route, verdict or reason changed, or for
    /// all networks, in their order.
    pub(crate) fn decide(
        &mut self,
        moment: Moment,
        topology: &Topology,
        directory: &Directory,
        is_usable: impl Fn(&CdnName) -> bool,
        redecide_all: bool,
    ) -> Vec<Decision> {
        let origin = self.target_evidence(topology, 0);
        let cdns = OnceCell::new();
        let cdns = || cdns.get_or_init(|| self.cdn_evidence(topology));
        let usable: Vec<bool> = self.spec.cdns.iter().map(|cdn| is_usable(&cdn.cdn)).collect();
        let mut changes = Vec::new();
        for network in 0..topology.networks_count() {
            let previous = self.current.get(network).as_ref();
            let literal = combine(self.verdicts(&origin, network));
            let views = || self.views(cdns(), &usable, network);
            let (route, reason, candidates) = self.route(topology, network, previous, literal, views);
            let known = literal != Verdict::Unknown || previous.is_some_and(|previous| previous.known);
            let same = previous.filter(|previous| (&previous.route, previous.reason) == (&route, reason));
            let decided_tick = same.map_or(moment.tick, |previous| previous.decided_tick);
            let current = Current { route, verdict: literal, reason, known, decided_tick };
            if !redecide_all && previous.is_some_and(|previous| same_outcome(previous, &current)) {
                // `known` changes only together with the verdict, so it is not compared.
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

    /// Sets the route in each network.
    fn hold(&mut self, held: &[Option<Current>], topology: &Topology) {
        let is_below = |current: &Current| current.verdict == Verdict::Below;
        self.is_below_everywhere = held.iter().all(|current| current.as_ref().is_some_and(is_below));
        self.current = PerNetwork::new(held, topology.root());
    }

    fn cdn_evidence(&self, topology: &Topology) -> Vec<Vec<Vec<Option<Evidence>>>> {
        (1_u16..).take(self.spec.cdns.len()).map(|target| self.target_evidence(topology, target)).collect()
    }

    fn verdicts(&self, found: &[Vec<Option<Evidence>>], network: usize) -> Vec<Verdict> {
        self.spec
            .objectives
            .iter()
            .zip(found)
            .map(|(objective, found)| verdict(objective, found[network]))
            .collect()
    }

    fn views(&self, cdns: &[Vec<Vec<Option<Evidence>>>], usable: &[bool], network: usize) -> Vec<CdnView> {
        let view = |(found, usable): (&Vec<Vec<Option<Evidence>>>, &bool)| {
            let with_evidence = self.spec.objectives.iter().zip(found);
            let permilles = with_evidence
                .filter_map(|(objective, found)| found[network].map(|e| permille(objective, e.value)));
            CdnView {
                usable: *usable,
                verdict: combine(self.verdicts(found, network)),
                permille: permilles.max(),
            }
        };
        cdns.iter().zip(usable).map(view).collect()
    }

    /// The route for a verdict, the reason if the route differs from the verdict, and the CDNs that were considered.
    fn route(
        &self,
        topology: &Topology,
        network: usize,
        previous: Option<&Current>,
        verdict: Verdict,
        views: impl Fn() -> Vec<CdnView>,
    ) -> (Route, Option<Reason>, Vec<Candidate>) {
        if self.spec.objectives.is_empty() {
            return (Route::ORIGIN, Some(Reason::NoAgreement), Vec::new());
        }
        let held = previous.filter(|previous| previous.known).map(|previous| &previous.route);
        let present = previous.and_then(|previous| previous.route.cdn.as_ref());
        let present = self.spec.cdns.iter().position(|cdn| Some(&cdn.cdn) == present);
        let reason = match (verdict, held) {
            (Verdict::Below, _) => return (Route::ORIGIN, None, Vec::new()),
            (Verdict::Unknown, None) => return (Route::ORIGIN, Some(Reason::ColdStart), Vec::new()),
            (Verdict::Unknown, Some(held)) if held.cdn.is_none() => {
                return (Route::ORIGIN, Some(Reason::UnknownHold), Vec::new());
            }
            (Verdict::Unknown, Some(_)) => Some(Reason::UnknownHold),
            (Verdict::AtOrAbove, _) => None,
        };
        let views = views();
        let chosen = match present {
            Some(present) if verdict == Verdict::Unknown && views[present].usable => Chosen::Cdn(present),
            _ => choose_cdn(&views, present, self.origin_has_success(topology, network)),
        };
        let candidates = self.candidates(&views, chosen);
        match chosen {
            Chosen::Cdn(index) => (Route::to_cdn(self.spec.cdns[index].cdn.clone()), reason, candidates),
            Chosen::Origin => (Route::ORIGIN, Some(Reason::NoUsableCdn), candidates),
        }
    }

    fn candidates(&self, views: &[CdnView], chosen: Chosen) -> Vec<Candidate> {
        let candidate = |(index, (cdn, view)): (usize, (&spillway_events::CdnOfSite, &CdnView))| Candidate {
            cdn: cdn.cdn.clone(),
            verdict: view.verdict,
            permille: view
                .permille
                .filter(|permille| *permille != crate::INFINITE)
                .map(|permille| permille.0),
            passed_over: (chosen != Chosen::Cdn(index)).then(|| passed_over(*view)),
        };
        self.spec.cdns.iter().zip(views).enumerate().map(candidate).collect()
    }

    /// Whether a window of the origin holds a success, of any probe that counts for the network.
    fn origin_has_success(&self, topology: &Topology, network: usize) -> bool {
        let has_success = |probe: &u32| {
            let series = self.series.get(&SeriesKey { target: 0, probe: *probe });
            series.is_some_and(|series| series.stats.iter().any(|stat| stat.has_success))
        };
        topology.voters(network).iter().any(has_success)
    }

    fn objective_evidence(
        &self,
        topology: &Topology,
        directory: &Directory,
        origin: &[Vec<Option<Evidence>>],
        network: usize,
    ) -> Vec<ObjectiveEvidence> {
        let line = |(index, (objective, found)): (usize, (&Objective, &Vec<Option<Evidence>>))| {
            let found = found[network];
            let (value, failed) = number(found.map(|found| found.value), objective);
            let mut probes =
                self.probe_values(topology, directory, found.map_or(network, |found| found.from), index);
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
        self.spec.objectives.iter().zip(origin).enumerate().map(line).collect()
    }

    fn probe_values(
        &self,
        topology: &Topology,
        directory: &Directory,
        network: usize,
        objective_index: usize,
    ) -> Vec<ProbeValue> {
        let objective = &self.spec.objectives[objective_index];
        let value = |number: &u32| {
            let series = self.series.get(&SeriesKey { target: 0, probe: *number })?;
            let rank = series.stats[objective_index].value?;
            let probe = directory.numbered_probe(*number)?;
            Some(ProbeValue {
                agent: probe.agent.clone(),
                network: probe.network.clone(),
                value: self::number(Some(rank), objective).0,
                samples: series.windows[objective_index].samples(),
            })
        };
        topology.voters(network).iter().filter_map(value).collect()
    }

    /// The values of all targets in the networks that have evidence of their own.
    pub(crate) fn performance(&self, moment: Moment, topology: &Topology) -> Vec<Performance> {
        let mut items = Vec::new();
        if self.series.is_empty() {
            return items;
        }
        for (target, name) in (0_u16..).zip(targets(&self.spec)) {
            for ((index, objective), found) in
                self.spec.objectives.iter().enumerate().zip(self.target_evidence(topology, target))
            {
                let own = found.iter().enumerate().filter_map(|(network, found)| {
                    found.filter(|found| found.from == network).map(|found| (network, found))
                });
                for (network, found) in own {
                    let (value, failed) = number(Some(found.value), objective);
                    let samples = |probe: &u32| {
                        let series = self.series.get(&SeriesKey { target, probe: *probe });
                        series
                            .filter(|series| series.stats[index].value.is_some())
                            .map_or(0, |series| series.windows[index].samples())
                    };
                    items.push(Performance {
                        site: self.spec.name.clone(),
                        target: name.to_owned(),
                        network: topology.name(network).clone(),
                        at_us: moment.at,
                        metric: objective.metric,
                        threshold: objective.threshold,
                        percentile: objective.percentile,
                        window_us: objective.window_us,
                        verdict: verdict(objective, Some(found)),
                        value,
                        failed,
                        samples: topology.voters(network).iter().map(samples).sum(),
                    });
                }
            }
        }
        items
    }
}

impl Series {
    /// Whether no window holds a sample.
    fn is_empty(&self) -> bool {
        self.windows.iter().all(|window| window.samples() == 0)
    }

    fn empty(objectives: usize) -> Self {
        Self {
            windows: vec![Window::default(); objectives],
            stats: vec![ProbeStat::default(); objectives],
            touched: false,
        }
    }
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
