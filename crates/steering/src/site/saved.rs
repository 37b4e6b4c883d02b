//! A site as a checkpoint holds it.

use std::collections::BTreeSet;

use spillway_events::{HeldRoute, NetworkName, Route, SeriesWindows, SiteRoutes, WindowCounts};

use super::{Current, ObjectiveWindows, SiteState};
use crate::directory::{Directory, targets};
use crate::error::RestoreError;
use crate::per_network::PerNetwork;
use crate::sample::SeriesId;
use crate::topology::Topology;
use crate::windows::{SamplesByWindow, WindowId, Windows};

/// The maximum number of networks in one record of routes, so that its size is bounded.
const ROUTES_PER_RECORD_MAX: usize = 1_024;

impl SiteState {
    /// The routes in every network, in records of bounded size; none if the site has not been decided.
    pub(crate) fn save_routes<'a>(&'a self, topology: &'a Topology) -> impl Iterator<Item = SiteRoutes> + 'a {
        let everywhere = self.current.usual().as_ref();
        let everywhere = everywhere.map(|current| current.held(topology.name(topology.root())));
        let mut others = self.current.others().filter_map(|(network, current)| {
            let current = current.as_ref()?;
            Some(current.held(topology.name(network)))
        });
        let mut is_first = true;
        std::iter::from_fn(move || {
            let others: Vec<HeldRoute> = others.by_ref().take(ROUTES_PER_RECORD_MAX).collect();
            let is_needed = std::mem::take(&mut is_first) || !others.is_empty();
            let everywhere = everywhere.clone().filter(|_| is_needed)?;
            Some(SiteRoutes { site: self.spec.name.clone(), everywhere, others })
        })
    }

    /// All windows.
    pub(crate) fn window_ids(&self) -> impl Iterator<Item = WindowId> + '_ {
        self.windows.iter().flat_map(|objective| objective.iter().map(|(_, _, window)| window))
    }

    /// The windows of every series, in the order of target, then the probe's number. `counts` are those of all windows.
    pub(crate) fn save_windows(
        &self,
        directory: &Directory,
        windows: &Windows,
        counts: &SamplesByWindow,
    ) -> Vec<SeriesWindows> {
        let names: Vec<&str> = targets(&self.spec).collect();
        let objectives = self.windows.iter();
        let series: BTreeSet<(u16, u32)> = objectives
            .flat_map(|objective| objective.iter().map(|(target, probe, _)| (target, probe)))
            .collect();
        let saved = |(target, number): (u16, u32)| {
            let probe = directory.numbered_probe(number)?;
            let of_objective = |objective: &ObjectiveWindows| match objective.get(target, number) {
                Some(window) => windows.save(window, counts),
                None => WindowCounts { counts: Vec::new() },
            };
            Some(SeriesWindows {
                site: self.spec.name.clone(),
                target: (*names.get(usize::from(target))?).to_owned(),
                agent: probe.agent.clone(),
                network: probe.network.clone(),
                windows: self.windows.iter().map(of_objective).collect(),
            })
        };
        series.into_iter().filter_map(saved).collect()
    }

    pub(crate) fn restore_routes(
        &mut self,
        saved: &SiteRoutes,
        topology: &Topology,
    ) -> Result<(), RestoreError> {
        if self.current.usual().is_none() {
            self.current = PerNetwork::uniform(Some(Current::from(&saved.everywhere)));
        }
        let mut current = self.current.to_vec(topology.networks_count());
        for held in &saved.others {
            let network = topology.index(&held.network).and_then(|network| current.get_mut(network));
            *network.ok_or(RestoreError::Network)? = Some(Current::from(held));
        }
        self.hold(&current, topology);
        Ok(())
    }

    pub(crate) fn restore_windows(
        &mut self,
        saved: &SeriesWindows,
        (site, probe): (u32, u32),
        windows: &mut Windows,
    ) -> Result<(), RestoreError> {
        let target = targets(&self.spec).position(|name| name == saved.target);
        let target = target.and_then(|target| u16::try_from(target).ok()).ok_or(RestoreError::Target)?;
        if saved.windows.len() != self.windows.len() {
            return Err(RestoreError::Windows);
        }
        let series = SeriesId { site, probe, target };
        let objectives = (0..).zip(&self.spec.objectives).zip(&mut self.windows);
        for (((index, objective), held), counts) in objectives.zip(&saved.windows) {
            if counts.counts.is_empty() {
                continue;
            }
            if held.get(target, probe).is_some() {
                return Err(RestoreError::Windows);
            }
            let window = held.get_or_create(series, (index, objective), windows);
            let window = window.ok_or(RestoreError::Target)?;
            windows.restore(window, counts).ok_or(RestoreError::Windows)?;
        }
        Ok(())
    }
}

impl Current {
    /// The route in a network, as a checkpoint stores it.
    fn held(&self, network: &NetworkName) -> HeldRoute {
        HeldRoute {
            network: network.clone(),
            cdn: self.route.cdn.clone(),
            verdict: self.verdict,
            reason: self.reason,
            known: self.known,
            decided_tick: self.decided_tick,
            left_origin_at_us: self.left_origin_at,
            unknown_since_us: self.unknown_since,
        }
    }
}

impl From<&HeldRoute> for Current {
    fn from(held: &HeldRoute) -> Self {
        let HeldRoute { verdict, reason, known, decided_tick, left_origin_at_us, unknown_since_us, .. } =
            *held;
        let route = Route { cdn: held.cdn.clone() };
        let (left_origin_at, unknown_since) = (left_origin_at_us, unknown_since_us);
        Self { route, verdict, reason, known, decided_tick, left_origin_at, unknown_since }
    }
}
