//! Checkpoints on a log: each process of the dataflow writes chunks of state and then a manifest, which is its part. A
//! checkpoint is complete once all parts are there.

use std::collections::BTreeMap;

use spillway_dataflow::Restored;
use spillway_eventlog::{EventLog, LogError, ReadError, Records, decode_entry};
use spillway_events::{CheckpointChunk, Manifest, Tick, decode, topics};

use crate::RuntimeError;

const TICK_READ_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A complete checkpoint.
pub struct Checkpoint {
    pub(crate) restored: Restored,
    /// The offset of its tick in `ticks`.
    pub(crate) tick_offset: u64,
}

impl Checkpoint {
    /// The newest complete checkpoint of a log.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn newest(log: &dyn EventLog) -> Result<Option<Self>, RuntimeError> {
        Self::newest_of(log, |_| true)
    }

    /// The checkpoint of a tick.
    pub(crate) fn of_tick(log: &dyn EventLog, tick: u64) -> Result<Self, RuntimeError> {
        let found = Self::newest_of(log, |manifest| manifest.tick == tick)?;
        found.ok_or(RuntimeError::NoCheckpoint { tick })
    }

    fn newest_of(
        log: &dyn EventLog,
        is_wanted: impl Fn(&Manifest) -> bool,
    ) -> Result<Option<Self>, RuntimeError> {
        // By tick: a dataflow that was paused may append an old checkpoint after a newer one.
        let mut all: BTreeMap<(u64, u32), Vec<Manifest>> = BTreeMap::new();
        for manifest in all_manifests(log)?.into_iter().filter(is_wanted) {
            all.entry((manifest.tick, manifest.parts)).or_default().push(manifest);
        }
        Ok(all.values().rev().find_map(|manifests| Self::complete(log, manifests)))
    }

    /// From all manifests of one tick and number of parts. Two copies of the same part are equal.
    fn complete(log: &dyn EventLog, manifests: &[Manifest]) -> Option<Self> {
        let &Manifest { tick, at_us, tick_offset, parts, .. } = manifests.first()?;
        let mut chunks = Vec::new();
        for part in 0..parts {
            let mut of_part = manifests.iter().rev().filter(|manifest| manifest.part == part);
            chunks.extend(of_part.find_map(|manifest| read_chunks(log, manifest))?);
        }
        let restored = Restored::new(tick, at_us, &chunks).ok()?;
        Some(Self { restored, tick_offset })
    }

    /// The tick of the newest checkpoint, complete or not: its number and its offset in `ticks`.
    pub(crate) fn newest_tick(log: &dyn EventLog) -> Result<Option<(u64, u64)>, RuntimeError> {
        Ok(all_manifests(log)?.iter().map(|manifest| (manifest.tick, manifest.tick_offset)).max())
    }

    pub(crate) fn read_tick(&self, log: &dyn EventLog) -> Result<Tick, RuntimeError> {
        read_tick(log, self.restored.tick(), self.tick_offset)
    }
}

/// Reads the tick of a checkpoint, and tells the log that `ticks` is valid from that offset on.
pub(crate) fn read_tick(log: &dyn EventLog, number: u64, offset: u64) -> Result<Tick, RuntimeError> {
    log.anchor(topics::TICKS, number, offset);
    let entries = log.read(topics::TICKS, 0, offset, 1, TICK_READ_BYTES_MAX)?;
    let entry = entries.first().ok_or(RuntimeError::NoTick { tick: number })?;
    Ok(decode_entry(topics::TICKS, 0, entry)?)
}

/// All manifests of a log. A running dataflow may truncate what is being read; then the new start is read from.
fn all_manifests(log: &dyn EventLog) -> Result<Vec<Manifest>, RuntimeError> {
    loop {
        let all = manifests(log, log.start(topics::CHECKPOINTS, 0)?);
        let all: Result<Vec<Manifest>, ReadError> =
            all.map(|found| found.map(|(_, manifest)| manifest)).collect();
        match all {
            Err(ReadError::Log(LogError::Truncated { .. })) => {}
            all => return Ok(all?),
        }
    }
}

/// The manifests of a log from an offset on, each with its own offset. Chunks are not decoded.
pub(crate) fn manifests(
    log: &dyn EventLog,
    from: u64,
) -> impl Iterator<Item = Result<(u64, Manifest), ReadError>> {
    let entries = Records::new(log, topics::CHECKPOINTS, 0, from);
    entries.filter_map(|entry| match entry {
        Ok(entry) => decode(&entry.bytes).ok().map(|manifest| Ok((entry.offset, manifest))),
        Err(error) => Some(Err(error)),
    })
}

