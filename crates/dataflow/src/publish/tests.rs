//! Publishes provisioning and decisions, and builds the table from the snapshots.

use std::sync::Arc;

use spillway_events::{
    Address, Cdn, CdnKind, CdnName, CdnOfSite, ClientName, Deleted, Event, Network, NetworkName, ObjectKind,
    Origin, ProvisioningRecord, Reason, Route, Sha256, Site, SiteName, Tick, TimeMicros, Verdict,
    decode_frame, encode_frame,
};
use spillway_routing::table::Table;

use super::*;
use crate::provisioning::Provisioning;

const NOTHING_DUE: Due =
    Due { performance: false, heartbeat: false, full_table: false, receipts: false, checkpoint: false };

fn input(number: u64, provisioning: &[ProvisioningRecord]) -> TickInput {
    let at_us = TimeMicros(i64::try_from(number).unwrap() * 1_000_000);
    let tick =
        Tick { restart: false, installation: String::new(), number, at_us, rules: 1, offsets: Vec::new() };
    let provisioning = Provisioning::default().apply(provisioning);
    TickInput { tick, tick_offset: number, provisioning, records: Vec::new() }
}

const INSTALLATION: &str = "0123456789abcdef0123456789abcdef";

/// Three CDNs of 16 addresses each, and sites that use all of them.
fn provision(sites: u32) -> ProvisioningRecord {
    let addresses: Vec<Address> = (0..16)
        .map(|last| Address(format!("2001:db8:1234:5678:9abc:def0:1234:{last:x}").parse().unwrap()))
        .collect();
    let names = ["a", "b", "c"].map(|name| CdnName::new(name).unwrap());
    let cdns = names.iter().map(|name| cdn(name, &addresses));
    let of_site = |cdn: &CdnName| CdnOfSite { cdn: cdn.clone(), dns_name: None };
    let sites = (0..sites).map(|number| {
        Event::Site(Site {
            name: site_name(number),
            title: None,
            client: ClientName::new("acme").unwrap(),
            hosts: vec![format!("s{number}.example")],
            origin: Origin {
                name: String::from("origin.example"),
                addresses: addresses.clone(),
                probe_url: None,
            },
            cdns: names.iter().map(of_site).collect(),
            ttl_secs: 20,
            probe_interval_ms: 10_000,
            objectives: Vec::new(),
        })
    });
    record(0, cdns.chain(sites).collect())
}

fn record(number: u64, events: Vec<Event>) -> ProvisioningRecord {
    let (command, author) = (String::from("c"), String::from("a"));
    ProvisioningRecord { number, command, body_sha256: Sha256::of(&[]), author, at_us: TimeMicros(0), events }
}

fn cdn(name: &CdnName, addresses: &[Address]) -> Event {
    Event::Cdn(Cdn {
        name: name.clone(),
        title: None,
        kind: CdnKind::Operated,
        dns_name: format!("{name}.example"),
        addresses: addresses.to_vec(),
        probe_url: None,
    })
}

fn site_name(number: u32) -> SiteName {
    SiteName::new(format!("site-{number:05}")).unwrap()
}

fn decision(tick: u64, site: u32, cdn: Option<&str>, reason: Option<Reason>) -> Decision {
    Decision {
        site: site_name(site),
        network: NetworkName::everywhere(),
        tick,
        at_us: TimeMicros(0),
        route: Route { cdn: cdn.map(|name| CdnName::new(name).unwrap()) },
        verdict: Verdict::Below,
        reason,
        objectives: Vec::new(),
        candidates: Vec::new(),
        agreement: 0,
    }
}

fn snapshots(items: Vec<SnapshotItem>) -> Vec<Snapshot> {
    Snapshot::from_items(items).unwrap()
}

