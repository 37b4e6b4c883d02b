//! The kinds of provisioned objects. This is the only list of them in this crate.
//!
//! To add a kind, whose record is in the crate `events`: write its file below this module (fields, rules of one object,
//! references to other objects), add it to the lists here, and add its look-ups to `state/lookup.rs`.

pub(crate) mod cdn;
pub(crate) mod client;
mod kind;
pub(crate) mod network;
pub(crate) mod overriding;
pub(crate) mod probe;
mod probed;
pub(crate) mod site;

use std::sync::Arc;

use serde::Serialize;
use spillway_events::{Cdn, Client, Event, Network, ObjectKind, Override, Probe, Site};

use crate::fields::Rules;
use crate::node::NodeReader;
use crate::object::ObjectId;
pub(crate) use kind::Kind;

/// A provisioned object. Only this crate makes one, so that every object keeps the rules of its kind. Other crates see what is
/// in it as an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A client.
    #[non_exhaustive]
    Client(Client),
    /// An access network.
    #[non_exhaustive]
    Network(Network),
    /// A CDN.
    #[non_exhaustive]
    Cdn(Cdn),
    /// A probe.
    #[non_exhaustive]
    Probe(Probe),
    /// A site; shared by all who look at it, because there may be many.
    #[non_exhaustive]
    Site(Arc<Site>),
    /// An override.
    #[non_exhaustive]
    Override(Override),
}

/// The fields of an object as documents write them.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Spec {
    Client(client::ClientSpec),
    Network(network::NetworkSpec),
    Cdn(cdn::CdnSpec),
    Probe(probe::ProbeSpec),
    Site(site::SiteSpec),
    Override(overriding::OverrideSpec),
}

impl Object {
    /// The kind and name.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        self.as_kind().id()
    }

    /// The event that the object is like this from now on.
    #[must_use]
    pub fn into_event(self) -> Event {
        match self {
            Self::Client(client) => Event::Client(client),
            Self::Network(network) => Event::Network(network),
            Self::Cdn(cdn) => Event::Cdn(cdn),
            Self::Probe(probe) => Event::Probe(probe),
            Self::Site(site) => Event::Site(Arc::unwrap_or_clone(site)),
            Self::Override(of) => Event::Override(of),
        }
    }

    /// The object of an event; none where the event does not set one.
    #[must_use]
    pub fn of_event(event: &Event) -> Option<Self> {
        Some(match event {
            Event::Client(client) => Self::Client(client.clone()),
            Event::Network(network) => Self::Network(network.clone()),
            Event::Cdn(cdn) => Self::Cdn(cdn.clone()),
            Event::Probe(probe) => Self::Probe(probe.clone()),
            Event::Site(site) => Self::Site(Arc::new(site.clone())),
            Event::Override(of) => Self::Override(of.clone()),
            Event::Deleted(_) | Event::Gap(_) | Event::ClockReset(_) | Event::Token(_) => return None,
        })
    }

    pub(crate) fn as_kind(&self) -> &dyn Kind {
        match self {
            Self::Client(client) => client,
            Self::Network(network) => network,
            Self::Cdn(cdn) => cdn,
            Self::Probe(probe) => probe,
            Self::Site(site) => &**site,
            Self::Override(of) => of,
        }
    }

    /// The site, if the object is one.
    pub(crate) fn as_site(&self) -> Option<&Arc<Site>> {
        match self {
            Self::Site(site) => Some(site),
            _ => None,
        }
    }

    /// Whether an object has the same objectives as the version before it, so that its agreement goes on.
    pub(crate) fn keeps_agreement_of(&self, before: &Self) -> bool {
        before.as_site().map(|site| &site.objectives) == self.as_site().map(|site| &site.objectives)
    }

    /// The document of the object; null where it cannot be written, which tests rule out.
    #[must_use]
    pub fn document(&self) -> serde_json::Value {
        serde_json::to_value(self.spec()).unwrap_or_default()
    }

    pub(crate) fn spec(&self) -> Spec {
        match self {
            Self::Client(client) => Spec::Client(client.into()),
            Self::Network(network) => Spec::Network(network.into()),
            Self::Cdn(cdn) => Spec::Cdn(cdn.into()),
            Self::Probe(probe) => Spec::Probe(probe.into()),
            Self::Site(site) => Spec::Site((&**site).into()),
            Self::Override(of) => Spec::Override(of.into()),
        }
    }
}

/// Reads the fields of an object of this kind; none if a rule is broken.
pub(crate) fn read(kind: ObjectKind, node: &NodeReader<'_>, rules: &mut Rules) -> Option<Object> {
    let object = match kind {
        ObjectKind::Client => client::read(node.spec(rules)?, rules).map(Object::Client),
        ObjectKind::Network => network::read(node.spec(rules)?, rules).map(Object::Network),
        ObjectKind::Cdn => cdn::read(node.spec(rules)?, rules).map(Object::Cdn),
        ObjectKind::Probe => probe::read(node.spec(rules)?, rules).map(Object::Probe),
        ObjectKind::Site => site::read(node.spec(rules)?, rules).map(Arc::new).map(Object::Site),
        ObjectKind::Override => overriding::read(node.spec(rules)?, rules).map(Object::Override),
    };
    object.filter(|_| rules.faults.is_empty())
}
