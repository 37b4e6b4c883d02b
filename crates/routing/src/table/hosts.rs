//! The site of each host name, in shards: a changed copy shares the shards that did not change.

use std::sync::Arc;

use hashbrown::HashTable;
use spillway_events::SiteEntry;

use super::shards::{SHARDS, hash_of, shard_of};

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
        let hash = hash_of(name);
        self.shards[shard_of(hash)].find(hash, |host| host.name() == name).map(|host| &host.entry)
    }

    /// Adds the host of an entry at an index, unless an entry has that host already, which is returned.
    pub(super) fn insert(&mut self, entry: &Arc<SiteEntry>, index: usize) -> Option<Arc<SiteEntry>> {
        let new = Host { entry: Arc::clone(entry), index: u32::try_from(index).unwrap_or(u32::MAX) };
        if let Some(entry) = self.get(new.name()) {
            return Some(Arc::clone(entry));
        }
        let hash = hash_of(new.name());
        self.shard_mut(hash).insert_unique(hash, new, |host| hash_of(host.name()));
        None
    }

    /// Removes a host; false if it is not there.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        if self.get(name).is_none() {
            return false;
        }
        let hash = hash_of(name);
        let found = self.shard_mut(hash).find_entry(hash, |host| host.name() == name);
        found.map(|found| drop(found.remove())).is_ok()
    }

    fn shard_mut(&mut self, hash: u64) -> &mut HashTable<Host> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[shard_of(hash)])
    }
}
