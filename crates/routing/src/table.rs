//! The routing table, from which every answer is computed. It is immutable: the next one is built beside the current one.
//!
//! ```text
//! host ──► site name ──► site: entry, default route, exceptions per network
//! address ──► longest prefix ──► network
//! ```
//!
//! Tables share structure: a change of 1,000 routes in a table of a million host names copies only the shards that hold
//! these. A change of networks rebuilds the look-up by prefix, which is rare and takes a fraction of a second for 500,000
//! prefixes.

mod digest;
mod hosts;
mod networks;
mod shards;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use spillway_events::{
    NetworkName, Reason, Route, RouteEntry, RouteKey, SiteEntry, SiteName, Snapshot, SnapshotKind, TimeMicros,
};

pub use self::digest::{format_digest, network_hash, route_hash, site_hash};
use self::hosts::Hosts;
use self::networks::Networks;
use self::shards::Shards;

/// All routes as of one version. A clone is cheap: it shares everything.
#[derive(Debug, Clone)]
pub struct Table {
    version: u64,
    revision: u64,
    /// The id of the installation that published the table; empty where it has none.
    installation: Arc<str>,
    heard_at: TimeMicros,
    digest: u128,
    sites_count: usize,
    sites: Shards<Arc<SiteRoutes>>,
    hosts: Hosts,
    /// How many host names lie below a name. A name that is no host but has hosts below it exists (RFC 8020).
    below: Shards<u32>,
    networks: Arc<Networks>,
}

/// One site as the table holds it.
#[derive(Debug, Clone)]
pub struct SiteRoutes {
    entry: Arc<SiteEntry>,
    everywhere: Option<DecidedRoute>,
    /// Sorted by network.
    exceptions: Vec<(NetworkName, DecidedRoute)>,
}

/// A route with what led to it.
#[derive(Debug, Clone)]
struct DecidedRoute {
    route: Route,
    reason: Option<Reason>,
    decided_at: u64,
}

/// The network that an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkMatch<'t> {
    /// The network of the longest prefix that holds the address, if any does.
    pub network: Option<&'t NetworkName>,
    /// How many leading bits of the address decide that. All addresses with the same leading bits belong to the same
    /// network, so a resolver may reuse the answer for them (RFC 7871, section 7.2.1). More bits than the matched prefix has
    /// are needed where longer prefixes lie within it.
    pub scope: u8,
}

/// Why a snapshot was refused. The table is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The snapshot is another installation's.
    #[error("the snapshot is of installation `{offered}`, the table of installation `{current}`")]
    Installation {
        /// The snapshot's installation.
        offered: String,
        /// The table's installation.
        current: String,
    },
    /// The snapshot is older than the table, or is a delta that was already applied.
    #[error("the snapshot has version {offered}, the table already has version {current}")]
    Older {
        /// The snapshot's version.
        offered: u64,
        /// The table's version.
        current: u64,
    },
    /// A delta or heartbeat builds on another version than the table's.
    #[error("the snapshot builds on version {base}, the table has version {current}")]
    Base {
        /// The version the snapshot builds on.
        base: u64,
        /// The table's version.
        current: u64,
    },
    /// The resulting table would differ from the publisher's.
    #[error("the table would have digest {computed}, the snapshot says {expected}")]
    Digest {
        /// What the snapshot says.
        expected: String,
        /// What its entries give.
        computed: String,
    },
    /// A full table without any site would replace one that has sites.
    #[error("the snapshot has no sites, the table has {sites}")]
    Empty {
        /// How many sites the table has.
        sites: usize,
    },
    /// A route is for a site that is in neither the table nor the snapshot.
    #[error("there is a route for the site {0}, which is not in the table")]
    UnknownSite(SiteName),
    /// Two sites claim a host name.
    #[error("the sites {site} and {other} both claim the host name {host}")]
    HostTwice {
        /// The host name.
        host: String,
        /// The site in the snapshot.
        site: SiteName,
        /// The site that has it already.
        other: String,
    },
}

