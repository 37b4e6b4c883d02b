//! Which windows a site has: one for each objective, target and probe.

use std::collections::BTreeSet;

use spillway_events::{Metric, Objective, Site};

use crate::directory::targets;
use crate::evidence::Vote;
use crate::sample::SeriesId;
use crate::topology::Topology;
use crate::windows::{LogId, WindowId, WindowOf, Windows};

/// The windows of one objective of a site.
#[derive(Debug)]
pub(crate) struct ObjectiveWindows {
    pub(crate) metric: Metric,
    pub(crate) log: LogId,
    /// By the target's index: the windows of its probes, in the order of their numbers.
    by_target: Vec<Vec<(u32, WindowId)>>,
}

impl ObjectiveWindows {
    /// No windows yet.
    fn new(objective: &Objective, targets_count: usize, windows: &mut Windows) -> Self {
        let by_target = vec![Vec::new(); targets_count];
        Self { metric: objective.metric, log: windows.log(objective), by_target }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_target.iter().all(Vec::is_empty)
    }

    pub(crate) fn get(&self, target: u16, probe: u32) -> Option<WindowId> {
        let of_target = self.by_target.get(usize::from(target))?;
        let index = of_target.binary_search_by_key(&probe, |(probe, _)| *probe).ok()?;
        of_target.get(index).map(|(_, window)| *window)
    }

    /// The window of a series, which is created if there is none; `None` if the site has no such target.
    pub(crate) fn get_or_create(
        &mut self,
        series: SeriesId,
        (index, objective): (u16, &Objective),
        windows: &mut Windows,
    ) -> Option<WindowId> {
        let of_target = self.by_target.get_mut(usize::from(series.target))?;
        match of_target.binary_search_by_key(&series.probe, |(probe, _)| *probe) {
            Ok(found) => of_target.get(found).map(|(_, window)| *window),
            Err(at) => {
                let window = windows.create(WindowOf { series, objective: index }, objective, self.log);
                of_target.insert(at, (series.probe, window));
                Some(window)
            }
        }
    }

    /// Forgets the windows for which `keep` is false.
    fn retain(&mut self, windows: &mut Windows, mut keep: impl FnMut(u32) -> bool) {
        for of_target in &mut self.by_target {
            of_target.retain(|(probe, window)| {
                let keeps = keep(*probe);
                if !keeps {
                    windows.remove(*window);
                }
                keeps
            });
        }
    }

    /// Forgets the window of a series.
    pub(crate) fn remove(&mut self, series: SeriesId, windows: &mut Windows) {
        let Some(of_target) = self.by_target.get_mut(usize::from(series.target)) else { return };
        if let Ok(index) = of_target.binary_search_by_key(&series.probe, |(probe, _)| *probe) {
            windows.remove(of_target.remove(index).1);
            if of_target.is_empty() {
                of_target.shrink_to_fit();
            }
        }
    }

    /// The windows, with target and probe.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, u32, WindowId)> + '_ {
        let of_target = |(target, of_target): (u16, &'_ Vec<(u32, WindowId)>)| {
            of_target.iter().map(move |(probe, window)| (target, *probe, *window)).collect::<Vec<_>>()
        };
        (0..).zip(&self.by_target).flat_map(of_target)
    }

    /// What the windows of a target say, by the probe's position.
    pub(crate) fn votes(&self, target: u16, topology: &Topology, windows: &Windows) -> Vec<Vote> {
        let mut votes = vec![Vote::default(); topology.probes().len()];
        for (probe, window) in self.by_target.get(usize::from(target)).into_iter().flatten() {
            if let Some(vote) = topology.position(*probe).and_then(|position| votes.get_mut(position)) {
                *vote = Vote { stat: windows.stat(*window), samples: windows.samples(*window) };
            }
        }
        votes
    }
}

/// The windows of a new site.
pub(super) fn empty(spec: &Site, windows: &mut Windows) -> Vec<ObjectiveWindows> {
    let targets_count = targets(spec).count();
    spec.objectives.iter().map(|objective| ObjectiveWindows::new(objective, targets_count, windows)).collect()
}

/// The windows of a site with a new specification: they are kept by the target's name and the objective, and an objective
/// that is new has none yet.
pub(super) fn rearranged(
    old: Vec<ObjectiveWindows>,
    old_spec: &Site,
    site: u32,
    spec: &Site,
    windows: &mut Windows,
) -> Vec<ObjectiveWindows> {
    let old_targets: Vec<&str> = targets(old_spec).collect();
    let mut old: Vec<Option<ObjectiveWindows>> = old.into_iter().map(Some).collect();
    let mut new_windows = empty(spec, windows);
    for (number, (objective, new)) in (0..).zip(spec.objectives.iter().zip(&mut new_windows)) {
        let kept = old_spec.objectives.iter().position(|old| old == objective);
        let Some(mut kept) = kept.and_then(|index| old.get_mut(index)?.take()) else { continue };
        for ((target, name), of_target) in (0..).zip(targets(spec)).zip(&mut new.by_target) {
            let index = old_targets.iter().position(|old| *old == name);
            let Some(found) = index.and_then(|index| kept.by_target.get_mut(index)) else { continue };
            *of_target = std::mem::take(found);
            for (probe, window) in of_target {
                let series = SeriesId { site, probe: *probe, target };
                windows.rename(*window, WindowOf { series, objective: number });
            }
        }
        kept.retain(windows, |_| false);
    }
    old.into_iter().flatten().for_each(|mut gone| gone.retain(windows, |_| false));
    new_windows
}

/// Forgets the windows of these probes.
pub(super) fn drop_probes(of_site: &mut [ObjectiveWindows], probes: &BTreeSet<u32>, windows: &mut Windows) {
    of_site.iter_mut().for_each(|objective| objective.retain(windows, |probe| !probes.contains(&probe)));
}

/// Forgets all windows of a site.
pub(super) fn drop_all(of_site: &mut [ObjectiveWindows], windows: &mut Windows) {
    of_site.iter_mut().for_each(|objective| objective.retain(windows, |_| false));
}
