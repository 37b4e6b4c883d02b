//! Compares the table with plain maps, over random changes and addresses; then each refusal at its boundary.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use spillway_events::{
    Address, CdnEntry, CdnName, NetworkEntry, NetworkName, Prefix, Route, RouteEntry, RouteKey, SiteEntry,
    SiteName, Snapshot, SnapshotKind, TimeMicros,
};

use super::*;

/// What a publisher holds: plain maps, and a digest summed anew each time.
#[derive(Debug, Clone, Default)]
struct Model {
    sites: BTreeMap<SiteName, SiteEntry>,
    networks: BTreeMap<NetworkName, NetworkEntry>,
    routes: BTreeMap<RouteKey, Route>,
}

impl Model {
    fn digest(&self) -> String {
        let sites = self.sites.values().map(site_hash);
        let networks = self.networks.values().map(network_hash);
        let routes = self.route_entries().map(|route| route_hash(&route));
        format_digest(sites.chain(networks).chain(routes).fold(0, u128::wrapping_add))
    }

    fn route_entries(&self) -> impl Iterator<Item = RouteEntry> + '_ {
        self.routes.iter().map(|(key, route)| RouteEntry {
            site: key.site.clone(),
            network: key.network.clone(),
            route: route.clone(),
            reason: None,
            decided_at: 0,
        })
    }

    fn full(&self, version: u64) -> Snapshot {
        Snapshot {
            sites: self.sites.values().cloned().map(Arc::new).collect(),
            networks: self.networks.values().cloned().collect(),
            routes: self.route_entries().collect(),
            digest: self.digest(),
            ..empty(SnapshotKind::Full, version, version)
        }
    }
}

fn empty(kind: SnapshotKind, version: u64, base: u64) -> Snapshot {
    Snapshot {
        kind,
        version,
        base,
        at_us: TimeMicros(i64::try_from(version).unwrap() * 1_000_000),
        digest: format_digest(0),
        revision: version * 10,
        installation: String::from("one"),
        sites: Vec::new(),
        sites_gone: Vec::new(),
        networks: Vec::new(),
        networks_gone: Vec::new(),
        routes: Vec::new(),
        routes_gone: Vec::new(),
    }
}

fn site_name(number: u8) -> SiteName {
    SiteName::new(format!("site-{number}")).unwrap()
}

fn network_name(number: u8) -> NetworkName {
    if number == 0 { NetworkName::everywhere() } else { NetworkName::new(format!("net-{number}")).unwrap() }
}

/// The third host of a site lies one level lower.
fn host_name(host: u8, site: u8) -> String {
    if host == 2 { format!("h2.lower.s{site}.example") } else { format!("h{host}.s{site}.example") }
}

/// With three hosts the first is named twice, which is the same as once.
fn site_entry(number: u8, hosts: u8) -> SiteEntry {
    let again = (hosts == 3).then_some(0);
    SiteEntry {
        site: site_name(number),
        hosts: (0..hosts).chain(again).map(|host| host_name(host, number)).collect(),
        ttl_secs: 20,
        origin_addresses: vec![Address(IpAddr::from([192, 0, 2, number]))],
        cdns: vec![CdnEntry {
            cdn: CdnName::new("cdn-a").unwrap(),
            dns_name: format!("s{number}.cdn-a.example"),
            addresses: Vec::new(),
        }],
    }
}

#[derive(Debug, Clone)]
enum Change {
    PutSite(u8, u8),
    DropSite(u8),
    PutNetwork(u8, Vec<Prefix>),
    DropNetwork(u8),
    PutRoute(u8, u8, bool),
    DropRoute(u8, u8),
}

/// Prefixes that nest often: few distinct leading bits.
fn prefix() -> impl Strategy<Value = Prefix> {
    let v4 = (0_u32..8, 0_u32..8, 0_u8..=32).prop_map(|(high, low, length)| {
        Prefix::containing(IpAddr::V4(Ipv4Addr::from((high << 29) | (low << 14) | low)), length)
    });
    let v6 = (0_u128..8, 0_u128..8, 0_u8..=128).prop_map(|(high, low, length)| {
        Prefix::containing(IpAddr::V6(Ipv6Addr::from((high << 125) | (low << 70) | low)), length)
    });
    prop_oneof![v4, v6]
}