impl Default for Table {
    fn default() -> Self {
        Self {
            version: 0,
            revision: 0,
            installation: Arc::default(),
            heard_at: TimeMicros(0),
            digest: 0,
            sites_count: 0,
            sites: Shards::default(),
            hosts: Hosts::default(),
            below: Shards::default(),
            networks: Arc::default(),
        }
    }
}

impl Table {
    /// The table after a snapshot. A repeated full table is applied again. Deleting what is not there changes nothing: the
    /// digest shows whether the result is right.
    ///
    /// # Errors
    /// See [`TableError`]; `self` is untouched.
    pub fn apply(&self, snapshot: &Snapshot) -> Result<Self, TableError> {
        // The first table of an installation may have version 0.
        let is_installed = self.version > 0 || !self.installation.is_empty();
        if is_installed && *snapshot.installation != *self.installation {
            let (offered, current) = (snapshot.installation.clone(), self.installation.to_string());
            return Err(TableError::Installation { offered, current });
        }
        if snapshot.version < self.version {
            return Err(TableError::Older { offered: snapshot.version, current: self.version });
        }
        let mut next = match snapshot.kind {
            SnapshotKind::Full if snapshot.sites.is_empty() && self.sites_count > 0 => {
                return Err(TableError::Empty { sites: self.sites_count });
            }
            SnapshotKind::Full => Self::default(),
            SnapshotKind::Heartbeat if snapshot.version != self.version => {
                return Err(TableError::Base { base: snapshot.version, current: self.version });
            }
            SnapshotKind::Delta if snapshot.base != self.version => {
                let (offered, base, current) = (snapshot.version, snapshot.base, self.version);
                return Err(if offered == current && base < current {
                    TableError::Older { offered, current }
                } else {
                    TableError::Base { base, current }
                });
            }
            SnapshotKind::Heartbeat | SnapshotKind::Delta => self.clone(),
        };
        if snapshot.kind != SnapshotKind::Heartbeat {
            next.version = snapshot.version;
            next.revision = snapshot.revision;
            next.installation = snapshot.installation.as_str().into();
            next.change(snapshot)?;
        }
        // Not the greatest: the clock of the ticks may have been reset to an earlier time.
        next.heard_at = snapshot.at_us;
        let computed = format_digest(next.digest);
        if computed != snapshot.digest {
            return Err(TableError::Digest { expected: snapshot.digest.clone(), computed });
        }
        Ok(next)
    }

    /// The whole table as a sorted snapshot. Applied to an empty table, it gives this table.
    #[must_use]
    pub fn to_snapshot(&self) -> Snapshot {
        let mut sites: Vec<&SiteRoutes> = self.sites.values().map(AsRef::as_ref).collect();
        sites.sort_unstable_by(|a, b| a.entry.site.cmp(&b.entry.site));
        let mut routes: Vec<RouteEntry> = sites.iter().flat_map(|site| site.routes()).collect();
        routes.sort_unstable_by(|a, b| (&a.site, &a.network).cmp(&(&b.site, &b.network)));
        Snapshot {
            kind: SnapshotKind::Full,
            version: self.version,
            base: self.version,
            at_us: self.heard_at,
            digest: format_digest(self.digest),
            revision: self.revision,
            installation: self.installation.to_string(),
            sites: sites.iter().map(|site| Arc::clone(&site.entry)).collect(),
            sites_gone: Vec::new(),
            networks: self.networks.entries().cloned().collect(),
            networks_gone: Vec::new(),
            routes,
            routes_gone: Vec::new(),
        }
    }

    /// The tick that last changed the table; 0 for the empty table.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The revision of the provisioning behind the table.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The time of the last snapshot or heartbeat that was applied. The table's age counts from it.
    #[must_use]
    pub fn heard_at(&self) -> TimeMicros {
        self.heard_at
    }

    /// The id of the installation that published the table; empty where it has none.
    #[must_use]
    pub fn installation(&self) -> &str {
        &self.installation
    }

    /// The wrapping sum of the hashes of all entries.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// How many sites there are.
    #[must_use]
    pub fn sites_count(&self) -> usize {
        self.sites_count
    }

