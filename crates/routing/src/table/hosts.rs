//! The site of each host name, in shards: a changed copy shares the shards that did not change.

use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use spillway_events::SiteEntry;

use super::shards::{SHARDS, hash_of};

/// A map from host names to the entries that have them. The names are not copied: with a million of them that would be most
/// of the table's memory, and of the time to load it.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    shards: Arc<Vec<Arc<HashTable<Host>>>>,
}

/// A host name: the one of an entry at an index.
#[derive(Debug, Clone)]
struct Host {
    entry: Arc<SiteEntry>,
    index: u32,
    /// Kept, so that a growing table does not read the names.
    hash: Hash,
}

/// 32 bits of a name's hash.
#[derive(Debug, Clone, Copy)]
struct Hash(u32);

impl Hash {
    fn of(name: &str) -> Self {
        let hash = hash_of(name);
        Self(u32::try_from((hash ^ (hash >> 32)) & 0xFFFF_FFFF).unwrap_or(0))
    }

    /// Bits 12 to 24. The tables in the shards use the lowest bits, and the highest seven as tags.
    fn shard(self) -> usize {
        (self.0 >> 12) as usize % SHARDS
    }

    fn in_shard(self) -> u64 {
        u64::from(self.0) << 32 | u64::from(self.0)
    }
}

impl Host {
    fn name(&self) -> &str {
        self.entry.hosts.get(self.index as usize).map_or("", String::as_str)
    }
}

impl Default for Hosts {
    fn default() -> Self {
        Self { shards: Arc::new(vec![Arc::default(); SHARDS]) }
    }
}

impl Hosts {
    pub(super) fn get(&self, name: &str) -> Option<&Arc<SiteEntry>> {
        let hash = Hash::of(name);
        self.shards[hash.shard()].find(hash.in_shard(), |host| host.name() == name).map(|host| &host.entry)
    }

    /// Adds the host of an entry at an index, unless an entry has that host already, which is returned.
    pub(super) fn insert(&mut self, entry: &Arc<SiteEntry>, index: usize) -> Option<Arc<SiteEntry>> {
        let name = entry.hosts.get(index)?;
        let hash = Hash::of(name);
        let is_same = |host: &Host| host.name() == name;
        match self.shard_mut(hash).entry(hash.in_shard(), is_same, |host| host.hash.in_shard()) {
            Entry::Occupied(other) => Some(Arc::clone(&other.get().entry)),
            Entry::Vacant(vacant) => {
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                vacant.insert(Host { entry: Arc::clone(entry), index, hash });
                None
            }
        }
    }

    /// Removes a host; false if it is not there.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        if self.get(name).is_none() {
            return false;
        }
        let hash = Hash::of(name);
        let found = self.shard_mut(hash).find_entry(hash.in_shard(), |host| host.name() == name);
        found.map(|found| drop(found.remove())).is_ok()
    }

    fn shard_mut(&mut self, hash: Hash) -> &mut HashTable<Host> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[hash.shard()])
    }
}