fn address() -> impl Strategy<Value = IpAddr> {
    let near = prefix().prop_map(Prefix::address);
    prop_oneof![near, any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (0_u8..6, 0_u8..4).prop_map(|(site, hosts)| Change::PutSite(site, hosts)),
        1 => (0_u8..6).prop_map(Change::DropSite),
        2 => (1_u8..5, prop::collection::vec(prefix(), 0..5)).prop_map(|(network, of)| Change::PutNetwork(network, of)),
        1 => (1_u8..5).prop_map(Change::DropNetwork),
        4 => (0_u8..6, 0_u8..5, any::<bool>()).prop_map(|(site, network, cdn)| Change::PutRoute(site, network, cdn)),
        1 => (0_u8..6, 0_u8..5).prop_map(|(site, network)| Change::DropRoute(site, network)),
    ]
}

/// Applies changes to the model and gives the delta that says the same: what is there after it, and what is not.
fn step(model: &mut Model, changes: &[Change], version: u64) -> Snapshot {
    let before = model.clone();
    for change in changes {
        match change.clone() {
            Change::PutSite(site, hosts) => {
                model.sites.insert(site_name(site), site_entry(site, hosts));
            }
            Change::DropSite(site) => {
                model.sites.remove(&site_name(site));
                model.routes.retain(|key, _| key.site != site_name(site));
            }
            Change::PutNetwork(network, prefixes) => {
                let network = network_name(network);
                model.networks.insert(network.clone(), NetworkEntry { network, prefixes });
            }
            Change::DropNetwork(network) => {
                model.networks.remove(&network_name(network));
            }
            Change::PutRoute(site, network, cdn) => {
                let (site, network) = (site_name(site), network_name(network));
                if model.sites.contains_key(&site) {
                    let cdn = cdn.then(|| CdnName::new("cdn-a").unwrap());
                    model.routes.insert(RouteKey { site, network }, Route { cdn });
                }
            }
            Change::DropRoute(site, network) => {
                model.routes.remove(&RouteKey { site: site_name(site), network: network_name(network) });
            }
        }
    }
    let after = model.full(version);
    let new_routes = after.routes.into_iter().filter(|route| {
        let key = RouteKey { site: route.site.clone(), network: route.network.clone() };
        before.routes.get(&key) != Some(&route.route)
    });
    Snapshot {
        sites: after.sites.into_iter().filter(|site| before.sites.get(&site.site) != Some(site)).collect(),
        sites_gone: before.sites.keys().filter(|site| !model.sites.contains_key(*site)).cloned().collect(),
        networks: after.networks.into_iter().filter(|n| before.networks.get(&n.network) != Some(n)).collect(),
        networks_gone: before.networks.keys().filter(|n| !model.networks.contains_key(*n)).cloned().collect(),
        routes: new_routes.collect(),
        routes_gone: before.routes.keys().filter(|key| !model.routes.contains_key(*key)).cloned().collect(),
        digest: model.digest(),
        ..empty(SnapshotKind::Delta, version, version - 1)
    }
}

