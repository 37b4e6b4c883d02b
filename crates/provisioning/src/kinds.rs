//! The kinds of provisioned objects. This is the only list of them in this crate.
//!
//! To add a kind, whose record is in the crate `events`: write its file below this module (fields, rules of one object,
//! references to other objects), add it to the lists here, and add its look-ups to `state/lookup.rs`.

pub(crate) mod agreement;
pub(crate) mod cdn;
pub(crate) mod client;
mod kind;
pub(crate) mod network;
pub(crate) mod overriding;
pub(crate) mod probe;
mod probed;
pub(crate) mod rate_card;
pub(crate) mod site;

use std::sync::Arc;

use serde::Serialize;
use spillway_events::{
    Agreement, Cdn, Client, Event, Network, ObjectKind, Override, Probe, RateCard, Site, Stage,
};

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
    /// A version of an agreement; shared by all who look at it, because it may be long.
    #[non_exhaustive]
    Agreement(Arc<Agreement>),
    /// An override.
    #[non_exhaustive]
    Override(Override),
    /// A version of a rate card; shared by all who look at it.
    #[non_exhaustive]
    RateCard(Arc<RateCard>),
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
    Agreement(Box<agreement::AgreementSpec>),
    Override(overriding::OverrideSpec),
    RateCard(rate_card::RateCardSpec),
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
            Self::Agreement(agreement) => Event::Agreement(Box::new(Arc::unwrap_or_clone(agreement))),
            Self::Override(of) => Event::Override(of),
            Self::RateCard(card) => Event::RateCard(Arc::unwrap_or_clone(card)),
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
            Event::Agreement(agreement) => Self::Agreement(Arc::new((**agreement).clone())),
            Event::Override(of) => Self::Override(of.clone()),
            Event::RateCard(card) => Self::RateCard(Arc::new(card.clone())),
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
            Self::Agreement(agreement) => &**agreement,
            Self::Override(of) => of,
            Self::RateCard(card) => &**card,
        }
    }

    /// The site, if the object is one.
    pub(crate) fn as_site(&self) -> Option<&Arc<Site>> {
        match self {
            Self::Site(site) => Some(site),
            _ => None,
        }
    }

    /// Whether what is agreed is as it was before this change: a site's objectives, the acceptance of a version.
    pub(crate) fn keeps_agreement_of(&self, before: &Self) -> bool {
        match (before, self) {
            (Self::Site(before), Self::Site(after)) => before.objectives == after.objectives,
            (Self::Agreement(before), Self::Agreement(after)) => {
                (before.stage == Stage::Accepted) == (after.stage == Stage::Accepted)
            }
            _ => true,
        }
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
            Self::Agreement(agreement) => Spec::Agreement(Box::new((&**agreement).into())),
            Self::Override(of) => Spec::Override(of.into()),
            Self::RateCard(card) => Spec::RateCard((&**card).into()),
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
        ObjectKind::Agreement => {
            agreement::read(node.spec(rules)?, rules).map(Arc::new).map(Object::Agreement)
        }
        ObjectKind::Override => overriding::read(node.spec(rules)?, rules).map(Object::Override),
        ObjectKind::RateCard => rate_card::read(node.spec(rules)?, rules).map(Arc::new).map(Object::RateCard),
    };
    object.filter(|_| rules.faults.is_empty())
}
