//! Checkpoints on a log: each process of the dataflow writes its part, which is chunks of state in one topic and then a
//! manifest of them in another one. A checkpoint is complete once all parts are there.
//!
//! A checkpoint that lacks a part or a chunk, or has a chunk with another checksum, is passed over for the one before. If the
//! log cannot be read, or what it holds cannot be decoded, that is an error, never taken for absence.

use std::collections::BTreeMap;

use spillway_dataflow::Restored;
use spillway_eventlog::{EventLog, LogError, ReadError, RecordReader, Records, decode_entry};
use spillway_events::{CheckpointChunk, Manifest, Tick, topics};

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
        let manifests = all_manifests(log).map_err(RuntimeError::Checkpoint)?;
        for manifest in manifests.into_iter().filter(is_wanted) {
            all.entry((manifest.tick, manifest.parts)).or_default().push(manifest);
        }
        for manifests in all.values().rev() {
            if let Some(complete) = Self::complete(log, manifests)? {
                return Ok(Some(complete));
            }
        }
        Ok(None)
    }

    /// From all manifests of one tick and number of parts; nothing if a part is not whole. Two copies of the same part are
    /// equal.
    fn complete(log: &dyn EventLog, manifests: &[Manifest]) -> Result<Option<Self>, RuntimeError> {
        let Some(first) = manifests.first() else { return Ok(None) };
        let &Manifest { tick, at_us, tick_offset, parts, .. } = first;
        let mut chunks = Vec::new();
        for part in 0..parts {
            let mut whole = None;
            for manifest in manifests.iter().rev().filter(|manifest| manifest.part == part) {
                whole = read_chunks(log, manifest).map_err(RuntimeError::Checkpoint)?;
                if whole.is_some() {
                    break;
                }
            }
            let Some(whole) = whole else { return Ok(None) };
            chunks.extend(whole);
        }
        let restored = Restored::new(first.installation.clone(), tick, at_us, chunks)?;
        Ok(Some(Self { restored, tick_offset }))
    }

    /// The tick of the newest checkpoint, complete or not: its number and its offset in `ticks`.
    pub(crate) fn newest_tick(log: &dyn EventLog) -> Result<Option<(u64, u64)>, RuntimeError> {
        let manifests = all_manifests(log).map_err(RuntimeError::Checkpoint)?;
        Ok(manifests.iter().map(|manifest| (manifest.tick, manifest.tick_offset)).max())
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
fn all_manifests(log: &dyn EventLog) -> Result<Vec<Manifest>, ReadError> {
    loop {
        let all = manifests(log, log.start(topics::MANIFESTS, 0)?);
        let all: Result<Vec<Manifest>, ReadError> =
            all.map(|found| found.map(|(_, manifest)| manifest)).collect();
        match all {
            Err(ReadError::Log(LogError::Truncated { .. })) => {}
            all => return all,
        }
    }
}

/// The manifests of a log from an offset on, each with its own offset.
pub(crate) fn manifests(log: &dyn EventLog, from: u64) -> RecordReader<'_, Manifest> {
    RecordReader::new(log, topics::MANIFESTS, 0, from)
}

/// The chunks of a manifest; nothing if one is not in the log any more, or has another checksum. They lie close together, so
/// one pass reads them; chunks of other processes in between are skipped.
fn read_chunks(log: &dyn EventLog, manifest: &Manifest) -> Result<Option<Vec<CheckpointChunk>>, ReadError> {
    let wanted: BTreeMap<u64, u32> =
        manifest.chunks.iter().map(|digest| (digest.offset, digest.crc)).collect();
    let (Some((&first, _)), Some((&last, _))) = (wanted.first_key_value(), wanted.last_key_value()) else {
        // A process may have no state.
        return Ok(Some(Vec::new()));
    };
    if log.end(topics::CHECKPOINTS, 0)? <= last {
        return Ok(None);
    }
    let mut records = Records::new(log, topics::CHECKPOINTS, 0, first);
    let mut chunks = Vec::with_capacity(wanted.len());
    loop {
        let entry = match records.next_before(last + 1) {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(ReadError::Log(LogError::Truncated { .. })) => return Ok(None),
            Err(error) => return Err(error),
        };
        if wanted.get(&entry.offset).is_some_and(|crc| crc32fast::hash(&entry.bytes) == *crc) {
            chunks.push(decode_entry(topics::CHECKPOINTS, 0, &entry)?);
        }
    }
    Ok((chunks.len() == wanted.len()).then_some(chunks))
}

