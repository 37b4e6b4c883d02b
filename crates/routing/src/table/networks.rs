//! Which network an address belongs to: longest prefix, by binary search in ranges that do not overlap.
//!
//! Prefixes nest, so n prefixes cut the address space into at most 2n + 1 ranges, each with one longest prefix. The bounds of
//! a range also give the number of bits that decide the network of an address; a trie or a hash table does not.

use std::collections::BTreeMap;
use std::net::IpAddr;

use spillway_events::{NetworkEntry, NetworkName, Prefix};

use super::{NetworkMatch, network_hash};

/// All networks, and the look-up by prefix.
#[derive(Debug, Default)]
pub(super) struct Networks {
    entries: BTreeMap<NetworkName, NetworkEntry>,
    /// The names in order, for the indexes in the ranges.
    names: Vec<NetworkName>,
    v4: Ranges,
    v6: Ranges,
}

impl Networks {
    pub(super) fn entries(&self) -> impl Iterator<Item = &NetworkEntry> {
        self.entries.values()
    }

    pub(super) fn find(&self, address: IpAddr, source_bits: u8) -> NetworkMatch<'_> {
        let (ranges, bits) = match address.to_canonical() {
            IpAddr::V4(v4) => (&self.v4, u128::from(u32::from(v4)) << 96),
            IpAddr::V6(v6) => (&self.v6, u128::from(v6)),
        };
        let (network, scope) = ranges.find(bits, source_bits);
        NetworkMatch { network: network.and_then(|at| self.names.get(at)), scope }
    }

    /// The networks after a change, with the sum of the hashes removed and the sum of the hashes added.
    pub(super) fn change(&self, put: &[NetworkEntry], gone: &[NetworkName]) -> (Self, u128, u128) {
        let mut entries = self.entries.clone();
        let (mut taken, mut given) = (0_u128, 0_u128);
        for name in gone {
            if let Some(old) = entries.remove(name) {
                taken = taken.wrapping_add(network_hash(&old));
            }
        }
        for entry in put {
            given = given.wrapping_add(network_hash(entry));
            if let Some(old) = entries.insert(entry.network.clone(), entry.clone()) {
                taken = taken.wrapping_add(network_hash(&old));
            }
        }
        (Self::build(entries), taken, given)
    }

    fn build(entries: BTreeMap<NetworkName, NetworkEntry>) -> Self {
        let names: Vec<NetworkName> = entries.keys().cloned().collect();
        let prefixes = |v4: bool| {
            let numbered = entries.values().enumerate();
            let all = numbered.flat_map(|(at, entry)| entry.prefixes.iter().map(move |prefix| (*prefix, at)));
            Ranges::build(all.filter(|(prefix, _)| prefix.address().is_ipv4() == v4))
        };
        let (v4, v6) = (prefixes(true), prefixes(false));
        Self { v4, v6, names, entries }
    }
}

/// A prefix in the look-up.
#[derive(Debug)]
struct Node {
    length: u8,
    network: usize,
    /// The next shorter prefix that holds this one.
    parent: Option<u32>,
}

/// Ranges of addresses, left-aligned in 128 bits. All addresses from one start up to the next have the same longest prefix.
#[derive(Debug, Default)]
struct Ranges {
    starts: Vec<u128>,
    longest: Vec<Option<u32>>,
    nodes: Vec<Node>,
}

impl Ranges {
    /// If two networks have the same prefix, the one whose name sorts first gets it.
    fn build(prefixes: impl Iterator<Item = (Prefix, usize)>) -> Self {
        let mut sorted: Vec<(u128, u8, usize)> =
            prefixes.map(|(prefix, network)| (aligned(prefix), prefix.length(), network)).collect();
        sorted.sort_unstable();
        sorted.dedup_by_key(|(start, length, _)| (*start, *length));
        let mut ranges = Self::default();
        ranges.cut(0, None);
        let mut open: Vec<(u128, u32)> = Vec::new();
        for (start, length, network) in sorted {
            ranges.close(&mut open, Some(start));
            let Ok(node) = u32::try_from(ranges.nodes.len()) else { break };
            let parent = open.last().map(|(_, parent)| *parent);
            ranges.nodes.push(Node { length, network, parent });
            ranges.cut(start, Some(node));
            open.push((start | host_bits(length), node));
        }
        ranges.close(&mut open, None);
        ranges
    }

    /// Closes the open prefixes that end before an address, or all of them.
    fn close(&mut self, open: &mut Vec<(u128, u32)>, before: Option<u128>) {
        while let Some((last, _)) = open.pop_if(|(last, _)| before.is_none_or(|before| *last < before)) {
            if let Some(next) = last.checked_add(1) {
                self.cut(next, open.last().map(|(_, outer)| *outer));
            }
        }
    }

    fn cut(&mut self, start: u128, longest: Option<u32>) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.longest.pop();
        }
        self.starts.push(start);
        self.longest.push(longest);
    }

    /// The index of the network, and how many bits of the address decide it.
    fn find(&self, address: u128, source_bits: u8) -> (Option<usize>, u8) {
        let after = self.starts.partition_point(|start| *start <= address);
        let Some(at) = after.checked_sub(1) else { return (None, 0) };
        let below = self.starts.get(at).and_then(|start| start.checked_sub(1));
        let scope =
            decisive_bits(address, below).max(decisive_bits(address, self.starts.get(after).copied()));
        let mut node = self.node(self.longest.get(at).copied().flatten());
        while let Some(longer) = node.filter(|node| node.length > source_bits) {
            node = self.node(longer.parent);
        }
        (node.map(|node| node.network), scope)
    }

    fn node(&self, at: Option<u32>) -> Option<&Node> {
        self.nodes.get(usize::try_from(at?).ok()?)
    }
}

/// How many leading bits distinguish an address from the first one beyond its range, if there is one.
fn decisive_bits(address: u128, neighbour: Option<u128>) -> u8 {
    let bits = neighbour.map_or(0, |neighbour| (address ^ neighbour).leading_zeros() + 1);
    u8::try_from(bits).unwrap_or(128).min(128)
}

fn aligned(prefix: Prefix) -> u128 {
    match prefix.address() {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn host_bits(length: u8) -> u128 {
    u128::MAX.checked_shr(u32::from(length)).unwrap_or(0)
}
