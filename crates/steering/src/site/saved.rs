//! A site as a checkpoint holds it.

use spillway_events::{HeldRoute, NetworkName, Route, SeriesWindows, SiteRoutes};

use super::{Current, Series, SeriesKey, SiteState};
use crate::directory::{Directory, targets};
use crate::error::RestoreError;
use crate::evidence::ProbeStat;
use crate::per_network::PerNetwork;
use crate::topology::Topology;
use crate::window::Window;

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

    /// The windows of every series.
    pub(crate) fn save_windows<'a>(
        &'a self,
        directory: &'a Directory,
    ) -> impl Iterator<Item = SeriesWindows> + 'a {
        let names: Vec<&str> = targets(&self.spec).collect();
        self.series.iter().filter_map(move |(key, series)| {
            let probe = directory.numbered_probe(key.probe)?;
            Some(SeriesWindows {
                site: self.spec.name.clone(),
                target: (*names.get(usize::from(key.target))?).to_owned(),
                agent: probe.agent.clone(),
                network: probe.network.clone(),
                windows: series.windows.iter().map(Window::save).collect(),
            })
        })
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

    pub(crate) fn restore_windows(&mut self, saved: &SeriesWindows, probe: u32) -> Result<(), RestoreError> {
        let target = targets(&self.spec).position(|name| name == saved.target);
        let target = target.and_then(|target| u16::try_from(target).ok()).ok_or(RestoreError::Target)?;
        let windows: Option<Vec<Window>> = saved.windows.iter().map(Window::restore).collect();
        let windows = windows.filter(|windows| windows.len() == self.panes.len());
        let windows = windows.ok_or(RestoreError::Windows)?;
        let key = SeriesKey { target, probe };
        let stats = vec![ProbeStat::default(); windows.len()];
        self.series.insert(key, Series { windows, stats, touched: false });
        self.restat(key);
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
        }
    }
}

impl From<&HeldRoute> for Current {
    fn from(held: &HeldRoute) -> Self {
        let HeldRoute { verdict, reason, known, decided_tick, .. } = *held;
        let route = Route { cdn: held.cdn.clone() };
        Self { route, verdict, reason, known, decided_tick }
    }
}
