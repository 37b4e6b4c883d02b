//! A published table for tests.

use std::sync::Arc;

use spillway_events::{
    Address, CdnEntry, CdnName, NetworkEntry, NetworkName, Route, RouteEntry, SiteEntry, SiteName, Snapshot,
    SnapshotKind, TimeMicros,
};
use spillway_routing::table::{format_digest, network_hash, route_hash, site_hash};

pub(crate) fn address(text: &str) -> Address {
    Address(text.parse().unwrap())
}

pub(crate) fn site(name: &str, host: &str, origins: Vec<Address>) -> SiteEntry {
    SiteEntry {
        site: SiteName::new(name).unwrap(),
        hosts: vec![host.to_owned()],
        ttl_secs: 20,
        origin_addresses: origins,
        cdns: vec![CdnEntry {
            cdn: CdnName::new("a").unwrap(),
            dns_name: format!("{name}.cdn.example"),
            addresses: vec![address("198.51.100.1")],
        }],
    }
}

pub(crate) fn route(site: &str, network: &str, cdn: bool) -> RouteEntry {
    RouteEntry {
        site: SiteName::new(site).unwrap(),
        network: NetworkName::new(network).unwrap(),
        route: Route { cdn: cdn.then(|| CdnName::new("a").unwrap()) },
        reason: None,
        decided_at: 0,
    }
}

/// The origin for `near` and `big` (150 addresses), the CDN for `far`; `split` goes to the CDN from `west` only.
pub(crate) fn full(version: u64) -> Snapshot {
    let origins = vec![address("192.0.2.1"), address("2001:db8::1")];
    let sites = vec![
        site("big", "big.example", (0..150).map(|last| Address([192, 0, 2, last].into())).collect()),
        site("far", "far.example", origins.clone()),
        site("near", "near.example", origins.clone()),
        site("split", "split.zone.example", origins),
    ];
    let networks = vec![NetworkEntry {
        network: NetworkName::new("west").unwrap(),
        prefixes: vec!["198.18.0.0/16".parse().unwrap()],
    }];
    let routes = vec![
        route("big", "everywhere", false),
        route("far", "everywhere", true),
        route("near", "everywhere", false),
        route("split", "everywhere", false),
        route("split", "west", true),
    ];
    snapshot(SnapshotKind::Full, version, sites, networks, routes)
}

/// The delta from the version before to this one, after [`full`]: `near` goes to the CDN in even versions.
pub(crate) fn delta(version: u64) -> Snapshot {
    let moved = route("near", "everywhere", version.is_multiple_of(2));
    let mut whole = full(version);
    whole.routes[2] = moved.clone();
    let sites = whole.sites.into_iter().map(Arc::unwrap_or_clone).collect();
    let whole = snapshot(SnapshotKind::Full, version, sites, whole.networks, whole.routes);
    let delta = snapshot(SnapshotKind::Delta, version, vec![], vec![], vec![moved]);
    Snapshot { base: version - 1, digest: whole.digest, ..delta }
}

pub(crate) fn snapshot(
    kind: SnapshotKind,
    version: u64,
    sites: Vec<SiteEntry>,
    networks: Vec<NetworkEntry>,
    routes: Vec<RouteEntry>,
) -> Snapshot {
    let hashes = sites.iter().map(site_hash).chain(networks.iter().map(network_hash));
    let digest = hashes.chain(routes.iter().map(route_hash)).fold(0, u128::wrapping_add);
    Snapshot {
        kind,
        version,
        base: version,
        at_us: TimeMicros(1_000_000),
        digest: format_digest(digest),
        revision: 3,
        installation: String::new(),
        sites: sites.into_iter().map(Arc::new).collect(),
        sites_gone: Vec::new(),
        networks,
        networks_gone: Vec::new(),
        routes,
        routes_gone: Vec::new(),
    }
}
