//! Steers many sites, tick by tick.

use std::collections::{BTreeMap, BTreeSet};

use spillway_events::{CdnName, Decision, Metric, ObjectKind, SiteName, Stage, TimeMicros};
use spillway_provisioning::{ObjectId, State, boundaries};

use crate::agreed::Agreed;
use crate::choice::Usable;
use crate::directory::Directory;
use crate::moment::Moment;
use crate::overrides::Overrides;
use crate::sample::{Samples, SeriesId};
use crate::site::{Basis, SitePerformance, SiteState};
use crate::topology::Topology;
use crate::windows::{LogId, WindowId, Windows};

/// The sites of one worker.
#[derive(Debug, Default)]
pub struct Steering {
    state: State,
    pub(crate) directory: Directory,
    pub(crate) topology: Topology,
    /// By the site's number; `None` for sites that other workers steer.
    pub(crate) sites: Vec<Option<Box<SiteState>>>,
    unusable: BTreeSet<CdnName>,
    /// As of the greatest time of a tick so far, which a reset of the clock does not lower.
    overrides: Overrides,
    greatest_at: Option<TimeMicros>,
    /// Overrides have changed since.
    has_new_overrides: bool,
    pub(crate) windows: Windows,
    /// The numbers of the sites that are steered here, in the order of their names if `is_by_name`.
    by_name: Vec<u32>,
    is_by_name: bool,
    /// Sites for which something else may be agreed from the next tick on.
    unsettled: BTreeSet<SiteName>,
    /// When versions of agreements come into force and go out of it, for which sites.
    boundaries: BTreeMap<TimeMicros, BTreeSet<SiteName>>,
    /// When sites are decided because time passes.
    pub(crate) due: BTreeSet<(TimeMicros, u32)>,
    /// Sites to decide at the next tick.
    pub(crate) dirty: BTreeSet<u32>,
    /// The next decisions are of every site in every network, changed or not.
    redecide_all: bool,
}

impl Steering {
    /// Applies the provisioning. `changed` names the objects that may differ from the state before, in order, and `deleted`
    /// those that were deleted since; of a site or probe that was created again nothing is kept. The cost depends on these
    /// objects only, except that a change of the tree of networks or of its probes changes every site. The sites for which
    /// `owns` is true are steered here.
    pub fn provision(
        &mut self,
        state: &State,
        changed: &[ObjectId],
        deleted: &[ObjectId],
        owns: impl Fn(&SiteName) -> bool,
    ) {
        let deleted_of = |kind| deleted.iter().filter(move |id| id.kind == kind);
        deleted_of(ObjectKind::Site).for_each(|id| self.remove_site(&id.name));
        self.remove_probes(deleted_of(ObjectKind::Probe));
        deleted_of(ObjectKind::Cdn).for_each(|id| _ = self.unusable.remove(&*id.name));
        let mut objects = changed.iter().chain(deleted);
        self.has_new_overrides |= objects.any(|id| id.kind == ObjectKind::Override);
        self.directory.update(state, changed, deleted);
        self.state = state.clone();
        if changed.iter().any(|id| matches!(id.kind, ObjectKind::Network | ObjectKind::Probe)) {
            self.update_topology();
        }
        let sites = changed.iter().filter_map(|id| state.site_of(id)).map(|found| &found.site.name);
        self.unsettled.extend(sites.filter(|site| owns(site)).cloned());
        let versions = changed.iter().filter_map(|id| state.agreement(id));
        for agreement in versions.filter(|version| version.stage == Stage::Accepted) {
            let sites: BTreeSet<SiteName> =
                agreement.terms.sites.iter().filter(|site| owns(site)).cloned().collect();
            for at in boundaries(agreement) {
                self.boundaries.entry(at).or_default().extend(sites.iter().cloned());
            }
            self.unsettled.extend(sites);
        }
    }

