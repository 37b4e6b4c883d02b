//! Snapshots: all routes as of one tick, whole or as what changed.

use serde::{Deserialize, Serialize};

use crate::{Address, CdnName, NetworkName, Prefix, Route, SiteName, TimeMicros};

/// What kind of snapshot a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum SnapshotKind {
    /// The whole table.
    Full,
    /// What changed since `base`.
    Delta,
    /// Nothing changed; the table is still this version's.
    Heartbeat,
}

/// One step of the routing table. The version of a table is the tick that last changed it, or said it anew as records were given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Full table, delta or heartbeat.
    pub kind: SnapshotKind,
    /// The version of the table after this record.
    pub version: u64,
    /// The version this builds on; equal to `version` in a heartbeat and in a full table.
    pub base: u64,
    /// The tick's time.
    pub at_us: TimeMicros,
    /// The table's digest afterwards, 32 hexadecimal digits: the wrapping sum of the 128-bit hashes of its entries.
    pub digest: String,
    /// Revision of the provisioning behind the table: the SOA serial.
    pub revision: u64,
    /// Sites new or changed, by name.
    pub sites: Vec<SiteEntry>,
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

/// What an edge node needs to answer for a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct SiteEntry {
    /// The site.
    pub site: SiteName,
    /// Its host names, lower case, without a final point.
    pub hosts: Vec<String>,
    /// How long an answer may be kept, in seconds.
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
    /// Its addresses, for names that may not carry a CNAME.
    pub addresses: Vec<Address>,
}

/// An access network as the edge knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct NetworkEntry {
    /// The network.
    pub network: NetworkName,
    /// The prefixes that belong to it.
    pub prefixes: Vec<Prefix>,
}

/// Which route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct RouteKey {
    /// The site.
    pub site: SiteName,
    /// The network; `everywhere` is the site's default.
    pub network: NetworkName,
}

/// One route of the table: a site's default, or an exception for one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct RouteEntry {
    /// The site.
    pub site: SiteName,
    /// The network; `everywhere` is the site's default.
    pub network: NetworkName,
    /// Where to.
    pub route: Route,
}
