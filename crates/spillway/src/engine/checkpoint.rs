//! Checkpoints on a log: chunks of state, and a manifest that makes them one.

use anyhow::Context;
use spillway_dataflow::Restored;
use spillway_eventlog::EventLog;
use spillway_events::{CheckpointChunk, ChunkDigest, Manifest, Tick, decode, topics};

use super::records::Records;
use super::ticks::decode_at;

const CHUNK_READ_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A checkpoint that verified whole.
pub(crate) struct Checkpoint {
    pub(crate) restored: Restored,
    /// Where its tick stands in `ticks`.
    pub(crate) tick_offset: u64,
}

impl Checkpoint {
    /// The newest one of a log that verifies whole.
    pub(crate) fn newest(log: &dyn EventLog) -> anyhow::Result<Option<Self>> {
        let mut manifests: Vec<Manifest> = Vec::new();
        for entry in Records::new(log, topics::CHECKPOINTS, 0, log.start(topics::CHECKPOINTS, 0)?)? {
            // Chunks are decoded only once their manifest is chosen.
            manifests.extend(decode::<Manifest>(&entry?.bytes).ok());
        }
        // A dataflow that was stopped for a while may write an old one behind a newer one.
        manifests.sort_by_key(|manifest| std::cmp::Reverse(manifest.tick));
        Ok(manifests.iter().find_map(|manifest| Self::whole(log, manifest)))
    }

    fn whole(log: &dyn EventLog, manifest: &Manifest) -> Option<Self> {
        let chunks: Option<Vec<CheckpointChunk>> =
            manifest.chunks.iter().map(|digest| read_chunk(log, digest)).collect();
        let restored = Restored::new(manifest.tick, manifest.at_us, &chunks?).ok()?;
        Some(Self { restored, tick_offset: manifest.tick_offset })
    }

    /// Tells the log where its tick stands: what `ticks` holds is valid from there on.
    pub(crate) fn anchor(&self, log: &dyn EventLog) {
        log.anchor(topics::TICKS, self.restored.tick(), self.tick_offset);
    }

    pub(crate) fn read_tick(&self, log: &dyn EventLog) -> anyhow::Result<Tick> {
        self.anchor(log);
        let entries = log.read(topics::TICKS, 0, self.tick_offset, 1, CHUNK_READ_BYTES_MAX)?;
        let entry = entries.first().context("the tick of the checkpoint is not in the log")?;
        decode_at(topics::TICKS, 0, entry)
    }
}

fn read_chunk(log: &dyn EventLog, digest: &ChunkDigest) -> Option<CheckpointChunk> {
    let entries = log.read(topics::CHECKPOINTS, 0, digest.offset, 1, CHUNK_READ_BYTES_MAX).ok()?;
    let entry = entries.first().filter(|entry| entry.offset == digest.offset)?;
    (crc32fast::hash(&entry.bytes) == digest.crc).then(|| decode(&entry.bytes).ok())?
}
