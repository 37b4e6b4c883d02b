//! A document: one object as an operator wrote it, and where.

use std::collections::BTreeMap;

use spillway_events::{Cdn, CdnKind, CdnName, Client, Event, Network, NetworkName, ObjectKind, Probe, Site};

use crate::fields::{Cell, Fields};
use crate::host::{host_name, probe_url};
use crate::limits::{ADDRESSES_PER_TARGET_MAX, PREFIXES_PER_NETWORK_MAX};
use crate::mistake::{Mistake, Report};
use crate::site::read_site;
use crate::yaml::{Node, Value};

/// An object and the place where it was written; only [`crate::parse`] makes one, so its object is well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub(crate) object: Object,
    pub(crate) file: String,
    /// From 1, counting every document of the file.
    pub(crate) number: u64,
    pub(crate) line: u64,
    /// The lines of the values of the top keys.
    pub(crate) lines: BTreeMap<String, u64>,
}

/// What a document can be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A client.
    Client(Client),
    /// An access network.
    Network(Network),
    /// A probe.
    Probe(Probe),
    /// A CDN.
    Cdn(Cdn),
    /// A site.
    Site(Site),
}

impl Document {
    /// The object.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// The line it begins at, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// A mistake at a top key of this document, or in the document as a whole where the key is empty.
    pub(crate) fn mistake(&self, key: &str, index: Option<usize>, reason: String) -> Mistake {
        let mut path =
            format!("document {} ({} {})", self.number, self.object.kind().as_str(), self.object.name());
        if !key.is_empty() {
            path.push_str(": ");
            path.push_str(key);
        }
        if let Some(index) = index {
            path.push_str(&format!("[{index}]"));
        }
        let line = self.lines.get(key).copied().unwrap_or(self.line);
        Mistake { file: self.file.clone(), line: Some(line), path, reason }
    }
}

impl Object {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ObjectKind {
        match self {
            Self::Client(_) => ObjectKind::Client,
            Self::Network(_) => ObjectKind::Network,
            Self::Probe(_) => ObjectKind::Probe,
            Self::Cdn(_) => ObjectKind::Cdn,
            Self::Site(_) => ObjectKind::Site,
        }
    }

    /// Its name; a probe's is `AGENT/NETWORK`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Client(client) => client.name.to_string(),
            Self::Network(network) => network.name.to_string(),
            Self::Probe(probe) => format!("{}/{}", probe.agent, probe.network),
            Self::Cdn(cdn) => cdn.name.to_string(),
            Self::Site(site) => site.name.to_string(),
        }
    }

    /// The fact that it is so from now on.
    #[must_use]
    pub fn into_event(self) -> Event {
        match self {
            Self::Client(client) => Event::Client(client),
            Self::Network(network) => Event::Network(network),
            Self::Probe(probe) => Event::Probe(probe),
            Self::Cdn(cdn) => Event::Cdn(cdn),
            Self::Site(site) => Event::Site(site),
        }
    }
}

/// How a document is called in messages: by its number, kind and name, as far as it tells them.
pub(crate) fn label(number: u64, root: &Node) -> String {
    let Value::Map(entries) = &root.value else { return format!("document {number}") };
    let text = |wanted: &str| {
        entries.iter().find(|entry| entry.key == wanted).and_then(|entry| match &entry.node.value {
            Value::Scalar { text, .. } if !text.is_empty() => Some(crate::mistake::shorten(text)),
            _ => None,
        })
    };
    let Some(kind) = text("kind") else { return format!("document {number}") };
    let name = match kind.as_str() {
        "probe" => text("agent").zip(text("network")).map(|(agent, network)| format!("{agent}/{network}")),
        _ => text("name"),
    };
    match name {
        Some(name) => format!("document {number} ({kind} {name})"),
        None => format!("document {number} ({kind})"),
    }
}

/// Reads a document's object; every mistake is noted.
pub(crate) fn read_object(root: &Node, report: &mut Report<'_>) -> Option<Object> {
    const KINDS: &str = "one of client, network, probe, cdn, site";
    let cell = Cell { node: root, path: String::new() };
    let Value::Map(entries) = &root.value else {
        cell.wrong_type("a mapping with a `kind`", report);
        return None;
    };
    let Some(kind) = entries.iter().find(|entry| entry.key == "kind") else {
        report.mistake(root.line, "kind", format!("is missing: {KINDS}"));
        return None;
    };
    let kind = Cell { node: &kind.node, path: String::from("kind") };
    match &kind.node.value {
        Value::Scalar { text, .. } => match text.as_str() {
            "client" => read_client(&cell, report).map(Object::Client),
            "network" => read_network(&cell, report).map(Object::Network),
            "probe" => read_probe(&cell, report).map(Object::Probe),
            "cdn" => read_cdn(&cell, report).map(Object::Cdn),
            "site" => read_site(&cell, report).map(Object::Site),
            _ => {
                kind.wrong_type(KINDS, report);
                None
            }
        },
        _ => {
            kind.wrong_type(KINDS, report);
            None
        }
    }
}

