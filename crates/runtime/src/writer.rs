//! Appends the outputs of the dataflow to the log: frames in groups, each checkpoint after them.

use std::collections::BTreeMap;

use spillway_dataflow::{Config, Output};
use spillway_eventlog::{Batch, EventLog, LogError};
use spillway_events::{CHUNK_BYTES_MAX, ChunkDigest, Manifest, TimeMicros, encode, topics};

use crate::checkpoint::{Checkpoint, KeptCheckpoints};
use crate::{LogTicks, RuntimeError, Step};

/// How many bytes of frames are collected before they are appended.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How many bytes one call appends.
const CALL_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many chunks of a frame are one batch.
const BATCH_CHUNKS_MAX: usize = 16;
const _: () = assert!(BATCH_CHUNKS_MAX * CHUNK_BYTES_MAX <= CALL_BYTES_MAX);

/// Appends the outputs of the dataflow, in groups of consecutive ticks.
pub struct FrameWriter<'a> {
    log: &'a dyn EventLog,
    config: Config,
    /// By tick: the outputs received, and how many workers of this process are done.
    open: BTreeMap<u64, OpenTick>,
    group: BTreeMap<(&'static str, u32), Vec<Vec<u8>>>,
    group_bytes: usize,
    kept: KeptCheckpoints,
}

#[derive(Default)]
struct OpenTick {
    outputs: Vec<Output>,
    workers_done: usize,
}

impl<'a> FrameWriter<'a> {
    /// A writer for one process of a dataflow.
    #[must_use]
    pub fn new(log: &'a dyn EventLog, config: Config) -> Self {
        let (open, group) = (BTreeMap::new(), BTreeMap::new());
        Self { log, config, open, group, group_bytes: 0, kept: KeptCheckpoints::default() }
    }

    /// Takes an output; appends complete ticks once their frames hold enough bytes.
    ///
    /// # Errors
    /// If the log fails. Nothing may be written after that.
    pub fn take(&mut self, output: Output) -> Result<(), RuntimeError> {
        match output {
            Output::Done { tick, .. } => {
                self.open.entry(tick).or_default().workers_done += 1;
                let workers = self.config.workers;
                let is_done = |open: &OpenTick| open.workers_done >= workers;
                while self.open.first_key_value().is_some_and(|(_, open)| is_done(open)) {
                    let Some((_, done)) = self.open.pop_first() else { break };
                    self.complete(done.outputs)?;
                }
                Ok(())
            }
            Output::Frame { tick, .. } | Output::Checkpoint { tick, .. } => {
                self.open.entry(tick).or_default().outputs.push(output);
                Ok(())
            }
        }
    }

    fn complete(&mut self, outputs: Vec<Output>) -> Result<(), RuntimeError> {
        let mut checkpoint = None;
        for output in outputs {
            match output {
                Output::Frame { topic, partition, records, .. } => {
                    self.group_bytes += records.iter().map(Vec::len).sum::<usize>();
                    self.group.entry((topic, partition)).or_default().extend(records);
                }
                Output::Checkpoint { tick, at, tick_offset, installation, chunks } => {
                    checkpoint = Some((self.manifest(tick, at, tick_offset, installation), chunks));
                }
                Output::Done { .. } => {}
            }
        }
        if checkpoint.is_some() || self.group_bytes >= GROUP_BYTES_MAX {
            self.flush()?;
        }
        checkpoint.map_or(Ok(()), |(manifest, chunks)| self.checkpoint(manifest, &chunks))
    }

    /// Appends the collected frames; on return they are durable.
    ///
    /// # Errors
    /// If the log fails. Nothing may be written after that.
    pub fn flush(&mut self) -> Result<(), RuntimeError> {
        let group = std::mem::take(&mut self.group);
        self.group_bytes = 0;
        let mut batches: Vec<(&str, u32, Vec<&[u8]>)> = Vec::new();
        for ((topic, partition), records) in &group {
            for some in records.chunks(BATCH_CHUNKS_MAX) {
                batches.push((topic, *partition, some.iter().map(Vec::as_slice).collect()));
            }
        }
        self.append(&batches)?;
        Ok(())
    }

    /// Appends batches by calls of bounded size, each acknowledged before the next one. Returns the first offset of each
    /// batch.
    fn append(&self, batches: &[(&str, u32, Vec<&[u8]>)]) -> Result<Vec<u64>, LogError> {
        let mut offsets = Vec::with_capacity(batches.len());
        let mut rest = batches;
        while !rest.is_empty() {
            let mut bytes = 0_usize;
            let fits = rest.iter().take_while(|(.., records)| {
                bytes += records.iter().map(|record| record.len()).sum::<usize>();
                bytes <= CALL_BYTES_MAX
            });
            let (some, later) = rest.split_at(fits.count().max(1));
            let of_call: Vec<Batch<'_>> = some
                .iter()
                .map(|(topic, partition, records)| Batch { topic, partition: *partition, records })
                .collect();
            offsets.extend(self.log.append_many(&of_call)?);
            rest = later;
        }
        Ok(offsets)
    }

    /// The manifest of this process's part, without chunks.
    fn manifest(&self, tick: u64, at_us: TimeMicros, tick_offset: u64, installation: String) -> Manifest {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (part, parts) = (number(self.config.process), number(self.config.processes));
        Manifest { tick, at_us, tick_offset, installation, chunks: Vec::new(), part, parts }
    }

    fn checkpoint(&mut self, mut manifest: Manifest, chunks: &[Vec<u8>]) -> Result<(), RuntimeError> {
        // Each chunk is a batch of its own, because chunks of other processes may come in between.
        let batches: Vec<_> =
            chunks.iter().map(|chunk| (topics::CHECKPOINTS, 0, vec![chunk.as_slice()])).collect();
        let digests = self.append(&batches)?.into_iter().zip(chunks);
        manifest.chunks =
            digests.map(|(offset, chunk)| ChunkDigest { offset, crc: crc32fast::hash(chunk) }).collect();
        let topic = topics::MANIFESTS;
        let encoded = encode(&manifest).map_err(|source| RuntimeError::Encode { topic, source })?;
        let offset = self.log.append(topic, 0, &[&encoded])?;
        // Process 0 truncates for all.
        if self.config.process > 0 {
            return Ok(());
        }
        if self.config.processes > 1 {
            self.kept.read_on(self.log)?;
        } else {
            self.kept.note(offset, &manifest);
        }
        if let Some(first) = self.kept.forget_old() {
            // Manifests first: a manifest whose chunks are gone is of no use.
            self.log.truncate_before(topics::MANIFESTS, 0, first.manifest)?;
            if let Some(chunk) = first.chunk {
                self.log.truncate_before(topics::CHECKPOINTS, 0, chunk)?;
            }
        }
        Ok(())
    }
}

/// Derives what a log lacks, from its newest checkpoint to its last tick.
///
/// # Errors
/// If the log fails or the dataflow ends early.
pub fn catch_up(log: &dyn EventLog, workers: usize, checkpoint_period_us: i64) -> Result<(), RuntimeError> {
    let checkpoint = Checkpoint::newest(log)?;
    let checkpoint_period_us = Some(checkpoint_period_us);
    let config = Config { checkpoint_period_us, ..crate::config(workers) };
    let mut writer = FrameWriter::new(log, config);
    let ticks = LogTicks::new(log, config, checkpoint.as_ref())?;
    let restored = checkpoint.map(|checkpoint| checkpoint.restored);
    crate::run(config, restored, Vec::new(), ticks, |step| match step {
        Step::Output(output) => writer.take(output),
        Step::Idle | Step::Ended => Ok(()),
    })?;
    writer.flush()
}
