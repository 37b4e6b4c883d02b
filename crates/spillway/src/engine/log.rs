//! The dataflow on a log: reads ticks and what they read, appends frames and checkpoints, recovers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use spillway_dataflow::{Config, InputRecord, InputTopic, Output, Restored};
use spillway_eventlog::{Batch, Entry, EventLog};
use spillway_events::{
    CheckpointChunk, ChunkDigest, Manifest, ProvisioningRecord, Tick, decode, encode, frame_head, topics,
};

use super::{FullTick, OUTPUT_PARTITIONS};

/// How much is read in one go.
const READ_RECORDS_MAX: usize = 4_096;
const READ_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much of output is gathered before it is appended.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The topics of an installation on one machine, with their partitions.
pub(crate) fn create_topics(log: &dyn EventLog) -> anyhow::Result<()> {
    let own = [
        topics::PROVISIONING,
        topics::MEASUREMENTS,
        topics::STATISTICS,
        topics::TICKS,
        topics::SNAPSHOTS,
        topics::CHECKPOINTS,
        topics::RECEIPTS,
        topics::REJECTED,
    ];
    for topic in own {
        log.create_topic(topic, 1)?;
    }
    log.create_topic(topics::DECISIONS, OUTPUT_PARTITIONS)?;
    log.create_topic(topics::PERFORMANCE, OUTPUT_PARTITIONS)?;
    Ok(())
}

/// All records of a partition from an offset up to another, a piece at a time.
pub(crate) struct Records<'a> {
    log: &'a dyn EventLog,
    topic: &'static str,
    partition: u32,
    next: u64,
    end: u64,
    read: std::vec::IntoIter<Entry>,
    following: Option<Following<'a>>,
}

/// How long to go on at the end of a partition.
#[derive(Clone, Copy)]
struct Following<'a> {
    stop: &'a AtomicBool,
    wait: Duration,
}

impl<'a> Records<'a> {
    /// From `from` up to the end as it is now.
    pub(crate) fn new(
        log: &'a dyn EventLog,
        topic: &'static str,
        partition: u32,
        from: u64,
    ) -> anyhow::Result<Self> {
        let end = log.end(topic, partition)?;
        Ok(Self { log, topic, partition, next: from, end, read: Vec::new().into_iter(), following: None })
    }

    /// Waits at the end for more until told to stop, looking for that at least every `wait`.
    pub(crate) fn following(mut self, stop: &'a AtomicBool, wait: Duration) -> Self {
        self.following = Some(Following { stop, wait });
        self
    }

    /// Whether there is more, perhaps after waiting for it.
    fn reaches_more(&mut self) -> anyhow::Result<bool> {
        while self.next >= self.end {
            let Some(Following { stop, wait }) = self.following else { return Ok(false) };
            if stop.load(Ordering::Acquire) {
                return Ok(false);
            }
            if self.log.wait(self.topic, self.partition, self.end, wait)? {
                self.end = self.log.end(self.topic, self.partition)?;
            }
        }
        Ok(true)
    }
}

impl Iterator for Records<'_> {
    type Item = anyhow::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.read.next() {
            self.next = entry.offset + 1;
            return Some(Ok(entry));
        }
        match self.reaches_more() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(Err(error)),
        }
        match self.log.read(self.topic, self.partition, self.next, READ_RECORDS_MAX, READ_BYTES_MAX) {
            Ok(entries) => self.read = entries.into_iter(),
            Err(error) => {
                self.end = self.next;
                return Some(Err(error.into()));
            }
        }
        let entry = self.read.next()?;
        self.next = entry.offset + 1;
        Some(Ok(entry))
    }
}

/// The ticks of a log from a number on, each with what it reads.
pub(crate) struct LogTicks<'a> {
    ticks: Records<'a>,
    provisioning: Records<'a>,
    inputs: BTreeMap<(InputTopic, u32), Records<'a>>,
    log: &'a dyn EventLog,
    /// Where the tick before the first stopped.
    starts: BTreeMap<(String, u32), u64>,
}

impl<'a> LogTicks<'a> {
    /// From the tick after `after` (of a checkpoint), or from the first.
    pub(crate) fn new(log: &'a dyn EventLog, after: Option<u64>) -> anyhow::Result<Self> {
        let mut starts = BTreeMap::new();
        if let Some(offset) = after {
            let entries = log.read(topics::TICKS, 0, offset, 1, READ_BYTES_MAX)?;
            let entry = entries.first().context("the tick of the checkpoint is not in the log")?;
            let tick: Tick = decode_at(topics::TICKS, 0, entry)?;
            starts = tick.offsets.into_iter().map(|o| ((o.topic, o.partition), o.end)).collect();
        }
        let provisioned = starts.get(&(topics::PROVISIONING.to_owned(), 0)).copied().unwrap_or(0);
        Ok(Self {
            ticks: Records::new(log, topics::TICKS, 0, after.map_or(0, |offset| offset + 1))?,
            provisioning: Records::new(log, topics::PROVISIONING, 0, provisioned)?,
            inputs: BTreeMap::new(),
            log,
            starts,
        })
    }

