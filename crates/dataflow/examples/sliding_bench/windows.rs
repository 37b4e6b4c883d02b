//! Sliding p95 of many keys over 60 s, the plain way: what the dataflow is measured beside, and what it must find.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

const WINDOW_SECONDS: i64 = 60;
const PERCENT: usize = 95;
/// A power of two above the window and what is kept beyond it.
const SECONDS_KEPT: i64 = 128;

/// How many values there were, and a checksum of all of them with their keys and seconds, in any order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Values {
    pub(crate) count: u64,
    pub(crate) checksum: u64,
}

impl Values {
    pub(crate) fn add(&mut self, key_hash: u64, second: i64, value_us: u64) {
        let mixed = (key_hash ^ second.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15))
            .wrapping_add(value_us.wrapping_mul(0xC2B2_AE3D_27D4_EB4F));
        let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        self.count += 1;
        self.checksum = self.checksum.wrapping_add(mixed ^ (mixed >> 32));
    }
}

/// FNV-1a.
pub(crate) fn hash(key: &str) -> u64 {
    key.bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// The windows of all keys. Samples are collected by second; a second is taken in at once, and leaves at once.
pub(crate) struct Windows {
    indexes: HashMap<Box<str>, u32, FxBuildHasher>,
    keys: Vec<Key>,
    /// The samples of each second, at the second modulo [`SECONDS_KEPT`].
    seconds: Vec<Vec<(u32, u16)>>,
}

struct Key {
    hash: u64,
    /// The buckets of the samples in the window, sorted.
    buckets: Vec<u16>,
}

impl Windows {
    pub(crate) fn new() -> Self {
        let (indexes, keys) = (HashMap::default(), Vec::new());
        Self { indexes, keys, seconds: (0..SECONDS_KEPT).map(|_| Vec::new()).collect() }
    }

    pub(crate) fn index(&mut self, key: &str) -> u32 {
        if let Some(index) = self.indexes.get(key) {
            return *index;
        }
        let index = u32::try_from(self.keys.len()).unwrap();
        self.keys.push(Key { hash: hash(key), buckets: Vec::new() });
        self.indexes.insert(key.into(), index);
        index
    }

    /// Collects a sample.
    pub(crate) fn collect(&mut self, index: u32, second: i64, response_time_us: u64) {
        self.seconds[slot(second)].push((index, bucket(response_time_us)));
    }

    /// Collects a sample and takes it in.
    pub(crate) fn add(&mut self, index: u32, second: i64, response_time_us: u64) {
        self.collect(index, second, response_time_us);
        insert(&mut self.keys[index as usize].buckets, bucket(response_time_us));
    }

    /// Takes in what was collected of a second.
    pub(crate) fn take_in(&mut self, second: i64) {
        for (index, bucket) in &self.seconds[slot(second)] {
            insert(&mut self.keys[*index as usize].buckets, *bucket);
        }
    }

    /// Removes the second that leaves a window that ends with `last`.
    pub(crate) fn expire(&mut self, last: i64) {
        for (index, bucket) in self.seconds[slot(last - WINDOW_SECONDS)].drain(..) {
            let buckets = &mut self.keys[index as usize].buckets;
            let at = buckets.partition_point(|other| *other < bucket);
            buckets.remove(at);
        }
    }

    /// The value of each key that has a sample, as of a second.
    pub(crate) fn emit(&self, second: i64, values: &mut Values) {
        for key in self.keys.iter().filter(|key| !key.buckets.is_empty()) {
            let rank = (PERCENT * key.buckets.len()).div_ceil(100);
            values.add(key.hash, second, edge(key.buckets[rank - 1]));
        }
    }
}

fn slot(second: i64) -> usize {
    usize::try_from(second & (SECONDS_KEPT - 1)).unwrap()
}

fn insert(buckets: &mut Vec<u16>, bucket: u16) {
    let at = buckets.partition_point(|other| *other <= bucket);
    buckets.insert(at, bucket);
}

/// The bucket of a number: its first three significant digits, and 900 for each digit beyond them.
fn bucket(number: u64) -> u16 {
    let (mut mantissa, mut beyond) = (number, 0);
    while mantissa >= 1_000 {
        mantissa /= 10;
        beyond += 900;
    }
    u16::try_from(mantissa).unwrap() + beyond
}

/// The least number of a bucket.
fn edge(bucket: u16) -> u64 {
    let (mut mantissa, mut scale) = (u64::from(bucket), 1);
    while mantissa >= 1_000 {
        mantissa -= 900;
        scale *= 10;
    }
    mantissa * scale
}
