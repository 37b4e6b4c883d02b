//! The published table: hashes of the sites and networks in it, and what was decided for each site.
//!
//! The entries of sites and networks are made from the provisioning when they are needed, so they are not stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use spillway_events::{
    CdnEntry, Decision, NetworkEntry, NetworkName, ObjectKind, Reason, Route, RouteEntry, RouteKey,
    SiteEntry, SiteName, SiteRoutes, Snapshot,
};
use spillway_provisioning::{ObjectId, ProvisionedSite, State};
use spillway_routing::table::{network_hash, route_hash, site_hash};
use spillway_steering::PerNetwork;

use crate::provisioning::ProvisioningChange;

/// The table as of the last snapshot.
#[derive(Debug)]
pub(super) struct PublishedTable {
    state: State,
    pub(super) digest: u128,
    sites: BTreeMap<SiteName, PublishedSite>,
    /// The hashes of the networks' entries.
    networks: BTreeMap<NetworkName, u128>,
    /// All networks, `everywhere` included, by name: what the indexes in `decided` refer to.
    names: Vec<NetworkName>,
}

#[derive(Debug)]
struct PublishedSite {
    /// The hash of the site's entry.
    hash: u128,
    /// The decided routes, in every network.
    decided: Decided,
}

type Decided = PerNetwork<Option<DecidedRoute>>;

/// A route with the decision that last changed it or its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DecidedRoute {
    route: Route,
    reason: Option<Reason>,
    decided_at: u64,
}

impl Default for PublishedTable {
    fn default() -> Self {
        let names = vec![NetworkName::everywhere()];
        Self { state: State::default(), digest: 0, sites: BTreeMap::new(), networks: BTreeMap::new(), names }
    }
}

impl PublishedTable {
    /// The number of provisioning records behind the table.
    pub(super) fn revision(&self) -> u64 {
        self.state.revision()
    }

    /// Updates the sites and networks of the table to what is provisioned.
    pub(super) fn provision(&mut self, change: &ProvisioningChange, delta: &mut Snapshot) {
        self.state = change.state.clone();
        let mut sites: BTreeSet<&ObjectId> = BTreeSet::new();
        let mut networks: Vec<NetworkName> = Vec::new();
        for id in change.changed.iter() {
            match id.kind {
                ObjectKind::Site => _ = sites.insert(id),
                ObjectKind::Cdn => {
                    sites.extend(change.state.users(id).filter(|user| user.kind == ObjectKind::Site));
                }
                ObjectKind::Network => networks.extend(NetworkName::new(&*id.name)),
                ObjectKind::Client | ObjectKind::Probe | ObjectKind::Agreement | ObjectKind::Override => {}
            }
        }
        // A site that is created again is another one.
        let deleted = change.deleted.iter().filter(|id| id.kind == ObjectKind::Site);
        deleted.for_each(|id| self.remove_site(id, delta));
        sites.into_iter().for_each(|id| self.provision_site(id, delta));
        self.provision_networks(&networks, delta);
        delta.routes_gone.sort();
    }

    fn remove_site(&mut self, id: &ObjectId, delta: &mut Snapshot) {
        let Some((name, site)) = self.sites.remove_entry(&*id.name) else { return };
        self.digest = self.digest.wrapping_sub(site.hash);
        for (network, route) in routes(&site.decided, self.root()) {
            self.remove_route(&name, network, route, delta);
        }
        delta.sites_gone.push(name);
    }

    fn provision_site(&mut self, id: &ObjectId, delta: &mut Snapshot) {
        let Some(provisioned) = self.state.site_of(id) else { return };
        let new = site_entry(&self.state, provisioned);
        let hash = site_hash(&new);
        let undecided = PublishedSite { hash: 0, decided: Decided::default() };
        let site = self.sites.entry(new.site.clone()).or_insert(undecided);
        if site.hash != hash {
            self.digest = self.digest.wrapping_sub(site.hash).wrapping_add(hash);
            site.hash = hash;
            delta.sites.push(Arc::new(new));
        }
    }

    fn provision_networks(&mut self, changed: &[NetworkName], delta: &mut Snapshot) {
        for name in changed {
            let new = self.state.network(name).map(network_entry);
            let hash = new.as_ref().map(network_hash);
            let old = match hash {
                Some(hash) => self.networks.insert(name.clone(), hash),
                None => self.networks.remove(name),
            };
            if old == hash {
                continue;
            }
            self.digest = self.digest.wrapping_sub(old.unwrap_or(0)).wrapping_add(hash.unwrap_or(0));
            match new {
                Some(new) => delta.networks.push(new),
                None => delta.networks_gone.push(name.clone()),
            }
        }
        if !changed.is_empty() {
            let names = self.state.networks_in_order();
            if names != self.names {
                self.rename_networks(names, delta);
            }
        }
    }

    /// Moves what was decided to the networks' new indexes, and drops what was decided in networks that are gone.
    fn rename_networks(&mut self, names: Vec<NetworkName>, delta: &mut Snapshot) {
        let moved: Vec<Option<usize>> =
            self.names.iter().map(|name| names.binary_search(name).ok()).collect();
        let root = names.binary_search(&NetworkName::everywhere()).unwrap_or(0);
        let mut sites = std::mem::take(&mut self.sites);
        for (site_name, site) in &mut sites {
            for (network, route) in routes(&site.decided, self.root()) {
                if moved[network].is_none() {
                    self.remove_route(site_name, network, route, delta);
                }
            }
            let mut decided = vec![None; names.len()];
            for (old, new) in site.decided.to_vec(self.names.len()).into_iter().zip(&moved) {
                if let Some(new) = new {
                    decided[*new] = old;
                }
            }
            site.decided = Decided::new(&decided, root);
        }
        (self.sites, self.names) = (sites, names);
    }

