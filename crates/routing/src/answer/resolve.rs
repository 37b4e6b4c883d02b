//! From one question of class IN to the records that answer it.

use std::net::IpAddr;

use hickory_proto::op::{self, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, HINFO};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use spillway_events::{Address, CdnEntry, NetworkName};

use super::zone::{fully_qualified, host_key, soa};
use super::{Answer, Routed, Subnet, Zone};
use crate::table::{SiteRoutes, Table, names_above};

/// The longest scope given for IPv4, in bits (RFC 7871, section 11.1).
pub const SCOPE_V4_MAX: u8 = 24;
/// The longest scope given for IPv6, in bits (RFC 7871, section 11.1).
pub const SCOPE_V6_MAX: u8 = 56;
/// The longest TTL of a negative answer for a site whose networks differ, in seconds: many resolvers share negative answers
/// among all their clients.
pub const NEGATIVE_TTL_SECS_MAX: u32 = 5;
/// The TTL of a negative answer for a name that has only longer names below it and belongs to no site.
const NO_SITE_TTL_SECS: u32 = 20;

/// What records are made from.
type Sources<'t, 'z> = (&'t Table, Option<&'z Zone>);
/// Where the client is: the Client Subnet option, and the address that sent the query.
type Client = (Option<Subnet>, IpAddr);

/// Answers one question. A site that has any address never gets both an empty A and an empty AAAA.
pub(super) fn resolve<'t>(
    answer: &mut Answer<'t>,
    (table, zone): Sources<'t, '_>,
    question: &op::Query,
    client: Client,
) {
    if matches!(question.query_type(), RecordType::AXFR | RecordType::IXFR) {
        return answer.refuse();
    }
    answer.metadata.authoritative = true;
    let host = host_key(question.name());
    let zone = zone.filter(|zone| zone.holds(&host));
    if let Some(records) = zone.and_then(|zone| zone.own_records(table, question, &host)) {
        answer.answers = records;
        return;
    }
    match (table.site_of_host(&host), zone) {
        (Some(site), _) => answer_site(answer, (table, zone), question, client, (&host, site)),
        (None, Some(zone)) => answer_in_zone(answer, (table, zone), question, &host),
        (None, None) => answer_outside(answer, table, &host),
    }
}

fn answer_site<'t>(
    answer: &mut Answer<'t>,
    (table, zone): Sources<'t, '_>,
    question: &op::Query,
    client: Client,
    (host, site): (&str, &'t SiteRoutes),
) {
    let entry = site.entry();
    let found = find_network(table, client);
    let route = site.route(found.network);
    answer.routed = Some(Routed { site: &entry.site, network: found.network, route });
    answer.scope = if site.is_same_everywhere() { 0 } else { found.scope };

    // A route to a CDN that the entry does not have is answered as the origin's: never an empty answer.
    let cdn = route.cdn.as_ref().and_then(|name| entry.cdns.iter().find(|cdn| cdn.cdn == *name));
    let is_apex = zone.is_some_and(|zone| zone.is_apex(host));
    if let (Some(cdn), false) = (cdn, is_apex) {
        let Ok(target) = fully_qualified(&cdn.dns_name) else {
            answer.metadata.response_code = ResponseCode::ServFail;
            answer.metadata.authoritative = false;
            return;
        };
        let data = RData::CNAME(CNAME(target));
        answer.answers = vec![Record::from_rdata(question.name().clone(), entry.ttl_secs, data)];
        return;
    }
    answer.answers = match question.query_type() {
        RecordType::ANY => vec![any_record(question.name(), entry.ttl_secs)],
        _ => address_records(question, entry.ttl_secs, addresses_at(cdn, &entry.origin_addresses)),
    };
    if answer.answers.is_empty() {
        answer.authority = site_soa((table, zone), host, site);
    }
}

/// A name in the provider's zone that is no host.
fn answer_in_zone(answer: &mut Answer<'_>, (table, zone): (&Table, &Zone), question: &op::Query, host: &str) {
    let is_apex = zone.is_apex(host);
    if is_apex && question.query_type() == RecordType::ANY {
        answer.answers = vec![any_record(question.name(), zone.ttl_secs())];
        return;
    }
    if !is_apex && !table.has_hosts_below(host) {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    answer.authority = soa((table, Some(zone)), host, zone.ttl_secs(), zone.ttl_secs());
}

/// A name outside the provider's zone that is no host. Below a host name no other name exists; beside it nothing is ours.
fn answer_outside(answer: &mut Answer<'_>, table: &Table, host: &str) {
    let exists = table.has_hosts_below(host);
    let parent = names_above(host).find_map(|parent| table.site_of_host(parent).map(|site| (parent, site)));
    answer.authority = match parent {
        Some((parent, site)) => site_soa((table, None), parent, site),
        None if exists => soa((table, None), host, NO_SITE_TTL_SECS, NO_SITE_TTL_SECS),
        None => return answer.refuse(),
    };
    if !exists {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
}

fn site_soa(sources: Sources<'_, '_>, owner: &str, site: &SiteRoutes) -> Option<Record> {
    let minimum_secs = site.entry().ttl_secs;
    let ttl_secs_max =
        if site.is_same_everywhere() { minimum_secs } else { minimum_secs.min(NEGATIVE_TTL_SECS_MAX) };
    soa(sources, owner, minimum_secs, ttl_secs_max)
}

struct Found<'t> {
    network: Option<&'t NetworkName>,
    scope: u8,
}

/// The client's network by its subnet, else the resolver's by its address. A source prefix of no bits asks not to be
/// located, so the resolver's address counts and the scope is 0 (RFC 7871, section 7.1.2).
fn find_network(table: &Table, (subnet, peer): Client) -> Found<'_> {
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

fn address_records(question: &op::Query, ttl_secs: u32, addresses: &[Address]) -> Vec<Record> {
    let data = addresses.iter().filter_map(|address| match (question.query_type(), address.0) {
        (RecordType::A, IpAddr::V4(v4)) => Some(RData::A(v4.into())),
        (RecordType::AAAA, IpAddr::V6(v6)) => Some(RData::AAAA(v6.into())),
        _ => None,
    });
    data.map(|data| Record::from_rdata(question.name().clone(), ttl_secs, data)).collect()
}

/// The one record that answers ANY where no CNAME stands (RFC 8482, section 4.2).
fn any_record(name: &Name, ttl_secs: u32) -> Record {
    let data = HINFO::new(String::from("RFC8482"), String::new());
    Record::from_rdata(name.clone(), ttl_secs, RData::HINFO(data))
}
