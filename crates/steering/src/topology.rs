//! The tree of networks with its probes, in the form that the rules use.

use std::collections::BTreeMap;

use spillway_events::{NetworkName, Probe};

/// Networks by name, each with its parent's index and the probes in or below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    networks: Vec<Node>,
    /// Indexes of the networks, every parent before its children.
    from_root: Vec<usize>,
    /// The numbers of the probes, in the order of agent, then network.
    probes: Vec<u32>,
    /// By a probe's number: its index in `probes`, plus 1; 0 where there is no probe.
    positions: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    name: NetworkName,
    parent: Option<usize>,
    /// Indexes into the topology's `probes`.
    voters: Vec<u32>,
}

/// Only the root, without probes.
impl Default for Topology {
    fn default() -> Self {
        Self::new([], [])
    }
}

impl Topology {
    /// Builds the tree. `networks` are pairs of name and parent, without the root; `probes` come with their numbers.
    /// The voters of a network are in the order of agent, then network.
    pub fn new<'a>(
        networks: impl IntoIterator<Item = (&'a NetworkName, &'a NetworkName)>,
        probes: impl IntoIterator<Item = (&'a Probe, u32)>,
    ) -> Self {
        let root = NetworkName::everywhere();
        let mut parents: BTreeMap<NetworkName, Option<NetworkName>> =
            networks.into_iter().map(|(name, parent)| (name.clone(), Some(parent.clone()))).collect();
        parents.insert(root, None);
        let index: BTreeMap<&NetworkName, usize> = parents.keys().zip(0..).collect();
        let mut nodes: Vec<Node> = parents
            .iter()
            .map(|(name, parent)| Node {
                name: name.clone(),
                parent: parent.as_ref().and_then(|parent| index.get(parent).copied()),
                voters: Vec::new(),
            })
            .collect();
        let mut probes: Vec<(&Probe, u32)> = probes.into_iter().collect();
        probes.sort();
        let mut positions = Vec::new();
        for (position, (probe, number)) in (0..).zip(&probes) {
            let number = *number as usize;
            if positions.len() <= number {
                positions.resize(number + 1, 0);
            }
            positions[number] = position + 1;
            let mut at = index.get(&probe.network).copied();
            // Bounded by the number of networks, in case the tree has a cycle.
            for _ in 0..nodes.len() {
                let Some(index) = at else { break };
                nodes[index].voters.push(position);
                at = nodes[index].parent;
            }
        }
        let from_root = from_root(&nodes);
        let probes = probes.into_iter().map(|(_, number)| number).collect();
        Self { networks: nodes, from_root, probes, positions }
    }

    /// The number of networks, including the root. Their indexes are in the order of names.
    #[must_use]
    pub fn networks_count(&self) -> usize {
        self.networks.len()
    }

    pub(crate) fn name(&self, network: usize) -> &NetworkName {
        &self.networks[network].name
    }

    pub(crate) fn parent(&self, network: usize) -> Option<usize> {
        self.networks[network].parent
    }

    /// The probes in or below a network, by their positions.
    pub(crate) fn voters(&self, network: usize) -> &[u32] {
        &self.networks[network].voters
    }

    /// The numbers of all probes, by their positions.
    pub(crate) fn probes(&self) -> &[u32] {
        &self.probes
    }

    /// The position of a probe.
    pub(crate) fn position(&self, probe: u32) -> Option<usize> {
        (*self.positions.get(probe as usize)? as usize).checked_sub(1)
    }

    /// The index of the root.
    pub(crate) fn root(&self) -> usize {
        self.from_root.first().copied().unwrap_or(0)
    }

    pub(crate) fn root_first(&self) -> &[usize] {
        &self.from_root
    }

    pub(crate) fn index(&self, name: &NetworkName) -> Option<usize> {
        self.networks.binary_search_by(|node| node.name.cmp(name)).ok()
    }
}

fn from_root(nodes: &[Node]) -> Vec<usize> {
    let depth = |mut at: usize| {
        let mut depth = 0;
        while let Some(parent) = nodes[at].parent.filter(|_| depth < nodes.len()) {
            at = parent;
            depth += 1;
        }
        depth
    };
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by_cached_key(|index| depth(*index));
    order
}
