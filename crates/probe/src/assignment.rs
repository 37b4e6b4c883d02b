//! Who measures what, and how often.

use std::time::Duration;

use spillway_events::{Cdn, CdnName, Probe, Series, Site};

use crate::target::Target;

/// One series that an agent measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The series of the measurements.
    pub series: Series,
    /// The target.
    pub target: Target,
    /// The interval between attempts; from [`INTERVAL_MIN`](crate::INTERVAL_MIN) to [`INTERVAL_MAX`](crate::INTERVAL_MAX).
    pub interval: Duration,
}

/// The assignments of a probe: the origin and every CDN of each site, if they have a URL for probes.
///
/// The probe asks each target for the site's first host name; a site without one is left out. It connects to the addresses
/// of an origin if it has any, and to CDNs by name.
pub fn assignments<'a>(
    sites: impl Iterator<Item = &'a Site>,
    cdn: impl Fn(&CdnName) -> Option<&'a Cdn>,
    probe: &Probe,
) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    for site in sites {
        let Some(host) = site.hosts.first() else { continue };
        let mut assign = |name: &str, url: Option<&String>, addresses| {
            let Some(url) = url else { return };
            assignments.push(Assignment {
                series: Series {
                    site: site.name.clone(),
                    target: name.to_owned(),
                    agent: probe.agent.clone(),
                    network: probe.network.clone(),
                },
                target: Target { url: url.clone(), addresses, host_header: host.clone() },
                interval: Duration::from_millis(u64::from(site.probe_interval_ms)),
            });
        };
        let origin = &site.origin;
        let addresses = origin.addresses.iter().map(|address| address.0).collect();
        assign(&origin.name, origin.probe_url.as_ref(), addresses);
        for cdn in site.cdns.iter().filter_map(|of_site| cdn(&of_site.cdn)) {
            assign(cdn.name.as_str(), cdn.probe_url.as_ref(), Vec::new());
        }
    }
    assignments
}
