//! Provisioning: what operators and clients state, as events in one order.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::codec::record;
use crate::records::agreement::Agreement;
use crate::records::rate_card::RateCard;
use crate::records::token::Token;
use crate::{
    AgentName, CdnName, ClientName, Metric, Micros, NetworkName, OverrideName, Sha256, SiteName, TimeMicros,
};

/// The events of one command, decided together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct ProvisioningRecord {
    /// Counts from 0 without gaps; the revision of the provisioning after it is this plus 1.
    pub number: u64,
    /// The command's id. A retry has the same id.
    pub command: String,
    /// The digest of the command's body. A command with the same id and another body is not a retry.
    pub body_sha256: Sha256,
    /// The author of the command.
    pub author: String,
    /// When it was received.
    pub at_us: TimeMicros,
    /// What it changes, in order.
    pub events: Vec<Event>,
}

/// One change: an object as it is from now on, or its deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
pub enum Event {
    /// A client, new or changed.
    Client(Client),
    /// An access network, new or changed.
    Network(Network),
    /// A probe, new or changed.
    Probe(Probe),
    /// A CDN, new or changed.
    Cdn(Cdn),
    /// A site, new or changed.
    Site(Site),
    /// An object was deleted.
    Deleted(Deleted),
    /// The loss of records is accepted, and the dataflow goes on without them.
    Gap(Gap),
    /// Time starts again.
    ClockReset(ClockReset),
    /// A token, new or revoked.
    Token(Token),
    /// An override, new or changed.
    Override(Override),
    /// A version of an agreement, new or changed.
    Agreement(Box<Agreement>),
    /// A version of a rate card.
    RateCard(RateCard),
}

/// A client: the provider's customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its name.
    pub name: ClientName,
    /// A name for people.
    pub title: Option<String>,
}

/// An access network: a named set of prefixes, part of a tree of networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Its name.
    pub name: NetworkName,
    /// A name for people.
    pub title: Option<String>,
    /// The network it is part of; `everywhere` is the root.
    pub parent: NetworkName,
    /// Its prefixes.
    pub prefixes: Vec<Prefix>,
}

/// A probe: an agent in an access network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The agent.
    pub agent: AgentName,
    /// The network that the agent measures from.
    pub network: NetworkName,
}

/// Who operates a CDN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum CdnKind {
    /// The provider operates it.
    Operated,
    /// Another company operates it.
    Partner,
}

/// A content distribution network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Cdn {
    /// Its name.
    pub name: CdnName,
    /// A name for people.
    pub title: Option<String>,
    /// Who operates it.
    pub kind: CdnKind,
    /// The DNS name that resolvers are sent to, unless the site has a name of its own at this CDN.
    pub dns_name: String,
    /// Its addresses, for host names that cannot have a CNAME record.
    pub addresses: Vec<Address>,
    /// The URL that probes request.
    pub probe_url: Option<String>,
}

/// A web site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its name.
    pub name: SiteName,
    /// A name for people.
    pub title: Option<String>,
    /// The client that owns it.
    pub client: ClientName,
    /// Its host names, in lower case, without a trailing dot.
    pub hosts: Vec<String>,
    /// The web server that serves it while the performance is within the agreed level.
    pub origin: Origin,
    /// Its CDNs, in order of preference.
    pub cdns: Vec<CdnOfSite>,
    /// The time to live of its DNS answers, in seconds.
    pub ttl_secs: u32,
    /// How often each probe measures each target.
    pub probe_interval_ms: u32,
    /// The agreed performance level.
    pub objectives: Vec<Objective>,
}

/// The first web hosting server of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Its name, by which measurements name it as a target.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// The URL that probes request.
    pub probe_url: Option<String>,
}

/// The use of a CDN by one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct CdnOfSite {
    /// The CDN.
    pub cdn: CdnName,
    /// The DNS name of this site at the CDN, if it differs from the CDN's own.
    pub dns_name: Option<String>,
}

/// One line of an agreement.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// What is measured.
    pub metric: Metric,
    /// The threshold (response time) or agreed level (available bandwidth): a number of three significant digits.
    pub threshold: u64,
    /// The percentile, 1 to 99.
    pub percentile: u32,
    /// Whole seconds up to 60 s, whole minutes above.
    pub window_us: Micros,
    /// The least number of samples: a probe with fewer in the window has no value.
    pub samples_min: u32,
    /// The least number of probes with a value: fewer are not evidence.
    pub probes_min: u32,
}

/// What an operator does instead of the rule, for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Its name.
    pub name: OverrideName,
    /// What it does.
    pub kind: OverrideKind,
    /// The site that is pinned or frozen, or whose origin is drained; none if a CDN is drained or everything is frozen.
    pub site: Option<SiteName>,
    /// The CDN that is drained.
    pub cdn: Option<CdnName>,
    /// The target that the site is pinned to: its origin's name or a CDN's.
    pub to: Option<String>,
    /// Why.
    pub reason: String,
    /// The first tick at or after this time ends it.
    pub expires_at_us: TimeMicros,
}

