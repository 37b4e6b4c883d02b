//! Sliding p95 of many keys over 60 s, the plain way: what the dataflow is measured beside, and what it must find.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

const WINDOW_SECONDS: i64 = 60;
const PERCENT: usize = 95;
/// A power of two above the window and what is kept beyond it.
const SECONDS_KEPT: i64 = 128;
const TOUCHED_AHEAD: usize = 12;
/// In a line of the cache.
const LINE_BUCKETS: usize = 32;

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
pub(crate) fn hash(key: &[u8]) -> u64 {
    key.iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

/// The windows of all keys. Samples are collected by second; a second is taken in at once, and leaves at once.
pub(crate) struct Windows {
    indexes: HashMap<Box<[u8]>, u32, FxBuildHasher>,
    /// Of each key: the hash of its name, and how many samples its window has.
    keys: Vec<(u64, u32)>,
    /// The samples in the windows by bucket, sorted, one window after the other.
    buckets: Vec<u16>,
    /// How many samples each of them has room for.
    room: usize,
    /// The samples of each second, at the second modulo [`SECONDS_KEPT`].
    seconds: Vec<Vec<(u32, u16)>>,
}

impl Windows {
    pub(crate) fn new() -> Self {
        let (indexes, keys, buckets) = (HashMap::default(), Vec::new(), Vec::new());
        Self { indexes, keys, buckets, room: 64, seconds: (0..SECONDS_KEPT).map(|_| Vec::new()).collect() }
    }

    pub(crate) fn index(&mut self, key: &[u8]) -> u32 {
        if let Some(index) = self.indexes.get(key) {
            return *index;
        }
        let index = u32::try_from(self.keys.len()).unwrap();
        self.keys.push((hash(key), 0));
        self.buckets.resize(self.keys.len() * self.room, 0);
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
        self.insert(index, bucket(response_time_us));
    }

    /// Takes in what was collected of a second.
    pub(crate) fn take_in(&mut self, second: i64) {
        let samples = std::mem::take(&mut self.seconds[slot(second)]);
        for (number, (index, bucket)) in samples.iter().enumerate() {
            self.touch(samples.get(number + TOUCHED_AHEAD));
            self.insert(*index, *bucket);
        }
        self.seconds[slot(second)] = samples;
    }

    /// Removes the second that leaves a window that ends with `last`.
    pub(crate) fn expire(&mut self, last: i64) {
        let mut samples = std::mem::take(&mut self.seconds[slot(last - WINDOW_SECONDS)]);
        for (number, (index, bucket)) in samples.iter().enumerate() {
            self.touch(samples.get(number + TOUCHED_AHEAD));
            self.remove(*index, *bucket);
        }
        samples.clear();
        self.seconds[slot(last - WINDOW_SECONDS)] = samples;
    }

    /// Reads from the window of a sample that follows soon, so that it is in the cache by then.
    fn touch(&self, sample: Option<&(u32, u16)>) {
        if let Some((index, _)) = sample {
            let window = &self.buckets[*index as usize * self.room..][..self.room];
            std::hint::black_box(window.iter().step_by(LINE_BUCKETS).fold(0, |all, bucket| all | bucket));
            std::hint::black_box(self.keys[*index as usize].1);
        }
    }

    fn insert(&mut self, index: u32, bucket: u16) {
        if self.keys[index as usize].1 as usize == self.room {
            self.make_room();
        }
        let samples = &mut self.keys[index as usize].1;
        let (first, count) = (index as usize * self.room, *samples as usize);
        let window = &mut self.buckets[first..=first + count];
        let at = below(&window[..count], bucket);
        window.copy_within(at..count, at + 1);
        window[at] = bucket;
        *samples += 1;
    }

    fn remove(&mut self, index: u32, bucket: u16) {
        let samples = &mut self.keys[index as usize].1;
        let (first, count) = (index as usize * self.room, *samples as usize);
        let window = &mut self.buckets[first..first + count];
        let at = below(window, bucket);
        window.copy_within(at + 1.., at);
        *samples -= 1;
    }

    fn make_room(&mut self) {
        let mut buckets = vec![0; self.buckets.len() * 2];
        for (to, from) in buckets.chunks_mut(self.room * 2).zip(self.buckets.chunks(self.room)) {
            to[..from.len()].copy_from_slice(from);
        }
        (self.buckets, self.room) = (buckets, self.room * 2);
    }

    /// The value of each key that has a sample, as of a second.
    pub(crate) fn emit(&self, second: i64, values: &mut Values) {
        let keys = self.keys.iter().zip(self.buckets.chunks(self.room));
        for ((hash, samples), window) in keys.filter(|((_, samples), _)| *samples > 0) {
            let rank = (PERCENT * *samples as usize).div_ceil(100);
            values.add(*hash, second, edge(window[rank - 1]));
        }
    }
}

/// How many of some buckets are below one. Faster than a binary search where there are so few.
fn below(buckets: &[u16], bucket: u16) -> usize {
    buckets.iter().map(|other| u16::from(*other < bucket)).sum::<u16>().into()
}

fn slot(second: i64) -> usize {
    usize::try_from(second & (SECONDS_KEPT - 1)).unwrap()
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
