//! The digest: a sum of hashes of entries, so that its cost is the change's.

use std::net::IpAddr;

use spillway_events::{Address, NetworkEntry, RouteEntry, SiteEntry};
use xxhash_rust::xxh3::xxh3_128;

/// The hash of a site's entry: XXH3-128 of its canonical encoding.
///
/// The encoding is a tag byte for the kind, then the fields in the order of the record: texts as length (8 bytes,
/// little endian) and bytes, lists as length and items, an address as 4 or 6 and its octets, a number little endian,
/// an option as 0, or 1 and the value. Two different entries never have the same encoding.
#[must_use]
pub fn site_hash(entry: &SiteEntry) -> u128 {
    let mut bytes = vec![b'S'];
    put_text(&mut bytes, entry.site.as_str());
    put_length(&mut bytes, entry.hosts.len());
    for host in &entry.hosts {
        put_text(&mut bytes, host);
    }
    bytes.extend(entry.ttl_secs.to_le_bytes());
    put_addresses(&mut bytes, &entry.origin_addresses);
    put_length(&mut bytes, entry.cdns.len());
    for cdn in &entry.cdns {
        put_text(&mut bytes, cdn.cdn.as_str());
        put_text(&mut bytes, &cdn.dns_name);
        put_addresses(&mut bytes, &cdn.addresses);
    }
    xxh3_128(&bytes)
}

/// The hash of a network's entry; encoded as in [`site_hash`], a prefix as address and length.
#[must_use]
pub fn network_hash(entry: &NetworkEntry) -> u128 {
    let mut bytes = vec![b'N'];
    put_text(&mut bytes, entry.network.as_str());
    put_length(&mut bytes, entry.prefixes.len());
    for prefix in &entry.prefixes {
        put_address(&mut bytes, prefix.address());
        bytes.push(prefix.length());
    }
    xxh3_128(&bytes)
}

/// The hash of a route; encoded as in [`site_hash`]. Reason and deciding tick do not count.
#[must_use]
pub fn route_hash(entry: &RouteEntry) -> u128 {
    let mut bytes = vec![b'R'];
    put_text(&mut bytes, entry.site.as_str());
    put_text(&mut bytes, entry.network.as_str());
    match &entry.route.cdn {
        None => bytes.push(0),
        Some(cdn) => {
            bytes.push(1);
            put_text(&mut bytes, cdn.as_str());
        }
    }
    xxh3_128(&bytes)
}

/// The digest as snapshots carry it: 32 hexadecimal digits.
#[must_use]
pub fn format_digest(digest: u128) -> String {
    format!("{digest:032x}")
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend((length as u64).to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_length(bytes, text.len());
    bytes.extend(text.as_bytes());
}

fn put_addresses(bytes: &mut Vec<u8>, addresses: &[Address]) {
    put_length(bytes, addresses.len());
    for address in addresses {
        put_address(bytes, address.0);
    }
}

fn put_address(bytes: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            bytes.push(4);
            bytes.extend(v4.octets());
        }
        IpAddr::V6(v6) => {
            bytes.push(6);
            bytes.extend(v6.octets());
        }
    }
}
