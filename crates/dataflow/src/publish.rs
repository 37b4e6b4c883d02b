//! Makes snapshots: the table as routes and provisioning change it.
//!
//! A tick that changes the table writes a delta. A full table follows at the first tick at which the deltas since the last
//! one have more bytes than it had, or when one is due.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use spillway_events::{
    CHUNK_BYTES_MAX, CdnEntry, Decision, DecodeError, NAME_BYTES_MAX, NetworkEntry, NetworkName,
    PREFIXES_PER_ITEM_MAX, Reason, Route, RouteEntry, RouteKey, SiteEntry, SiteName, Snapshot, SnapshotHead,
    SnapshotItem, SnapshotKind, StateItem, TableVersion, TimeMicros, items_bytes,
};
use spillway_provisioning::State;
use spillway_provisioning::limits::{
    ADDRESSES_PER_TARGET_MAX, CDNS_PER_SITE_MAX, HOST_BYTES_MAX, HOSTS_PER_SITE_MAX,
};
use spillway_routing::table::{format_digest, network_hash, route_hash, site_hash};

use crate::checkpoint::{Restored, encode_state};
use crate::error::DataflowError;
use crate::input::TickInput;
use crate::message::Due;

/// The most bytes of an encoded length, of an address and of a prefix as text.
const LENGTH_BYTES_MAX: usize = 3;
const ADDRESS_BYTES_MAX: usize = LENGTH_BYTES_MAX + 45;
const PREFIX_BYTES_MAX: usize = ADDRESS_BYTES_MAX + 4;
const TARGET_BYTES_MAX: usize =
    NAME_BYTES_MAX + HOST_BYTES_MAX + ADDRESSES_PER_TARGET_MAX * ADDRESS_BYTES_MAX + 4 * LENGTH_BYTES_MAX;
const SITE_BYTES_MAX: usize = (CDNS_PER_SITE_MAX + 1) * TARGET_BYTES_MAX
    + HOSTS_PER_SITE_MAX * (HOST_BYTES_MAX + LENGTH_BYTES_MAX)
    + 1_024;
// Every item that provisioning allows fits a chunk.
const _: () = assert!(SITE_BYTES_MAX <= CHUNK_BYTES_MAX);
const _: () = assert!(NAME_BYTES_MAX + PREFIXES_PER_ITEM_MAX * PREFIX_BYTES_MAX + 1_024 <= CHUNK_BYTES_MAX);

/// The published table and what it is made of.
#[derive(Debug, Default)]
pub(crate) struct Publisher {
    state: State,
    table: Published,
}

#[derive(Debug, Clone, Default)]
struct Published {
    version: u64,
    digest: u128,
    sites: BTreeMap<SiteName, PublishedSite>,
    networks: BTreeMap<NetworkName, NetworkEntry>,
    /// The bytes of the items of the last full table.
    full_bytes: usize,
    /// The bytes of the items of the deltas since.
    delta_bytes: usize,
}

#[derive(Debug, Clone)]
struct PublishedSite {
    entry: SiteEntry,
    /// As decided, in every network.
    decided: BTreeMap<NetworkName, DecidedRoute>,
    /// In the table: the root's, and those that differ from it.
    routes: BTreeMap<NetworkName, DecidedRoute>,
}

/// A route with the decision that last changed it or its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DecidedRoute {
    route: Route,
    reason: Option<Reason>,
    decided_at: u64,
}

impl Publisher {
    /// From a checkpoint the table is built again, from the provisioning and the routes that hold: it has to have the
    /// digest that it had.
    pub(crate) fn new(restored: Option<&Restored>) -> Result<Self, DataflowError> {
        let Some(restored) = restored else { return Ok(Self::default()) };
        let mut publisher = Self { state: restored.provisioning.clone(), table: Published::default() };
        let mut unused = blank(SnapshotKind::Delta, TimeMicros(0), &restored.installation);
        publisher.provision(&mut unused);
        let mut touched = BTreeSet::new();
        for of_site in &restored.routes {
            let Some(site) = publisher.table.sites.get_mut(&of_site.site) else {
                let why = format!("site {} is not provisioned", of_site.site);
                return Err(restored.error("the routing table", why));
            };
            site.decided.extend(of_site.routes.iter().map(|held| {
                let route = Route { cdn: held.cdn.clone() };
                let decided = DecidedRoute { route, reason: held.reason, decided_at: held.decided_tick };
                (held.network.clone(), decided)
            }));
            touched.insert(&of_site.site);
        }
        publisher.update_routes(touched, &mut unused);
        let (built, saved) = (format_digest(publisher.table.digest), &restored.table);
        if built != saved.digest {
            let why = format!("its digest is {built}, not {}", saved.digest);
            return Err(restored.error("the routing table", why));
        }
        publisher.table.version = saved.version;
        publisher.table.full_bytes = usize::try_from(saved.full_bytes).unwrap_or(usize::MAX);
        publisher.table.delta_bytes = usize::try_from(saved.delta_bytes).unwrap_or(usize::MAX);
        Ok(publisher)
    }

