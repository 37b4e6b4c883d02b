//! Access networks: named sets of prefixes, which form a tree. Its root, `everywhere`, is never provisioned.

use serde::{Deserialize, Serialize};
use spillway_events::{Network, NetworkName, ObjectKind, folded_name};

use super::kind::Kind;
use crate::field_path::FieldPath;
use crate::fields::{Field, List, Rules, list, optional};
use crate::limits::PREFIXES_PER_NETWORK_MAX;
use crate::object::{Claim, ObjectId, Reference};
use crate::values::{PrefixText, Title};

/// The fields of an access network.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NetworkSpec {
    name: Field<NetworkName>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    title: Field<Title>,
    parent: Field<NetworkName>,
    prefixes: List<PrefixText>,
}

pub(super) fn read(spec: NetworkSpec, rules: &mut Rules) -> Option<Network> {
    let name = rules.required("name", spec.name);
    if name.as_ref().is_some_and(|name| folded_name(name.as_str()) == NetworkName::everywhere().as_str()) {
        rules.broken("name", "everywhere is the root of the tree and always exists; choose another name");
    }
    let title = rules.optional("title", spec.title);
    let parent = rules.or("parent", spec.parent, NetworkName::everywhere());
    let prefixes = rules.list("prefixes", spec.prefixes, PREFIXES_PER_NETWORK_MAX);
    let mut prefixes: Vec<_> = prefixes?.into_iter().map(|PrefixText(prefix)| prefix).collect();
    rules.distinct("prefixes", &prefixes, ToString::to_string)?;
    // Prefixes are a set: networks that list them in different orders are equal.
    prefixes.sort_unstable();
    Some(Network { name: name?, title: title?.map(String::from), parent: parent?, prefixes })
}

impl From<&Network> for NetworkSpec {
    fn from(network: &Network) -> Self {
        let Network { name, title, parent, prefixes } = network.clone();
        Self {
            name: name.into(),
            title: optional(title, Title),
            parent: parent.into(),
            prefixes: list(prefixes, PrefixText),
        }
    }
}

impl Kind for Network {
    fn id(&self) -> ObjectId {
        ObjectId::new(ObjectKind::Network, self.name.as_str())
    }

    fn references(&self) -> Vec<Reference> {
        let target = ObjectId::new(ObjectKind::Network, self.parent.as_str());
        vec![Reference { field: FieldPath::of("parent"), target }]
    }

    fn claims(&self) -> Vec<(FieldPath, Claim)> {
        let prefixes = self.prefixes.iter().map(|prefix| (FieldPath::of("prefixes"), Claim::Prefix(*prefix)));
        std::iter::once((FieldPath::of("name"), Claim::name(&self.id()))).chain(prefixes).collect()
    }
}
