//! Identities of objects, and what an object takes for itself alone.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spillway_events::{
    AgreementName, Deleted, Event, NetworkName, ObjectKind, OverrideKind, Prefix, Probe, folded_name,
};

use crate::field_path::FieldPath;

/// An object's kind and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// The kind.
    pub kind: ObjectKind,
    /// The name; a probe's is `AGENT/NETWORK`.
    pub name: Arc<str>,
}

impl ObjectId {
    /// The identity of an object of this kind and name.
    #[must_use]
    pub fn new(kind: ObjectKind, name: impl Into<Arc<str>>) -> Self {
        Self { kind, name: name.into() }
    }

    /// The identity of a probe.
    #[must_use]
    pub fn of_probe(probe: &Probe) -> Self {
        Self::new(ObjectKind::Probe, format!("{}/{}", probe.agent, probe.network))
    }

    /// The identity of a version of an agreement; its name alone for the document of one that has no number yet.
    #[must_use]
    pub fn of_agreement(name: &AgreementName, version: u32) -> Self {
        let of_version = || format!("{name}/{version}");
        Self::new(ObjectKind::Agreement, if version == 0 { name.to_string() } else { of_version() })
    }

    /// The identity of the object that an event deletes.
    #[must_use]
    pub fn deleted_by(event: &Event) -> Option<Self> {
        match event {
            Event::Deleted(Deleted { object, name }) => Some(Self::new(*object, name.as_str())),
            _ => None,
        }
    }

    /// Whether this is the root of the tree of networks, which is never provisioned.
    pub(crate) fn is_root_network(&self) -> bool {
        self.kind == ObjectKind::Network && *self.name == *NetworkName::everywhere().as_str()
    }

    /// The agent of a probe; the agreement of a version.
    fn first_part(&self) -> &str {
        self.name.split_once('/').map_or(&self.name, |(agent, _)| agent)
    }
}

/// Writes `KIND NAME`.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// A field that names another object, which must exist.
pub(crate) struct Reference {
    pub(crate) field: FieldPath,
    pub(crate) target: ObjectId,
}

/// Something that only one object can have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Claim {
    /// A name of this kind, folded: names of one kind that fold to the same text collide.
    Name(ObjectKind, Arc<str>),
    /// The name of an agent, folded. Several probes may share an agent, but not two agents with colliding names.
    Agent(Arc<str>),
    /// A name of an agreement, folded. Its versions share it.
    Agreement(Arc<str>),
    /// A host name.
    Host(Arc<str>),
    /// An IP prefix.
    Prefix(Prefix),
    /// An override of this kind of what the text says.
    Override(OverrideKind, Arc<str>),
}

impl Claim {
    pub(crate) fn name(id: &ObjectId) -> Self {
        Self::Name(id.kind, folded_name(&id.name).into())
    }

    pub(crate) fn agreement(name: &str) -> Self {
        Self::Agreement(folded_name(name).into())
    }

    /// Whether two objects cannot both have this.
    pub(crate) fn excludes(&self, one: &ObjectId, other: &ObjectId) -> bool {
        match self {
            Self::Agent(_) | Self::Agreement(_) => one.first_part() != other.first_part(),
            Self::Name(..) | Self::Host(_) | Self::Prefix(_) | Self::Override(..) => one != other,
        }
    }

    /// The rule that an object breaks when `owner` has this already.
    pub(crate) fn broken_by(&self, owner: &ObjectId) -> String {
        match self {
            Self::Name(kind, _) => format!(
                "collides with {owner}: names of {} differ in more than upper and lower case, and `.` and `_`",
                kind.plural()
            ),
            Self::Agent(_) => format!(
                "collides with agent {} of {owner}: names of agents differ in more than upper and lower case, and `.` \
                 and `_`",
                owner.first_part()
            ),
            Self::Agreement(_) => format!(
                "collides with the agreement {}: names of agreements differ in more than upper and lower case, and `.` and \
                 `_`",
                owner.first_part()
            ),
            Self::Host(host) => format!("{host} is also a host name of {owner}"),
            Self::Prefix(prefix) => format!("{prefix} is also a prefix of {owner}"),
            Self::Override(kind, of) => format!("{owner} is a {} of {of} already", kind.as_str()),
        }
    }
}