    /// Takes over what is agreed at a tick's time. What has begun or ended once has done so for good, also when the clock is reset.
    pub(crate) fn settle(&mut self, at: TimeMicros) {
        let now = self.greatest_at.map_or(at, |greatest| greatest.max(at));
        self.greatest_at = Some(now);
        while let Some(boundary) = self.boundaries.first_entry().filter(|first| *first.key() <= now) {
            self.unsettled.extend(boundary.remove());
        }
        for site in std::mem::take(&mut self.unsettled) {
            if let Some(agreed) = Agreed::at(&self.state, &site, now) {
                self.put_site(agreed);
            }
        }
    }

    fn put_site(&mut self, agreed: Agreed) {
        let Some(number) = self.directory.number(agreed.site.name.as_str()) else { return };
        let index = number as usize;
        if self.sites.len() <= index {
            self.sites.resize_with(index + 1, || None);
        }
        match &mut self.sites[index] {
            Some(state) if state.is_as(&agreed) => return,
            Some(state) => state.respecify(number, agreed, &mut self.windows),
            none => {
                *none = Some(Box::new(SiteState::new(agreed, &mut self.windows)));
                self.by_name.push(number);
                self.is_by_name = false;
            }
        }
        self.dirty.insert(number);
    }

    fn remove_site(&mut self, name: &str) {
        let Some(number) = self.directory.number(name) else { return };
        if let Some(mut state) = self.sites.get_mut(number as usize).and_then(Option::take) {
            state.drop_windows(&mut self.windows);
            state.due.into_iter().for_each(|due| _ = self.due.remove(&(due, number)));
            // The number may be given to a site of another name.
            self.is_by_name = false;
        }
        self.dirty.remove(&number);
    }

