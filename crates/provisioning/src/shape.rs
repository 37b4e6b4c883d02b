//! The shape of each kind of object in documents: its keys in order, and their values as text.
//!
//! Export writes from it and diff compares by it, so neither can forget a field that the other knows.

use spillway_events::{
    Address, Cdn, CdnKind, CdnOfSite, Network, Objective, Origin, Prefix, Site, format_duration,
};

use crate::document::Object;

/// A value of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nothing: the key is left out.
    Absent,
    /// Text.
    Text(String),
    /// A whole number.
    Number(u64),
    /// A list.
    List(Vec<Self>),
    /// A mapping.
    Map(Vec<(&'static str, Self)>),
}

/// The keys and values of an object's document, `kind` left out.
pub(crate) fn shape(object: &Object) -> Vec<(&'static str, Shape)> {
    match object {
        Object::Client(client) => vec![("name", text(&client.name))],
        Object::Network(network) => of_network(network),
        Object::Probe(probe) => vec![("agent", text(&probe.agent)), ("network", text(&probe.network))],
        Object::Cdn(cdn) => of_cdn(cdn),
        Object::Site(site) => of_site(site),
    }
}

fn of_network(network: &Network) -> Vec<(&'static str, Shape)> {
    let Network { name, parent, prefixes } = network;
    let prefixes = prefixes.iter().map(text::<Prefix>).collect();
    vec![("name", text(name)), ("parent", text(parent)), ("prefixes", Shape::List(prefixes))]
}

fn of_cdn(cdn: &Cdn) -> Vec<(&'static str, Shape)> {
    let Cdn { name, kind, dns_name, addresses, probe_url } = cdn;
    let kind = match kind {
        CdnKind::Operated => "operated",
        CdnKind::Partner => "partner",
    };
    vec![
        ("name", text(name)),
        ("type", text(&kind)),
        ("dns_name", text(dns_name)),
        ("addresses", Shape::List(addresses.iter().map(text::<Address>).collect())),
        ("probe_url", optional(probe_url.as_ref())),
    ]
}

fn of_site(site: &Site) -> Vec<(&'static str, Shape)> {
    let Site { name, client, hosts, origin, cdns, ttl_secs, probe_interval_ms, objectives } = site;
    vec![
        ("client", text(client)),
        ("name", text(name)),
        ("hosts", Shape::List(hosts.iter().map(text::<String>).collect())),
        ("origin", of_origin(origin)),
        ("cdns", Shape::List(cdns.iter().map(of_cdn_of_site).collect())),
        ("ttl_secs", Shape::Number(u64::from(*ttl_secs))),
        ("probe_interval_ms", Shape::Number(u64::from(*probe_interval_ms))),
        ("objectives", Shape::List(objectives.iter().map(of_objective).collect())),
    ]
}

fn of_origin(origin: &Origin) -> Shape {
    let Origin { name, addresses, probe_url } = origin;
    Shape::Map(vec![
        ("name", text(name)),
        ("addresses", Shape::List(addresses.iter().map(text::<Address>).collect())),
        ("probe_url", optional(probe_url.as_ref())),
    ])
}

fn of_cdn_of_site(cdn: &CdnOfSite) -> Shape {
    let CdnOfSite { cdn, dns_name } = cdn;
    match dns_name {
        None => text(cdn),
        Some(dns_name) => Shape::Map(vec![("cdn", text(cdn)), ("dns_name", text(dns_name))]),
    }
}

fn of_objective(objective: &Objective) -> Shape {
    let Objective { metric, threshold, percentile, window_us, samples_min, probes_min } = objective;
    Shape::Map(vec![
        ("metric", text(&metric.as_str())),
        ("threshold", text(&metric.format(*threshold))),
        ("percentile", Shape::Number(u64::from(*percentile))),
        ("window", text(&format_duration(*window_us))),
        ("samples_min", Shape::Number(u64::from(*samples_min))),
        ("probes_min", Shape::Number(u64::from(*probes_min))),
    ])
}

fn text<T: ToString>(value: &T) -> Shape {
    Shape::Text(value.to_string())
}

fn optional(value: Option<&String>) -> Shape {
    value.map_or(Shape::Absent, text)
}
