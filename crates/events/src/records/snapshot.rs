//! Snapshots: the routing table as of one tick, complete or as a delta.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Address, CdnName, NetworkName, Prefix, Reason, Route, SiteName, TimeMicros};

/// The most prefixes of a network in one item.
pub const PREFIXES_PER_ITEM_MAX: usize = 4_096;

/// What kind of snapshot a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum SnapshotKind {
    /// The complete table.
    Full,
    /// What changed since `base`.
    Delta,
    /// Nothing changed; the table is still this version's.
    Heartbeat,
}

/// An item of a frame of `snapshots`: a head, or an item that belongs to the head before it. Items are small, so that a
/// table of any size fits chunks of bounded size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
pub enum SnapshotItem {
    /// Starts a snapshot.
    SnapshotHead(SnapshotHead),
    /// A site, new or changed.
    SiteEntry(SiteEntry),
    /// A site that is gone.
    SiteGone(SiteGone),
    /// A network, new or changed, or a part of it.
    NetworkEntry(NetworkEntry),
    /// A network that is gone.
    NetworkGone(NetworkGone),
    /// A route, new or changed.
    RouteEntry(RouteEntry),
    /// A route that is gone.
    RouteGone(RouteGone),
}

/// The head of a snapshot: a frame's items up to the next head belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct SnapshotHead {
    /// Full table, delta or heartbeat.
    pub kind: SnapshotKind,
    /// The version of the table after this snapshot.
    pub version: u64,
    /// The version this builds on; equal to `version` in a heartbeat and in a full table.
    pub base: u64,
    /// The tick's time.
    pub at_us: TimeMicros,
    /// The table's digest after this snapshot, 32 hexadecimal digits: the wrapping sum of the 128-bit hashes of its entries.
    pub digest: String,
    /// Revision of the provisioning behind the table: the SOA serial.
    pub revision: u64,
    /// The id of the installation, from tick 0; empty if the log has none.
    pub installation: String,
}

/// One step of the routing table, assembled from items. The version of a table is the tick that last changed it, or that
/// published all of it again when the loss of records was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Full table, delta or heartbeat.
    pub kind: SnapshotKind,
    /// The version of the table after this snapshot.
    pub version: u64,
    /// The version this builds on; equal to `version` in a heartbeat and in a full table.
    pub base: u64,
    /// The tick's time.
    pub at_us: TimeMicros,
    /// The table's digest after this snapshot, see [`SnapshotHead::digest`].
    pub digest: String,
    /// Revision of the provisioning behind the table: the SOA serial.
    pub revision: u64,
    /// The id of the installation, from tick 0; empty if the log has none.
    pub installation: String,
    /// Sites new or changed, by name; shared with the tables that have them.
    pub sites: Vec<Arc<SiteEntry>>,
    /// Sites gone, by name.
    pub sites_gone: Vec<SiteName>,
    /// Networks new or changed, by name.
    pub networks: Vec<NetworkEntry>,
    /// Networks gone, by name.
    pub networks_gone: Vec<NetworkName>,
    /// Routes new or changed, by site, then network.
    pub routes: Vec<RouteEntry>,
    /// Routes gone, by site, then network.
    pub routes_gone: Vec<RouteKey>,
}

/// An item before the first head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the frame starts with an item that belongs to no snapshot")]
pub struct MissingHead;

impl Snapshot {
    /// The snapshots of a frame.
    ///
    /// # Errors
    /// When the first item is not a head.
    pub fn from_items(items: Vec<SnapshotItem>) -> Result<Vec<Self>, MissingHead> {
        let mut snapshots: Vec<Self> = Vec::new();
        for item in items {
            if let SnapshotItem::SnapshotHead(head) = item {
                snapshots.push(Self::from(head));
                continue;
            }
            let snapshot = snapshots.last_mut().ok_or(MissingHead)?;
            match item {
                // Taken above.
                SnapshotItem::SnapshotHead(_) => {}
                SnapshotItem::SiteEntry(site) => snapshot.sites.push(Arc::new(site)),
                SnapshotItem::SiteGone(gone) => snapshot.sites_gone.push(gone.site),
                SnapshotItem::NetworkEntry(part) => match snapshot.networks.last_mut() {
                    Some(last) if last.network == part.network => last.prefixes.extend(part.prefixes),
                    _ => snapshot.networks.push(part),
                },
                SnapshotItem::NetworkGone(gone) => snapshot.networks_gone.push(gone.network),
                SnapshotItem::RouteEntry(route) => snapshot.routes.push(route),
                SnapshotItem::RouteGone(gone) => {
                    snapshot.routes_gone.push(RouteKey { site: gone.site, network: gone.network });
                }
            }
        }
        Ok(snapshots)
    }

