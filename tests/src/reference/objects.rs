//! What is provisioned, and the tree of networks as plain lists.

use std::collections::{BTreeMap, BTreeSet};

use spillway_events::{Event, NetworkName, Probe, Site};
use spillway_provisioning::{Mistake, parse};

/// What is provisioned, as far as routes depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Objects {
    /// Name and parent; the root `everywhere` need not stand here.
    pub networks: Vec<(NetworkName, NetworkName)>,
    /// Agent and network.
    pub probes: Vec<Probe>,
    /// The sites.
    pub sites: Vec<Site>,
}

impl Objects {
    /// Reads documents in YAML; those of clients and CDNs say nothing that matters here.
    ///
    /// # Errors
    /// The mistakes of the text.
    pub fn from_documents(text: &str) -> Result<Self, Vec<Mistake>> {
        let mut objects = Self::default();
        for object in parse("documents", text)?.objects {
            match object.into_event() {
                Event::Network(network) => {
                    objects.networks.push((network.name, network.parent));
                }
                Event::Probe(probe) => objects.probes.push(probe),
                Event::Site(site) => objects.sites.push(site),
                _ => {}
            }
        }
        Ok(objects)
    }
}

/// Networks and probes by number.
pub(super) struct Tree {
    /// All networks by name, the root included.
    pub(super) networks: Vec<String>,
    /// Per network: itself, its parent, and so on up to the root.
    pub(super) chains: Vec<Vec<usize>>,
    /// Per network: the probes that sit in it or below it.
    pub(super) members: Vec<Vec<usize>>,
    /// Agent and network.
    probes: Vec<(String, String)>,
}

impl Tree {
    pub(super) fn new(objects: &Objects) -> Self {
        let root = NetworkName::everywhere().to_string();
        let parents: BTreeMap<&str, &str> = objects
            .networks
            .iter()
            .map(|(network, parent)| (network.as_str(), parent.as_str()))
            .filter(|(network, _)| *network != root)
            .collect();
        let mut names: BTreeSet<&str> = parents.keys().copied().collect();
        names.insert(&root);
        let networks: Vec<String> = names.into_iter().map(str::to_owned).collect();

        // A network that is not provisioned is part of the root.
        let chain = |network: &str| -> Vec<usize> {
            let mut names = vec![network];
            while let Some(parent) = names.last().and_then(|name| parents.get(name)) {
                if names.contains(parent) {
                    break;
                }
                names.push(parent);
            }
            if !names.contains(&root.as_str()) {
                names.push(&root);
            }
            names.iter().filter_map(|name| networks.iter().position(|network| network == name)).collect()
        };
        let chains: Vec<Vec<usize>> = networks.iter().map(|network| chain(network)).collect();

        let probes: BTreeSet<(String, String)> =
            objects.probes.iter().map(|probe| (probe.agent.to_string(), probe.network.to_string())).collect();
        let probes: Vec<(String, String)> = probes.into_iter().collect();
        let members = (0..networks.len())
            .map(|network| {
                (0..probes.len()).filter(|probe| chain(&probes[*probe].1).contains(&network)).collect()
            })
            .collect();
        Self { networks, chains, members, probes }
    }

    pub(super) fn probe(&self, agent: &str, network: &str) -> Option<usize> {
        self.probes.iter().position(|probe| probe.0 == agent && probe.1 == network)
    }

    pub(super) fn probe_count(&self) -> usize {
        self.probes.len()
    }
}
