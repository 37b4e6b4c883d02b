//! Checkpoints on a log: each process of the dataflow writes chunks of state and behind them a manifest, which is its part.
//! A checkpoint is whole when all parts are.

use std::collections::BTreeMap;

use anyhow::Context;
use spillway_dataflow::Restored;
use spillway_eventlog::{EventLog, LogError};
use spillway_events::{CheckpointChunk, Manifest, Tick, decode, topics};

use super::records::Records;
use super::ticks::decode_at;

const TICK_READ_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A checkpoint that verified whole.
pub(crate) struct Checkpoint {
    pub(crate) restored: Restored,
    /// Where its tick stands in `ticks`.
    pub(crate) tick_offset: u64,
}

impl Checkpoint {
    /// The newest one of a log that verifies whole.
    pub(crate) fn newest(log: &dyn EventLog) -> anyhow::Result<Option<Self>> {
        Self::newest_of(log, |_| true)
    }

    /// The one of a tick.
    pub(crate) fn of_tick(log: &dyn EventLog, tick: u64) -> anyhow::Result<Self> {
        let found = Self::newest_of(log, |manifest| manifest.tick == tick)?;
        found.with_context(|| format!("the checkpoint of tick {tick} is not in the log, or not whole"))
    }

    fn newest_of(log: &dyn EventLog, wanted: impl Fn(&Manifest) -> bool) -> anyhow::Result<Option<Self>> {
        // By tick: a dataflow that was stopped for a while may write an old one behind a newer one.
        let mut all: BTreeMap<(u64, u32), Vec<Manifest>> = BTreeMap::new();
        for manifest in all_manifests(log)?.into_iter().filter(wanted) {
            all.entry((manifest.tick, manifest.parts)).or_default().push(manifest);
        }
        Ok(all.values().rev().find_map(|manifests| Self::whole(log, manifests)))
    }

    /// From all manifests of a tick and of a number of parts. What several processes wrote as the same part is the same.
    fn whole(log: &dyn EventLog, manifests: &[Manifest]) -> Option<Self> {
        let &Manifest { tick, at_us, tick_offset, parts, .. } = manifests.first()?;
        let mut chunks = Vec::new();
        for part in 0..parts {
            let mut of_part = manifests.iter().rev().filter(|manifest| manifest.part == part);
            chunks.extend(of_part.find_map(|manifest| read_chunks(log, manifest))?);
        }
        let restored = Restored::new(tick, at_us, &chunks).ok()?;
        Some(Self { restored, tick_offset })
    }

    /// Where the tick of the newest one stands, whole or not: its number and its offset in `ticks`.
    pub(crate) fn newest_tick(log: &dyn EventLog) -> anyhow::Result<Option<(u64, u64)>> {
        Ok(all_manifests(log)?.iter().map(|manifest| (manifest.tick, manifest.tick_offset)).max())
    }

    pub(crate) fn read_tick(&self, log: &dyn EventLog) -> anyhow::Result<Tick> {
        read_tick(log, self.restored.tick(), self.tick_offset)
    }
}

/// Reads the tick of a checkpoint, which tells the log where it stands: what `ticks` holds is valid from there on.
pub(crate) fn read_tick(log: &dyn EventLog, number: u64, offset: u64) -> anyhow::Result<Tick> {
    log.anchor(topics::TICKS, number, offset);
    let entries = log.read(topics::TICKS, 0, offset, 1, TICK_READ_BYTES_MAX)?;
    let entry = entries.first().context("the tick of the checkpoint is not in the log")?;
    decode_at(topics::TICKS, 0, entry)
}

/// All manifests of a log. A dataflow that is at work may truncate what is being read: then from the new start.
fn all_manifests(log: &dyn EventLog) -> anyhow::Result<Vec<Manifest>> {
    loop {
        let all = manifests(log, log.start(topics::CHECKPOINTS, 0)?)?;
        let all: anyhow::Result<Vec<Manifest>> =
            all.map(|found| found.map(|(_, manifest)| manifest)).collect();
        match all {
            Err(error) if matches!(error.downcast_ref(), Some(LogError::Truncated { .. })) => {}
            all => return all,
        }
    }
}