fn longest(model: &Model, address: IpAddr, source_bits: u8) -> Option<&NetworkName> {
    let address = address.to_canonical();
    let holds = |prefix: &Prefix| {
        prefix.address().is_ipv4() == address.is_ipv4()
            && prefix.length() <= source_bits
            && Prefix::containing(address, prefix.length()) == *prefix
    };
    let all = model.networks.values().flat_map(|n| n.prefixes.iter().map(move |prefix| (prefix, &n.network)));
    let holding = all.filter(|(prefix, _)| holds(prefix));
    holding.max_by(|a, b| (a.0.length().cmp(&b.0.length())).then(b.1.cmp(a.1))).map(|(_, network)| network)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Deltas lead to the table that the full snapshot gives, and it looks up what plain maps do.
    #[test]
    fn deltas_give_what_a_full_snapshot_gives(
        steps in prop::collection::vec(prop::collection::vec(change(), 0..6), 1..8),
        addresses in prop::collection::vec((address(), 0_u8..=128), 8),
    ) {
        let (mut model, mut table) = (Model::default(), Table::default());
        for (changes, version) in steps.iter().zip(1..) {
            let delta = step(&mut model, changes, version);
            table = table.apply(&delta).unwrap();
            let full = model.full(version);
            prop_assert_eq!(&table.to_snapshot(), &full);
            prop_assert_eq!(table.sites_count(), model.sites.len());
        }
        let again = if model.sites.is_empty() { table.clone() } else { table.apply(&table.to_snapshot()).unwrap() };
        for table in [&table, &again] {
            for number in 0..6 {
                for host in 0..4 {
                    let entry = model.sites.get(&site_name(number));
                    let host = host_name(host, number);
                    let expected = entry.filter(|entry| entry.hosts.contains(&host));
                    prop_assert_eq!(table.site_of_host(&host).map(SiteRoutes::entry), expected);
                }
                let hosts = model.sites.get(&site_name(number)).map_or(0, |entry| entry.hosts.len());
                prop_assert_eq!(table.has_hosts_below(&format!("s{number}.example")), hosts > 0);
                prop_assert_eq!(table.has_hosts_below(&format!("lower.s{number}.example")), hosts > 2);
            }
            let has_hosts = model.sites.values().any(|entry| !entry.hosts.is_empty());
            prop_assert_eq!(table.has_hosts_below("example"), has_hosts);
            for (address, source_bits) in &addresses {
                let found = table.network_of(*address, *source_bits);
                prop_assert_eq!(found.network, longest(&model, *address, *source_bits));
                for number in 0..6 {
                    let Some(site) = table.site(&site_name(number)) else { continue };
                    let route = |network: NetworkName| model.routes.get(&RouteKey { site: site_name(number), network });
                    let expected = found.network.and_then(|network| route(network.clone()))
                        .or_else(|| route(NetworkName::everywhere())).unwrap_or(&Route::ORIGIN);
                    prop_assert_eq!(site.route(found.network), expected);
                }
            }
        }
    }

    /// Every address that shares the bits of the scope belongs to the same network.
    #[test]
    fn the_scope_is_enough(
        prefixes in prop::collection::vec(prefix(), 0..12), address in address(), noise in any::<u128>(),
    ) {
        let mut model = Model::default();
        for (prefix, number) in prefixes.iter().zip(1..) {
            let network = network_name(number);
            model.networks.insert(network.clone(), NetworkEntry { network, prefixes: vec![*prefix] });
        }
        let table = Table::default().apply(&model.full(1)).unwrap();
        let address = address.to_canonical();
        let found = table.network_of(address, 128);
        let mask = u128::MAX.checked_shr(u32::from(found.scope)).unwrap_or(0);
        let other = match address {
            IpAddr::V4(v4) => {
                let noise = u32::try_from((noise & mask) >> 96).unwrap();
                IpAddr::V4(Ipv4Addr::from(u32::from(v4) ^ noise))
            }
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) ^ (noise & mask))),
        };
        if other.to_canonical().is_ipv4() == address.is_ipv4() {
            prop_assert_eq!(table.network_of(other, 128).network, found.network);
        }
    }
}

#[test]
fn the_last_address_of_a_prefix_may_be_a_prefix_of_its_own() {
    let mut model = Model::default();
    for (number, prefix) in [(1, "2001:db8::/126"), (2, "2001:db8::3/128"), (3, "::/0"), (4, "ffff::/16")] {
        let network = network_name(number);
        let prefixes = vec![prefix.parse().unwrap()];
        model.networks.insert(network.clone(), NetworkEntry { network, prefixes });
    }
    let table = Table::default().apply(&model.full(1)).unwrap();
    for (address, source_bits, number) in [
        ("2001:db8::2", 128, 1),
        ("2001:db8::3", 128, 2),
        ("2001:db8::3", 127, 1),
        ("2001:db8::4", 128, 3),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128, 4),
    ] {
        let found = table.network_of(address.parse().unwrap(), source_bits).network;
        assert_eq!(found, Some(&network_name(number)), "{address} {source_bits}");
    }
}

fn model_of_two() -> Model {
    let mut model = Model::default();
    let changes = [Change::PutSite(1, 2), Change::PutSite(2, 1), Change::PutRoute(1, 0, true)];
    step(&mut model, &changes, 1);
    model
}