#[test]
fn a_large_table_is_published_in_small_records() {
    let mut publisher = Publisher::default();
    let items = publisher.tick(&input(1, &[provision(30_000)]), NOTHING_DUE, &[], INSTALLATION).unwrap();
    let records = encode_frame(1, &items).unwrap();
    assert!(records.len() > 64);
    assert!(records.iter().all(|record| record.len() <= CHUNK_BYTES_MAX + 64));
    let published = snapshots(decode_frame(&records).unwrap());
    let kinds: Vec<SnapshotKind> = published.iter().map(|snapshot| snapshot.kind).collect();
    assert_eq!(kinds, [SnapshotKind::Delta, SnapshotKind::Full]);
    for snapshot in &published {
        assert_eq!(Table::default().apply(snapshot).unwrap().sites_count(), 30_000);
    }
}

/// A node has the same table from a full snapshot and from deltas. A full one follows exactly when the deltas are larger
/// than the last full one.
#[test]
fn a_full_table_follows_when_the_deltas_are_larger() {
    let mut publisher = Publisher::default();
    let first = publisher.tick(&input(1, &[provision(8)]), NOTHING_DUE, &[], INSTALLATION).unwrap();
    let full = snapshots(first).pop().unwrap();
    let mut table = Table::default().apply(&full).unwrap();
    let (mut full_bytes, mut delta_bytes, mut fulls) = (items_bytes(&full.into_items()).unwrap(), 0, 0);
    for tick in 2..1_000_u64 {
        let cdn = if (tick / 8).is_multiple_of(2) { Some("a") } else { None };
        let decisions = [decision(tick, u32::try_from(tick % 8).unwrap(), cdn, None)];
        let published =
            snapshots(publisher.tick(&input(tick, &[]), NOTHING_DUE, &decisions, INSTALLATION).unwrap());
        let Some(delta) = published.first() else { continue };
        delta_bytes += items_bytes(&delta.clone().into_items()).unwrap();
        table = table.apply(delta).unwrap();
        assert_eq!(published.len() > 1, delta_bytes > full_bytes, "tick {tick}");
        if let Some(full) = published.get(1) {
            assert_eq!(full.kind, SnapshotKind::Full);
            assert_eq!(Table::default().apply(full).unwrap().to_snapshot(), table.to_snapshot());
            full_bytes = items_bytes(&full.clone().into_items()).unwrap();
            (delta_bytes, fulls) = (0, fulls + 1);
        }
    }
    assert!(fulls > 0);
}

#[test]
fn a_route_has_its_reason_and_its_deciding_tick() {
    let mut publisher = Publisher::default();
    publisher.tick(&input(1, &[provision(1)]), NOTHING_DUE, &[], INSTALLATION).unwrap();
    let mut publish = |tick, reason| {
        let decisions = [decision(tick, 0, None, reason)];
        let items = publisher.tick(&input(tick, &[]), NOTHING_DUE, &decisions, INSTALLATION).unwrap();
        let routes = snapshots(items).into_iter().next().map(|delta| delta.routes);
        routes
            .unwrap_or_default()
            .into_iter()
            .map(|route| (route.reason, route.decided_at))
            .collect::<Vec<_>>()
    };
    assert_eq!(publish(2, Some(Reason::ColdStart)), [(Some(Reason::ColdStart), 2)]);
    // Decided again with the same result.
    assert_eq!(publish(3, Some(Reason::ColdStart)), []);
    assert_eq!(publish(4, None), [(None, 4)]);
}

fn network(name: &str, prefix: &str) -> Event {
    let (name, prefixes) = (NetworkName::new(name).unwrap(), vec![prefix.parse().unwrap()]);
    Event::Network(Network { name, title: None, parent: NetworkName::everywhere(), prefixes })
}

fn deleted(object: ObjectKind, name: &str) -> Event {
    Event::Deleted(Deleted { object, name: name.to_owned() })
}