    /// Goes on with ticks that come later, until told to stop.
    pub(crate) fn following(mut self, stop: &'a AtomicBool, wait: Duration) -> Self {
        self.ticks = self.ticks.following(stop, wait);
        self
    }

    fn tick(&mut self, entry: &Entry) -> anyhow::Result<FullTick> {
        let tick: Tick = decode_at(topics::TICKS, 0, entry)?;
        if tick.rules > spillway_dataflow::RULES_VERSION {
            bail!("tick {} is of rules {}, which this release does not know", tick.number, tick.rules);
        }
        let mut provisioning: Vec<ProvisioningRecord> = Vec::new();
        let mut records = Vec::new();
        for offset in &tick.offsets {
            let topic = match offset.topic.as_str() {
                topics::PROVISIONING => {
                    self.provisioning.end = self.provisioning.end.max(offset.end);
                    while self.provisioning.next < offset.end {
                        let Some(entry) = self.provisioning.next() else { break };
                        provisioning.push(decode_at(topics::PROVISIONING, 0, &entry?)?);
                    }
                    check_reached(&self.provisioning, &tick, offset.end)?;
                    continue;
                }
                topics::MEASUREMENTS => InputTopic::Measurements,
                topics::STATISTICS => InputTopic::Statistics,
                other => bail!("tick {} reads topic {other}, which this release does not know", tick.number),
            };
            let key = (offset.topic.clone(), offset.partition);
            let from = self.starts.get(&key).copied().unwrap_or(0);
            let input = match self.inputs.entry((topic, offset.partition)) {
                std::collections::btree_map::Entry::Occupied(occupied) => occupied.into_mut(),
                std::collections::btree_map::Entry::Vacant(vacant) => {
                    vacant.insert(Records::new(self.log, topic.name(), offset.partition, from)?)
                }
            };
            input.end = input.end.max(offset.end);
            while input.next < offset.end {
                let Some(entry) = input.next() else { break };
                let Entry { offset: at, bytes } = entry?;
                records.push(InputRecord { topic, partition: offset.partition, offset: at, bytes });
            }
            check_reached(input, &tick, offset.end)?;
        }
        Ok(FullTick { tick, tick_offset: entry.offset, provisioning, records })
    }
}

fn check_reached(records: &Records<'_>, tick: &Tick, end: u64) -> anyhow::Result<()> {
    if records.next < end {
        let (topic, partition) = (records.topic, records.partition);
        bail!(
            "tick {} reads {topic}/{partition} up to {end}, but the log ends at {}",
            tick.number,
            records.next
        );
    }
    Ok(())
}

impl Iterator for LogTicks<'_> {
    type Item = anyhow::Result<FullTick>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.ticks.next()?;
        Some(entry.and_then(|entry| self.tick(&entry)))
    }
}

fn decode_at<R: spillway_events::Record>(topic: &str, partition: u32, entry: &Entry) -> anyhow::Result<R> {
    decode(&entry.bytes).with_context(|| format!("{topic}/{partition} at offset {}", entry.offset))
}

/// The newest checkpoint that verifies whole, and the offset of its tick in `ticks`.
pub(crate) fn newest_checkpoint(log: &dyn EventLog) -> anyhow::Result<Option<(Restored, u64)>> {
    let mut manifests: Vec<Manifest> = Vec::new();
    for entry in Records::new(log, topics::CHECKPOINTS, 0, log.start(topics::CHECKPOINTS, 0)?)? {
        // Chunks are decoded only once their manifest is chosen.
        manifests.extend(decode::<Manifest>(&entry?.bytes).ok());
    }
    let newest_first = manifests.into_iter().rev();
    for manifest in newest_first {
        if let Some(chunks) = read_chunks(log, &manifest)
            && let Ok(restored) = Restored::new(manifest.tick, manifest.at_us, &chunks)
        {
            return Ok(Some((restored, manifest.tick_offset)));
        }
    }
    Ok(None)
}

fn read_chunks(log: &dyn EventLog, manifest: &Manifest) -> Option<Vec<CheckpointChunk>> {
    let chunk = |digest: &ChunkDigest| {
        let entries = log.read(topics::CHECKPOINTS, 0, digest.offset, 1, READ_BYTES_MAX).ok()?;
        let entry = entries.first().filter(|entry| entry.offset == digest.offset)?;
        (crc32fast::hash(&entry.bytes) == digest.crc).then(|| decode(&entry.bytes).ok())?
    };
    manifest.chunks.iter().map(chunk).collect()
}

/// Appends what the dataflow sends out, in groups of consecutive ticks.
pub(crate) struct FrameWriter<'a> {
    log: &'a dyn EventLog,
    workers: usize,
    /// By tick: what came, and how many workers are done.
    open: BTreeMap<u64, OpenTick>,
    group: BTreeMap<(&'static str, u32), Vec<Vec<u8>>>,
    group_bytes: usize,
    pub(crate) ticks_done: u64,
}

#[derive(Default)]
struct OpenTick {
    outputs: Vec<Output>,
    workers_done: usize,
}