    /// The site of a host name, which is lower case and has no trailing dot.
    #[must_use]
    pub fn site_of_host(&self, host: &str) -> Option<&SiteRoutes> {
        self.sites.get(self.hosts.get(host)?.site.as_str()).map(AsRef::as_ref)
    }

    /// A site by its name.
    #[must_use]
    pub fn site(&self, site: &SiteName) -> Option<&SiteRoutes> {
        self.sites.get(site.as_str()).map(AsRef::as_ref)
    }

    /// Whether host names lie below a name, which is lower case and has no trailing dot.
    #[must_use]
    pub fn has_hosts_below(&self, name: &str) -> bool {
        self.below.get(name).is_some()
    }

    /// The network of an address of which the first `source_bits` bits are known. IPv4-mapped IPv6 addresses count
    /// as IPv4.
    #[must_use]
    pub fn network_of(&self, address: IpAddr, source_bits: u8) -> NetworkMatch<'_> {
        self.networks.find(address, source_bits)
    }

    fn change(&mut self, snapshot: &Snapshot) -> Result<(), TableError> {
        for key in &snapshot.routes_gone {
            self.remove_route(key);
        }
        for site in &snapshot.sites_gone {
            self.remove_site(site);
        }
        if !snapshot.networks.is_empty() || !snapshot.networks_gone.is_empty() {
            let (networks, taken, given) = self.networks.change(&snapshot.networks, &snapshot.networks_gone);
            self.networks = Arc::new(networks);
            self.digest = self.digest.wrapping_sub(taken).wrapping_add(given);
        }
        // The hosts of all changed sites are removed first, so that a host may move from one site to another.
        for entry in &snapshot.sites {
            if let Some(old) = self.sites.get(entry.site.as_str()).cloned() {
                self.unlink_hosts(&old.entry);
            }
        }
        for entry in &snapshot.sites {
            self.put_site(entry)?;
        }
        for route in &snapshot.routes {
            self.put_route(route)?;
        }
        Ok(())
    }

    fn put_site(&mut self, entry: &Arc<SiteEntry>) -> Result<(), TableError> {
        let mut linked = Vec::with_capacity(entry.hosts.len());
        for (index, host) in entry.hosts.iter().enumerate() {
            match self.hosts.insert(entry, index) {
                None => linked.push(host.as_str()),
                // A host named twice in one entry is linked once.
                Some(other) if other.site == entry.site => {}
                Some(other) => {
                    let (host, site, other) = (host.clone(), entry.site.clone(), other.site.to_string());
                    return Err(TableError::HostTwice { host, site, other });
                }
            }
        }
        for (host, count) in by_parent(&linked) {
            for above in names_above(host) {
                *self.below.get_or_insert_default(above) += count;
            }
        }
        self.digest = self.digest.wrapping_add(site_hash(entry));
        if let Some(site) = self.sites.get_mut(entry.site.as_str()) {
            self.digest = self.digest.wrapping_sub(site_hash(&site.entry));
            Arc::make_mut(site).entry = Arc::clone(entry);
        } else {
            self.sites_count += 1;
            let site = SiteRoutes { entry: Arc::clone(entry), everywhere: None, exceptions: Vec::new() };
            self.sites.insert(entry.site.as_str().into(), Arc::new(site));
        }
        Ok(())
    }

    /// Removes a site with its hosts and all its routes.
    fn remove_site(&mut self, name: &SiteName) {
        let Some(site) = self.sites.remove(name.as_str()) else { return };
        self.sites_count -= 1;
        self.unlink_hosts(&site.entry);
        let routes = site.routes().fold(0, |sum: u128, route| sum.wrapping_add(route_hash(&route)));
        self.digest = self.digest.wrapping_sub(site_hash(&site.entry)).wrapping_sub(routes);
    }

    fn unlink_hosts(&mut self, entry: &SiteEntry) {
        // A host named twice in one entry was linked once.
        let linked: Vec<&str> =
            entry.hosts.iter().map(String::as_str).filter(|host| self.hosts.remove(host)).collect();
        for (host, hosts) in by_parent(&linked) {
            for above in names_above(host) {
                let count = self.below.get_or_insert_default(above);
                *count = count.saturating_sub(hosts);
                if *count == 0 {
                    self.below.remove(above);
                }
            }
        }
    }

    fn put_route(&mut self, entry: &RouteEntry) -> Result<(), TableError> {
        let Some(site) = self.sites.get_mut(entry.site.as_str()) else {
            return Err(TableError::UnknownSite(entry.site.clone()));
        };
        let route =
            DecidedRoute { route: entry.route.clone(), reason: entry.reason, decided_at: entry.decided_at };
        let old = Arc::make_mut(site).set(&entry.network, Some(route));
        self.digest = self.digest.wrapping_add(route_hash(entry));
        self.take_route_hash(&entry.site, &entry.network, old);
        Ok(())
    }

    fn remove_route(&mut self, key: &RouteKey) {
        let Some(site) = self.sites.get_mut(key.site.as_str()) else { return };
        let old = Arc::make_mut(site).set(&key.network, None);
        self.take_route_hash(&key.site, &key.network, old);
    }

    fn take_route_hash(&mut self, site: &SiteName, network: &NetworkName, old: Option<DecidedRoute>) {
        if let Some(route) = old {
            let old = route.into_entry(site.clone(), network.clone());
            self.digest = self.digest.wrapping_sub(route_hash(&old));
        }
    }
}

