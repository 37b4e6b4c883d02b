//! What a query is answered with: a pure function of table, query and peer.
//!
//! | the site's route | asked at | answer |
//! |---|---|---|
//! | origin | any name | A or AAAA of the origin; anything else NODATA |
//! | CDN | not an apex | one CNAME to the CDN's name for the site, whatever the type (RFC 1034, section 3.6.2) |
//! | CDN | the zone's apex | A or AAAA provisioned for the CDN: no CNAME may stand there (RFC 1912, section 2.4) |
//!
//! Zones are simple in this version. Every host name is its own little zone below its parent's name: negative answers
//! carry a SOA of the parent's name, names below a host name do not exist, all other names are refused. With a
//! [`Zone`] the provider's own zone is served whole: SOA and NS at its apex, NXDOMAIN within, and NODATA where only
//! longer names exist (RFC 8020).

mod message;
mod subnet;
#[cfg(test)]
mod tests;
mod zone;

use std::net::IpAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{CNAME, HINFO};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use spillway_events::{Address, CdnEntry, NetworkName, Route, SiteName};

pub use self::message::{Asked, Reply, UDP_BYTES_MAX, reply};
pub use self::subnet::{MalformedSubnet, Subnet};
pub use self::zone::{Zone, ZoneError};
use self::zone::{host_key, soa};
use crate::table::{SiteRoutes, Table, names_above};

/// The longest scope given for IPv4, in bits (RFC 7871, section 11.1).
pub const SCOPE_V4_MAX: u8 = 24;
/// The longest scope given for IPv6, in bits (RFC 7871, section 11.1).
pub const SCOPE_V6_MAX: u8 = 56;

/// One question of class IN.
#[derive(Debug, Clone)]
pub struct Query<'q> {
    /// The name as asked; its case comes back in the answer and counts for nothing else.
    pub name: &'q Name,
    /// The type.
    pub qtype: RecordType,
    /// The Client Subnet option, if the query has one (RFC 7871).
    pub subnet: Option<Subnet>,
}

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<'t> {
    /// NOERROR, NXDOMAIN, REFUSED, or SERVFAIL if the CDN's name is no name.
    pub rcode: ResponseCode,
    /// Whether we are the authority.
    pub authoritative: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The SOA of a negative answer (RFC 2308).
    pub authority: Option<Record>,
    /// The scope prefix length for the Client Subnet option, in bits.
    pub scope: u8,
    /// What to count the answer under, if it is for a site.
    pub routed: Option<Routed<'t>>,
}

/// The site, network and route an answer followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Routed<'t> {
    /// The site.
    pub site: &'t SiteName,
    /// The network of the client, or of its resolver; nothing if no prefix matches.
    pub network: Option<&'t NetworkName>,
    /// The route.
    pub route: &'t Route,
}

/// Answers one question. It never panics, and a site that has any address never gets an empty A and AAAA.
#[must_use]
pub fn answer<'t>(table: &'t Table, zone: Option<&Zone>, query: &Query<'_>, peer: IpAddr) -> Answer<'t> {
    if matches!(query.qtype, RecordType::AXFR | RecordType::IXFR) {
        return refused();
    }
    let host = host_key(query.name);
    match table.site_of_host(&host) {
        Some(site) => answer_site(table, zone, query, peer, (&host, site)),
        None => answer_no_site(table, zone, query, &host),
    }
}

fn answer_site<'t>(
    table: &'t Table,
    zone: Option<&Zone>,
    query: &Query<'_>,
    peer: IpAddr,
    (host, site): (&str, &'t SiteRoutes),
) -> Answer<'t> {
    let zone = zone.filter(|zone| zone.holds(host));
    let apex = zone.filter(|zone| zone.is_apex(host));
    if let Some(answer) = apex.and_then(|apex| apex.own_records(table, query)) {
        return answer;
    }
    let entry = site.entry();
    let found = find_network(table, query.subnet, peer);
    let route = site.route(found.network);
    let routed = Routed { site: &entry.site, network: found.network, route };
    let scope = if site.is_same_everywhere() { 0 } else { found.scope };
    let positive = |answers| Answer { answers, scope, ..following(routed) };

    // A route to a CDN that the entry does not have is the origin's: never an empty answer.
    let cdn = route.cdn.as_ref().and_then(|name| entry.cdns.iter().find(|cdn| cdn.cdn == *name));
    if let (Some(cdn), None) = (cdn, apex) {
        let Ok(target) = fully_qualified(&cdn.dns_name) else {
            let rcode = ResponseCode::ServFail;
            return Answer { rcode, authoritative: false, scope, ..positive(Vec::new()) };
        };
        let data = RData::CNAME(CNAME(target));
        return positive(vec![Record::from_rdata(query.name.clone(), entry.ttl_secs, data)]);
    }
    if query.qtype == RecordType::ANY {
        let answers = vec![any_record(query.name, entry.ttl_secs)];
        return Answer { scope: 0, ..positive(answers) };
    }
    let answers = address_records(query, entry.ttl_secs, addresses_at(cdn, &entry.origin_addresses));
    if !answers.is_empty() {
        return positive(answers);
    }
    let soa = soa(table, zone, host, entry.ttl_secs);
    Answer { authority: soa, scope: 0, ..positive(Vec::new()) }
}