impl<'a> FrameWriter<'a> {
    pub(crate) fn new(log: &'a dyn EventLog, workers: usize) -> Self {
        let (open, group) = (BTreeMap::new(), BTreeMap::new());
        Self { log, workers, open, group, group_bytes: 0, ticks_done: 0 }
    }

    /// Takes an output; appends complete ticks once there is enough.
    pub(crate) fn take(&mut self, output: Output) -> anyhow::Result<()> {
        match output {
            Output::Done { tick, .. } => {
                self.open.entry(tick).or_default().workers_done += 1;
                let workers = self.workers;
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

    fn complete(&mut self, outputs: Vec<Output>) -> anyhow::Result<()> {
        let mut checkpoint = None;
        for output in outputs {
            match output {
                Output::Frame { topic, partition, records, .. } => {
                    self.group_bytes += records.iter().map(Vec::len).sum::<usize>();
                    self.group.entry((topic, partition)).or_default().extend(records);
                }
                Output::Checkpoint { tick, at, tick_offset, chunks } => {
                    checkpoint =
                        Some((Manifest { tick, at_us: at, tick_offset, chunks: Vec::new() }, chunks));
                }
                Output::Done { .. } => {}
            }
        }
        self.ticks_done += 1;
        if checkpoint.is_some() || self.group_bytes >= GROUP_BYTES_MAX {
            self.flush()?;
        }
        checkpoint.map_or(Ok(()), |(manifest, chunks)| self.checkpoint(manifest, &chunks))
    }

    /// Appends what has been gathered; on return it is durable.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        let group = std::mem::take(&mut self.group);
        self.group_bytes = 0;
        let records: Vec<Vec<&[u8]>> =
            group.values().map(|records| records.iter().map(Vec::as_slice).collect()).collect();
        let batches = group.keys().zip(&records);
        let batches: Vec<Batch<'_>> = batches
            .map(|((topic, partition), records)| Batch { topic, partition: *partition, records })
            .collect();
        if !batches.is_empty() {
            // One commit for all partitions, where the log can.
            self.log.append_many(&batches)?;
        }
        Ok(())
    }

    fn checkpoint(&self, mut manifest: Manifest, chunks: &[Vec<u8>]) -> anyhow::Result<()> {
        let records: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let first = self.log.append(topics::CHECKPOINTS, 0, &records)?;
        let digests = (first..).zip(chunks);
        manifest.chunks =
            digests.map(|(offset, chunk)| ChunkDigest { offset, crc: crc32fast::hash(chunk) }).collect();
        self.log.append(topics::CHECKPOINTS, 0, &[&encode(&manifest)?])?;
        Ok(())
    }
}

/// Brings everything derived up to the last tick of a log: from the newest checkpoint on.
pub(crate) fn catch_up(
    log: &dyn EventLog,
    workers: usize,
    checkpoint_period_us: i64,
    mut on_tick: impl FnMut(u64),
) -> anyhow::Result<()> {
    let checkpoint = newest_checkpoint(log)?;
    let after = checkpoint.as_ref().map(|(_, offset)| *offset);
    let checkpoint_period_us = Some(checkpoint_period_us);
    let config = Config { checkpoint_period_us, ..super::config(workers) };
    let mut writer = FrameWriter::new(log, workers);
    super::run(config, checkpoint.map(|(restored, _)| restored), LogTicks::new(log, after)?, |output| {
        writer.take(output)?;
        on_tick(writer.ticks_done);
        Ok(())
    })?;
    writer.flush()
}

/// The complete frames of a partition, repeats removed, as their records.
pub(crate) struct FrameRecords<'a> {
    records: Records<'a>,
    last: Option<u64>,
    topic: &'static str,
    partition: u32,
}

impl<'a> FrameRecords<'a> {
    pub(crate) fn new(log: &'a dyn EventLog, topic: &'static str, partition: u32) -> anyhow::Result<Self> {
        let records = Records::new(log, topic, partition, log.start(topic, partition)?)?;
        Ok(Self { records, last: None, topic, partition })
    }

    /// Goes on with frames that come later, until told to stop.
    pub(crate) fn following(mut self, stop: &'a AtomicBool, wait: Duration) -> Self {
        self.records = self.records.following(stop, wait);
        self
    }
}

impl Iterator for FrameRecords<'_> {
    type Item = anyhow::Result<(u64, Vec<Vec<u8>>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut open: Vec<Vec<u8>> = Vec::new();
        loop {
            let entry = match self.records.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            let Some((tick, chunk, chunks)) = frame_head(&entry.bytes) else {
                let (topic, partition, offset) = (self.topic, self.partition, entry.offset);
                return Some(Err(anyhow::anyhow!("{topic}/{partition} at offset {offset}: no frame")));
            };
            if self.last.is_some_and(|last| tick <= last) {
                continue;
            }
            if chunk == 0 {
                open.clear();
            }
            open.push(entry.bytes);
            if chunk + 1 >= chunks && open.len() as u64 == u64::from(chunks) {
                self.last = Some(tick);
                return Some(Ok((tick, open)));
            }
        }
    }
}