#[test]
fn versions_only_go_forward() {
    let mut model = model_of_two();
    let table = Table::default().apply(&model.full(5)).unwrap();
    assert_eq!((table.version(), table.revision(), table.heard_at()), (5, 50, TimeMicros(5_000_000)));
    assert_eq!(table.apply(&model.full(4)).unwrap_err(), TableError::Older { offered: 4, current: 5 });
    assert!(table.apply(&model.full(5)).is_ok());

    let delta = step(&mut model, &[Change::PutRoute(2, 0, true)], 6);
    let next = table.apply(&delta).unwrap();
    assert_eq!(next.apply(&delta).unwrap_err(), TableError::Older { offered: 6, current: 6 });
    let late = step(&mut model, &[Change::PutRoute(2, 0, false)], 8);
    assert_eq!(next.apply(&late).unwrap_err(), TableError::Base { base: 7, current: 6 });
    let other_branch = empty(SnapshotKind::Delta, 7, 5);
    assert_eq!(next.apply(&other_branch).unwrap_err(), TableError::Base { base: 5, current: 6 });
}

#[test]
fn a_table_of_another_installation_is_refused() {
    let model = model_of_two();
    let table = Table::default().apply(&model.full(5)).unwrap();
    for kind in [SnapshotKind::Full, SnapshotKind::Delta, SnapshotKind::Heartbeat] {
        let other = Snapshot { kind, installation: String::from("two"), base: 5, ..model.full(6) };
        let refused = TableError::Installation { offered: "two".to_owned(), current: "one".to_owned() };
        assert_eq!(table.apply(&other).unwrap_err(), refused);
    }
    assert_eq!(table.installation(), "one");
}

/// A table is one installation's when a snapshot was applied to it: of version 0 with an id, or of a later version without.
#[test]
fn the_first_table_decides_the_installation() {
    let model = model_of_two();
    let of = |version, installation: &str| Snapshot {
        installation: installation.to_owned(),
        ..model.full(version)
    };
    for (first, current) in [(0, "one"), (5, "")] {
        let table = Table::default().apply(&of(first, current)).unwrap();
        let refused = TableError::Installation { offered: "two".to_owned(), current: current.to_owned() };
        assert_eq!(table.apply(&of(6, "two")).unwrap_err(), refused);
        assert!(table.apply(&of(6, current)).is_ok());
    }
    assert!(Table::default().apply(&of(0, "two")).is_ok(), "an empty table takes any");
}

/// Reason and deciding tick are kept, and a change of these alone leaves the digest as it is.
#[test]
fn a_route_keeps_what_led_to_it() {
    let model = model_of_two();
    let table = Table::default().apply(&model.full(5)).unwrap();
    let route = RouteEntry { reason: Some(Reason::Pinned), decided_at: 6, ..model.full(5).routes[0].clone() };
    let delta =
        Snapshot { routes: vec![route.clone()], digest: model.digest(), ..empty(SnapshotKind::Delta, 6, 5) };
    assert_eq!(table.apply(&delta).unwrap().to_snapshot().routes, [route]);
}

#[test]
fn a_heartbeat_only_advances_the_time_heard() {
    let model = model_of_two();
    let table = Table::default().apply(&model.full(5)).unwrap();
    let mut beat = empty(SnapshotKind::Heartbeat, 5, 5);
    (beat.at_us, beat.digest) = (TimeMicros(9_000_000), model.digest());
    let heard = table.apply(&beat).unwrap();
    assert_eq!((heard.version(), heard.heard_at()), (5, TimeMicros(9_000_000)));
    let other = Snapshot { version: 6, base: 6, ..beat.clone() };
    assert_eq!(table.apply(&other).unwrap_err(), TableError::Base { base: 6, current: 5 });
    beat.digest = format_digest(1);
    assert!(matches!(table.apply(&beat).unwrap_err(), TableError::Digest { .. }));
}

#[test]
fn a_table_that_would_be_wrong_is_refused() {
    let model = model_of_two();
    let table = Table::default().apply(&model.full(5)).unwrap();
    let bare = empty(SnapshotKind::Full, 6, 6);
    assert_eq!(table.apply(&bare).unwrap_err(), TableError::Empty { sites: 2 });
    assert!(Table::default().apply(&bare).is_ok());

    let mut wrong = model.full(6);
    wrong.digest = format_digest(7);
    let refused = TableError::Digest { expected: format_digest(7), computed: model.digest() };
    assert_eq!(table.apply(&wrong).unwrap_err(), refused);

    let mut twice = model.full(6);
    Arc::make_mut(&mut twice.sites[1]).hosts.push("h0.s1.example".to_owned());
    assert!(matches!(table.apply(&twice).unwrap_err(), TableError::HostTwice { .. }));

    let mut stray = model.full(6);
    stray.routes[0].site = site_name(9);
    assert_eq!(table.apply(&stray).unwrap_err(), TableError::UnknownSite(site_name(9)));
}