/// The manifests of a log from an offset on, each with its own. Chunks are not decoded.
pub(crate) fn manifests(
    log: &dyn EventLog,
    from: u64,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<(u64, Manifest)>> + use<'_>> {
    let entries = Records::new(log, topics::CHECKPOINTS, 0, from)?;
    Ok(entries.filter_map(|entry| match entry {
        Ok(entry) => decode(&entry.bytes).ok().map(|manifest| Ok((entry.offset, manifest))),
        Err(error) => Some(Err(error)),
    }))
}

/// The chunks of a manifest, if all of them are there as they were written. They stand close together, so they are read in
/// one go; what other processes wrote in between is passed by.
fn read_chunks(log: &dyn EventLog, manifest: &Manifest) -> Option<Vec<CheckpointChunk>> {
    let wanted: BTreeMap<u64, u32> =
        manifest.chunks.iter().map(|digest| (digest.offset, digest.crc)).collect();
    let (Some((&first, _)), Some((&last, _))) = (wanted.first_key_value(), wanted.last_key_value()) else {
        // A process may have nothing to keep.
        return Some(Vec::new());
    };
    let mut records = Records::new(log, topics::CHECKPOINTS, 0, first).ok()?;
    let mut chunks = Vec::with_capacity(wanted.len());
    while let Some(entry) = records.next_before(last + 1).ok()? {
        if wanted.get(&entry.offset).is_some_and(|crc| crc32fast::hash(&entry.bytes) == *crc) {
            chunks.push(decode(&entry.bytes).ok()?);
        }
    }
    (chunks.len() == wanted.len()).then_some(chunks)
}

/// How many checkpoints are kept: the newest, and one to fall back on should it be damaged.
const CHECKPOINTS_KEPT: usize = 2;

/// Where the checkpoints stand that are kept.
#[derive(Default)]
pub(crate) struct KeptCheckpoints {
    /// Up to where manifests have been read.
    next: u64,
    /// By tick and number of parts: where each part begins that is there.
    parts: BTreeMap<(u64, u32), BTreeMap<u32, u64>>,
}

impl KeptCheckpoints {
    /// Notes what all processes have written since.
    pub(crate) fn read_on(&mut self, log: &dyn EventLog) -> anyhow::Result<()> {
        let from = self.next.max(log.start(topics::CHECKPOINTS, 0)?);
        for manifest in manifests(log, from)? {
            let (offset, manifest) = manifest?;
            self.note(offset, &manifest);
        }
        Ok(())
    }

    /// Notes the manifest at an offset.
    pub(crate) fn note(&mut self, offset: u64, manifest: &Manifest) {
        let begins = manifest.chunks.first().map_or(offset, |first| first.offset);
        self.parts.entry((manifest.tick, manifest.parts)).or_default().insert(manifest.part, begins);
        self.next = offset + 1;
    }

    /// Before which offset nothing is needed any more: that of the oldest checkpoint that is kept.
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
    fn what_is_kept_reaches_back_to_the_first_part_of_the_second_newest_whole_one() {
        let mut kept = KeptCheckpoints::default();
        // Each part is a chunk and its manifest; process 0 is quicker than process 1.
        let mut note = |tick, part, offset| {
            let (at_us, chunks) = (TimeMicros(0), vec![ChunkDigest { offset: offset - 1, crc: 0 }]);
            kept.note(offset, &Manifest { tick, at_us, tick_offset: tick, chunks, part, parts: 2 });
            kept.forget_old()
        };
        assert_eq!(note(60, 1, 11), None);
        assert_eq!(note(60, 0, 13), None);
        assert_eq!(note(120, 0, 15), None, "one is whole");
        assert_eq!(note(180, 0, 17), None);
        assert_eq!(note(120, 1, 19), Some(10), "two are whole, and the first part of them is process 1's");
        assert_eq!(note(240, 0, 21), Some(10));
        assert_eq!(note(180, 1, 23), Some(14), "before the parts of 120");
        assert_eq!(note(240, 1, 25), Some(16), "180 and 240");
    }
}