    /// Drops the windows of probes, because other probes may be given their numbers.
    fn remove_probes<'a>(&mut self, probes: impl Iterator<Item = &'a ObjectId>) {
        let numbers: BTreeSet<u32> = probes.filter_map(|id| self.directory.numbered(id)).collect();
        if numbers.is_empty() {
            return;
        }
        for (number, state) in (0..).zip(&mut self.sites) {
            if let Some(state) = state.as_deref_mut().filter(|state| state.has_any_probe(&numbers)) {
                state.drop_probes(&numbers, &mut self.windows);
                self.dirty.insert(number);
            }
        }
    }

    fn update_topology(&mut self) {
        let networks = self.state.networks().map(|network| (&network.name, &network.parent));
        let probes = self.state.probes().filter_map(|probe| {
            let number = self.directory.probe(&probe.agent, &probe.network)?;
            Some((probe, number))
        });
        let topology = Topology::new(networks, probes);
        if topology == self.topology {
            return;
        }
        for state in self.sites.iter_mut().flatten() {
            state.retopologize(&self.topology, &topology);
        }
        self.topology = topology;
        self.mark_all_dirty();
    }

    /// The numbers that samples must use.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Sets whether a CDN can be used, according to its statistics.
    pub fn set_usable(&mut self, cdn: &CdnName, usable: bool) {
        let changed = if usable { self.unusable.remove(cdn) } else { self.unusable.insert(cdn.clone()) };
        if changed {
            self.mark_users_dirty(cdn);
        }
    }

    /// Decides the sites that use a CDN at the next tick.
    fn mark_users_dirty(&mut self, cdn: &CdnName) {
        let id = ObjectId::new(ObjectKind::Cdn, cdn.as_str());
        let using = self.state.users_after(&id, ObjectKind::Site, "");
        self.dirty.extend(using.filter_map(|site| self.directory.number(&site.name)));
    }

    /// The greatest time of a tick so far; none before the first one.
    #[must_use]
    pub fn greatest_at(&self) -> Option<TimeMicros> {
        self.greatest_at
    }

    /// Takes the overrides that were in force at the tick of a checkpoint, so that the next one finds out which have ended.
    pub(crate) fn restore_overrides(&mut self) {
        if let Some(greatest_at) = self.greatest_at {
            self.overrides = Overrides::at(self.state.overrides(), greatest_at);
        }
    }

    /// Decides the sites at the next tick that were given the origin for a held CDN at the last one.
    pub(crate) fn mark_lost_dirty(&mut self) {
        let lost = |state: &Option<Box<SiteState>>| state.as_deref().is_some_and(SiteState::lost_its_cdn);
        let lost = (0..).zip(&self.sites).filter(|(_, state)| lost(state)).map(|(number, _)| number);
        self.dirty.extend(lost);
    }

    /// Decides all frozen sites at the next tick: one that was first decided at the last tick is frozen from the next on.
    pub(crate) fn mark_frozen_dirty(&mut self) {
        let is_frozen = |state: &SiteState| self.overrides.of_site(&state.spec.name).is_frozen;
        let frozen = (0..).zip(&self.sites).filter(|(_, state)| state.as_deref().is_some_and(is_frozen));
        self.dirty.extend(frozen.map(|(number, _)| number));
    }

    /// Takes over the overrides of a tick's time, and decides the sites for which they differ from those before. What has ended
    /// once does not come back when the clock is reset.
    fn override_now(&mut self) {
        let Some(now) = self.greatest_at else { return };
        if !std::mem::take(&mut self.has_new_overrides) && !self.overrides.has_ended(now) {
            return;
        }
        let new = Overrides::at(self.state.overrides(), now);
        let old = std::mem::replace(&mut self.overrides, new);
        match self.overrides.sites_changed(&old) {
            Some(sites) => {
                self.dirty.extend(sites.iter().filter_map(|site| self.directory.number(site.as_str())));
            }
            None => self.mark_all_dirty(),
        }
        let drained: Vec<CdnName> =
            old.drained_cdns.symmetric_difference(&self.overrides.drained_cdns).cloned().collect();
        drained.iter().for_each(|cdn| self.mark_users_dirty(cdn));
    }

    /// Decides every site in every network at the next tick, whether or not anything changed.
    pub fn redecide_all(&mut self) {
        self.redecide_all = true;
        self.mark_all_dirty();
    }

    /// Empties all windows and forgets which CDNs cannot be used: time starts again at a tick, so the age of evidence is unknown.
    /// Every site is decided at the next tick.
    pub fn forget_evidence(&mut self, at: TimeMicros) {
        for state in self.sites.iter_mut().flatten() {
            state.drop_windows(&mut self.windows);
            state.restart(at, &self.topology);
        }
        self.windows.clear();
        self.unusable.clear();
        self.mark_all_dirty();
    }

    fn mark_all_dirty(&mut self) {
        let present = (0..).zip(&self.sites).filter(|(_, state)| state.is_some());
        self.dirty.extend(present.map(|(number, _)| number));
    }

    /// Adds samples to the windows as of the tick's time.
    pub fn add(&mut self, samples: &Samples, now: TimeMicros) {
        self.settle(now);
        self.windows.set_now(now);
        // Before anything is added, so that the panes never span more than a window, however far time has jumped.
        self.windows.expire();
        let mut found: Vec<Found> = Vec::new();
        let mut ends = Vec::with_capacity(samples.series.len());
        for series in &samples.series {
            if let Some(state) = site_mut(&mut self.sites, series.site) {
                found.extend((0..).zip(&state.windows).map(|(objective, held)| Found {
                    metric: held.metric,
                    objective,
                    log: held.log,
                    window: held.get(series.target, series.probe),
                }));
            }
            ends.push(found.len());
        }
        for sample in &samples.samples {
            let index = sample.series as usize;
            let from = index.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
            let of_series = ends.get(index).and_then(|end| found.get_mut(from..*end)).unwrap_or_default();
            for found in of_series.iter_mut().filter(|found| found.metric == sample.metric) {
                let Some(pane) = self.windows.pane(found.log, sample.at_us) else { continue };
                if found.window.is_none() {
                    let created =
                        create(&mut self.sites, &mut self.windows, samples.series[index], found.objective);
                    found.window = created;
                }
                if let Some(window) = found.window {
                    self.windows.add(window, pane, sample.rank);
                }
            }
        }
    }

    /// Advances the windows to the tick's time, and decides the sites that changed: by site, then network.
    pub fn decide(&mut self, tick: u64, at: TimeMicros) -> Vec<Decision> {
        let moment = Moment { tick, at };
        self.settle(at);
        self.override_now();
        while let Some((_, site)) = self.due.first().copied().filter(|(due, _)| *due <= at) {
            self.due.pop_first();
            self.dirty.insert(site);
        }
        self.windows.set_now(at);
        self.windows.expire();
        for id in self.windows.take_touched() {
            let Some(change) = self.windows.restat(id) else { continue };
            let site = change.of.series.site;
            let state = site_mut(&mut self.sites, site);
            if state.is_some_and(|state| state.take_change(&change, &mut self.windows)) {
                self.dirty.insert(site);
            }
        }
        let (mut decisions, mut undecided) = (Vec::new(), Vec::new());
        let redecide_all = std::mem::take(&mut self.redecide_all);
        for site in std::mem::take(&mut self.dirty) {
            let Some(state) = site_mut(&mut self.sites, site) else { continue };
            let (unusable, overrides) = (&self.unusable, &self.overrides);
            let usable = |cdn: &CdnName| {
                if overrides.drained_cdns.contains(cdn) {
                    Usable::Drained
                } else if unusable.contains(cdn) {
                    Usable::No
                } else {
                    Usable::Yes
                }
            };
            let overridden = overrides.of_site(&state.spec.name);
            let basis =
                Basis { topology: &self.topology, directory: &self.directory, windows: &self.windows };
            // Without a last route in some network, the site cannot be frozen there yet.
            if overridden.is_frozen && !state.has_last_routes(&self.topology) {
                undecided.push(site);
            }
            let before = decisions.len();
            decisions.extend(state.decide(moment, overridden, basis, usable, redecide_all));
            // The origin that was taken for a held CDN is the last route from the next tick on.
            if decisions.len() > before && state.lost_its_cdn() {
                undecided.push(site);
            }
            reschedule(&mut self.due, site, state, at);
        }
        self.dirty.extend(undecided);
        decisions.sort_by(|a, b| (&a.site, &a.network).cmp(&(&b.site, &b.network)));
        decisions
    }

    /// The sites in the order of their names, each with its performance values as of a tick's time.
    pub fn performance(&mut self, at: TimeMicros) -> impl Iterator<Item = SitePerformance<'_>> {
        if !std::mem::replace(&mut self.is_by_name, true) {
            let sites = &self.sites;
            let name = |number: &u32| sites.get(*number as usize)?.as_ref().map(|state| &state.spec.name);
            self.by_name.retain(|number| name(number).is_some());
            self.by_name.sort_by_key(name);
            self.by_name.dedup();
        }
        let (sites, topology, windows) = (&self.sites, &self.topology, &self.windows);
        self.by_name.iter().filter_map(move |number| {
            let state = sites.get(*number as usize)?.as_deref()?;
            Some(SitePerformance { state, at, topology, windows })
        })
    }

    /// The sites that are steered here.
    pub(crate) fn states(&self) -> impl Iterator<Item = &SiteState> {
        self.sites.iter().flatten().map(|state| &**state)
    }
}