fn read_client(cell: &Cell<'_>, report: &mut Report<'_>) -> Option<Client> {
    let fields = Fields::read(cell, &["kind", "name"], report)?;
    Some(Client { name: fields.required("name", report, name)? })
}

fn read_network(cell: &Cell<'_>, report: &mut Report<'_>) -> Option<Network> {
    let fields = Fields::read(cell, &["kind", "name", "parent", "prefixes"], report)?;
    let own_name = fields.required("name", report, |cell, report| {
        let own_name: NetworkName = name(cell, report)?;
        if own_name == NetworkName::everywhere() {
            cell.mistake(report, "is the root of the tree, which exists by itself; take another name");
            return None;
        }
        Some(own_name)
    });
    let parent = fields.or("parent", NetworkName::everywhere(), report, name);
    let mut seen = BTreeMap::new();
    let prefixes = fields.list("prefixes", PREFIXES_PER_NETWORK_MAX, report, |cell, report| {
        let prefix = cell.parsed(report, str::parse::<spillway_events::Prefix>)?;
        if let Some(before) = seen.insert(prefix, cell.path.clone()) {
            cell.mistake(report, format!("{prefix} stands at {before} already"));
            return None;
        }
        Some(prefix)
    });
    // Prefixes are a set: their order says nothing.
    let mut prefixes = prefixes?;
    prefixes.sort_unstable();
    Some(Network { name: own_name?, parent: parent?, prefixes })
}

fn read_probe(cell: &Cell<'_>, report: &mut Report<'_>) -> Option<Probe> {
    let fields = Fields::read(cell, &["kind", "agent", "network"], report)?;
    let agent = fields.required("agent", report, name);
    let network = fields.required("network", report, name);
    Some(Probe { agent: agent?, network: network? })
}

fn read_cdn(cell: &Cell<'_>, report: &mut Report<'_>) -> Option<Cdn> {
    let fields = Fields::read(cell, &["kind", "name", "type", "dns_name", "addresses", "probe_url"], report)?;
    let own_name: Option<CdnName> = fields.required("name", report, name);
    let kind = fields.required("type", report, |cell, report| match cell.text(report)? {
        "operated" => Some(CdnKind::Operated),
        "partner" => Some(CdnKind::Partner),
        _ => {
            cell.wrong_type("operated or partner", report);
            None
        }
    });
    let dns_name = fields.required("dns_name", report, |cell, report| cell.parsed(report, host_name));
    let addresses = read_addresses(&fields, report);
    let probe_url =
        fields.or("probe_url", None, report, |cell, report| cell.parsed(report, probe_url).map(Some));
    Some(Cdn {
        name: own_name?,
        kind: kind?,
        dns_name: dns_name?,
        addresses: addresses?,
        probe_url: probe_url?,
    })
}

/// The addresses of an origin or CDN, in the order written.
pub(crate) fn read_addresses(
    fields: &Fields<'_>,
    report: &mut Report<'_>,
) -> Option<Vec<spillway_events::Address>> {
    let mut seen = BTreeMap::new();
    fields.list("addresses", ADDRESSES_PER_TARGET_MAX, report, |cell, report| {
        let make = |text: &str| {
            text.parse().map(spillway_events::Address).map_err(|_| {
                format!(
                    "`{}` is not an IP address such as 192.0.2.1 or 2001:db8::1",
                    crate::mistake::shorten(text)
                )
            })
        };
        let address = cell.parsed(report, make)?;
        if let Some(before) = seen.insert(address, cell.path.clone()) {
            cell.mistake(report, format!("{address} stands at {before} already"));
            return None;
        }
        Some(address)
    })
}

/// A name of any of the kinds of names.
pub(crate) fn name<T>(cell: &Cell<'_>, report: &mut Report<'_>) -> Option<T>
where
    T: TryFrom<String, Error = spillway_events::NameError>,
{
    cell.parsed(report, |text| T::try_from(text.to_owned()))
}
