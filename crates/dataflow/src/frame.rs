//! Frames: sorts what a tick sends to each output partition, cuts it into chunks and encodes it.

use std::collections::BTreeMap;

use spillway_events::{
    CHUNK_BYTES_MAX, Decision, DecodeError, Frame, Framed, Performance, Receipt, Record, Rejected, decode,
    encode, topics,
};

use crate::checkpoint::{Restored, chunks};
use crate::message::{Item, StateItem, TickFacts};
use crate::publish::Publisher;
use crate::run::{Config, Output, shard};

/// The state of one worker's `frame`.
pub(crate) struct Framer {
    config: Config,
    worker: usize,
    /// Worker 0 publishes.
    publisher: Option<Publisher>,
}

impl Framer {
    pub(crate) fn new(config: Config, worker: usize, restored: Option<&Restored>) -> Self {
        Self { config, worker, publisher: (worker == 0).then(|| Publisher::new(restored)) }
    }

    /// The frames of one complete tick.
    pub(crate) fn tick(&mut self, tick: u64, items: Vec<Item>) -> Vec<Output> {
        let mut facts: Option<TickFacts> = None;
        let mut decisions: Vec<Decision> = Vec::new();
        let mut performance: Vec<Performance> = Vec::new();
        let mut receipts: Vec<Receipt> = Vec::new();
        let mut rejected: Vec<Rejected> = Vec::new();
        let mut state: Vec<StateItem> = Vec::new();
        for item in items {
            match item {
                Item::Facts(of_tick) => facts = Some(of_tick),
                Item::Decision(decision) => decisions.push(decision),
                Item::Performance(item) => performance.push(item),
                Item::Receipt(receipt) => receipts.push(receipt),
                Item::Rejected(item) => rejected.push(item),
                Item::State(item) => state.push(item),
            }
        }
        decisions.sort_by(|a, b| (&a.site, &a.network).cmp(&(&b.site, &b.network)));
        // Whole keys: timely keeps no order among the messages of a tick.
        let key = |p: &Performance| (p.metric, p.threshold, p.percentile, p.window_us);
        performance.sort_by(|a, b| {
            (&a.site, &a.target, &a.network, key(a)).cmp(&(&b.site, &b.target, &b.network, key(b)))
        });
        receipts.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        rejected.sort();
        let mut outputs = Vec::new();
        if let (Some(publisher), Some(facts)) = (&mut self.publisher, &facts) {
            let snapshots = publisher.tick(facts, &decisions);
            outputs.extend(frame(tick, topics::SNAPSHOTS, 0, snapshots));
            if facts.due.checkpoint {
                state.push(publisher.save());
                let chunks = chunks(tick, std::mem::take(&mut state));
                let chunks = chunks.iter().filter_map(|chunk| encode(chunk).ok()).collect();
                outputs.push(Output::Checkpoint { tick, at: facts.at, tick_offset: facts.offset, chunks });
            }
        }
        let partitions = self.config.output_partitions;
        let by_site = |site: &str| shard(site) % partitions;
        outputs.extend(frames(tick, topics::DECISIONS, decisions, |d| by_site(d.site.as_str())));
        outputs.extend(frames(tick, topics::PERFORMANCE, performance, |p| by_site(p.site.as_str())));
        outputs.extend(frame(tick, topics::RECEIPTS, 0, receipts));
        outputs.extend(frame(tick, topics::REJECTED, 0, rejected));
        outputs.push(Output::Done { tick, worker: self.worker });
        outputs
    }
}

fn frames<T: Framed>(
    tick: u64,
    topic: &'static str,
    items: Vec<T>,
    partition: impl Fn(&T) -> u32,
) -> Vec<Output>
where
    Frame<T>: Record,
{
    let mut by_partition: BTreeMap<u32, Vec<T>> = BTreeMap::new();
    for item in items {
        by_partition.entry(partition(&item)).or_default().push(item);
    }
    by_partition.into_iter().filter_map(|(partition, items)| frame(tick, topic, partition, items)).collect()
}

/// The records of one frame; none where there are no items.
fn frame<T: Framed>(tick: u64, topic: &'static str, partition: u32, items: Vec<T>) -> Option<Output>
where
    Frame<T>: Record,
{
    if items.is_empty() {
        return None;
    }
    let mut digest = crc32fast::Hasher::new();
    let mut chunks: Vec<Vec<T>> = vec![Vec::new()];
    let mut bytes = 0;
    for item in items {
        let encoded = item_bytes(&item);
        digest.update(&encoded);
        if bytes + encoded.len() > CHUNK_BYTES_MAX && bytes > 0 {
            chunks.push(Vec::new());
            bytes = 0;
        }
        bytes += encoded.len();
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(item);
        }
    }
    let digest = digest.finalize();
    let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    let records = (0..).zip(chunks).filter_map(|(chunk, items)| {
        // A test holds every type equal to its schema, so that encoding does not fail.
        encode(&Frame { tick, chunk, chunks: count, digest, items }).ok()
    });
    Some(Output::Frame { tick, topic, partition, records: records.collect() })
}