impl SiteRoutes {
    /// The site's hosts, addresses and CDNs.
    #[must_use]
    pub fn entry(&self) -> &SiteEntry {
        &self.entry
    }

    /// The exception for that network, else the site's default; the origin if there is no route at all.
    #[must_use]
    pub fn route(&self, network: Option<&NetworkName>) -> &Route {
        let exception = network.and_then(|network| {
            let at = self.exceptions.binary_search_by(|(name, _)| name.cmp(network)).ok()?;
            self.exceptions.get(at).map(|(_, route)| route)
        });
        exception.or(self.everywhere.as_ref()).map_or(&Route::ORIGIN, |decided| &decided.route)
    }

    /// Whether the site has one route for all networks.
    #[must_use]
    pub fn is_same_everywhere(&self) -> bool {
        self.exceptions.is_empty()
    }

    /// The site's routes as entries: the default first, then the exceptions by network.
    pub fn routes(&self) -> impl Iterator<Item = RouteEntry> + '_ {
        let everywhere = self.everywhere.iter().map(|route| (NetworkName::everywhere(), route.clone()));
        let site = &self.entry.site;
        everywhere
            .chain(self.exceptions.iter().cloned())
            .map(|(network, route)| route.into_entry(site.clone(), network))
    }

    /// Sets or removes one route, and returns the previous one.
    fn set(&mut self, network: &NetworkName, route: Option<DecidedRoute>) -> Option<DecidedRoute> {
        if *network == NetworkName::everywhere() {
            return std::mem::replace(&mut self.everywhere, route);
        }
        match (self.exceptions.binary_search_by(|(name, _)| name.cmp(network)), route) {
            (Ok(at), Some(route)) => Some(std::mem::replace(&mut self.exceptions[at].1, route)),
            (Ok(at), None) => Some(self.exceptions.remove(at).1),
            (Err(at), Some(route)) => {
                self.exceptions.insert(at, (network.clone(), route));
                None
            }
            (Err(_), None) => None,
        }
    }
}

impl DecidedRoute {
    fn into_entry(self, site: SiteName, network: NetworkName) -> RouteEntry {
        RouteEntry { site, network, route: self.route, reason: self.reason, decided_at: self.decided_at }
    }
}

/// Runs of hosts directly below the same name, as the first of them and their number. The hosts of a site often are one run.
fn by_parent<'a>(hosts: &'a [&'a str]) -> impl Iterator<Item = (&'a str, u32)> {
    let runs = hosts.chunk_by(|a, b| names_above(a).next() == names_above(b).next());
    runs.filter_map(|run| Some((*run.first()?, u32::try_from(run.len()).unwrap_or(u32::MAX))))
}

/// `b.c` and `c` for `a.b.c`.
pub(crate) fn names_above(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(host.split_once('.').map(|(_, rest)| rest), |name| {
        name.split_once('.').map(|(_, rest)| rest)
    })
}
