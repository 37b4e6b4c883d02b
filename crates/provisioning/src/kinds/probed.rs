//! Warnings about targets that probes will not measure.

use std::net::IpAddr;

use spillway_events::{Address, Prefix, is_public};
use url::{Host, Url};

use crate::fields::Rules;
use crate::values::ProbeUrl;

/// Warns of addresses that probes do not connect to unless they are told to, and of a URL that they do not request.
///
/// `addresses` are those that probes connect to; without any they connect to the host of the URL. A target without a URL is not
/// measured at all, so there is nothing to warn of. What prefixes a probe is allowed to connect to is an option of the probe,
/// and a name has addresses only when it is resolved: neither is known here.
pub(super) fn warn_of_unprobed(addresses: &[Address], probe_url: Option<&ProbeUrl>, rules: &mut Rules) {
    let Some(url) = probe_url.and_then(|ProbeUrl(url)| Url::parse(url).ok()) else { return };
    if url.scheme() == "https" {
        rules.warn_field("probe_url", "probes do not request https yet, so they skip this target");
    }
    let host = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) | None => None,
    };
    if let Some(warning) = host.filter(|_| addresses.is_empty()).and_then(skipped) {
        rules.warn_field("probe_url", warning);
    }
    for (index, Address(address)) in addresses.iter().enumerate() {
        if let Some(warning) = skipped(*address) {
            rules.warn_item("addresses", index, warning);
        }
    }
}

/// What to say of an address that probes skip.
fn skipped(address: IpAddr) -> Option<String> {
    let address = address.to_canonical();
    let itself = Prefix::containing(address, u8::MAX);
    (!is_public(address)).then(|| {
        format!(
            "{address} is not a public address, so probes skip it unless they are started with --probe-allow {itself} or a \
             wider prefix"
        )
    })
}