    /// What a checkpoint holds of the table beside the provisioning and the routes.
    pub(crate) fn save(&self) -> Result<(u32, Vec<u8>), DataflowError> {
        let Published { version, digest, full_bytes, delta_bytes, .. } = &self.table;
        let table = TableVersion {
            version: *version,
            digest: format_digest(*digest),
            full_bytes: *full_bytes as u64,
            delta_bytes: *delta_bytes as u64,
        };
        encode_state(0, StateItem::TableVersion(table))
    }

    /// The items of one tick: a delta where something changed, a full table or a heartbeat where one is due.
    pub(crate) fn tick(
        &mut self,
        input: &TickInput,
        due: Due,
        decisions: &[Decision],
        installation: &str,
    ) -> Result<Vec<SnapshotItem>, DecodeError> {
        let base = self.table.version;
        let blank = |kind| blank(kind, input.tick.at_us, installation);
        let mut delta = blank(SnapshotKind::Delta);
        if !input.provisioning.is_empty() {
            for record in &input.provisioning {
                // `ingest` says what was wrong with it.
                let _ = self.state.apply(record);
            }
            self.provision(&mut delta);
        }
        self.decide(decisions, &mut delta);
        let is_changed = !(delta.sites.is_empty()
            && delta.sites_gone.is_empty()
            && delta.networks.is_empty()
            && delta.networks_gone.is_empty()
            && delta.routes.is_empty()
            && delta.routes_gone.is_empty());
        let mut items = Vec::new();
        if is_changed || input.accepts_loss() {
            self.table.version = input.tick.number;
            items.extend(Snapshot { base, ..self.finish(delta) }.into_items());
            self.table.delta_bytes += items_bytes(&items)?;
        }
        if due.full_table || input.accepts_loss() || self.table.delta_bytes > self.table.full_bytes {
            let full = self.finish(self.full(blank(SnapshotKind::Full))).into_items();
            self.table.full_bytes = items_bytes(&full)?;
            self.table.delta_bytes = 0;
            items.extend(full);
        } else if due.heartbeat && !is_changed {
            items.extend(self.finish(blank(SnapshotKind::Heartbeat)).into_items());
        }
        Ok(items)
    }

    fn finish(&self, snapshot: Snapshot) -> Snapshot {
        Snapshot {
            version: self.table.version,
            base: self.table.version,
            digest: format_digest(self.table.digest),
            revision: self.state.revision(),
            ..snapshot
        }
    }

    fn full(&self, mut snapshot: Snapshot) -> Snapshot {
        for (name, site) in &self.table.sites {
            snapshot.sites.push(site.entry.clone());
            let route = |(network, route): (&NetworkName, &DecidedRoute)| entry(name, network, route);
            snapshot.routes.extend(site.routes.iter().map(route));
        }
        snapshot.networks = self.table.networks.values().cloned().collect();
        snapshot
    }

    /// Brings sites and networks of the table to what is provisioned.
    fn provision(&mut self, delta: &mut Snapshot) {
        let digest = &mut self.table.digest;
        let provisioned: BTreeMap<SiteName, SiteEntry> = site_entries(&self.state);
        self.table.sites.retain(|name, site| {
            let stays = provisioned.contains_key(name);
            if !stays {
                *digest = digest.wrapping_sub(site_hash(&site.entry));
                for (network, route) in &site.routes {
                    *digest = digest.wrapping_sub(route_hash(&entry(name, network, route)));
                    delta.routes_gone.push(RouteKey { site: name.clone(), network: network.clone() });
                }
                delta.sites_gone.push(name.clone());
            }
            stays
        });
        for (name, new) in provisioned {
            match self.table.sites.get_mut(&name) {
                Some(site) if site.entry == new => continue,
                Some(site) => {
                    *digest = digest.wrapping_sub(site_hash(&site.entry));
                    site.entry = new.clone();
                }
                None => {
                    let (decided, routes) = (BTreeMap::new(), BTreeMap::new());
                    self.table.sites.insert(name, PublishedSite { entry: new.clone(), decided, routes });
                }
            }
            *digest = digest.wrapping_add(site_hash(&new));
            delta.sites.push(new);
        }
        self.provision_networks(delta);
    }

