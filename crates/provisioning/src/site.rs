//! The document of a site.

use std::collections::BTreeMap;

use spillway_events::{CdnName, CdnOfSite, Objective, Origin, Site, parse_duration};

use crate::document::{name, read_addresses};
use crate::fields::{Cell, Fields};
use crate::host::{host_name, probe_url};
use crate::limits::{
    CDNS_PER_SITE_MAX, HOSTS_PER_SITE_MAX, OBJECTIVES_PER_SITE_MAX, PROBE_INTERVAL_MS_MAX,
    PROBE_INTERVAL_MS_MIN, TTL_SECS_MAX,
};
use crate::mistake::Report;
use crate::objective::{read_objective, warn_of_small_window};
use crate::yaml::Value;

/// How long an answer may be kept unless a site says otherwise.
pub(crate) const TTL_SECS_DEFAULT: u32 = 20;
/// How often a probe measures a target unless a site says otherwise.
pub(crate) const PROBE_INTERVAL_MS_DEFAULT: u32 = 10_000;
/// What an origin is called unless a site says otherwise.
pub(crate) const ORIGIN_NAME_DEFAULT: &str = "origin";

const KEYS: &[&str] = &[
    "kind",
    "client",
    "name",
    "hosts",
    "origin",
    "cdns",
    "ttl_secs",
    "probe_interval_ms",
    "probe_interval",
    "objectives",
];

/// Reads a site; every mistake is noted.
pub(crate) fn read_site(cell: &Cell<'_>, report: &mut Report<'_>) -> Option<Site> {
    let fields = Fields::read(cell, KEYS, report)?;
    let own_name = fields.required("name", report, name);
    let client = fields.required("client", report, name);
    let hosts = read_hosts(&fields, report);
    let origin = fields.or("origin", default_origin(), report, read_origin);
    let cdns = read_cdns(&fields, report);
    let ttl_secs =
        fields.or("ttl_secs", TTL_SECS_DEFAULT, report, |cell, report| cell.integer(0, TTL_SECS_MAX, report));
    let probe_interval_ms = read_probe_interval(&fields, report);
    let objectives = read_objectives(&fields, probe_interval_ms, report);
    let (origin, cdns) = (origin?, cdns?);
    if let Some(index) = cdns.iter().position(|cdn| cdn.cdn.as_str() == origin.name) {
        let reason =
            format!("has the name of the origin, `{}`; targets of a site differ in name", origin.name);
        report.mistake(cell.node.line, &format!("cdns[{index}]"), reason);
        return None;
    }
    Some(Site {
        name: own_name?,
        client: client?,
        hosts: hosts?,
        origin,
        cdns,
        ttl_secs: ttl_secs?,
        probe_interval_ms: probe_interval_ms?,
        objectives: objectives?,
    })
}

fn default_origin() -> Origin {
    Origin { name: ORIGIN_NAME_DEFAULT.to_owned(), addresses: Vec::new(), probe_url: None }
}

fn read_hosts(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Vec<String>> {
    // An empty list is a mistake as well: a site is one or more host names.
    fields.required("hosts", report, |cell, report| match &cell.node.value {
        Value::List(items) if items.is_empty() => {
            cell.mistake(report, "must list at least one host name");
            None
        }
        _ => Some(()),
    })?;
    let mut seen = BTreeMap::new();
    fields.list("hosts", HOSTS_PER_SITE_MAX, report, |cell, report| {
        let host = cell.parsed(report, host_name)?;
        if let Some(before) = seen.insert(host.clone(), cell.path.clone()) {
            cell.mistake(report, format!("{host} stands at {before} already"));
            return None;
        }
        Some(host)
    })
}

fn read_origin(cell: &Cell<'_>, report: &mut Report<'_>) -> Option<Origin> {
    let fields = Fields::read(cell, &["name", "addresses", "probe_url"], report)?;
    let own_name = fields.or("name", ORIGIN_NAME_DEFAULT.to_owned(), report, |cell, report| {
        // The origin is a target as CDNs are, so its name obeys the same rules.
        name::<CdnName>(cell, report).map(|name| name.to_string())
    });
    let addresses = read_addresses(&fields, report);
    let probe_url =
        fields.or("probe_url", None, report, |cell, report| cell.parsed(report, probe_url).map(Some));
    Some(Origin { name: own_name?, addresses: addresses?, probe_url: probe_url? })
}

fn read_cdns(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Vec<CdnOfSite>> {
    let mut seen = BTreeMap::new();
    fields.list("cdns", CDNS_PER_SITE_MAX, report, |cell, report| {
        let cdn = read_cdn_of_site(cell, report)?;
        if let Some(before) = seen.insert(cdn.cdn.clone(), cell.path.clone()) {
            cell.mistake(report, format!("{} stands at {before} already", cdn.cdn));
            return None;
        }
        Some(cdn)
    })
}

fn read_cdn_of_site(cell: &Cell<'_>, report: &mut Report<'_>) -> Option<CdnOfSite> {
    match &cell.node.value {
        Value::Map(_) => {
            let fields = Fields::read(cell, &["cdn", "dns_name"], report)?;
            let cdn = fields.required("cdn", report, name);
            let dns_name =
                fields.or("dns_name", None, report, |cell, report| cell.parsed(report, host_name).map(Some));
            Some(CdnOfSite { cdn: cdn?, dns_name: dns_name? })
        }
        Value::List(_) => {
            cell.wrong_type("a CDN's name, or a mapping of cdn and dns_name", report);
            None
        }
        _ => Some(CdnOfSite { cdn: name(cell, report)?, dns_name: None }),
    }
}

/// Reads `probe_interval_ms: 10000` or `probe_interval: 10s`.
fn read_probe_interval(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<u32> {
    let (number, text) = (fields.get("probe_interval_ms"), fields.get("probe_interval"));
    if let (Some(_), Some(text)) = (&number, &text) {
        text.mistake(report, "says again what probe_interval_ms says; leave one out");
    }
    if let Some(cell) = number {
        return cell.integer(PROBE_INTERVAL_MS_MIN, PROBE_INTERVAL_MS_MAX, report);
    }
    let Some(cell) = text else { return Some(PROBE_INTERVAL_MS_DEFAULT) };
    let interval = match parse_duration(cell.scalar(report)?) {
        Ok(interval) => interval,
        Err(error) => {
            cell.mistake(report, error.to_string());
            return None;
        }
    };
    let is_whole = interval.0.is_multiple_of(1_000);
    let interval_ms = u32::try_from(interval.0 / 1_000)
        .ok()
        .filter(|ms| is_whole && (PROBE_INTERVAL_MS_MIN..=PROBE_INTERVAL_MS_MAX).contains(ms));
    if interval_ms.is_none() {
        cell.mistake(report, "must be whole milliseconds, from 100ms to 1h");
    }
    interval_ms
}

fn read_objectives(
    fields: &Fields<'_>,
    probe_interval_ms: Option<u32>,
    report: &mut Report<'_>,
) -> Option<Vec<Objective>> {
    let mut seen = Vec::new();
    fields.list("objectives", OBJECTIVES_PER_SITE_MAX, report, |cell, report| {
        let objective = read_objective(cell, report)?;
        if let Some(before) = seen.iter().position(|other| *other == objective) {
            cell.mistake(report, format!("is the same as objectives[{before}]"));
            return None;
        }
        seen.push(objective.clone());
        if let Some(interval_ms) = probe_interval_ms {
            warn_of_small_window(cell, &objective, interval_ms, report);
        }
        Some(objective)
    })
}
