//! What is provisioned, as of one record.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use spillway_events::{
    AgentName, Cdn, CdnName, Client, ClientName, Deleted, Event, Gap, Network, NetworkName, ObjectKind,
    Probe, ProvisioningRecord, Site, SiteName,
};

use crate::limits::COMMANDS_REMEMBERED_MAX;

/// All provisioned objects by name. The network `everywhere` exists by itself and is not among them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub(crate) revision: u64,
    pub(crate) clients: BTreeMap<ClientName, Client>,
    pub(crate) networks: BTreeMap<NetworkName, Network>,
    pub(crate) probes: BTreeSet<Probe>,
    pub(crate) cdns: BTreeMap<CdnName, Cdn>,
    pub(crate) sites: BTreeMap<SiteName, ProvisionedSite>,
    #[serde(default)]
    pub(crate) gaps: BTreeSet<Gap>,
    commands: VecDeque<Remembered>,
}

/// A site, and when its objectives were last set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvisionedSite {
    /// The site.
    pub site: Site,
    /// The number of the provisioning record that last set its objectives: the `agreement` of decisions.
    pub agreement: u64,
}

/// A command that has been applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// The command's id.
    pub command: String,
    /// The number of its record.
    pub number: u64,
    /// How many events it led to.
    pub events: u64,
}

/// Why a record does not follow the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Records are numbered from 0 without gaps.
    #[error("provisioning record {found} does not follow: {expected} is next")]
    Gap {
        /// The number that is next.
        expected: u64,
        /// The record's number.
        found: u64,
    },
}

impl State {
    /// Applies the next record.
    ///
    /// # Errors
    /// When the record's number is not [`State::revision`]; the state is as before then.
    pub fn apply(&mut self, record: &ProvisioningRecord) -> Result<(), ApplyError> {
        if record.number != self.revision {
            return Err(ApplyError::Gap { expected: self.revision, found: record.number });
        }
        for event in &record.events {
            self.apply_event(record.number, event);
        }
        self.revision += 1;
        self.commands.push_back(Remembered {
            command: record.command.clone(),
            number: record.number,
            events: record.events.len() as u64,
        });
        if self.commands.len() > COMMANDS_REMEMBERED_MAX {
            self.commands.pop_front();
        }
        Ok(())
    }

    /// Applies one event of the record of that number; counts no record and remembers no command.
    ///
    /// What is not there cannot be deleted: such an event changes nothing.
    pub fn apply_event(&mut self, number: u64, event: &Event) {
        match event {
            Event::Client(client) => {
                self.clients.insert(client.name.clone(), client.clone());
            }
            Event::Network(network) => {
                self.networks.insert(network.name.clone(), network.clone());
            }
            Event::Probe(probe) => {
                self.probes.insert(probe.clone());
            }
            Event::Cdn(cdn) => {
                self.cdns.insert(cdn.name.clone(), cdn.clone());
            }
            Event::Site(site) => {
                let before = self.sites.get(&site.name);
                let agreement = before
                    .filter(|before| before.site.objectives == site.objectives)
                    .map_or(number, |before| before.agreement);
                self.sites.insert(site.name.clone(), ProvisionedSite { site: site.clone(), agreement });
            }
            Event::Deleted(deleted) => self.remove(deleted),
            Event::Gap(gap) => {
                self.gaps.insert(gap.clone());
            }
        }
    }

    fn remove(&mut self, deleted: &Deleted) {
        let name = deleted.name.as_str();
        match deleted.object {
            ObjectKind::Client => {
                self.clients.remove(name);
            }
            ObjectKind::Network => {
                self.networks.remove(name);
            }
            ObjectKind::Probe => {
                if let Some(probe) = probe_of_name(name) {
                    self.probes.remove(&probe);
                }
            }
            ObjectKind::Cdn => {
                self.cdns.remove(name);
            }
            ObjectKind::Site => {
                self.sites.remove(name);
            }
        }
    }

    /// How many records have been applied: the last one's number plus 1.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The clients by name.
    #[must_use]
    pub fn clients(&self) -> &BTreeMap<ClientName, Client> {
        &self.clients
    }

    /// The access networks by name, without `everywhere`.
    #[must_use]
    pub fn networks(&self) -> &BTreeMap<NetworkName, Network> {
        &self.networks
    }

    /// The probes, by agent, then network.
    #[must_use]
    pub fn probes(&self) -> &BTreeSet<Probe> {
        &self.probes
    }

    /// The CDNs by name.
    #[must_use]
    pub fn cdns(&self) -> &BTreeMap<CdnName, Cdn> {
        &self.cdns
    }

    /// The sites by name.
    #[must_use]
    pub fn sites(&self) -> &BTreeMap<SiteName, ProvisionedSite> {
        &self.sites
    }

    /// The offset up to which the records of a partition are given up, from that one on; nothing where it is not.
    #[must_use]
    pub fn given_up(&self, topic: &str, partition: u32, from: u64) -> Option<u64> {
        let of_partition = |gap: &&Gap| gap.topic == topic && gap.partition == partition;
        let over = self.gaps.iter().filter(of_partition).filter(|gap| (gap.from..gap.to).contains(&from));
        over.map(|gap| gap.to).max()
    }

    /// What a command of this id led to, if it is among the last [`COMMANDS_REMEMBERED_MAX`].
    #[must_use]
    pub fn remembered(&self, command: &str) -> Option<&Remembered> {
        self.commands.iter().rev().find(|remembered| remembered.command == command)
    }

    /// Whether an object of that kind and name is there.
    pub(crate) fn contains(&self, kind: ObjectKind, name: &str) -> bool {
        match kind {
            ObjectKind::Client => self.clients.contains_key(name),
            ObjectKind::Network => self.networks.contains_key(name),
            ObjectKind::Probe => probe_of_name(name).is_some_and(|probe| self.probes.contains(&probe)),
            ObjectKind::Cdn => self.cdns.contains_key(name),
            ObjectKind::Site => self.sites.contains_key(name),
        }
    }
}

/// The probe that `AGENT/NETWORK` names; an agent has no `/` in its name.
fn probe_of_name(name: &str) -> Option<Probe> {
    let (agent, network) = name.split_once('/')?;
    Some(Probe { agent: AgentName::new(agent).ok()?, network: NetworkName::new(network).ok()? })
}
