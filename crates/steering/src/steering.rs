//! Steers many sites, tick by tick.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use spillway_events::{CdnName, Decision, ObjectKind, Performance, Site, SiteName, TimeMicros};
use spillway_provisioning::{ObjectId, ProvisionedSite, State};

use crate::directory::Directory;
use crate::moment::Moment;
use crate::sample::Sample;
use crate::site::{SeriesKey, SiteState};
use crate::topology::Topology;

/// What a tick decided.
#[derive(Debug, Default)]
pub struct Outcome {
    /// By site, then network.
    pub decisions: Vec<Decision>,
    /// Performance values, if they are due: by site, target, objective, network.
    pub performance: Vec<Performance>,
}

/// The sites of one worker.
#[derive(Debug, Default)]
pub struct Steering {
    state: State,
    pub(crate) directory: Directory,
    pub(crate) topology: Topology,
    /// By the site's number; `None` for sites that other workers steer.
    pub(crate) sites: Vec<Option<Box<SiteState>>>,
    unusable: BTreeSet<CdnName>,
    pub(crate) calendar: Calendar,
    /// Series of which a window gained or lost since the last tick.
    touched: Vec<(u32, SeriesKey)>,
    /// Sites to decide at the next tick.
    pub(crate) dirty: BTreeSet<u32>,
    /// The next decisions are of every site in every network, changed or not.
    redecide_all: bool,
}

/// The windows by the time at which they lose a pane. Every window that is not empty is listed at the time at which its
/// first pane leaves.
type Calendar = BTreeMap<TimeMicros, BTreeSet<DueWindow>>;

