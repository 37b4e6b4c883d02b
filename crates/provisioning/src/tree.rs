//! The tree of access networks; its root is `everywhere`.

use spillway_events::{NetworkName, ObjectKind};

use crate::limits::NETWORK_TREE_LEVELS_MAX;
use crate::object::ObjectId;
use crate::state::State;

/// Where the path up from a network leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathUp {
    /// To `everywhere`, over this many networks, both ends included.
    Root { levels: usize },
    /// Back to the network.
    Cycle,
    /// To more than [`NETWORK_TREE_LEVELS_MAX`] networks, perhaps without an end.
    TooLong,
}

impl State {
    /// The path from a network up to `everywhere`: the network first, `everywhere` last.
    ///
    /// A network that is not provisioned is taken to be directly below `everywhere`.
    #[must_use]
    pub fn ancestors(&self, network: &NetworkName) -> Vec<NetworkName> {
        let everywhere = NetworkName::everywhere();
        let mut ancestors = Vec::new();
        let mut next = Some(network);
        // The bound holds even if the records of the log make a cycle.
        while let Some(name) =
            next.filter(|name| **name != everywhere && ancestors.len() < NETWORK_TREE_LEVELS_MAX)
        {
            ancestors.push(name.clone());
            next = self.network(name).map(|network| &network.parent);
        }
        ancestors.push(everywhere);
        ancestors
    }

    /// Where the path up from a network leads.
    pub(crate) fn path_up(&self, network: &NetworkName) -> PathUp {
        let everywhere = NetworkName::everywhere();
        let mut at = network;
        for levels in 1..=NETWORK_TREE_LEVELS_MAX {
            if *at == everywhere {
                return PathUp::Root { levels };
            }
            // A missing parent is a mistake of its own. Here it counts as the root.
            let Some(found) = self.network(at) else { return PathUp::Root { levels } };
            at = &found.parent;
            if at == network {
                return PathUp::Cycle;
            }
        }
        PathUp::TooLong
    }

    /// A network below this one whose path up is too long; `levels` is the length of the path up from this network.
    ///
    /// Networks for which `is_checked` holds, and those below them, are left out: they are checked by themselves.
    pub(crate) fn network_too_deep_below(
        &self,
        network: &NetworkName,
        levels: usize,
        is_checked: &dyn Fn(&ObjectId) -> bool,
    ) -> Option<NetworkName> {
        let mut level = vec![ObjectId::new(ObjectKind::Network, network.as_str())];
        for _ in levels..=NETWORK_TREE_LEVELS_MAX {
            let below = level.iter().flat_map(|id| self.users(id));
            level = below.filter(|id| id.kind == ObjectKind::Network && !is_checked(id)).cloned().collect();
        }
        level.first().and_then(|deep| NetworkName::new(&*deep.name).ok())
    }
}
