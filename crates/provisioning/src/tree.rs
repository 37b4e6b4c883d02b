//! The tree of access networks, and its rules; its root is `everywhere`.

use spillway_events::{Network, NetworkName, ObjectKind};

use crate::fields::Rules;
use crate::kinds::Object;
use crate::limits::NETWORK_TREE_LEVELS_MAX;
use crate::object::ObjectId;
use crate::state::State;

/// Checks that the path up from a network reaches `everywhere`, and that no path from below it gets too long. `after` is the
/// state with all objects of the command; the objects for which `is_checked` holds are part of the command, and so are
/// checked by themselves.
pub(crate) fn check(
    network: &Network,
    after: &State,
    is_checked: &dyn Fn(&ObjectId) -> bool,
    rules: &mut Rules,
) {
    match after.path_up(&network.name) {
        PathUp::Cycle => {
            rules.broken("parent", format!("the path up from {} does not reach everywhere", network.name));
        }
        PathUp::Root { levels } => {
            if let Some(deep) = after.network_too_deep_below(&network.name, levels, is_checked) {
                rules.broken("parent", too_deep(&deep));
            }
        }
        PathUp::TooLong => rules.broken("parent", too_deep(&network.name)),
    }
}

fn too_deep(network: &NetworkName) -> String {
    format!(
        "the path from network {network} up to everywhere has more than {NETWORK_TREE_LEVELS_MAX} networks, both included"
    )
}

/// The number of objects of its own kind that must exist before an object: networks above it.
pub(crate) fn depth(object: &Object, after: &State) -> usize {
    let Object::Network(network) = object else { return 0 };
    match after.path_up(&network.name) {
        PathUp::Root { levels } => levels,
        PathUp::Cycle | PathUp::TooLong => usize::MAX,
    }
}

/// Where the path up from a network leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PathUp {
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
    fn path_up(&self, network: &NetworkName) -> PathUp {
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
    fn network_too_deep_below(
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
