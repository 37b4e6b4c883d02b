//! Measures the table at a million host names: building, memory, a delta of 1,000 routes, and the longest gap between
//! two answers of a reader while tables are swapped ten times a second.
//!
//! `cargo run --release -p spillway-edge --example table_bench [HOSTS]`
#![allow(clippy::unwrap_used, reason = "a benchmark may stop")]

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::{self, MessageType, Metadata, OpCode};
use hickory_proto::rr::{Name, RecordType};
use spillway_edge::follower::Follower;
use spillway_events::{
    Address, CdnEntry, CdnName, NetworkEntry, NetworkName, Prefix, Route, RouteEntry, SiteEntry, SiteName,
    Snapshot, SnapshotKind, TimeMicros,
};
use spillway_routing::answer::{Query, answer};
use spillway_routing::table::{format_digest, network_hash, route_hash, site_hash};

const PREFIXES: u32 = 500_000;
const DELTA_ROUTES: u32 = 1_000;

fn main() {
    let hosts: u32 = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().unwrap());
    let snapshot = full(hosts);
    let before_kib = resident_kib();
    let mut follower = Follower::default();
    let started = Instant::now();
    follower.offer(&snapshot).unwrap();
    println!("hosts {hosts} (a site each), prefixes {PREFIXES}");
    println!("build: {:?}", started.elapsed());
    println!("memory of the table: {} MiB", (resident_kib() - before_kib) / 1_024);
    let mut digest = follower.current().unwrap().digest();
    drop(snapshot);

    let path = std::env::temp_dir().join(format!("spillway-table-bench-{}", std::process::id()));
    let started = Instant::now();
    follower.save(&path).unwrap();
    println!("save: {:?}, {} MiB", started.elapsed(), std::fs::metadata(&path).unwrap().len() >> 20);
    let started = Instant::now();
    drop(Follower::load(&path).unwrap());
    println!("load: {:?}", started.elapsed());
    std::fs::remove_file(&path).unwrap();

    let mut costs = Vec::new();
    for version in 2..22 {
        let snapshot = delta(hosts, version, &mut digest);
        let started = Instant::now();
        follower.offer(&snapshot).unwrap();
        costs.push(started.elapsed());
    }
    costs.sort_unstable();
    println!(
        "delta of {DELTA_ROUTES} routes: median {:?}, worst {:?}",
        costs[costs.len() / 2],
        costs[costs.len() - 1]
    );
    read_while_swapping(hosts, &mut follower, &mut digest);
}

fn read_while_swapping(hosts: u32, follower: &mut Follower, digest: &mut u128) {
    let question = |at: u32| {
        let name = Name::from_ascii(format!("{}.", host(at * 991 % hosts))).unwrap();
        op::Query::query(name, RecordType::A)
    };
    let questions: Vec<op::Query> = (0..997_u32).map(question).collect();
    let metadata = Metadata::new(1, MessageType::Query, OpCode::Query);
    let (shared, stop) = (follower.table(), AtomicBool::new(false));
    let deltas: Vec<Snapshot> = (22..52).map(|version| delta(hosts, version, digest)).collect();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let peer = IpAddr::from([10, 1, 2, 3]);
            let (mut longest, mut answers, mut last) = (Duration::ZERO, 0_u64, Instant::now());
            let started = last;
            for question in questions.iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let table = shared.load();
                let query =
                    Query { metadata: &metadata, question: Some(question), edns: None, bytes: &[], peer };
                let answer = answer(table.as_deref().unwrap(), None, None, &query).unwrap();
                assert_eq!(answer.answers.len(), 1);
                let now = Instant::now();
                longest = longest.max(now - last);
                (last, answers) = (now, answers + 1);
            }
            (longest, answers, started.elapsed())
        });
        for delta in &deltas {
            let next = Instant::now() + Duration::from_millis(100);
            follower.offer(delta).unwrap();
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        stop.store(true, Ordering::Relaxed);
        let (longest, answers, took) = reader.join().unwrap();
        let each_ns = took.as_nanos() / u128::from(answers.max(1));
        println!(
            "swapping 10 a second for {took:?}: {answers} answers, {each_ns} ns each, longest gap {longest:?}"
        );
    });
}

fn host(number: u32) -> String {
    format!("www.client-{number}.example")
}

fn full(hosts: u32) -> Snapshot {
    let sites: Vec<SiteEntry> = (0..hosts)
        .map(|number| SiteEntry {
            site: site_name(number),
            hosts: vec![host(number)],
            ttl_secs: 20,
            origin_addresses: vec![Address(IpAddr::from(number.to_be_bytes()))],
            cdns: vec![CdnEntry {
                cdn: CdnName::new("cdn-a").unwrap(),
                dns_name: format!("c{number}.cdn-a.example"),
                addresses: Vec::new(),
            }],
        })
        .collect();
    let networks: Vec<NetworkEntry> = (0..100)
        .map(|network| NetworkEntry {
            network: NetworkName::new(format!("as{network}")).unwrap(),
            prefixes: (0..PREFIXES)
                .filter(|number| number % 100 == network)
                .map(|number| Prefix::containing(IpAddr::from((number << 8).to_be_bytes()), 24))
                .collect(),
        })
        .collect();
    let routes: Vec<RouteEntry> = (0..hosts).map(|number| route(number, false)).collect();
    let hashes = sites.iter().map(site_hash).chain(networks.iter().map(network_hash));
    let digest = hashes.chain(routes.iter().map(route_hash)).fold(0, u128::wrapping_add);
    Snapshot {
        sites: sites.into_iter().map(Arc::new).collect(),
        networks,
        routes,
        ..head(SnapshotKind::Full, 1, digest)
    }
}

/// Routes of every n-th site, to the CDN in even versions and back in odd ones.
fn delta(hosts: u32, version: u64, digest: &mut u128) -> Snapshot {
    let moved = (0..DELTA_ROUTES.min(hosts)).map(|at| at * (hosts / DELTA_ROUTES).max(1));
    let to_cdn = version.is_multiple_of(2);
    let routes: Vec<RouteEntry> = moved.map(|number| route(number, to_cdn)).collect();
    for entry in &routes {
        let old = RouteEntry { route: cdn(!to_cdn), ..entry.clone() };
        *digest = digest.wrapping_add(route_hash(entry)).wrapping_sub(route_hash(&old));
    }
    Snapshot { routes, base: version - 1, ..head(SnapshotKind::Delta, version, *digest) }
}

fn head(kind: SnapshotKind, version: u64, digest: u128) -> Snapshot {
    Snapshot {
        kind,
        version,
        base: version,
        at_us: TimeMicros(0),
        digest: format_digest(digest),
        revision: 1,
        installation: String::new(),
        sites: Vec::new(),
        sites_gone: Vec::new(),
        networks: Vec::new(),
        networks_gone: Vec::new(),
        routes: Vec::new(),
        routes_gone: Vec::new(),
    }
}

fn site_name(number: u32) -> SiteName {
    SiteName::new(format!("client-{number}")).unwrap()
}

fn route(number: u32, to_cdn: bool) -> RouteEntry {
    RouteEntry {
        site: site_name(number),
        network: NetworkName::everywhere(),
        route: cdn(to_cdn),
        reason: None,
        decided_at: 0,
    }
}

fn cdn(to_cdn: bool) -> Route {
    Route { cdn: to_cdn.then(|| CdnName::new("cdn-a").unwrap()) }
}

/// The process's resident memory, as Linux says.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
