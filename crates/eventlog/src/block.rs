//! The bytes of one stored block: records that were appended together to one partition.
//!
//! Layout, numbers little endian: version (1 byte, 1), CRC-32 (4), record count (4), time of the commit in milliseconds
//! since the epoch (8), then each record as its length (LEB128) and its bytes. The time serves retention only. The CRC covers the block's key (topic id, partition, first offset), the version,
//! the count, the time and the records, so an intact block under another key counts as damaged.

use crc32fast::Hasher;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 17;
const COUNT_AT: usize = 5;
const TIME_AT: usize = 9;

/// The key of a block: topic id, partition, offset of its first record.
pub(crate) type BlockKey = (u32, u32, u64);

/// Records to be stored in a block.
#[derive(Debug, Default, Clone)]
pub(crate) struct Packed {
    /// The number of records.
    pub(crate) count: u32,
    /// Each record as length and bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Packed {
    /// Packs records. The caller has checked the bounds, so lengths and count fit into 32 bits.
    pub(crate) fn of(records: &[&[u8]]) -> Self {
        let mut packed =
            Self { count: 0, bytes: Vec::with_capacity(records.iter().map(|record| record.len() + 2).sum()) };
        for record in records {
            push_length(&mut packed.bytes, record.len());
            packed.bytes.extend_from_slice(record);
            packed.count += 1;
        }
        packed
    }

    /// Appends other packed records to these.
    pub(crate) fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.bytes.extend_from_slice(&other.bytes);
    }

    /// Returns the stored form.
    pub(crate) fn seal(&self, key: BlockKey, time_ms: u64) -> Vec<u8> {
        let mut block = Vec::with_capacity(HEADER_BYTES + self.bytes.len());
        block.push(VERSION);
        block.extend_from_slice(&[0; 4]);
        block.extend_from_slice(&self.count.to_le_bytes());
        block.extend_from_slice(&time_ms.to_le_bytes());
        block.extend_from_slice(&self.bytes);
        let crc = checksum(key, &block[COUNT_AT..]);
        block[1..COUNT_AT].copy_from_slice(&crc.to_le_bytes());
        block
    }
}

/// A stored block whose checksum is correct.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    /// The offset of its first record.
    pub(crate) first: u64,
    /// The offset after its last record.
    pub(crate) next: u64,
    records: &'a [u8],
}

impl<'a> Block<'a> {
    /// Checks a stored block. Returns `None` if it is damaged.
    pub(crate) fn open(key: BlockKey, stored: &'a [u8]) -> Option<Self> {
        let (&version, rest) = stored.split_first()?;
        let (&crc, checked) = rest.split_first_chunk::<4>()?;
        let block = Self::peek(key, stored)?;
        let is_intact = version == VERSION
            && block.next > block.first
            && u32::from_le_bytes(crc) == checksum(key, checked);
        is_intact.then_some(block)
    }

    /// Reads a stored block without verifying its checksum.
    pub(crate) fn peek(key: BlockKey, stored: &'a [u8]) -> Option<Self> {
        let records = stored.get(HEADER_BYTES..)?;
        Some(Self { first: key.2, next: block_next(key, stored)?, records })
    }

    /// Iterates over the records with their offsets. Yields `None` and ends if a record's length does not fit.
    pub(crate) fn records(&self) -> Records<'a> {
        Records { offset: self.first, next: self.next, rest: self.records }
    }
}

/// Returns the offset after a stored block's last record. Reads the header only and verifies no checksum.
pub(crate) fn block_next(key: BlockKey, stored: &[u8]) -> Option<u64> {
    let count = stored.get(COUNT_AT..)?.first_chunk::<4>()?;
    key.2.checked_add(u64::from(u32::from_le_bytes(*count)))
}

/// Returns the time of a stored block's commit in milliseconds since the epoch. Verifies no checksum.
pub(crate) fn block_time_ms(stored: &[u8]) -> Option<u64> {
    stored.get(TIME_AT..)?.first_chunk::<8>().map(|time| u64::from_le_bytes(*time))
}

/// The records of a block, from [`Block::records`].
pub(crate) struct Records<'a> {
    offset: u64,
    next: u64,
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Option<(u64, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset >= self.next {
            return None;
        }
        let Some((record, rest)) = take_record(self.rest) else {
            self.offset = self.next;
            return Some(None);
        };
        let offset = self.offset;
        self.offset += 1;
        self.rest = rest;
        Some(Some((offset, record)))
    }
}

fn take_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut length, mut shift, mut rest) = (0_u32, 0_u32, bytes);
    loop {
        let (&byte, behind) = rest.split_first()?;
        rest = behind;
        if shift > 28 {
            return None;
        }
        length |= u32::from(byte & 0x7F) << shift;
        shift += 7;
        if byte < 0x80 {
            return rest.split_at_checked(usize::try_from(length).ok()?);
        }
    }
}

fn push_length(bytes: &mut Vec<u8>, mut length: usize) {
    loop {
        let [low, ..] = length.to_le_bytes();
        length >>= 7;
        if length == 0 {
            bytes.push(low & 0x7F);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// The CRC of a block's key, version, count, time and records.
fn checksum((topic, partition, first): BlockKey, checked: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&topic.to_le_bytes());
    hasher.update(&partition.to_le_bytes());
    hasher.update(&first.to_le_bytes());
    hasher.update(&[VERSION]);
    hasher.update(checked);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Packed records round-trip. Any single flipped bit is detected, and so is another key.
        #[test]
        fn round_trip_and_damage(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
            first in 0..u64::MAX / 2,
            flip in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
            let (left, right) = slices.split_at(slices.len() / 2);
            let mut packed = Packed::of(left);
            packed.join(&Packed::of(right));
            let key = (3, 7, first);
            let mut stored = packed.seal(key, 1_700_000_000_000);

            let block = Block::open(key, &stored).expect("intact");
            let found: Vec<_> = block.records().map(|record| record.expect("whole")).collect();
            let wanted: Vec<_> = slices.iter().zip(first..).map(|(record, offset)| (offset, *record)).collect();
            prop_assert_eq!(found, wanted);
            prop_assert!(Block::open((3, 7, first + 1), &stored).is_none());
            prop_assert!(Block::open((3, 8, first), &stored).is_none());

            let at = flip.index(stored.len());
            stored[at] ^= 1 << bit;
            prop_assert!(Block::open(key, &stored).is_none());
        }

        /// Arbitrary bytes are refused or read, without a panic.
        #[test]
        fn foreign_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Block::open((0, 0, 0), &bytes);
            let _ = take_record(&bytes);
        }
    }
}