/// How many checkpoints are kept: the newest, and one in case that one is damaged.
const CHECKPOINTS_KEPT: usize = 2;

/// The offsets of the checkpoints that are kept.
#[derive(Default)]
pub(crate) struct KeptCheckpoints {
    /// The offset up to which manifests have been read.
    next: u64,
    /// By tick and number of parts: where each part that is there begins.
    parts: BTreeMap<(u64, u32), BTreeMap<u32, FirstOffsets>>,
}

/// The first offsets of checkpoints: no record before them is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FirstOffsets {
    /// In `manifests`.
    pub(crate) manifest: u64,
    /// In `checkpoints`; nothing if there is no chunk.
    pub(crate) chunk: Option<u64>,
}

impl KeptCheckpoints {
    /// Reads the manifests that all processes have appended since.
    pub(crate) fn read_on(&mut self, log: &dyn EventLog) -> Result<(), RuntimeError> {
        let from = self.next.max(log.start(topics::MANIFESTS, 0)?);
        for manifest in manifests(log, from) {
            let (offset, manifest) = manifest?;
            self.note(offset, &manifest);
        }
        Ok(())
    }

    /// Takes a manifest and its offset.
    pub(crate) fn note(&mut self, offset: u64, manifest: &Manifest) {
        let chunk = manifest.chunks.iter().map(|digest| digest.offset).min();
        let of_parts = self.parts.entry((manifest.tick, manifest.parts)).or_default();
        of_parts.insert(manifest.part, FirstOffsets { manifest: offset, chunk });
        self.next = offset + 1;
    }

    /// The first offsets of the oldest checkpoint that is kept and of all after it.
    pub(crate) fn forget_old(&mut self) -> Option<FirstOffsets> {
        let is_whole = |((_, parts), of_parts): &(&(u64, u32), &BTreeMap<u32, FirstOffsets>)| {
            u32::try_from(of_parts.len()).is_ok_and(|there| there >= *parts)
        };
        let oldest = *self.parts.iter().rev().filter(is_whole).nth(CHECKPOINTS_KEPT - 1)?.0;
        self.parts = self.parts.split_off(&oldest);
        let all = || self.parts.values().flat_map(BTreeMap::values);
        let manifest = all().map(|first| first.manifest).min()?;
        Some(FirstOffsets { manifest, chunk: all().filter_map(|first| first.chunk).min() })
    }
}

#[cfg(test)]
mod tests {
    use spillway_events::{ChunkDigest, TimeMicros};

    use super::*;

    #[test]
    fn records_are_kept_from_the_first_part_of_the_second_newest_complete_checkpoint() {
        let mut kept = KeptCheckpoints::default();
        // Each part is one chunk; process 0 is faster than process 1.
        let mut note = |tick, part, offset| {
            let (at_us, chunks) = (TimeMicros(0), vec![ChunkDigest { offset: 10 * offset, crc: 0 }]);
            let installation = String::new();
            let manifest = Manifest { tick, at_us, tick_offset: tick, installation, chunks, part, parts: 2 };
            kept.note(offset, &manifest);
            kept.forget_old().map(|first| {
                assert_eq!(first.chunk, Some(10 * first.manifest));
                first.manifest
            })
        };
        assert_eq!(note(60, 1, 1), None);
        assert_eq!(note(60, 0, 2), None);
        assert_eq!(note(120, 0, 3), None, "one is complete");
        assert_eq!(note(180, 0, 4), None);
        assert_eq!(note(120, 1, 5), Some(1), "two are complete, and the first part of them is process 1's");
        assert_eq!(note(240, 0, 6), Some(1));
        assert_eq!(note(180, 1, 7), Some(3), "before the parts of 120");
        assert_eq!(note(240, 1, 8), Some(4), "180 and 240");
    }
}
