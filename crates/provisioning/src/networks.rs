//! The tree of access networks; its root is `everywhere`.

use spillway_events::NetworkName;

use crate::limits::NETWORK_TREE_LEVELS_MAX;
use crate::state::State;

impl State {
    /// A network and the networks it is part of: itself first, `everywhere` last.
    ///
    /// A network that is not provisioned is taken to be part of `everywhere`.
    #[must_use]
    pub fn ancestors(&self, network: &NetworkName) -> Vec<NetworkName> {
        let everywhere = NetworkName::everywhere();
        let mut ancestors = Vec::new();
        let mut next = Some(network);
        // The bound holds even for a log whose networks form a cycle.
        while let Some(name) =
            next.filter(|name| **name != everywhere && ancestors.len() < NETWORK_TREE_LEVELS_MAX)
        {
            ancestors.push(name.clone());
            next = self.networks.get(name).map(|network| &network.parent);
        }
        ancestors.push(everywhere);
        ancestors
    }

    /// All networks sorted by name, `everywhere` included.
    #[must_use]
    pub fn networks_in_order(&self) -> Vec<NetworkName> {
        let mut names: Vec<NetworkName> = self.networks.keys().cloned().collect();
        let everywhere = NetworkName::everywhere();
        if let Err(at) = names.binary_search(&everywhere) {
            names.insert(at, everywhere);
        }
        names
    }

    /// Whether a network is provisioned, or is `everywhere`.
    #[must_use]
    pub fn has_network(&self, network: &NetworkName) -> bool {
        *network == NetworkName::everywhere() || self.networks.contains_key(network)
    }

    /// Where the way up from a network leads; it is followed for [`NETWORK_TREE_LEVELS_MAX`] levels.
    pub(crate) fn way_up(&self, network: &NetworkName) -> WayUp {
        let everywhere = NetworkName::everywhere();
        let mut at = network;
        for levels in 1..=NETWORK_TREE_LEVELS_MAX {
            if *at == everywhere {
                return WayUp::Root { levels };
            }
            // A parent that is not there is a mistake of its own; here it counts as the root.
            let Some(found) = self.networks.get(at) else { return WayUp::Root { levels } };
            at = &found.parent;
            if at == network {
                return WayUp::Cycle;
            }
        }
        WayUp::TooLong
    }
}

/// Where the way up from a network leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WayUp {
    /// To `everywhere`, over so many networks, both ends counted.
    Root { levels: usize },
    /// Back to the network.
    Cycle,
    /// To more than [`NETWORK_TREE_LEVELS_MAX`] networks, both ends counted; perhaps it never ends.
    TooLong,
}
