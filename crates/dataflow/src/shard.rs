//! Logical shards: what is distributed over workers and cut into chunks of a checkpoint.

/// The number of logical shards.
const SHARDS: u64 = 256;

/// The logical shard of a name.
pub(crate) fn shard(name: &str) -> u32 {
    u32::try_from(xxhash_rust::xxh3::xxh3_64(name.as_bytes()) % SHARDS).unwrap_or(0)
}
