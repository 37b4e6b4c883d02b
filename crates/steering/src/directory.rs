//! Numbers for the names of sites and probes.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use spillway_events::{AgentName, NetworkName, Probe, Site, SiteName};

use crate::site::targets;

/// Numbers for the names that samples refer to. Numbers are given in the order of names at each change, so that
/// all workers, which see the same provisioning, have the same numbers.
#[derive(Debug, Default, Clone)]
pub struct Directory {
    sites: FxHashMap<SiteName, u32>,
    probes: FxHashMap<AgentName, FxHashMap<NetworkName, u32>>,
    site_specs: Vec<Option<Arc<Site>>>,
    probe_list: Vec<Probe>,
    probe_present: Vec<bool>,
}

impl Directory {
    /// Updates the numbers to the provisioned sites and probes, each in the order of names.
    pub fn update<'a>(
        &mut self,
        sites: impl IntoIterator<Item = &'a Site>,
        probes: impl IntoIterator<Item = &'a Probe>,
    ) {
        self.site_specs.iter_mut().for_each(|spec| *spec = None);
        for site in sites {
            let next = u32::try_from(self.site_specs.len()).unwrap_or(u32::MAX);
            let number = *self.sites.entry(site.name.clone()).or_insert(next);
            if number == next {
                self.site_specs.push(None);
            }
            self.site_specs[number as usize] = Some(Arc::new(site.clone()));
        }
        self.probe_present.iter_mut().for_each(|present| *present = false);
        for probe in probes {
            let next = u32::try_from(self.probe_list.len()).unwrap_or(u32::MAX);
            let of_agent = self.probes.entry(probe.agent.clone()).or_default();
            let number = *of_agent.entry(probe.network.clone()).or_insert(next);
            if number == next {
                self.probe_list.push(probe.clone());
                self.probe_present.push(true);
            }
            self.probe_present[number as usize] = true;
        }
    }

    /// The number of a probe that is provisioned.
    #[must_use]
    pub fn probe(&self, agent: &AgentName, network: &NetworkName) -> Option<u32> {
        let number = *self.probes.get(agent)?.get(network)?;
        self.probe_present[number as usize].then_some(number)
    }

    /// Whether an agent has a probe that is provisioned.
    #[must_use]
    pub fn has_agent(&self, agent: &str) -> bool {
        let of_agent = self.probes.get(agent);
        of_agent.is_some_and(|networks| networks.values().any(|probe| self.is_present(*probe)))
    }

    /// All probes that were ever provisioned, by number.
    pub(crate) fn probes(&self) -> &[Probe] {
        &self.probe_list
    }

    /// Whether a numbered probe is provisioned now.
    pub(crate) fn is_present(&self, probe: u32) -> bool {
        self.probe_present.get(probe as usize).is_some_and(|present| *present)
    }

    /// The number of a site that was ever provisioned.
    pub(crate) fn number(&self, site: &SiteName) -> Option<u32> {
        self.sites.get(site).copied()
    }

    pub(crate) fn probe_number(&self, probe: &Probe) -> Option<u32> {
        self.probe(&probe.agent, &probe.network)
    }

    /// The numbers of a site and of its target of that name.
    #[must_use]
    pub fn target(&self, site: &SiteName, target: &str) -> Option<(u32, u16)> {
        let number = *self.sites.get(site)?;
        let spec = self.site_specs[number as usize].as_ref()?;
        let index = targets(spec).position(|name| name == target)?;
        Some((number, u16::try_from(index).ok()?))
    }

    /// The name of a numbered site.
    #[must_use]
    pub fn site(&self, number: u32) -> Option<&Arc<Site>> {
        self.site_specs.get(number as usize)?.as_ref()
    }
}