/// The Avro bytes of one item: those of a frame that holds it alone, without the frame's own.
fn item_bytes<T: Framed>(item: &T) -> Vec<u8>
where
    Frame<T>: Record,
{
    const HEAD_BYTES: usize = 10 + 4 + 1;
    let alone = Frame { tick: 0, chunk: 0, chunks: 0, digest: 0, items: vec![item.clone()] };
    let mut bytes = encode(&alone).unwrap_or_default();
    bytes.pop();
    bytes.drain(..HEAD_BYTES.min(bytes.len()));
    bytes
}

/// Tick, chunk and chunks of an encoded frame of whatever kind; nothing where the bytes are no frame.
#[must_use]
pub fn frame_head(record: &[u8]) -> Option<(u64, u32, u32)> {
    // Behind the marker and the fingerprint: Avro longs, zigzag and 7 bits a byte. None of the three is negative.
    let mut bytes = record.get(10..)?.iter();
    let mut long = || {
        let mut number = 0_u64;
        for shift in (0..63).step_by(7) {
            let byte = u64::from(*bytes.next()?);
            number |= (byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(number >> 1);
            }
        }
        None
    };
    Some((long()?, u32::try_from(long()?).ok()?, u32::try_from(long()?).ok()?))
}

/// The frames of one partition: by tick, rising.
pub type Frames<T> = Vec<(u64, Vec<T>)>;

/// Puts frames together from the records of one partition, in order: each complete frame once, in rising tick
/// order; repeats and frames cut short are passed over.
///
/// # Errors
/// With the record's place, when it does not decode or a complete frame's digest is another.
pub fn read_frames<T: Framed>(
    records: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> Result<Frames<T>, (usize, DecodeError)>
where
    Frame<T>: Record,
{
    let mut frames: Vec<(u64, Vec<T>)> = Vec::new();
    let mut open: Option<(u64, u32, Vec<T>)> = None;
    for (place, record) in records.into_iter().enumerate() {
        let frame: Frame<T> = decode(record.as_ref()).map_err(|error| (place, error))?;
        if frames.last().is_some_and(|(tick, _)| *tick >= frame.tick) {
            continue;
        }
        let mut items = match open.take() {
            _ if frame.chunk == 0 => Vec::new(),
            Some((tick, next, items)) if tick == frame.tick && next == frame.chunk => items,
            _ => continue,
        };
        items.extend(frame.items);
        if frame.chunk + 1 < frame.chunks {
            open = Some((frame.tick, frame.chunk + 1, items));
            continue;
        }
        let mut digest = crc32fast::Hasher::new();
        items.iter().for_each(|item| digest.update(&item_bytes(item)));
        if digest.finalize() != frame.digest {
            let why = format!("the digest of the frame of tick {} is another", frame.tick);
            return Err((place, DecodeError::Invalid(why)));
        }
        frames.push((frame.tick, items));
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipts(count: u32) -> Vec<Receipt> {
        let topic = "t".repeat(2_000);
        (0..count)
            .map(|partition| Receipt { topic: topic.clone(), partition, end: 1, records: 1, crc: 7 })
            .collect()
    }

    fn records(tick: u64, items: Vec<Receipt>) -> Vec<Vec<u8>> {
        match frame(tick, topics::RECEIPTS, 0, items) {
            Some(Output::Frame { records, .. }) => records,
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_frame_is_cut_into_chunks_and_read_back_once() {
        let first = records(1, receipts(1_000));
        assert!(first.len() > 3 && first.iter().all(|chunk| chunk.len() <= CHUNK_BYTES_MAX + 64));
        let second = records(2, receipts(1));
        // Cut short by a crash after its first chunk, then sent again whole, then once more.
        let log = [&first[..1], &first[..], &second[..], &first[..], &second[..]].concat();
        assert_eq!(frame_head(&first[1]), Some((1, 1, u32::try_from(first.len()).unwrap())));
        assert_eq!(frame_head(&first[1][..11]), None);
        assert_eq!(read_frames(&log), Ok(vec![(1, receipts(1_000)), (2, receipts(1))]));
    }

    #[test]
    fn a_frame_with_a_changed_item_is_refused() {
        let mut log = records(1, receipts(2));
        let mut frame: Frame<Receipt> = decode(&log[0]).unwrap();
        frame.items[1].crc = 8;
        log[0] = encode(&frame).unwrap();
        assert!(matches!(read_frames::<Receipt>(&log), Err((0, DecodeError::Invalid(_)))));
    }
}
