//! Sites: host names, an origin, and CDNs in order of preference.

pub(crate) mod objective;

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use spillway_events::{
    CdnName, CdnOfSite, ClientName, ObjectKind, Objective, Origin, Site, SiteName, parse_duration,
};

use super::cdn::read_addresses;
use super::kind::Kind;
use super::probed::warn_of_unprobed;
use crate::field_path::FieldPath;
use crate::fields::{Field, List, Rules, list, optional};
use crate::limits::{
    CDNS_PER_SITE_MAX, HOSTS_PER_SITE_MAX, OBJECTIVES_PER_SITE_MAX, PROBE_INTERVAL_MS_MAX,
    PROBE_INTERVAL_MS_MIN, TTL_SECS_MAX,
};
use crate::object::{Claim, ObjectId, Reference};
use crate::values::{AddressText, HostName, Integer, ProbeUrl, Quantity, Title};
use objective::{ObjectiveSpec, read_objective, warn_of_small_window};

const TTL_SECS_DEFAULT: u32 = 20;
const PROBE_INTERVAL_MS_DEFAULT: u32 = 10_000;
const ORIGIN_NAME_DEFAULT: &str = "origin";

/// The fields of a site.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SiteSpec {
    client: Field<ClientName>,
    name: Field<SiteName>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    title: Field<Title>,
    hosts: List<HostName>,
    origin: Field<OriginSpec>,
    cdns: List<CdnOfSiteSpec>,
    ttl_secs: Field<Integer<0, TTL_SECS_MAX>>,
    probe_interval_ms: Field<Integer<PROBE_INTERVAL_MS_MIN, PROBE_INTERVAL_MS_MAX>>,
    /// The same as a number with its unit; written as `probe_interval_ms`.
    #[serde(skip_serializing)]
    probe_interval: Field<Quantity>,
    objectives: List<ObjectiveSpec>,
}

/// The fields of an origin.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, expecting = "a mapping")]
struct OriginSpec {
    /// The origin is a target as CDNs are, so its name keeps the same rules.
    name: Field<CdnName>,
    addresses: List<AddressText>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    probe_url: Field<ProbeUrl>,
}