/// A host moves between two sites in one delta, in both orders of their names.
#[test]
fn a_host_may_move() {
    for (from, to) in [(1, 2), (2, 1)] {
        let mut model = model_of_two();
        let table = Table::default().apply(&model.full(1)).unwrap();
        let host = format!("h0.s{from}.example");
        model.sites.get_mut(&site_name(from)).unwrap().hosts.retain(|kept| *kept != host);
        model.sites.get_mut(&site_name(to)).unwrap().hosts.push(host.clone());
        let delta = Snapshot {
            sites: model.sites.values().cloned().map(Arc::new).collect(),
            digest: model.digest(),
            ..empty(SnapshotKind::Delta, 2, 1)
        };
        let next = table.apply(&delta).unwrap();
        assert_eq!(next.site_of_host(&host).unwrap().entry().site, site_name(to));
        assert_eq!(table.site_of_host(&host).unwrap().entry().site, site_name(from));
    }
}

/// Fields that run into each other without lengths hash differently, and so do the kinds.
#[test]
fn encodings_are_unambiguous() {
    let route = |site: &str, network: &str| RouteEntry {
        site: SiteName::new(site).unwrap(),
        network: NetworkName::new(network).unwrap(),
        route: Route::ORIGIN,
        reason: None,
        decided_at: 0,
    };
    assert_ne!(route_hash(&route("ab", "c")), route_hash(&route("a", "bc")));
    let (mut one, mut two) = (site_entry(1, 0), site_entry(1, 0));
    one.hosts = vec!["a".to_owned(), "b".to_owned()];
    two.hosts = vec!["ab".to_owned()];
    assert_ne!(site_hash(&one), site_hash(&two));
    assert_eq!(format_digest(255), "000000000000000000000000000000ff");
}

/// What the digest does not cover may differ between the publisher's table and a node's, and nobody notices.
#[test]
fn every_field_that_is_answered_from_changes_the_hash() {
    let (site, cdn) = (site_entry(1, 2), site_entry(1, 2).cdns[0].clone());
    let address = |text: &str| Address(text.parse().unwrap());
    let with_cdn = |cdn: CdnEntry| SiteEntry { cdns: vec![cdn], ..site.clone() };
    let sites = [
        site.clone(),
        SiteEntry { site: site_name(2), ..site.clone() },
        site_entry(1, 1),
        SiteEntry { ttl_secs: 21, ..site.clone() },
        SiteEntry { origin_addresses: Vec::new(), ..site.clone() },
        SiteEntry { origin_addresses: vec![address("192.0.2.9")], ..site.clone() },
        SiteEntry { origin_addresses: vec![address("2001:db8::9")], ..site.clone() },
        SiteEntry { cdns: Vec::new(), ..site.clone() },
        with_cdn(CdnEntry { cdn: CdnName::new("cdn-b").unwrap(), ..cdn.clone() }),
        with_cdn(CdnEntry { dns_name: "other.example".to_owned(), ..cdn.clone() }),
        with_cdn(CdnEntry { addresses: vec![address("192.0.2.9")], ..cdn.clone() }),
    ];
    let network = |number, prefixes: &[&str]| NetworkEntry {
        network: network_name(number),
        prefixes: prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect(),
    };
    let networks = [
        network(1, &[]),
        network(2, &[]),
        network(1, &["192.0.2.0/24"]),
        network(1, &["192.0.2.0/25"]),
        network(1, &["192.0.3.0/24"]),
        network(1, &["2001:db8::/32"]),
        network(1, &["2001:db9::/32"]),
    ];
    let route = |site, network, cdn: Option<&str>| RouteEntry {
        site: site_name(site),
        network: network_name(network),
        route: Route { cdn: cdn.map(|cdn| CdnName::new(cdn).unwrap()) },
        reason: None,
        decided_at: 0,
    };
    let routes = [(1, 1, None), (2, 1, None), (1, 2, None), (1, 1, Some("cdn-a")), (1, 1, Some("cdn-b"))]
        .map(|(site, network, cdn)| route(site, network, cdn));
    let hashes = sites
        .iter()
        .map(site_hash)
        .chain(networks.iter().map(network_hash))
        .chain(routes.iter().map(route_hash));
    let distinct: std::collections::BTreeSet<u128> = hashes.collect();
    assert_eq!(distinct.len(), sites.len() + networks.len() + routes.len());
}
