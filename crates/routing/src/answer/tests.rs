//! Asks one small table and compares the whole answer as text; then sends messages that break the protocol's rules.

use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::{self, Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use proptest::prelude::*;
use spillway_events::{
    Address, CdnEntry, CdnName, NetworkEntry, NetworkName, Route, RouteEntry, SiteEntry, SiteName, Snapshot,
    SnapshotKind, TimeMicros,
};

use super::*;
use crate::table::{format_digest, network_hash, route_hash, site_hash};

const PEER: &str = "203.0.113.9";

fn address(text: &str) -> Address {
    Address(text.parse().unwrap())
}

fn site(name: &str, host: &str) -> SiteEntry {
    SiteEntry {
        site: SiteName::new(name).unwrap(),
        hosts: vec![host.to_owned()],
        ttl_secs: 20,
        origin_addresses: vec![address("192.0.2.1"), address("192.0.2.2"), address("2001:db8::1")],
        cdns: vec![CdnEntry {
            cdn: CdnName::new("a").unwrap(),
            dns_name: format!("{name}.cdn.example"),
            addresses: vec![address("198.51.100.1")],
        }],
    }
}

/// `near` goes to the origin, `far` to the CDN, `split` to the CDN only for `west` and to the origin for `inner`,
/// which lies within it; `apex` is at the zone's apex and goes to the CDN.
fn table() -> Table {
    let sites = vec![
        site("apex", "zone.example"),
        site("far", "far.zone.example"),
        site("near", "www.near.test"),
        site("split", "a.b.zone.example"),
    ];
    let network = |name: &str, prefixes: &[&str]| NetworkEntry {
        network: NetworkName::new(name).unwrap(),
        prefixes: prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect(),
    };
    let networks = vec![
        network("inner", &["198.18.7.0/24"]),
        network("west", &["198.18.0.0/16", "2001:db8:4000::/34", "203.0.113.0/26"]),
    ];
    let route = |site: &str, network: &str, cdn: bool| RouteEntry {
        site: SiteName::new(site).unwrap(),
        network: NetworkName::new(network).unwrap(),
        route: Route { cdn: cdn.then(|| CdnName::new("a").unwrap()) },
        reason: None,
        decided_at: 0,
    };
    let routes = vec![
        route("apex", "everywhere", true),
        route("far", "everywhere", true),
        route("near", "everywhere", false),
        route("split", "everywhere", false),
        route("split", "inner", false),
        route("split", "west", true),
    ];
    let hashes = sites.iter().map(site_hash).chain(networks.iter().map(network_hash));
    let digest = hashes.chain(routes.iter().map(route_hash)).fold(0, u128::wrapping_add);
    let snapshot = Snapshot {
        kind: SnapshotKind::Full,
        version: 7,
        base: 7,
        at_us: TimeMicros(0),
        digest: format_digest(digest),
        revision: (1 << 32) + 5,
        installation: String::new(),
        sites: sites.into_iter().map(Arc::new).collect(),
        sites_gone: Vec::new(),
        networks,
        networks_gone: Vec::new(),
        routes,
        routes_gone: Vec::new(),
    };
    Table::default().apply(&snapshot).unwrap()
}

fn zone() -> Zone {
    Zone::new("zone.example", &["ns1.test".to_owned(), "ns2.test".to_owned()], "admin.test", 30).unwrap()
}

fn text(answer: &Answer<'_>) -> String {
    let aa = if answer.metadata.authoritative { " aa" } else { "" };
    let records = answer.answers.iter().map(|record| format!("\n{record}"));
    let authority = answer.authority.iter().map(|record| format!("\nauthority {record}"));
    let code = answer.metadata.response_code;
    format!("{code:?}{aa} /{}{}", answer.scope, records.chain(authority).collect::<String>())
}

fn subnet_option(subnet: Subnet, scope: u8) -> EdnsOption {
    EdnsOption::Subnet(ClientSubnet::new(subnet.address, subnet.source_bits, scope))
}

/// A query message with the Client Subnet option if there is a subnet.
fn query_of(name: Name, qtype: RecordType, subnet: Option<Subnet>) -> Message {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.add_query(op::Query::query(name, qtype));
    if let Some(subnet) = subnet {
        let mut edns = Edns::new();
        edns.options_mut().insert(subnet_option(subnet, 0));
        message.set_edns(edns);
    }
    message
}

/// Encodes, decodes and answers, as a server does.
fn converse<R>(
    zone: Option<&Zone>,
    message: &Message,
    peer: IpAddr,
    check: impl FnOnce(Option<Answer<'_>>) -> R,
) -> R {
    let bytes = message.to_vec().unwrap();
    let message = Message::from_vec(&bytes).unwrap();
    let question = (message.queries.len() == 1).then(|| &message.queries[0]);
    let (metadata, edns) = (&message.metadata, message.edns.as_ref());
    let query = Query { metadata, question, edns, bytes: &bytes, peer };
    check(answer(&table(), zone, Some(b"node-1"), &query))
}

fn ask(zone: Option<&Zone>, name: &str, qtype: RecordType, subnet: Option<&str>) -> String {
    let subnet = subnet.map(|text| {
        let prefix: spillway_events::Prefix = text.parse().unwrap();
        Subnet { address: prefix.address(), source_bits: prefix.length() }
    });
    let message = query_of(Name::from_ascii(name).unwrap(), qtype, subnet);
    converse(zone, &message, PEER.parse().unwrap(), |answer| {
        let answer = answer.unwrap();
        let option = answer.edns.as_ref().and_then(|edns| edns.option(EdnsCode::Subnet));
        assert_eq!(option.cloned(), subnet.map(|subnet| subnet_option(subnet, answer.scope)));
        text(&answer)
    })
}

const NEAR_SOA: &str =
    "authority www.near.test. 20 IN SOA www.near.test. hostmaster.www.near.test. 5 7200 900 1209600 20";
const ZONE_SOA_5: &str = "authority zone.example. 5 IN SOA ns1.test. admin.test. 5 7200 900 1209600 30";
const ZONE_SOA_20: &str = "authority zone.example. 20 IN SOA ns1.test. admin.test. 5 7200 900 1209600 30";
const ZONE_SOA_30: &str = "authority zone.example. 30 IN SOA ns1.test. admin.test. 5 7200 900 1209600 30";

#[test]
fn the_origin_is_answered_with_addresses() {
    let near = |qtype| ask(None, "www.near.test.", qtype, None);
    assert_eq!(
        near(RecordType::A),
        "NoError aa /0\nwww.near.test. 20 IN A 192.0.2.1\nwww.near.test. 20 IN A 192.0.2.2"
    );
    assert_eq!(near(RecordType::AAAA), "NoError aa /0\nwww.near.test. 20 IN AAAA 2001:db8::1");
    for qtype in [RecordType::TXT, RecordType::CNAME, RecordType::SOA, RecordType::Unknown(4711)] {
        assert_eq!(near(qtype), format!("NoError aa /0\n{NEAR_SOA}"));
    }
    assert_eq!(near(RecordType::ANY), "NoError aa /0\nwww.near.test. 20 IN HINFO RFC8482 ");
    assert_eq!(near(RecordType::AXFR), "Refused /0");
    assert_eq!(near(RecordType::IXFR), "Refused /0");
}

#[test]
fn a_cdn_is_answered_with_one_cname_whatever_the_type() {
    let expected = "NoError aa /0\nFar.zone.EXAMPLE. 20 IN CNAME far.cdn.example.";
    for qtype in [RecordType::A, RecordType::AAAA, RecordType::CNAME, RecordType::TXT, RecordType::ANY] {
        assert_eq!(ask(None, "Far.zone.EXAMPLE.", qtype, None), expected);
        assert_eq!(ask(Some(&zone()), "Far.zone.EXAMPLE.", qtype, None), expected);
    }
}

#[test]
fn an_apex_has_addresses_soa_and_ns() {
    let apex = |qtype| ask(Some(&zone()), "zone.example.", qtype, None);
    assert_eq!(apex(RecordType::A), "NoError aa /0\nzone.example. 20 IN A 198.51.100.1");
    assert_eq!(apex(RecordType::AAAA), format!("NoError aa /0\n{ZONE_SOA_20}"));
    assert_eq!(
        apex(RecordType::SOA),
        "NoError aa /0\nzone.example. 30 IN SOA ns1.test. admin.test. 5 7200 900 1209600 30"
    );
    assert_eq!(
        apex(RecordType::NS),
        "NoError aa /0\nzone.example. 30 IN NS ns1.test.\nzone.example. 30 IN NS ns2.test."
    );
    assert_eq!(apex(RecordType::ANY), "NoError aa /0\nzone.example. 20 IN HINFO RFC8482 ");
    // Without the zone it is a host like any other.
    let plain = ask(None, "zone.example.", RecordType::A, None);
    assert_eq!(plain, "NoError aa /0\nzone.example. 20 IN CNAME apex.cdn.example.");
}

/// Where no site has the apex for a host, it exists all the same.
#[test]
fn an_apex_that_is_no_host_exists() {
    let zone = Zone::new("empty.test", &["ns1.test".to_owned()], "admin.test", 30).unwrap();
    let ask = |name, qtype| ask(Some(&zone), name, qtype, None);
    let soa = "authority empty.test. 30 IN SOA ns1.test. admin.test. 5 7200 900 1209600 30";
    for qtype in [RecordType::A, RecordType::TXT] {
        assert_eq!(ask("empty.test.", qtype), format!("NoError aa /0\n{soa}"));
    }
    assert_eq!(ask("empty.test.", RecordType::ANY), "NoError aa /0\nempty.test. 30 IN HINFO RFC8482 ");
    for qtype in [RecordType::A, RecordType::ANY] {
        assert_eq!(ask("none.empty.test.", qtype), format!("NXDomain aa /0\n{soa}"));
    }
}

#[test]
fn other_names_do_not_exist_or_are_refused() {
    let zone = zone();
    let ask = |zone, name| ask(zone, name, RecordType::A, None);
    assert_eq!(ask(Some(&zone), "none.zone.example."), format!("NXDomain aa /0\n{ZONE_SOA_30}"));
    assert_eq!(ask(Some(&zone), "x.far.zone.example."), format!("NXDomain aa /0\n{ZONE_SOA_30}"));
    assert_eq!(ask(Some(&zone), "b.zone.example."), format!("NoError aa /0\n{ZONE_SOA_30}"));
    assert_eq!(ask(Some(&zone), "beside.near.test."), "Refused /0");
    assert_eq!(ask(Some(&zone), "notzone.example."), "Refused /0");
    assert_eq!(ask(Some(&zone), "x\\.zone.example."), "Refused /0");
    assert_eq!(ask(None, "none.zone.test."), "Refused /0");
    assert_eq!(ask(None, "."), "Refused /0");
    assert_eq!(ask(None, "x.www.near.test."), format!("NXDomain aa /0\n{NEAR_SOA}"));
}

/// Without a zone. A resolver that minimises names (RFC 9156) asks for the names above a host first.
#[test]
fn a_name_with_longer_names_below_it_exists() {
    let soa = |owner: &str, ttl_secs: u32| {
        format!("authority {owner}. {ttl_secs} IN SOA {owner}. hostmaster.{owner}. 5 7200 900 1209600 20")
    };
    for qtype in [RecordType::A, RecordType::NS] {
        assert_eq!(
            ask(None, "b.zone.example.", qtype, None),
            format!("NoError aa /0\n{}", soa("zone.example", 20))
        );
        assert_eq!(ask(None, "near.test.", qtype, None), format!("NoError aa /0\n{}", soa("near.test", 20)));
        assert_eq!(ask(None, "x.near.test.", qtype, None), "Refused /0");
    }
    // Below a site whose networks differ.
    assert_eq!(
        ask(None, "x.a.b.zone.example.", RecordType::A, None),
        format!("NXDomain aa /0\n{}", soa("a.b.zone.example", 5))
    );
}

#[test]
fn the_subnet_chooses_the_network() {
    let split = |subnet| ask(Some(&zone()), "a.b.zone.example.", RecordType::AAAA, Some(subnet));
    let origin = "\na.b.zone.example. 20 IN AAAA 2001:db8::1";
    let cdn = "\na.b.zone.example. 20 IN CNAME split.cdn.example.";
    // Within 198.18.0.0/16 lies 198.18.7.0/24: the scope keeps the two apart.
    assert_eq!(split("198.18.7.0/24"), format!("NoError aa /24{origin}"));
    assert_eq!(split("198.18.6.0/24"), format!("NoError aa /24{cdn}"));
    assert_eq!(split("198.18.64.0/24"), format!("NoError aa /18{cdn}"));
    // Too little is known of the client to say that it is in the longer prefix.
    assert_eq!(split("198.18.0.0/16"), format!("NoError aa /22{cdn}"));
    assert_eq!(split("198.16.0.0/12"), format!("NoError aa /15{origin}"));
    // No scope is longer than 24 or 56.
    assert_eq!(split("203.0.113.1/32"), format!("NoError aa /24{cdn}"));
    assert_eq!(split("2001:db8:4000::/56"), format!("NoError aa /34{cdn}"));
    assert_eq!(split("2001:db8:8000::/56"), format!("NoError aa /33{origin}"));
    // 0 bits ask not to be located: the resolver's address counts, which is in `west`.
    assert_eq!(split("0.0.0.0/0"), format!("NoError aa /0{cdn}"));
    // The same everywhere: scope 0.
    let far = ask(None, "far.zone.example.", RecordType::A, Some("198.18.7.0/24"));
    assert_eq!(far, "NoError aa /0\nfar.zone.example. 20 IN CNAME far.cdn.example.");
}

/// A negative answer, and the answer to ANY, hold for the same clients as the positive answers of the name.
#[test]
fn every_type_has_the_scope_of_the_network() {
    let zone = zone();
    let split = |zone, qtype, subnet| ask(zone, "a.b.zone.example.", qtype, Some(subnet));
    assert_eq!(split(Some(&zone), RecordType::TXT, "198.18.7.0/24"), format!("NoError aa /24\n{ZONE_SOA_5}"));
    assert_eq!(
        split(None, RecordType::TXT, "198.18.7.0/24"),
        "NoError aa /24\nauthority a.b.zone.example. 5 IN SOA a.b.zone.example. hostmaster.a.b.zone.example. \
         5 7200 900 1209600 20"
    );
    let cdn = "NoError aa /18\na.b.zone.example. 20 IN CNAME split.cdn.example.";
    for qtype in [RecordType::A, RecordType::AAAA, RecordType::HTTPS, RecordType::ANY, RecordType::SOA] {
        assert!(split(None, qtype, "198.18.7.0/24").starts_with("NoError aa /24"), "{qtype}");
        assert_eq!(split(None, qtype, "198.18.64.0/24"), cdn, "{qtype}");
    }
    // With or without records, for a name that is ours or not: `ask` compares the option of the answer.
    for name in ["none.zone.example.", "elsewhere.test.", "zone.example."] {
        assert!(ask(Some(&zone), name, RecordType::NS, Some("198.18.7.0/24")).contains(" /0"));
    }
}

fn query(qtype: RecordType) -> Message {
    query_of(Name::from_ascii("a.b.zone.example.").unwrap(), qtype, None)
}

fn checked<R>(message: &Message, check: impl FnOnce(Option<Answer<'_>>) -> R) -> R {
    converse(Some(&zone()), message, PEER.parse().unwrap(), check)
}

fn rcode(message: &Message) -> ResponseCode {
    checked(message, |answer| answer.unwrap().metadata.response_code)
}

#[test]
fn messages_that_are_no_plain_query() {
    let mut message = query(RecordType::A);
    assert_eq!(rcode(&message), ResponseCode::NoError);
    message.add_query(message.queries[0].clone());
    assert_eq!(rcode(&message), ResponseCode::FormErr);
    message.queries.clear();
    assert_eq!(rcode(&message), ResponseCode::FormErr);

    for (op_code, expected) in [
        (OpCode::Notify, ResponseCode::NotImp),
        (OpCode::Status, ResponseCode::NotImp),
        (OpCode::Update, ResponseCode::Refused),
    ] {
        let mut message = query(RecordType::SOA);
        message.metadata.op_code = op_code;
        assert_eq!(rcode(&message), expected);
    }
    let mut message = query(RecordType::A);
    message.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(rcode(&message), ResponseCode::Refused);
    let subnet = Subnet { address: "198.18.7.0".parse().unwrap(), source_bits: 24 };
    let mut edns = Edns::new();
    edns.options_mut().insert(subnet_option(subnet, 0));
    message.set_edns(edns);
    checked(&message, |answer| {
        let edns = answer.unwrap().edns.unwrap();
        assert_eq!(edns.option(EdnsCode::Subnet), Some(&subnet_option(subnet, 0)));
    });

    let mut message = query(RecordType::A);
    message.metadata.message_type = MessageType::Response;
    checked(&message, |reply| assert!(reply.is_none()));
}

#[test]
fn edns_is_answered_with_edns() {
    let mut message = query(RecordType::A);
    checked(&message, |reply| {
        let reply = reply.unwrap();
        assert_eq!((reply.edns.as_ref(), reply.udp_bytes_max()), (None, 512));
    });
    let mut edns = Edns::new();
    edns.set_max_payload(4_096).set_dnssec_ok(true);
    edns.options_mut().insert(EdnsOption::Unknown(3, Vec::new()));
    edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::new("198.18.7.0".parse().unwrap(), 24, 0)));
    message.set_edns(edns.clone());
    checked(&message, |reply| {
        let reply = reply.unwrap();
        let edns = reply.edns.as_ref().unwrap();
        assert_eq!((reply.udp_bytes_max(), edns.version(), edns.flags().dnssec_ok), (UDP_BYTES_MAX, 0, true));
        let nsid = edns.option(EdnsCode::NSID).map(|option| Vec::try_from(option).unwrap());
        assert_eq!(nsid, Some(b"node-1".to_vec()));
        let subnet = ClientSubnet::new("198.18.7.0".parse().unwrap(), 24, 24);
        assert_eq!(edns.option(EdnsCode::Subnet), Some(&EdnsOption::Subnet(subnet)));
        assert_eq!(reply.routed.unwrap().network.unwrap().as_str(), "inner");
    });
    edns.set_version(1);
    message.set_edns(edns);
    assert_eq!(rcode(&message), ResponseCode::BADVERS);
    checked(&message, |reply| assert_eq!(reply.unwrap().edns.unwrap().version(), 0));
}

/// TC and no records: the resolver asks again over TCP.
#[test]
fn a_truncated_answer_has_no_records() {
    for (name, is_negative) in [("a.b.zone.example.", false), ("none.zone.example.", true)] {
        checked(&query_of(Name::from_ascii(name).unwrap(), RecordType::A, None), |answer| {
            let mut answer = answer.unwrap();
            assert_eq!((answer.answers.is_empty(), answer.authority.is_some()), (is_negative, is_negative));
            answer.truncate();
            assert!(answer.metadata.truncation);
            assert_eq!((answer.answers, answer.authority), (Vec::new(), None));
        });
    }
}

#[test]
fn malformed_subnets() {
    let well = [0, 1, 20, 0, 10, 1, 0x30];
    let subnet = Subnet { address: "10.1.48.0".parse().unwrap(), source_bits: 20 };
    assert_eq!(Subnet::from_option(&well), Ok(subnet));
    let root = Subnet { address: "::".parse().unwrap(), source_bits: 0 };
    assert_eq!(Subnet::from_option(&[0, 2, 0, 0]), Ok(root));
    for bad in [
        &[0, 1, 20][..],
        &[0, 1, 20, 0, 10, 1],
        &[0, 1, 20, 0, 10, 1, 0x30, 0],
        &[0, 1, 20, 0, 10, 1, 0x31],
        &[0, 1, 20, 16, 10, 1, 0x30],
        &[0, 1, 33, 0, 10, 1, 1, 1, 0],
        &[0, 3, 0, 0],
        &[0, 1, 0, 0, 0],
    ] {
        assert_eq!(Subnet::from_option(bad), Err(MalformedSubnet), "{bad:?}");
        let mut message = query(RecordType::A);
        let mut edns = Edns::new();
        edns.options_mut().insert(EdnsOption::Unknown(8, bad.to_vec()));
        message.set_edns(edns);
        let bytes = message.to_vec().unwrap();
        assert_eq!(Subnet::in_message(&bytes), Err(MalformedSubnet), "{bad:?}");
    }
}

/// A query should have no records in its other sections, but nothing forbids them.
#[test]
fn a_subnet_is_found_after_the_records_of_other_sections() {
    let subnet = Subnet { address: "198.18.7.0".parse().unwrap(), source_bits: 24 };
    let mut message = query_of(Name::from_ascii("near.test.").unwrap(), RecordType::A, Some(subnet));
    let record = Record::from_rdata(
        Name::from_ascii("a.near.test.").unwrap(),
        1,
        RData::A(std::net::Ipv4Addr::LOCALHOST.into()),
    );
    message.add_answer(record.clone()).add_authority(record);
    let bytes = message.to_vec().unwrap();
    assert!(bytes.windows(4).any(|four| four == [1, b'a', 0xC0, 12]), "the encoder compresses names");
    assert_eq!(Subnet::in_message(&bytes), Ok(Some(subnet)));
}

/// Only 00 and 11 are label types that are in use (RFC 1035, section 4.1.4; RFC 6891, section 5).
#[test]
fn labels_of_unused_types_are_malformed() {
    let question =
        |label: &[u8]| [&[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], label, &[0, 0, 1, 0, 1]].concat();
    let label = |length: u8| question(&[&[length][..], &vec![b'x'; usize::from(length)]].concat());
    assert_eq!(Subnet::in_message(&label(63)), Ok(None));
    for length in [64, 127, 128, 191] {
        assert_eq!(Subnet::in_message(&label(length)), Err(MalformedSubnet), "{length}");
    }
}

#[test]
fn names_of_a_zone_are_checked() {
    assert!(matches!(Zone::new("zone.example", &[], "a.test", 1), Err(ZoneError::NoServers(_))));
    let long = "x".repeat(64);
    assert!(matches!(Zone::new(&long, &["ns.test".to_owned()], "a.test", 1), Err(ZoneError::Name { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Nothing panics, a CNAME stands alone, an answer with no records is negative or refused, and scopes keep bounds.
    #[test]
    fn every_answer_has_its_form(
        labels in prop::collection::vec(prop_oneof![
            Just(b"zone".to_vec()), Just(b"EXAMPLE".to_vec()), Just(b"a".to_vec()), Just(b"b".to_vec()),
            Just(b"far".to_vec()), prop::collection::vec(any::<u8>(), 1..63),
        ], 0..4),
        qtype in any::<u16>(), with_zone in any::<bool>(), octets in any::<[u8; 16]>(), source_bits in 0_u8..=128,
        v4 in any::<bool>(),
    ) {
        let Ok(mut name) = Name::from_labels(labels) else { return Ok(()) };
        name.set_fqdn(true);
        let whole = if v4 { IpAddr::from([198, 18, octets[0], octets[1]]) } else { IpAddr::from(octets) };
        let prefix = spillway_events::Prefix::containing(whole, source_bits);
        let subnet = Some(Subnet { address: prefix.address(), source_bits: prefix.length() });
        let zone = zone();
        let message = query_of(name.clone(), RecordType::from(qtype), subnet);
        // A name or type that does not survive the encoder is not what is tested here.
        let Ok(bytes) = message.to_vec() else { return Ok(()) };
        if Message::from_vec(&bytes).is_err() {
            return Ok(());
        }
        converse(with_zone.then_some(&zone), &message, whole, |answer| {
            let answer = answer.unwrap();
            let cnames = answer.answers.iter().filter(|record| record.record_type() == RecordType::CNAME).count();
            prop_assert!(cnames == 0 || answer.answers.len() == 1);
            let scope_max = if v4 { SCOPE_V4_MAX } else { SCOPE_V6_MAX };
            prop_assert!(answer.scope <= scope_max);
            let refused = answer.metadata.response_code == ResponseCode::Refused;
            prop_assert_eq!(answer.metadata.authoritative, !refused);
            prop_assert_eq!(answer.answers.is_empty(), refused || answer.authority.is_some());
            prop_assert!(answer.answers.is_empty() || answer.authority.is_none());
            prop_assert!(answer.answers.iter().all(|record| record.name == name));
            let in_bailiwick = |soa: &Record| soa.name.zone_of(&name);
            prop_assert!(answer.authority.iter().all(in_bailiwick));
            Ok(())
        })?;
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Subnet::from_option(&bytes);
        let _ = Subnet::in_message(&bytes);
    }
}