/// The window of a series for one of the site's objectives.
struct Found {
    metric: Metric,
    objective: u16,
    log: LogId,
    /// `None` until the window takes a sample.
    window: Option<WindowId>,
}

fn create(
    sites: &mut [Option<Box<SiteState>>],
    windows: &mut Windows,
    series: SeriesId,
    objective: u16,
) -> Option<WindowId> {
    let state = site_mut(sites, series.site)?;
    let index = usize::from(objective);
    let (held, spec) = (state.windows.get_mut(index)?, state.spec.objectives.get(index)?);
    held.get_or_create(series, (objective, spec), windows)
}

/// Notes when a site is decided next because time passes.
pub(crate) fn reschedule(
    due: &mut BTreeSet<(TimeMicros, u32)>,
    number: u32,
    state: &mut SiteState,
    now: TimeMicros,
) {
    let next = state.next_due(now);
    if next != state.due {
        state.due.into_iter().for_each(|old| _ = due.remove(&(old, number)));
        due.extend(next.map(|next| (next, number)));
        state.due = next;
    }
}

pub(crate) fn site_mut(sites: &mut [Option<Box<SiteState>>], number: u32) -> Option<&mut SiteState> {
    sites.get_mut(number as usize)?.as_deref_mut()
}

#[cfg(test)]
mod tests;