/// A CDN of a site: its name alone, or a mapping.
#[derive(Debug)]
enum CdnOfSiteSpec {
    Name(CdnName),
    Mapping(CdnOfSiteMapping),
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct CdnOfSiteMapping {
    cdn: Field<CdnName>,
    dns_name: Field<HostName>,
}

pub(super) fn read(spec: SiteSpec, rules: &mut Rules) -> Option<Site> {
    let name = rules.required("name", spec.name);
    let client = rules.required("client", spec.client);
    let title = rules.optional("title", spec.title);
    let hosts = read_hosts(spec.hosts, rules);
    let origin = rules
        .or("origin", spec.origin, OriginSpec::default())
        .and_then(|origin| rules.nested("origin", |rules| read_origin(origin, rules)));
    let cdns = read_cdns(spec.cdns, rules);
    let ttl_secs = rules.or("ttl_secs", spec.ttl_secs, Integer(TTL_SECS_DEFAULT));
    let probe_interval_ms = read_probe_interval(spec.probe_interval_ms, spec.probe_interval, rules);
    let objectives = read_objectives(spec.objectives, probe_interval_ms, rules);
    let (origin, cdns) = (origin?, cdns?);
    if let Some(index) = cdns.iter().position(|cdn| cdn.cdn.as_str() == origin.name) {
        let rule =
            format!("has the same name as the origin, `{}`; targets of a site differ in name", origin.name);
        rules.item_broken("cdns", index, rule);
    }
    Some(Site {
        name: name?,
        title: title?.map(String::from),
        client: client?,
        hosts: hosts?,
        origin,
        cdns,
        ttl_secs: ttl_secs?.0,
        probe_interval_ms: probe_interval_ms?,
        objectives: objectives?,
    })
}

impl SiteSpec {
    /// The document of a site whose objectives are agreed elsewhere.
    pub(crate) fn without_objectives(site: &Site) -> Self {
        Self { objectives: Field::Absent, ..Self::from(site) }
    }
}

fn read_hosts(field: List<HostName>, rules: &mut Rules) -> Option<Vec<String>> {
    if field.is_absent() {
        rules.broken("hosts", "is missing");
    } else if matches!(&field, Field::Given(items) if items.is_empty()) {
        rules.broken("hosts", "must list at least one host name");
    }
    let hosts = rules.list("hosts", field, HOSTS_PER_SITE_MAX)?;
    let hosts: Vec<String> = hosts.into_iter().map(String::from).collect();
    rules.distinct("hosts", &hosts, ToString::to_string)?;
    Some(hosts)
}

fn read_origin(spec: OriginSpec, rules: &mut Rules) -> Option<Origin> {
    let name = rules.optional("name", spec.name);
    let addresses = read_addresses(spec.addresses, rules);
    let probe_url = rules.optional("probe_url", spec.probe_url);
    let probed_at = addresses.as_deref().unwrap_or_default();
    warn_of_unprobed(probed_at, probe_url.as_ref().and_then(Option::as_ref), rules);
    Some(Origin {
        name: name?.map_or_else(|| ORIGIN_NAME_DEFAULT.to_owned(), String::from),
        addresses: addresses?,
        probe_url: probe_url?.map(String::from),
    })
}

fn read_cdns(field: List<CdnOfSiteSpec>, rules: &mut Rules) -> Option<Vec<CdnOfSite>> {
    let read = |rules: &mut Rules, spec| match spec {
        CdnOfSiteSpec::Name(cdn) => Some(CdnOfSite { cdn, dns_name: None }),
        CdnOfSiteSpec::Mapping(mapping) => {
            let cdn = rules.required("cdn", mapping.cdn);
            let dns_name = rules.optional("dns_name", mapping.dns_name);
            Some(CdnOfSite { cdn: cdn?, dns_name: dns_name?.map(String::from) })
        }
    };
    let cdns = rules.each("cdns", field, CDNS_PER_SITE_MAX, read)?;
    rules.distinct("cdns", cdns.iter().map(|cdn| &cdn.cdn), ToString::to_string)?;
    Some(cdns)
}

/// Reads `probe_interval_ms: 10000` or `probe_interval: 10s`.
fn read_probe_interval(
    number: Field<Integer<PROBE_INTERVAL_MS_MIN, PROBE_INTERVAL_MS_MAX>>,
    text: Field<Quantity>,
    rules: &mut Rules,
) -> Option<u32> {
    if !number.is_absent() && !text.is_absent() {
        rules.broken("probe_interval", "repeats probe_interval_ms; remove one of them");
    }
    let number = rules.optional("probe_interval_ms", number)?.map(|Integer(interval_ms)| interval_ms);
    let Some(Quantity(text)) = rules.optional("probe_interval", text)? else {
        return Some(number.unwrap_or(PROBE_INTERVAL_MS_DEFAULT));
    };
    let interval = match parse_duration(&text) {
        Ok(interval) => interval,
        Err(error) => {
            rules.broken("probe_interval", error.to_string());
            return None;
        }
    };
    let is_whole = interval.0.is_multiple_of(1_000);
    let interval_ms = u32::try_from(interval.0 / 1_000)
        .ok()
        .filter(|ms| is_whole && (PROBE_INTERVAL_MS_MIN..=PROBE_INTERVAL_MS_MAX).contains(ms));
    if interval_ms.is_none() {
        rules.broken("probe_interval", "must be whole milliseconds from 100ms to 1h");
    }
    interval_ms
}

fn read_objectives(
    field: List<ObjectiveSpec>,
    probe_interval_ms: Option<u32>,
    rules: &mut Rules,
) -> Option<Vec<Objective>> {
    let objectives = rules.each("objectives", field, OBJECTIVES_PER_SITE_MAX, |rules, spec| {
        let objective = read_objective(spec, rules)?;
        if let Some(interval_ms) = probe_interval_ms {
            warn_of_small_window(&objective, interval_ms, rules);
        }
        Some(objective)
    })?;
    rules.distinct("objectives", &objectives, |_| String::from("the same objective"))?;
    Some(objectives)
}

impl From<&Site> for SiteSpec {
    fn from(site: &Site) -> Self {
        let Site { name, title, client, hosts, origin, cdns, ttl_secs, probe_interval_ms, objectives } =
            site.clone();
        Self {
            client: client.into(),
            name: name.into(),
            title: optional(title, Title),
            hosts: list(hosts, HostName),
            origin: OriginSpec::from(origin).into(),
            cdns: list(cdns, CdnOfSiteSpec::from),
            ttl_secs: Integer(ttl_secs).into(),
            probe_interval_ms: Integer(probe_interval_ms).into(),
            probe_interval: Field::Absent,
            objectives: list(objectives, ObjectiveSpec::from),
        }
    }
}

impl From<Origin> for OriginSpec {
    fn from(Origin { name, addresses, probe_url }: Origin) -> Self {
        let name = CdnName::new(name).map_or(Field::Absent, Field::Given);
        Self { name, addresses: list(addresses, AddressText), probe_url: optional(probe_url, ProbeUrl) }
    }
}

impl From<CdnOfSite> for CdnOfSiteSpec {
    fn from(CdnOfSite { cdn, dns_name }: CdnOfSite) -> Self {
        match dns_name {
            None => Self::Name(cdn),
            Some(name) => {
                Self::Mapping(CdnOfSiteMapping { cdn: cdn.into(), dns_name: HostName(name).into() })
            }
        }
    }
}

impl Serialize for CdnOfSiteSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => name.serialize(serializer),
            Self::Mapping(mapping) => mapping.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for CdnOfSiteSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrMapping;
        impl<'de> Visitor<'de> for NameOrMapping {
            type Value = CdnOfSiteSpec;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a CDN's name, or a mapping of cdn and dns_name")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                CdnName::new(text).map(CdnOfSiteSpec::Name).map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                CdnOfSiteMapping::deserialize(MapAccessDeserializer::new(map)).map(CdnOfSiteSpec::Mapping)
            }
        }
        deserializer.deserialize_struct("CdnOfSiteSpec", &["cdn", "dns_name"], NameOrMapping)
    }
}

impl Kind for Site {
    fn id(&self) -> ObjectId {
        ObjectId::new(ObjectKind::Site, self.name.as_str())
    }

    fn references(&self) -> Vec<Reference> {
        let client = Reference {
            field: FieldPath::of("client"),
            target: ObjectId::new(ObjectKind::Client, self.client.as_str()),
        };
        let cdns = self.cdns.iter().enumerate().map(|(index, cdn)| Reference {
            field: FieldPath::of("cdns").index(index),
            target: ObjectId::new(ObjectKind::Cdn, cdn.cdn.as_str()),
        });
        std::iter::once(client).chain(cdns).collect()
    }

    fn claims(&self) -> Vec<(FieldPath, Claim)> {
        let hosts = self.hosts.iter().enumerate();
        let hosts = hosts
            .map(|(index, host)| (FieldPath::of("hosts").index(index), Claim::Host(host.as_str().into())));
        std::iter::once((FieldPath::of("name"), Claim::name(&self.id()))).chain(hosts).collect()
    }
}
