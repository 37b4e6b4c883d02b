//! A map by name, in shards: a changed copy shares the shards that did not change.

use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHasher};

/// With a million names a shard has some 120 of them, and one change copies one shard.
pub(super) const SHARDS: usize = 8_192;

type Shard<V> = std::collections::HashMap<Arc<str>, V, FxBuildHasher>;

/// A map from names to values, in no order: a caller that lists them sorts them.
#[derive(Debug, Clone)]
pub(super) struct Shards<V> {
    shards: Arc<Vec<Arc<Shard<V>>>>,
}

impl<V> Default for Shards<V> {
    fn default() -> Self {
        Self { shards: Arc::new(vec![Arc::default(); SHARDS]) }
    }
}

impl<V: Clone> Shards<V> {
    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.shards[shard_of(hash_of(name))].get(name)
    }

    /// Copies the shard if another table shares it and the name is in it.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.get(name)?;
        self.shard_mut(name).get_mut(name)
    }

    pub(super) fn get_or_insert_default(&mut self, name: &str) -> &mut V
    where
        V: Default,
    {
        let key = match self.shards[shard_of(hash_of(name))].get_key_value(name) {
            Some((key, _)) => Arc::clone(key),
            None => name.into(),
        };
        self.shard_mut(name).entry(key).or_default()
    }

    pub(super) fn insert(&mut self, name: Arc<str>, value: V) -> Option<V> {
        self.shard_mut(&name).insert(name, value)
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<V> {
        self.get(name)?;
        self.shard_mut(name).remove(name)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.shards.iter().flat_map(|shard| shard.values())
    }

    fn shard_mut(&mut self, name: &str) -> &mut Shard<V> {
        let shards = Arc::make_mut(&mut self.shards);
        Arc::make_mut(&mut shards[shard_of(hash_of(name))])
    }
}

pub(super) fn hash_of(name: &str) -> u64 {
    BuildHasherDefault::<FxHasher>::default().hash_one(name)
}

/// Bits 20 to 32 of the hash choose the shard: the tables in the shards use the lowest bits, and the highest seven as tags.
fn shard_of(hash: u64) -> usize {
    usize::try_from((hash >> 20) & 0xFFFF_FFFF).unwrap_or(0) % SHARDS
}
