//! Whether documents fit each other and what is provisioned.

use std::collections::{BTreeMap, BTreeSet};

use spillway_events::{Network, NetworkName, ObjectKind, Prefix, Site, SiteName};

use crate::document::{Document, Object};
use crate::limits::NETWORK_TREE_LEVELS_MAX;
use crate::mistake::{Mistake, Mistakes};
use crate::networks::WayUp;
use crate::state::State;

/// All mistakes of documents, in their order; `after` is the state with all of them applied.
pub(crate) fn check(after: &State, documents: &[Document]) -> Vec<Mistake> {
    let mut mistakes = Mistakes::default();
    let index = Index::new(after, documents);
    let mut seen: BTreeMap<(ObjectKind, String), &Document> = BTreeMap::new();
    for document in documents {
        let key = (document.object.kind(), document.object.name());
        if let Some(first) = seen.get(&key) {
            let place = if first.file == document.file { String::new() } else { format!("{}, ", first.file) };
            let reason =
                format!("is described twice: see {place}document {}, line {}", first.number, first.line);
            mistakes.push(document.mistake("", None, reason));
            continue;
        }
        seen.insert(key, document);
        match &document.object {
            Object::Client(_) | Object::Cdn(_) => {}
            Object::Network(network) => check_network(after, &index, document, network, &mut mistakes),
            Object::Probe(probe) if !after.has_network(&probe.network) => {
                mistakes.push(document.mistake(
                    "network",
                    None,
                    format!("there is no network {}", probe.network),
                ));
            }
            Object::Probe(_) => {}
            Object::Site(site) => check_site(after, &index, document, site, &mut mistakes),
        }
    }
    mistakes.finish()
}

/// Who has what only one may have. One other owner is named for each: there could be very many.
struct Index<'a> {
    sites_of_host: BTreeMap<&'a str, BTreeSet<&'a SiteName>>,
    networks_of_prefix: BTreeMap<Prefix, BTreeSet<&'a NetworkName>>,
    /// Described networks on the way up from one that is too far below the root, and that one.
    too_deep: BTreeMap<&'a NetworkName, &'a NetworkName>,
}

impl<'a> Index<'a> {
    fn new(after: &'a State, documents: &'a [Document]) -> Self {
        let mut index = Self {
            sites_of_host: BTreeMap::new(),
            networks_of_prefix: BTreeMap::new(),
            too_deep: BTreeMap::new(),
        };
        let mut described: BTreeSet<&NetworkName> = BTreeSet::new();
        for document in documents {
            match &document.object {
                Object::Site(site) => {
                    let hosts = site.hosts.iter().map(|host| (host.as_str(), BTreeSet::new()));
                    index.sites_of_host.extend(hosts);
                }
                Object::Network(network) => {
                    described.insert(&network.name);
                    let prefixes = network.prefixes.iter().map(|prefix| (*prefix, BTreeSet::new()));
                    index.networks_of_prefix.extend(prefixes);
                }
                Object::Client(_) | Object::Probe(_) | Object::Cdn(_) => {}
            }
        }
        for (name, present) in &after.sites {
            for host in &present.site.hosts {
                if let Some(sites) = index.sites_of_host.get_mut(host.as_str()) {
                    sites.insert(name);
                }
            }
        }
        if described.is_empty() {
            return index;
        }
        for (name, network) in &after.networks {
            for prefix in &network.prefixes {
                if let Some(networks) = index.networks_of_prefix.get_mut(prefix) {
                    networks.insert(name);
                }
            }
            index.note_depth(after, &described, name);
        }
        index
    }

    fn note_depth(&mut self, after: &'a State, described: &BTreeSet<&'a NetworkName>, name: &'a NetworkName) {
        if after.way_up(name) != WayUp::TooLong {
            return;
        }
        // Before the command every way was short enough: a described network is among the first.
        let mut at = Some(name);
        for _ in 0..=NETWORK_TREE_LEVELS_MAX {
            let Some(network) = at else { return };
            if let Some(culprit) = described.get(network) {
                self.too_deep.entry(culprit).or_insert(name);
                return;
            }
            at = after.networks.get(network).map(|network| &network.parent);
        }
    }
}

fn check_network(
    after: &State,
    index: &Index<'_>,
    document: &Document,
    network: &Network,
    mistakes: &mut Mistakes,
) {
    if !after.has_network(&network.parent) {
        mistakes.push(document.mistake("parent", None, format!("there is no network {}", network.parent)));
    }
    if after.way_up(&network.name) == WayUp::Cycle {
        let reason = format!("the way up from {} never reaches everywhere", network.name);
        mistakes.push(document.mistake("parent", None, reason));
    }
    if let Some(deep) = index.too_deep.get(&network.name) {
        let reason = format!(
            "the way from network {deep} up to everywhere has more than {NETWORK_TREE_LEVELS_MAX} levels, \
             both counted"
        );
        mistakes.push(document.mistake("parent", None, reason));
    }
    for prefix in &network.prefixes {
        let mut others = index.networks_of_prefix.get(prefix).into_iter().flatten();
        if let Some(other) = others.find(|other| ***other != network.name) {
            let reason = format!("{prefix} is a prefix of network {other} as well");
            mistakes.push(document.mistake("prefixes", None, reason));
        }
    }
}

fn check_site(after: &State, index: &Index<'_>, document: &Document, site: &Site, mistakes: &mut Mistakes) {
    if !after.clients.contains_key(&site.client) {
        mistakes.push(document.mistake("client", None, format!("there is no client {}", site.client)));
    }
    for (at, host) in site.hosts.iter().enumerate() {
        let mut others = index.sites_of_host.get(host.as_str()).into_iter().flatten();
        if let Some(other) = others.find(|other| ***other != site.name) {
            let reason = format!("{host} is a host name of site {other} as well");
            mistakes.push(document.mistake("hosts", Some(at), reason));
        }
    }
    for (at, cdn) in site.cdns.iter().enumerate() {
        if !after.cdns.contains_key(&cdn.cdn) {
            mistakes.push(document.mistake("cdns", Some(at), format!("there is no cdn {}", cdn.cdn)));
        }
    }
}