/// A window by the site's number, the series, and the index of the objective.
type DueWindow = (u32, SeriesKey, u16);

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
        self.directory.update(state, changed, deleted);
        self.state = state.clone();
        if changed.iter().any(|id| matches!(id.kind, ObjectKind::Network | ObjectKind::Probe)) {
            self.update_topology();
        }
        let sites = changed.iter().filter_map(|id| state.site_of(id));
        for ProvisionedSite { site, agreement } in sites.filter(|site| owns(&site.site.name)) {
            self.put_site(site, agreement);
        }
    }

    fn put_site(&mut self, spec: &Arc<Site>, agreement: u64) {
        let Some(number) = self.directory.number(spec.name.as_str()) else { return };
        let index = number as usize;
        if self.sites.len() <= index {
            self.sites.resize_with(index + 1, || None);
        }
        let new = || Box::new(SiteState::new(Arc::clone(spec), agreement));
        let state = self.sites[index].get_or_insert_with(new);
        if !state.is_as(spec, agreement) {
            unschedule(&mut self.calendar, number, state);
            state.respecify(Arc::clone(spec), agreement);
            schedule(&mut self.calendar, number, state);
        }
        self.dirty.insert(number);
    }

    fn remove_site(&mut self, name: &str) {
        let Some(number) = self.directory.number(name) else { return };
        if let Some(state) = self.sites.get_mut(number as usize).and_then(Option::take) {
            unschedule(&mut self.calendar, number, &state);
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
                unschedule(&mut self.calendar, number, state);
                state.drop_probes(&numbers);
                schedule(&mut self.calendar, number, state);
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
            let id = ObjectId::new(ObjectKind::Cdn, cdn.as_str());
            let using = self.state.users(&id).filter(|user| user.kind == ObjectKind::Site);
            self.dirty.extend(using.filter_map(|site| self.directory.number(&site.name)));
        }
    }

    /// Decides every site in every network at the next tick, whether or not anything changed.
    pub fn redecide_all(&mut self) {
        self.redecide_all = true;
        self.mark_all_dirty();
    }

    /// Empties all windows and forgets which CDNs cannot be used: time starts again, so the age of evidence is unknown.
    /// Every site is decided at the next tick.
    pub fn forget_evidence(&mut self) {
        self.sites.iter_mut().flatten().for_each(|state| state.forget_evidence());
        self.calendar.clear();
        self.touched.clear();
        self.unusable.clear();
        self.mark_all_dirty();
    }

    fn mark_all_dirty(&mut self) {
        let present = (0..).zip(&self.sites).filter(|(_, state)| state.is_some());
        self.dirty.extend(present.map(|(number, _)| number));
    }

    /// Counts a sample into the windows as of the tick's time.
    pub fn add(&mut self, sample: &Sample, now: TimeMicros) {
        let Some(state) = site_mut(&mut self.sites, sample.site) else { return };
        let key = SeriesKey { target: sample.target, probe: sample.probe };
        let calendar = &mut self.calendar;
        let schedule = |objective, time| enter(calendar, time, (sample.site, key, objective));
        if state.add(sample, now, schedule) {
            self.touched.push((sample.site, key));
        }
    }

    /// Advances the windows to the tick's time, and decides the sites that changed.
    pub fn decide(&mut self, tick: u64, at: TimeMicros, performance_is_due: bool) -> Outcome {
        let moment = Moment { tick, at };
        self.pass_time(at);
        for (site, key) in self.touched.drain(..) {
            if site_mut(&mut self.sites, site).is_some_and(|state| state.restat(key)) {
                self.dirty.insert(site);
            }
        }
        let mut outcome = Outcome::default();
        let redecide_all = std::mem::take(&mut self.redecide_all);
        for site in std::mem::take(&mut self.dirty) {
            let Some(state) = site_mut(&mut self.sites, site) else { continue };
            let unusable = &self.unusable;
            let is_usable = |cdn: &CdnName| !unusable.contains(cdn);
            outcome.decisions.extend(state.decide(
                moment,
                &self.topology,
                &self.directory,
                is_usable,
                redecide_all,
            ));
        }
        outcome.decisions.sort_by(|a, b| (&a.site, &a.network).cmp(&(&b.site, &b.network)));
        if performance_is_due {
            let sites = self.sites.iter().flatten();
            let items = sites.flat_map(|state| state.performance(moment, &self.topology));
            outcome.performance = items.collect();
            outcome.performance.sort_by(|a, b| a.site.cmp(&b.site));
        }
        outcome
    }

    fn pass_time(&mut self, now: TimeMicros) {
        while let Some(entry) = self.calendar.first_entry().filter(|entry| *entry.key() <= now) {
            for (site, key, objective) in entry.remove() {
                let Some(state) = site_mut(&mut self.sites, site) else { continue };
                let calendar = &mut self.calendar;
                let schedule = |time| enter(calendar, time, (site, key, objective));
                if state.expire(key, objective, now, schedule) {
                    self.touched.push((site, key));
                }
            }
        }
    }

    /// The sites that are steered here.
    pub(crate) fn states(&self) -> impl Iterator<Item = &SiteState> {
        self.sites.iter().flatten().map(|state| &**state)
    }

    /// The time at which a window loses its next pane.
    #[must_use]
    pub fn next_due(&self) -> Option<TimeMicros> {
        self.calendar.keys().next().copied()
    }
}

fn enter(calendar: &mut Calendar, time: TimeMicros, window: DueWindow) {
    calendar.entry(time).or_default().insert(window);
}

/// Adds all windows of a site to the calendar.
pub(crate) fn schedule(calendar: &mut Calendar, site: u32, state: &SiteState) {
    for (time, key, objective) in state.due() {
        enter(calendar, time, (site, key, objective));
    }
}

/// Removes all windows of a site from the calendar.
fn unschedule(calendar: &mut Calendar, site: u32, state: &SiteState) {
    for (time, key, objective) in state.due() {
        let Some(due) = calendar.get_mut(&time) else { continue };
        due.remove(&(site, key, objective));
        if due.is_empty() {
            calendar.remove(&time);
        }
    }
}

pub(crate) fn site_mut(sites: &mut [Option<Box<SiteState>>], number: u32) -> Option<&mut SiteState> {
    sites.get_mut(number as usize)?.as_deref_mut()
}

#[cfg(test)]
mod tests;