    /// Updates the routes of the table to the decisions, which are in the order of sites.
    pub(super) fn decide(&mut self, decisions: &[Decision], delta: &mut Snapshot) {
        for of_site in decisions.chunk_by(|a, b| a.site == b.site) {
            let Some(name) = of_site.first().map(|decision| &decision.site) else { continue };
            let Some(site) = self.sites.get(name) else { continue };
            let mut decided = site.decided.to_vec(self.names.len());
            for decision in of_site {
                let Ok(network) = self.names.binary_search(&decision.network) else { continue };
                let new = DecidedRoute {
                    route: decision.route.clone(),
                    reason: decision.reason,
                    decided_at: decision.tick,
                };
                if decided[network].as_ref().is_none_or(|before| !before.is_as(&new)) {
                    decided[network] = Some(new);
                }
            }
            let decided = Decided::new(&decided, self.root());
            self.update_routes(&name.clone(), &decided, delta);
        }
        delta.routes_gone.sort();
    }

    /// Updates the routes of a site in the table to what was decided.
    fn update_routes(&mut self, name: &SiteName, decided: &Decided, delta: &mut Snapshot) {
        let root = self.root();
        let Some(site) = self.sites.get_mut(name).filter(|site| site.decided != *decided) else { return };
        let old = std::mem::replace(&mut site.decided, decided.clone());
        let (old, new) = (routes(&old, root), routes(decided, root));
        for (network, route) in &old {
            match new.get(network) {
                Some(new) if new == route => {}
                Some(_) => {
                    let hash = route_hash(&self.entry(name, *network, route));
                    self.digest = self.digest.wrapping_sub(hash);
                }
                None => self.remove_route(name, *network, route, delta),
            }
        }
        for (network, route) in new.into_iter().filter(|(network, route)| old.get(network) != Some(route)) {
            let entry = self.entry(name, network, route);
            self.digest = self.digest.wrapping_add(route_hash(&entry));
            delta.routes.push(entry);
        }
    }

    fn remove_route(&mut self, site: &SiteName, network: usize, route: &DecidedRoute, delta: &mut Snapshot) {
        let RouteEntry { site, network, .. } = {
            let entry = self.entry(site, network, route);
            self.digest = self.digest.wrapping_sub(route_hash(&entry));
            entry
        };
        delta.routes_gone.push(RouteKey { site, network });
    }

    /// Restores the routes of a checkpoint; false if their site or a network is not provisioned.
    pub(super) fn restore(&mut self, saved: &SiteRoutes, unused: &mut Snapshot) -> bool {
        let Some(site) = self.sites.get(&saved.site) else { return false };
        let route = |held: &spillway_events::HeldRoute| DecidedRoute {
            route: Route { cdn: held.cdn.clone() },
            reason: held.reason,
            decided_at: held.decided_tick,
        };
        let mut decided = match site.decided.usual() {
            Some(_) => site.decided.to_vec(self.names.len()),
            None => vec![Some(route(&saved.everywhere)); self.names.len()],
        };
        for held in &saved.others {
            let Ok(network) = self.names.binary_search(&held.network) else { return false };
            decided[network] = Some(route(held));
        }
        self.update_routes(&saved.site, &Decided::new(&decided, self.root()), unused);
        true
    }

    /// Adds everything in the table to a snapshot.
    pub(super) fn fill(&self, snapshot: &mut Snapshot) {
        let entry = |site| Arc::new(site_entry(&self.state, site));
        snapshot.sites = self.state.sites().map(entry).collect();
        snapshot.networks = self.state.networks().map(network_entry).collect();
        for (name, site) in &self.sites {
            let routes = routes(&site.decided, self.root());
            snapshot
                .routes
                .extend(routes.into_iter().map(|(network, route)| self.entry(name, network, route)));
        }
    }

    /// The index of `everywhere`.
    fn root(&self) -> usize {
        self.names.binary_search(&NetworkName::everywhere()).unwrap_or(0)
    }

    fn entry(&self, site: &SiteName, network: usize, decided: &DecidedRoute) -> RouteEntry {
        RouteEntry {
            site: site.clone(),
            network: self.names[network].clone(),
            route: decided.route.clone(),
            reason: decided.reason,
            decided_at: decided.decided_at,
        }
    }
}

impl DecidedRoute {
    /// Whether route and reason are the same.
    fn is_as(&self, other: &Self) -> bool {
        (&self.route, self.reason) == (&other.route, other.reason)
    }
}

/// The routes of a site in the table: the root's, and those that differ from it. By the networks' indexes, which are in the
/// order of names.
fn routes(decided: &Decided, root: usize) -> BTreeMap<usize, &DecidedRoute> {
    let Some(default) = decided.usual() else { return BTreeMap::new() };
    let others = decided.others().filter_map(|(network, decided)| Some((network, decided.as_ref()?)));
    let exceptions = others.filter(|(_, decided)| decided.route != default.route);
    exceptions.chain([(root, default)]).collect()
}

fn network_entry(network: &spillway_events::Network) -> NetworkEntry {
    NetworkEntry { network: network.name.clone(), prefixes: network.prefixes.clone() }
}

fn site_entry(state: &State, ProvisionedSite { site, .. }: ProvisionedSite<'_>) -> SiteEntry {
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
}