fn answer_no_site<'t>(table: &'t Table, zone: Option<&Zone>, query: &Query<'_>, host: &str) -> Answer<'t> {
    let Some(zone) = zone.filter(|zone| zone.holds(host)) else {
        // Below a host name that is ours nothing exists; beside it nothing is ours.
        let ours = names_above(host).find_map(|parent| table.site_of_host(parent).map(|site| (parent, site)));
        return ours.map_or_else(refused, |(parent, site)| {
            let authority = soa(table, None, parent, site.entry().ttl_secs);
            Answer { rcode: ResponseCode::NXDomain, authority, ..nothing() }
        });
    };
    if zone.is_apex(host) {
        if let Some(answer) = zone.own_records(table, query) {
            return answer;
        }
        if query.qtype == RecordType::ANY {
            return Answer { answers: vec![any_record(query.name, zone.ttl_secs())], ..nothing() };
        }
    }
    let exists = zone.is_apex(host) || table.has_hosts_below(host);
    let rcode = if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
    Answer { rcode, authority: soa(table, Some(zone), host, zone.ttl_secs()), ..nothing() }
}

struct Found<'t> {
    network: Option<&'t NetworkName>,
    scope: u8,
}

/// The client's network by its subnet, else the resolver's by its address. A source prefix of no bits asks not to be
/// located, so the resolver's address counts and the scope is 0 (RFC 7871, section 7.1.2).
fn find_network(table: &Table, subnet: Option<Subnet>, peer: IpAddr) -> Found<'_> {
    let Some(subnet) = subnet.filter(|subnet| subnet.source_bits > 0) else {
        return Found { network: table.network_of(peer, u8::MAX).network, scope: 0 };
    };
    let found = table.network_of(subnet.address, subnet.source_bits);
    let scope_max = if subnet.address.is_ipv4() { SCOPE_V4_MAX } else { SCOPE_V6_MAX };
    Found { network: found.network, scope: found.scope.min(scope_max) }
}

/// At an apex the CDN's addresses; the origin's where the route is the origin, or the CDN has none.
fn addresses_at<'t>(cdn: Option<&'t CdnEntry>, origin: &'t [Address]) -> &'t [Address] {
    cdn.map(|cdn| cdn.addresses.as_slice()).filter(|addresses| !addresses.is_empty()).unwrap_or(origin)
}

fn address_records(query: &Query<'_>, ttl_secs: u32, addresses: &[Address]) -> Vec<Record> {
    let data = addresses.iter().filter_map(|address| match (query.qtype, address.0) {
        (RecordType::A, IpAddr::V4(v4)) => Some(RData::A(v4.into())),
        (RecordType::AAAA, IpAddr::V6(v6)) => Some(RData::AAAA(v6.into())),
        _ => None,
    });
    data.map(|data| Record::from_rdata(query.name.clone(), ttl_secs, data)).collect()
}

/// The one record that answers ANY where no CNAME stands (RFC 8482, section 4.2).
fn any_record(name: &Name, ttl_secs: u32) -> Record {
    let data = HINFO::new(String::from("RFC8482"), String::new());
    Record::from_rdata(name.clone(), ttl_secs, RData::HINFO(data))
}

fn fully_qualified(text: &str) -> Result<Name, hickory_proto::ProtoError> {
    let mut name = Name::from_ascii(text)?;
    name.set_fqdn(true);
    Ok(name)
}

fn following(routed: Routed<'_>) -> Answer<'_> {
    Answer { routed: Some(routed), ..nothing() }
}

/// NOERROR with nothing in it, from the authority.
fn nothing<'t>() -> Answer<'t> {
    Answer {
        rcode: ResponseCode::NoError,
        authoritative: true,
        answers: Vec::new(),
        authority: None,
        scope: 0,
        routed: None,
    }
}

fn refused<'t>() -> Answer<'t> {
    Answer { rcode: ResponseCode::Refused, authoritative: false, ..nothing() }
}