/// A delta holds what depends on the changed objects and nothing else; together the deltas make the full table.
#[test]
fn a_change_of_the_provisioning_publishes_what_depends_on_it() {
    let (mut publisher, mut provisioning, mut table) =
        (Publisher::default(), Provisioning::default(), Table::default());
    let mut number = 0;
    let mut publish = |events: Vec<Event>, decisions: &[(u32, &str, Option<&str>)]| {
        let change = provisioning.apply(&[record(number, events)]);
        number += 1;
        let decisions: Vec<Decision> = decisions
            .iter()
            .map(|(site, network, cdn)| {
                let network = NetworkName::new(*network).unwrap();
                Decision { network, ..decision(number, *site, *cdn, None) }
            })
            .collect();
        let due = Due { full_table: true, ..NOTHING_DUE };
        let input = TickInput { provisioning: change, ..input(number, &[]) };
        let published = snapshots(publisher.tick(&input, due, &decisions, "").unwrap());
        let [delta, full] = &published[..] else { panic!("{published:?}") };
        table = table.apply(delta).unwrap();
        let fresh = Table::default().apply(full).unwrap();
        assert_eq!(fresh.to_snapshot(), table.to_snapshot());
        let names = |sites: &[Arc<spillway_events::SiteEntry>]| -> Vec<String> {
            sites.iter().map(|site| site.site.to_string()).collect()
        };
        let gone = delta.sites_gone.iter().map(|site| format!("-{site}"));
        let networks = delta.networks.iter().map(|network| network.network.to_string());
        let networks_gone = delta.networks_gone.iter().map(|network| format!("-{network}"));
        let route = |site: &SiteName, network: &NetworkName| format!("{site}/{network}");
        let routes = delta.routes.iter().map(|entry| route(&entry.site, &entry.network));
        let routes_gone = delta.routes_gone.iter().map(|key| format!("-{}", route(&key.site, &key.network)));
        let names = names(&delta.sites).into_iter().chain(gone).chain(networks).chain(networks_gone);
        names.chain(routes).chain(routes_gone).collect::<Vec<String>>().join(" ")
    };
    let first = provision(2).events;
    assert_eq!(
        publish(first, &[(0, "everywhere", None), (1, "everywhere", None)]),
        "site-00000 site-00001 site-00000/everywhere site-00001/everywhere"
    );
    // Networks sort before and after the root.
    let networks = vec![network("a", "192.0.2.0/25"), network("z", "192.0.2.128/25")];
    let decided = [(0, "a", Some("a")), (0, "z", Some("a")), (1, "a", None), (1, "z", None)];
    assert_eq!(publish(networks, &decided), "a z site-00000/a site-00000/z");
    assert_eq!(publish(vec![network("z", "198.51.100.0/24")], &[]), "z");
    assert_eq!(
        publish(vec![network("m", "203.0.113.0/24")], &[(0, "m", Some("b")), (1, "m", None)]),
        "m site-00000/m"
    );
    assert_eq!(publish(vec![deleted(ObjectKind::Network, "a")], &[]), "-a -site-00000/a");
    let b = CdnName::new("b").unwrap();
    assert_eq!(publish(vec![cdn(&b, &[])], &[]), "site-00000 site-00001");
    // The root's route becomes the one that `z` has.
    assert_eq!(
        publish(vec![network("y", "192.0.2.0/26")], &[(0, "everywhere", Some("a")), (0, "y", None)]),
        "y site-00000/everywhere site-00000/y -site-00000/z"
    );
    assert_eq!(
        publish(vec![deleted(ObjectKind::Site, "site-00000")], &[]),
        "-site-00000 -site-00000/everywhere -site-00000/m -site-00000/y"
    );
    // Deleted and created again in one tick: nothing is left of the routes.
    let again = vec![deleted(ObjectKind::Site, "site-00001"), provision(2).events.remove(4)];
    assert_eq!(
        publish(again, &[(1, "everywhere", Some("a"))]),
        "site-00001 -site-00001 site-00001/everywhere -site-00001/everywhere"
    );
}