/// What an override does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum OverrideKind {
    /// A site's route is the target, in all networks.
    Pin,
    /// No traffic goes to an origin or a CDN if it can go elsewhere.
    Drain,
    /// A site's route stays, or those of all sites.
    Freeze,
}

impl OverrideKind {
    /// The kind as written in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Drain => "drain",
            Self::Freeze => "freeze",
        }
    }
}

/// The kinds of provisioned objects, in the order of dependence: an object refers to objects of earlier kinds, or of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A client.
    Client,
    /// An access network.
    Network,
    /// A CDN.
    Cdn,
    /// A probe; its name is `AGENT/NETWORK`.
    Probe,
    /// A site.
    Site,
    /// A version of a rate card; its name is `NAME/VERSION`.
    RateCard,
    /// A version of an agreement; its name is `NAME/VERSION`.
    Agreement,
    /// An override.
    Override,
}

impl ObjectKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Client,
        Self::Network,
        Self::Cdn,
        Self::Probe,
        Self::Site,
        Self::RateCard,
        Self::Agreement,
        Self::Override,
    ];

    /// The kind as written in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Network => "network",
            Self::Probe => "probe",
            Self::Cdn => "cdn",
            Self::Site => "site",
            Self::Agreement => "agreement",
            Self::Override => "override",
            Self::RateCard => "rate_card",
        }
    }

    /// The kind as written in messages about several objects.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Client => "clients",
            Self::Network => "networks",
            Self::Cdn => "CDNs",
            Self::Probe => "probes",
            Self::Site => "sites",
            Self::Agreement => "agreements",
            Self::Override => "overrides",
            Self::RateCard => "rate cards",
        }
    }
}

/// The deletion of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Deleted {
    /// Its kind.
    pub object: ObjectKind,
    /// Its name; a probe's is `AGENT/NETWORK`, a rate card's `NAME/VERSION`.
    pub name: String,
}

/// Records of an input partition that ticks refer to but the log no longer holds, and whose loss is accepted. They count as
/// never sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The first offset that is lost.
    pub from: u64,
    /// The first offset after the lost ones.
    pub to: u64,
    /// Why the loss is accepted.
    pub reason: String,
}

/// Time starts again: the first tick that reads this is marked as a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct ClockReset {
    /// Why.
    pub reason: String,
}

/// An IP address; it is text on the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(pub IpAddr);

impl TryFrom<String> for Address {
    type Error = std::net::AddrParseError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An IP prefix such as `192.0.2.0/24`, without host bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Why a text is not a prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Not `ADDRESS/LENGTH`.
    #[error("a prefix is written like 192.0.2.0/24 or 2001:db8::/32")]
    NotAPrefix,
    /// Bits after the prefix length are set.
    #[error("bits after the prefix length are set; write {0}")]
    HostBits(Prefix),
}

impl Prefix {
    /// The prefix of this length that contains an address. A length beyond the address family's greatest counts as the greatest.
    #[must_use]
    pub fn containing(address: IpAddr, length: u8) -> Self {
        match address {
            IpAddr::V4(v4) => {
                let length = length.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Self { address: IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask)), length }
            }
            IpAddr::V6(v6) => {
                let length = length.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                Self { address: IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask)), length }
            }
        }
    }

    /// The first address.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The number of leading bits.
    #[must_use]
    pub fn length(self) -> u8 {
        self.length
    }
}

impl std::str::FromStr for Prefix {
    type Err = PrefixError;
    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, length) = text.split_once('/').ok_or(PrefixError::NotAPrefix)?;
        let address: IpAddr = address.parse().map_err(|_| PrefixError::NotAPrefix)?;
        let length: u8 = length.parse().map_err(|_| PrefixError::NotAPrefix)?;
        if length > if address.is_ipv4() { 32 } else { 128 } {
            return Err(PrefixError::NotAPrefix);
        }
        let prefix = Self::containing(address, length);
        if prefix.address == address { Ok(prefix) } else { Err(PrefixError::HostBits(prefix)) }
    }
}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;
    fn try_from(text: String) -> Result<Self, PrefixError> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
impl serde_avro_derive::BuildSchema for Address {
    fn append_schema(builder: &mut serde_avro_derive::SchemaBuilder) {
        <String as serde_avro_derive::BuildSchema>::append_schema(builder);
    }
    type TypeLookup = String;
}

#[cfg(test)]
impl serde_avro_derive::BuildSchema for Prefix {
    fn append_schema(builder: &mut serde_avro_derive::SchemaBuilder) {
        <String as serde_avro_derive::BuildSchema>::append_schema(builder);
    }
    type TypeLookup = String;
}

record!(ProvisioningRecord, "provisioning_record.v1.avsc");