    /// The snapshot as the items of a frame, the head first.
    #[must_use]
    pub fn into_items(self) -> Vec<SnapshotItem> {
        let mut items = vec![SnapshotItem::SnapshotHead(SnapshotHead {
            kind: self.kind,
            version: self.version,
            base: self.base,
            at_us: self.at_us,
            digest: self.digest,
            revision: self.revision,
            installation: self.installation,
        })];
        items.extend(self.sites.into_iter().map(Arc::unwrap_or_clone).map(SnapshotItem::SiteEntry));
        let gone = |site| SnapshotItem::SiteGone(SiteGone { site });
        items.extend(self.sites_gone.into_iter().map(gone));
        items.extend(self.networks.into_iter().flat_map(NetworkEntry::into_parts));
        let gone = |network| SnapshotItem::NetworkGone(NetworkGone { network });
        items.extend(self.networks_gone.into_iter().map(gone));
        items.extend(self.routes.into_iter().map(SnapshotItem::RouteEntry));
        let gone = |RouteKey { site, network }| SnapshotItem::RouteGone(RouteGone { site, network });
        items.extend(self.routes_gone.into_iter().map(gone));
        items
    }
}

impl From<SnapshotHead> for Snapshot {
    /// A snapshot without entries.
    fn from(head: SnapshotHead) -> Self {
        Self {
            kind: head.kind,
            version: head.version,
            base: head.base,
            at_us: head.at_us,
            digest: head.digest,
            revision: head.revision,
            installation: head.installation,
            sites: Vec::new(),
            sites_gone: Vec::new(),
            networks: Vec::new(),
            networks_gone: Vec::new(),
            routes: Vec::new(),
            routes_gone: Vec::new(),
        }
    }
}

impl NetworkEntry {
    fn into_parts(self) -> impl Iterator<Item = SnapshotItem> {
        let part = |prefixes: &[Prefix]| {
            SnapshotItem::NetworkEntry(Self { network: self.network.clone(), prefixes: prefixes.to_vec() })
        };
        let parts: Vec<SnapshotItem> = match self.prefixes.as_slice() {
            [] => vec![part(&[])],
            prefixes => prefixes.chunks(PREFIXES_PER_ITEM_MAX).map(part).collect(),
        };
        parts.into_iter()
    }
}

/// A site, new or changed: what an edge node needs to answer for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct SiteEntry {
    /// The site.
    pub site: SiteName,
    /// Its host names, lower case, without a trailing dot.
    pub hosts: Vec<String>,
    /// How long an answer may be cached, in seconds.
    pub ttl_secs: u32,
    /// The origin's addresses.
    pub origin_addresses: Vec<Address>,
    /// The CDNs, in order of preference.
    pub cdns: Vec<CdnEntry>,
}

/// What an edge node needs to send a resolver to a CDN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct CdnEntry {
    /// The CDN.
    pub cdn: CdnName,
    /// The name that a resolver is sent to.
    pub dns_name: String,
    /// Its addresses, for host names that cannot have a CNAME record.
    pub addresses: Vec<Address>,
}

/// An access network, new or changed. Items of one network that follow each other are parts of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct NetworkEntry {
    /// The network.
    pub network: NetworkName,
    /// The prefixes that belong to it.
    pub prefixes: Vec<Prefix>,
}

/// A site that is gone, with its routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct SiteGone {
    /// The site.
    pub site: SiteName,
}

/// An access network that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct NetworkGone {
    /// The network.
    pub network: NetworkName,
}

/// A route that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct RouteGone {
    /// The site.
    pub site: SiteName,
    /// The network; `everywhere` is the site's default.
    pub network: NetworkName,
}

/// Which route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey {
    /// The site.
    pub site: SiteName,
    /// The network; `everywhere` is the site's default.
    pub network: NetworkName,
}

/// A route, new or changed: a site's default, or an exception for one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct RouteEntry {
    /// The site.
    pub site: SiteName,
    /// The network; `everywhere` is the site's default.
    pub network: NetworkName,
    /// The route.
    pub route: Route,
    /// Why the route differs from the verdict, if it does. Not part of the digest.
    pub reason: Option<Reason>,
    /// The tick that decided. Not part of the digest.
    pub decided_at: u64,
}
