//! Numbers for the names of sites and probes.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use spillway_events::{AgentName, NetworkName, ObjectKind, Probe, SeriesNames, Site, SiteName};
use spillway_provisioning::{ObjectId, State};

use crate::sample::SeriesId;

/// Numbers for the names that samples refer to.
///
/// All workers apply the same changes in the same order, so they assign the same numbers. The number of a deleted site or
/// probe is assigned to a later one.
#[derive(Debug, Default, Clone)]
pub struct Directory {
    site_numbers: FxHashMap<SiteName, u32>,
    probe_numbers: FxHashMap<AgentName, FxHashMap<NetworkName, u32>>,
    sites: Numbered<Arc<Site>>,
    probes: Numbered<Probe>,
}

/// Values by number; the numbers of values that were removed are used again, the least first.
#[derive(Debug, Clone)]
struct Numbered<T> {
    values: Vec<Option<T>>,
    free: BTreeSet<u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { values: Vec::new(), free: BTreeSet::new() }
    }
}

impl<T> Numbered<T> {
    fn insert(&mut self, value: T) -> u32 {
        if let Some(number) = self.free.pop_first() {
            self.replace(number, Some(value));
            return number;
        }
        let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(Some(value));
        number
    }

    fn remove(&mut self, number: u32) {
        self.replace(number, None);
        self.free.insert(number);
    }

    fn replace(&mut self, number: u32, value: Option<T>) {
        if let Some(slot) = self.values.get_mut(number as usize) {
            *slot = value;
        }
    }

    fn get(&self, number: u32) -> Option<&T> {
        self.values.get(number as usize)?.as_ref()
    }
}

impl Directory {
    /// Updates the numbers to a state. `changed` names the objects that may differ from the state before, in order, and
    /// `deleted` those that were deleted since, even if they were created again.
    pub fn update(&mut self, state: &State, changed: &[ObjectId], deleted: &[ObjectId]) {
        // Deleted objects are removed first, so that their numbers are free.
        for id in deleted {
            match id.kind {
                ObjectKind::Site => self.remove_site(&id.name),
                ObjectKind::Probe => self.remove_probe(&id.name),
                _ => {}
            }
        }
        for id in changed {
            if let Some(site) = state.site_of(id) {
                self.put_site(site.site);
            } else if let Some(probe) = state.probe_of(id) {
                self.put_probe(probe);
            }
        }
    }

    fn put_site(&mut self, site: &Arc<Site>) {
        match self.site_numbers.get(&site.name) {
            Some(number) => self.sites.replace(*number, Some(Arc::clone(site))),
            None => {
                let number = self.sites.insert(Arc::clone(site));
                self.site_numbers.insert(site.name.clone(), number);
            }
        }
    }

    fn remove_site(&mut self, name: &str) {
        if let Some(number) = self.site_numbers.remove(name) {
            self.sites.remove(number);
        }
    }

    fn put_probe(&mut self, probe: &Probe) {
        let of_agent = self.probe_numbers.entry(probe.agent.clone()).or_default();
        if !of_agent.contains_key(&probe.network) {
            of_agent.insert(probe.network.clone(), self.probes.insert(probe.clone()));
        }
    }

    fn remove_probe(&mut self, name: &str) {
        let Some((agent, network)) = name.split_once('/') else { return };
        let Some(of_agent) = self.probe_numbers.get_mut(agent) else { return };
        if let Some(number) = of_agent.remove(network) {
            self.probes.remove(number);
        }
        if of_agent.is_empty() {
            self.probe_numbers.remove(agent);
        }
    }

    /// The number of a probe that is provisioned.
    #[must_use]
    pub fn probe(&self, agent: &AgentName, network: &NetworkName) -> Option<u32> {
        self.probe_numbers.get(agent)?.get(network).copied()
    }

    /// Whether an agent has a probe that is provisioned.
    #[must_use]
    pub fn has_agent(&self, agent: &str) -> bool {
        self.probe_numbers.contains_key(agent)
    }

    /// The number of a probe by its identity.
    pub(crate) fn numbered(&self, probe: &ObjectId) -> Option<u32> {
        let (agent, network) = probe.name.split_once('/')?;
        self.probe_numbers.get(agent)?.get(network).copied()
    }

    /// The probe of a number.
    pub(crate) fn numbered_probe(&self, number: u32) -> Option<&Probe> {
        self.probes.get(number)
    }

    /// The number of a site that is provisioned.
    pub(crate) fn number(&self, site: &str) -> Option<u32> {
        self.site_numbers.get(site).copied()
    }

    /// The numbers of a series.
    ///
    /// # Errors
    /// A reason, if its site, target or probe is not provisioned.
    pub fn series(&self, names: &SeriesNames<'_>) -> Result<SeriesId, &'static str> {
        let unknown = "unknown site or target";
        let site = self.number(names.site).ok_or(unknown)?;
        let target =
            self.sites.get(site).and_then(|site| targets(site).position(|name| name == names.target));
        let target = target.and_then(|target| u16::try_from(target).ok()).ok_or(unknown)?;
        let of_agent = self.probe_numbers.get(names.agent);
        let probe = of_agent.and_then(|of_agent| of_agent.get(names.network));
        Ok(SeriesId { site, probe: *probe.ok_or("probe not provisioned")?, target })
    }
}

/// The names of a site's targets: the origin, then the CDNs in order.
pub(crate) fn targets(site: &Site) -> impl Iterator<Item = &str> {
    std::iter::once(site.origin.name.as_str()).chain(site.cdns.iter().map(|cdn| cdn.cdn.as_str()))
}

#[cfg(test)]
mod tests;
