//! The objects of each kind, as other crates look them up.

use std::sync::Arc;

use spillway_events::{
    Cdn, CdnName, Client, Network, NetworkName, ObjectKind, Override, Probe, RateCard, RateCardName, Site,
    SiteName,
};

use super::{State, Stored};
use crate::kinds::Object;
use crate::object::ObjectId;

/// A site of a [`State`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvisionedSite<'a> {
    /// The site.
    pub site: &'a Arc<Site>,
    /// The number of the provisioning record that last changed its objectives: the `agreement` of decisions.
    pub agreement: u64,
}

impl State {
    /// The clients, by name.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        self.of_kind(ObjectKind::Client).filter_map(|stored| match &stored.object {
            Object::Client(client) => Some(client),
            _ => None,
        })
    }

    /// The access networks, by name, without `everywhere`.
    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        self.of_kind(ObjectKind::Network).filter_map(|stored| network_of(&stored.object))
    }

    /// An access network; none for `everywhere`.
    #[must_use]
    pub fn network(&self, name: &NetworkName) -> Option<&Network> {
        network_of(&self.stored(ObjectKind::Network, name.as_str())?.object)
    }

    /// The CDNs, by name.
    pub fn cdns(&self) -> impl Iterator<Item = &Cdn> {
        self.of_kind(ObjectKind::Cdn).filter_map(|stored| cdn_of(&stored.object))
    }

    /// A CDN.
    #[must_use]
    pub fn cdn(&self, name: &CdnName) -> Option<&Cdn> {
        cdn_of(&self.stored(ObjectKind::Cdn, name.as_str())?.object)
    }

    /// The probes, by the text `AGENT/NETWORK`.
    pub fn probes(&self) -> impl Iterator<Item = &Probe> {
        self.of_kind(ObjectKind::Probe).filter_map(|stored| probe_of(&stored.object))
    }

    /// The probe with an identity; none if that is the identity of another kind.
    #[must_use]
    pub fn probe_of(&self, id: &ObjectId) -> Option<&Probe> {
        probe_of(self.object(id)?)
    }

    /// The overrides, by name.
    pub fn overrides(&self) -> impl Iterator<Item = &Override> {
        self.of_kind(ObjectKind::Override).filter_map(|stored| override_of(&stored.object))
    }

    /// The versions of rate cards, by the text `NAME/VERSION`.
    pub fn rate_cards(&self) -> impl Iterator<Item = &Arc<RateCard>> {
        self.of_kind(ObjectKind::RateCard).filter_map(|stored| rate_card_of(&stored.object))
    }

    /// A version of a rate card.
    #[must_use]
    pub fn rate_card(&self, name: &RateCardName, version: u32) -> Option<&Arc<RateCard>> {
        rate_card_of(&self.stored(ObjectKind::RateCard, &format!("{name}/{version}"))?.object)
    }

    /// The sites, by name.
    pub fn sites(&self) -> impl Iterator<Item = ProvisionedSite<'_>> {
        self.of_kind(ObjectKind::Site).filter_map(site_of)
    }

    /// A site.
    #[must_use]
    pub fn site(&self, name: &SiteName) -> Option<ProvisionedSite<'_>> {
        site_of(self.stored(ObjectKind::Site, name.as_str())?)
    }

    /// The site with an identity; none if that is the identity of another kind.
    #[must_use]
    pub fn site_of(&self, id: &ObjectId) -> Option<ProvisionedSite<'_>> {
        site_of(self.stored(id.kind, &id.name)?)
    }
}

fn network_of(object: &Object) -> Option<&Network> {
    match object {
        Object::Network(network) => Some(network),
        _ => None,
    }
}

fn cdn_of(object: &Object) -> Option<&Cdn> {
    match object {
        Object::Cdn(cdn) => Some(cdn),
        _ => None,
    }
}

fn probe_of(object: &Object) -> Option<&Probe> {
    match object {
        Object::Probe(probe) => Some(probe),
        _ => None,
    }
}

pub(crate) fn override_of(object: &Object) -> Option<&Override> {
    match object {
        Object::Override(of) => Some(of),
        _ => None,
    }
}

fn rate_card_of(object: &Object) -> Option<&Arc<RateCard>> {
    match object {
        Object::RateCard(card) => Some(card),
        _ => None,
    }
}

fn site_of(stored: &Stored) -> Option<ProvisionedSite<'_>> {
    Some(ProvisionedSite { site: stored.object.as_site()?, agreement: stored.agreement })
}