/// The chunks of a manifest, if all of them are there as they were written. They lie close together, so one pass reads
/// them; records of other processes in between are skipped.
fn read_chunks(log: &dyn EventLog, manifest: &Manifest) -> Option<Vec<CheckpointChunk>> {
    let wanted: BTreeMap<u64, u32> =
        manifest.chunks.iter().map(|digest| (digest.offset, digest.crc)).collect();
    let (Some((&first, _)), Some((&last, _))) = (wanted.first_key_value(), wanted.last_key_value()) else {
        // A process may have no state.
        return Some(Vec::new());
    };
    let mut records = Records::new(log, topics::CHECKPOINTS, 0, first);
    let mut chunks = Vec::with_capacity(wanted.len());
    while let Some(entry) = records.next_before(last + 1).ok()? {
        if wanted.get(&entry.offset).is_some_and(|crc| crc32fast::hash(&entry.bytes) == *crc) {
            chunks.push(decode(&entry.bytes).ok()?);
        }
    }
    (chunks.len() == wanted.len()).then_some(chunks)
}

/// How many checkpoints are kept: the newest, and one in case that one is damaged.
const CHECKPOINTS_KEPT: usize = 2;

/// The offsets of the checkpoints that are kept.
#[derive(Default)]
pub(crate) struct KeptCheckpoints {
    /// The offset up to which manifests have been read.
    next: u64,
    /// By tick and number of parts: the first offset of each part that is there.
    parts: BTreeMap<(u64, u32), BTreeMap<u32, u64>>,
}

impl KeptCheckpoints {
    /// Reads the manifests that all processes have appended since.
    pub(crate) fn read_on(&mut self, log: &dyn EventLog) -> Result<(), RuntimeError> {
        let from = self.next.max(log.start(topics::CHECKPOINTS, 0)?);
        for manifest in manifests(log, from) {
            let (offset, manifest) = manifest?;
            self.note(offset, &manifest);
        }
        Ok(())
    }

    /// Takes a manifest and its offset.
    pub(crate) fn note(&mut self, offset: u64, manifest: &Manifest) {
        let begins = manifest.chunks.first().map_or(offset, |first| first.offset);
        self.parts.entry((manifest.tick, manifest.parts)).or_default().insert(manifest.part, begins);
        self.next = offset + 1;
    }

    /// The first offset of the oldest checkpoint that is kept: no record before it is needed.
    pub(crate) fn forget_old(&mut self) -> Option<u64> {
        let is_whole = |((_, parts), begins): &(&(u64, u32), &BTreeMap<u32, u64>)| {
            u32::try_from(begins.len()).is_ok_and(|there| there >= *parts)
        };
        let oldest = *self.parts.iter().rev().filter(is_whole).nth(CHECKPOINTS_KEPT - 1)?.0;
        self.parts = self.parts.split_off(&oldest);
        self.parts.values().flat_map(BTreeMap::values).min().copied()
    }
}

#[cfg(test)]
mod tests {
    use spillway_events::{ChunkDigest, TimeMicros};

    use super::*;

    #[test]
    fn records_are_kept_from_the_first_part_of_the_second_newest_complete_checkpoint() {
        let mut kept = KeptCheckpoints::default();
        // Each part is a chunk and its manifest; process 0 is faster than process 1.
        let mut note = |tick, part, offset| {
            let (at_us, chunks) = (TimeMicros(0), vec![ChunkDigest { offset: offset - 1, crc: 0 }]);
            kept.note(offset, &Manifest { tick, at_us, tick_offset: tick, chunks, part, parts: 2 });
            kept.forget_old()
        };
        assert_eq!(note(60, 1, 11), None);
        assert_eq!(note(60, 0, 13), None);
        assert_eq!(note(120, 0, 15), None, "one is complete");
        assert_eq!(note(180, 0, 17), None);
        assert_eq!(note(120, 1, 19), Some(10), "two are complete, and the first part of them is process 1's");
        assert_eq!(note(240, 0, 21), Some(10));
        assert_eq!(note(180, 1, 23), Some(14), "before the parts of 120");
        assert_eq!(note(240, 1, 25), Some(16), "180 and 240");
    }
}