    fn provision_networks(&mut self, delta: &mut Snapshot) {
        let digest = &mut self.table.digest;
        let provisioned: BTreeMap<NetworkName, NetworkEntry> = self
            .state
            .networks()
            .map(|network| {
                let entry =
                    NetworkEntry { network: network.name.clone(), prefixes: network.prefixes.clone() };
                (network.name.clone(), entry)
            })
            .collect();
        let gone: BTreeSet<NetworkName> =
            self.table.networks.keys().filter(|name| !provisioned.contains_key(*name)).cloned().collect();
        for name in gone {
            if let Some(old) = self.table.networks.remove(&name) {
                *digest = digest.wrapping_sub(network_hash(&old));
            }
            for (site_name, site) in &mut self.table.sites {
                site.decided.remove(&name);
                if let Some(route) = site.routes.remove(&name) {
                    *digest = digest.wrapping_sub(route_hash(&entry(site_name, &name, &route)));
                    delta.routes_gone.push(RouteKey { site: site_name.clone(), network: name.clone() });
                }
            }
            delta.networks_gone.push(name);
        }
        for (name, new) in provisioned {
            match self.table.networks.insert(name, new.clone()) {
                Some(old) if old == new => continue,
                Some(old) => *digest = digest.wrapping_sub(network_hash(&old)),
                None => {}
            }
            *digest = digest.wrapping_add(network_hash(&new));
            delta.networks.push(new);
        }
        delta.routes_gone.sort();
    }

    /// Brings the routes of the table to what was decided.
    fn decide(&mut self, decisions: &[Decision], delta: &mut Snapshot) {
        let mut touched: BTreeSet<&SiteName> = BTreeSet::new();
        for decision in decisions {
            if let Some(site) = self.table.sites.get_mut(&decision.site) {
                let decided = DecidedRoute {
                    route: decision.route.clone(),
                    reason: decision.reason,
                    decided_at: decision.tick,
                };
                let before = site.decided.get(&decision.network);
                if before.is_none_or(|before| !before.is_as(&decided)) {
                    site.decided.insert(decision.network.clone(), decided);
                    touched.insert(&decision.site);
                }
            }
        }
        self.update_routes(touched, delta);
    }

    /// Brings the routes of these sites in the table to what was decided.
    fn update_routes(&mut self, touched: BTreeSet<&SiteName>, delta: &mut Snapshot) {
        let root = NetworkName::everywhere();
        for name in touched {
            let Some(site) = self.table.sites.get_mut(name) else { continue };
            let Some(default) = site.decided.get(&root).cloned() else { continue };
            let stands = |(network, decided): &(&NetworkName, &DecidedRoute)| {
                **network == root || decided.route != default.route
            };
            let routes: BTreeMap<NetworkName, DecidedRoute> = site
                .decided
                .iter()
                .filter(stands)
                .map(|(network, route)| (network.clone(), route.clone()))
                .collect();
            for (network, route) in &site.routes {
                if routes.get(network) != Some(route) {
                    self.table.digest =
                        self.table.digest.wrapping_sub(route_hash(&entry(name, network, route)));
                    if !routes.contains_key(network) {
                        delta.routes_gone.push(RouteKey { site: name.clone(), network: network.clone() });
                    }
                }
            }
            for (network, route) in &routes {
                if site.routes.get(network) != Some(route) {
                    let new = entry(name, network, route);
                    self.table.digest = self.table.digest.wrapping_add(route_hash(&new));
                    delta.routes.push(new);
                }
            }
            site.routes = routes;
        }
        delta.routes_gone.sort();
    }
}

impl DecidedRoute {
    /// Whether route and reason are the same.
    fn is_as(&self, other: &Self) -> bool {
        (&self.route, self.reason) == (&other.route, other.reason)
    }
}

/// A snapshot without entries; version, digest and revision are set by [`Publisher::finish`].
fn blank(kind: SnapshotKind, at_us: TimeMicros, installation: &str) -> Snapshot {
    Snapshot::from(SnapshotHead {
        kind,
        version: 0,
        base: 0,
        at_us,
        digest: String::new(),
        revision: 0,
        installation: installation.to_owned(),
    })
}

fn entry(site: &SiteName, network: &NetworkName, decided: &DecidedRoute) -> RouteEntry {
    RouteEntry {
        site: site.clone(),
        network: network.clone(),
        route: decided.route.clone(),
        reason: decided.reason,
        decided_at: decided.decided_at,
    }
}

fn site_entries(state: &State) -> BTreeMap<SiteName, SiteEntry> {
    let of_site = |site: &spillway_events::Site| {
        let cdns = site.cdns.iter().filter_map(|of_site| {
            let cdn = state.cdn(&of_site.cdn)?;
            let dns_name = of_site.dns_name.clone().unwrap_or_else(|| cdn.dns_name.clone());
            Some(CdnEntry { cdn: of_site.cdn.clone(), dns_name, addresses: cdn.addresses.clone() })
        });
        SiteEntry {
            site: site.name.clone(),
            hosts: site.hosts.clone(),
            ttl_secs: site.ttl_secs,
            origin_addresses: site.origin.addresses.clone(),
            cdns: cdns.collect(),
        }
    };
    state.sites().map(|site| (site.site.name.clone(), of_site(site.site))).collect()
}
