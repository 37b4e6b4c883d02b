//! Frames and checkpoints on the log: items are cut into chunks, and complete frames are assembled from chunks.

use serde::{Deserialize, Serialize};
use serde_avro_fast::Schema;
use serde_avro_fast::ser::SerializerConfig;

use crate::codec::{DecodeError, Record, decode, encode, put_long};
use crate::records::checkpoint::{CheckpointChunk, StateItem, state_item_schema};
use crate::records::frame::{CHUNK_BYTES_MAX, Frame, Framed};
use crate::records::performance::PerformanceView;

/// Encodes what a tick sends to one partition: one record a chunk.
///
/// # Errors
/// When an item does not encode.
pub fn encode_frame<T: Framed>(tick: u64, items: &[T]) -> Result<Vec<Vec<u8>>, DecodeError>
where
    Frame<T>: Record,
{
    let mut encoded = EncodedItems::default();
    items.iter().try_for_each(|item| encoded.push(item))?;
    encode_items_frame::<T>(tick, &encoded)
}

/// As [`encode_frame`], of items that are encoded already.
///
/// # Errors
/// If the tick's number does not encode.
pub fn encode_items_frame<T: Framed>(tick: u64, items: &EncodedItems) -> Result<Vec<Vec<u8>>, DecodeError>
where
    Frame<T>: Record,
{
    let mut digest = crc32fast::Hasher::new();
    digest.update(&items.bytes);
    let digest = digest.finalize();
    let mut chunks = items.chunks();
    if chunks.is_empty() {
        chunks.push(Chunk::default());
    }
    let total = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    let frames = (0..).zip(chunks).map(|(chunk, items)| {
        let empty = encode(&Frame::<T> { tick, chunk, chunks: total, digest, items: Vec::new() })?;
        Ok(items.put_into(empty))
    });
    frames.collect()
}

/// The number of bytes that items take in frames, without the heads of the frames.
///
/// # Errors
/// When an item does not encode.
pub fn items_bytes<T: Framed>(items: &[T]) -> Result<usize, DecodeError> {
    let mut encoded = EncodedItems::default();
    items.iter().try_for_each(|item| encoded.push(item))?;
    Ok(encoded.bytes.len())
}

/// Items of frames or checkpoints in Avro, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedItems {
    bytes: Vec<u8>,
    lengths: Vec<u32>,
}

/// How many items there are, and how many bytes they have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemsSize {
    items: usize,
    bytes: usize,
}

impl EncodedItems {
    /// Encodes an item behind the others.
    ///
    /// # Errors
    /// When the item does not encode.
    pub fn push<T: Framed>(&mut self, item: &T) -> Result<(), DecodeError> {
        self.push_datum(T::item_schema(), item)
    }

    /// Encodes an item of frames of [`crate::Performance`] behind the others.
    ///
    /// # Errors
    /// When the item does not encode.
    pub fn push_performance(&mut self, item: &PerformanceView<'_>) -> Result<(), DecodeError> {
        self.push_by(|bytes| item.write(bytes))
    }

    fn push_datum(&mut self, schema: &Schema, item: &impl Serialize) -> Result<(), DecodeError> {
        self.push_by(|bytes| {
            serde_avro_fast::to_datum(item, bytes, &mut SerializerConfig::new(schema))
                .map(|_| ())
                .map_err(|error| DecodeError::Datum(error.to_string()))
        })
    }

    fn push_by(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let before = self.bytes.len();
        let written = write(&mut self.bytes);
        match written {
            Ok(()) => self.lengths.push(u32::try_from(self.bytes.len() - before).unwrap_or(u32::MAX)),
            Err(_) => self.bytes.truncate(before),
        }
        written
    }

    /// How many items there are, and how many bytes they have.
    #[must_use]
    pub fn size(&self) -> ItemsSize {
        ItemsSize { items: self.lengths.len(), bytes: self.bytes.len() }
    }

    /// Makes room for more.
    pub fn reserve(&mut self, more: ItemsSize) {
        self.lengths.reserve(more.items);
        self.bytes.reserve(more.bytes);
    }

    /// Appends the items of another value between two sizes that it had.
    pub fn append(&mut self, other: &Self, from: ItemsSize, until: ItemsSize) {
        self.bytes.extend_from_slice(other.bytes.get(from.bytes..until.bytes).unwrap_or_default());
        self.lengths.extend_from_slice(other.lengths.get(from.items..until.items).unwrap_or_default());
    }

    /// Cuts the items into chunks. A chunk has at most [`CHUNK_BYTES_MAX`] bytes of items, or one item that has more.
    fn chunks(&self) -> Vec<Chunk<'_>> {
        let mut chunks: Vec<Chunk<'_>> = Vec::new();
        let mut from = 0;
        for length in &self.lengths {
            let end = from + *length as usize;
            match chunks.last_mut() {
                Some(last) if last.bytes.len() + *length as usize <= CHUNK_BYTES_MAX => {
                    last.bytes = &self.bytes[from - last.bytes.len()..end];
                    last.count += 1;
                }
                _ => chunks.push(Chunk { bytes: &self.bytes[from..end], count: 1 }),
            }
            from = end;
        }
        chunks
    }
}

/// Encodes the state of a tick: one record a chunk, by shard. `items` are pairs of the logical shard and an item's bytes
/// ([`encode_state_item`]).
///
/// # Errors
/// If the tick's number does not encode.
pub fn encode_checkpoint(tick: u64, mut items: Vec<(u32, Vec<u8>)>) -> Result<Vec<Vec<u8>>, DecodeError> {
    items.sort_unstable();
    let mut records = Vec::new();
    for of_shard in items.chunk_by(|(one, _), (other, _)| one == other) {
        let mut encoded = EncodedItems::default();
        for (_, bytes) in of_shard {
            encoded.bytes.extend_from_slice(bytes);
            encoded.lengths.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        }
        let shard = of_shard.first().map_or(0, |(shard, _)| *shard);
        for (chunk, items) in (0..).zip(encoded.chunks()) {
            let empty = encode(&CheckpointChunk { tick, shard, chunk, items: Vec::new() })?;
            records.push(items.put_into(empty));
        }
    }
    Ok(records)
}

/// The Avro bytes of one item of a checkpoint.
///
/// # Errors
/// If the item does not encode.
pub fn encode_state_item(item: &StateItem) -> Result<Vec<u8>, DecodeError> {
    let mut encoded = EncodedItems::default();
    encoded.push_datum(state_item_schema(), item)?;
    Ok(encoded.bytes)
}

/// The encoded items of one chunk.
#[derive(Default)]
struct Chunk<'a> {
    bytes: &'a [u8],
    count: i64,
}

impl Chunk<'_> {
    /// Puts the items into an encoded record whose last field is an empty array.
    fn put_into(self, mut record: Vec<u8>) -> Vec<u8> {
        if self.count > 0 {
            // An Avro array is a block's count, its items, and the count 0 that ends it. The empty array already has that 0.
            record.pop();
            record.reserve(self.bytes.len() + 11);
            put_long(&mut record, self.count);
            record.extend_from_slice(self.bytes);
            record.push(0);
        }
        record
    }
}

/// The head of an encoded frame chunk, of whatever kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// The tick.
    pub tick: u64,
    /// The chunk's number, from 0.
    pub chunk: u32,
    /// How many chunks the frame has.
    pub chunks: u32,
    /// CRC-32 (IEEE 802.3) of the encoded items of the whole frame.
    pub digest: u32,
}

impl FrameHead {
    /// Reads the head of an encoded chunk; `None` if the bytes are not a chunk.
    #[must_use]
    pub fn of(record: &[u8]) -> Option<Self> {
        Self::split(record).map(|(head, _)| head)
    }

    /// The head, and the encoded array of items behind it.
    fn split(record: &[u8]) -> Option<(Self, &[u8])> {
        // After the marker and the fingerprint.
        let (tick, rest) = take_long(record.get(10..)?)?;
        let (chunk, rest) = take_long(rest)?;
        let (chunks, rest) = take_long(rest)?;
        let (digest, items) = take_long(rest)?;
        let (chunk, chunks) = (u32::try_from(chunk).ok()?, u32::try_from(chunks).ok()?);
        let head = Self { tick, chunk, chunks, digest: u32::try_from(digest).ok()? };
        (chunk < chunks).then_some((head, items))
    }
}

/// Reads an Avro long that is not negative, as [`put_long`] writes it.
fn take_long(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (shift, (index, byte)) in (0..63).step_by(7).zip(bytes.iter().enumerate()) {
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            // The lowest bit is the sign.
            return (number & 1 == 0).then_some((number >> 1, bytes.get(index + 1..)?));
        }
    }
    None
}

/// The bytes of the items of an encoded chunk, as [`Chunk::put_into`] writes them: one block, then the count 0.
fn encoded_items(record: &[u8]) -> Option<&[u8]> {
    let (_, array) = FrameHead::split(record)?;
    match take_long(array)? {
        (0, _) => Some(&[]),
        (_, items) => items.split_last().map(|(_, items)| items),
    }
}

/// One complete frame: its tick and its encoded chunks, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    /// The tick.
    pub tick: u64,
    /// The offset of its first chunk.
    pub offset: u64,
    /// The encoded chunks.
    pub chunks: Vec<Vec<u8>>,
}

/// Assembles the frames of one partition from its records in offset order: each complete frame once, in rising tick
/// order. Repeated frames and incomplete ones are skipped.
#[derive(Debug, Default)]
pub struct FrameAssembler {
    /// The tick of the last complete frame.
    last: Option<u64>,
    /// The tick of the complete frame before that.
    before_last: Option<u64>,
    open: Option<OpenFrame>,
}

#[derive(Debug)]
struct OpenFrame {
    head: FrameHead,
    offset: u64,
    chunks: Vec<Vec<u8>>,
}

impl FrameAssembler {
    /// Takes the next record of the partition and its offset; returns a frame if this record completes one.
    ///
    /// # Errors
    /// If the record is not a frame chunk. The record is skipped, and the next one can be taken.
    pub fn push(&mut self, offset: u64, record: Vec<u8>) -> Result<Option<EncodedFrame>, DecodeError> {
        let head = FrameHead::of(&record)
            .ok_or_else(|| DecodeError::Invalid(String::from("the record is not a frame chunk")))?;
        if self.last.is_some_and(|last| head.tick <= last) {
            return Ok(None);
        }
        // Two writers of one frame may alternate; both write the same bytes, so the first copy of a chunk counts. An
        // incomplete frame is followed by a different frame of the same tick only after the loss of records was accepted.
        let is_same = |open: &OpenFrame| (open.head.tick, open.head.digest) == (head.tick, head.digest);
        match &mut self.open {
            Some(open) if is_same(open) => {
                if open.chunks.len() as u64 != u64::from(head.chunk) {
                    return Ok(None);
                }
                open.chunks.push(record);
            }
            _ if head.chunk == 0 => self.open = Some(OpenFrame { head, offset, chunks: vec![record] }),
            _ => return Ok(None),
        }
        let is_complete = |open: &mut OpenFrame| open.chunks.len() as u64 == u64::from(open.head.chunks);
        let Some(complete) = self.open.take_if(is_complete) else { return Ok(None) };
        self.before_last = self.last.replace(head.tick);
        Ok(Some(EncodedFrame { tick: head.tick, offset: complete.offset, chunks: complete.chunks }))
    }

    /// Forgets the tick of the last complete frame, because the frame is unusable. A valid frame of the same tick, and
    /// frames of lower ticks, are then still read.
    pub fn reject(&mut self) {
        self.last = self.before_last;
    }
}

/// Decodes a complete frame and verifies its digest.
///
/// # Errors
/// If a chunk does not decode, or the digest of the items is not the one in the frame.
pub fn decode_frame<T: Framed>(chunks: &[impl AsRef<[u8]>]) -> Result<Vec<T>, DecodeError>
where
    Frame<T>: Record,
{
    let mut items = Vec::new();
    let (mut expected, mut digest) = (None, crc32fast::Hasher::new());
    for chunk in chunks {
        let frame: Frame<T> = decode(chunk.as_ref())?;
        expected = Some((frame.tick, frame.digest));
        // A chunk whose items are in several blocks is valid Avro, but not ours, and does not have the digest.
        digest.update(encoded_items(chunk.as_ref()).unwrap_or_default());
        items.extend(frame.items);
    }
    match expected {
        Some((tick, expected)) if digest.finalize() != expected => {
            Err(DecodeError::Invalid(format!("the items of the frame of tick {tick} do not have its digest")))
        }
        _ => Ok(items),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Receipt;

    fn receipts(count: u32) -> Vec<Receipt> {
        let topic = "t".repeat(2_000);
        (0..count)
            .map(|partition| Receipt { topic: topic.clone(), partition, end: 1, records: 1, crc: 7 })
            .collect()
    }

    fn records(tick: u64, items: &[Receipt]) -> Vec<Vec<u8>> {
        encode_frame(tick, items).unwrap()
    }

    fn read_frames(records: &[Vec<u8>]) -> Result<Vec<(u64, Vec<Receipt>)>, DecodeError> {
        let mut assembler = FrameAssembler::default();
        let numbered = (0..).zip(records);
        let complete =
            numbered.filter_map(|(offset, record)| assembler.push(offset, record.clone()).transpose());
        complete.map(|frame| frame.and_then(|frame| Ok((frame.tick, decode_frame(&frame.chunks)?)))).collect()
    }

    #[test]
    fn a_frame_is_cut_into_chunks_and_read_back_once() {
        let first = records(1, &receipts(1_000));
        assert!(first.len() > 3 && first.iter().all(|chunk| chunk.len() <= CHUNK_BYTES_MAX + 64));
        let second = records(2, &receipts(1));
        // Cut short by a crash after its first chunk, then sent again whole, then once more.
        let log = [&first[..1], &first[..], &second[..], &first[..], &second[..]].concat();
        // Two writers at once, one of them ahead by two chunks and then behind.
        let mixed = [&first[..2], &first[..1], &first[2..3], &first[1..], &first[3..], &second[..]].concat();
        assert_eq!(read_frames(&mixed), Ok(vec![(1, receipts(1_000)), (2, receipts(1))]));
        let head = FrameHead::of(&first[1]).unwrap();
        assert_eq!((head.tick, head.chunk, head.chunks as usize), (1, 1, first.len()));
        assert_eq!(FrameHead::of(&first[1][..11]), None);
        assert_eq!(read_frames(&log), Ok(vec![(1, receipts(1_000)), (2, receipts(1))]));
        // Cut short, then derived again after the loss of records was accepted.
        let other: Vec<Receipt> = receipts(900).into_iter().map(|item| Receipt { end: 2, ..item }).collect();
        let log = [&first[..2], &records(1, &other), &first[..], &second[..]].concat();
        assert_eq!(read_frames(&log), Ok(vec![(1, other), (2, receipts(1))]));
    }

    /// A reader may begin within a frame, which is then sent again.
    #[test]
    fn a_frame_begins_with_its_first_chunk() {
        let first = records(1, &receipts(1_000));
        let log = [&first[1..], &first[..]].concat();
        assert_eq!(read_frames(&log), Ok(vec![(1, receipts(1_000))]));
        // A chunk that is not one of its frame.
        let mut frame: Frame<Receipt> = decode(&records(1, &receipts(1))[0]).unwrap();
        assert_eq!((frame.chunk, frame.chunks), (0, 1));
        frame.chunk = 1;
        assert_eq!(FrameHead::of(&encode(&frame).unwrap()), None);
    }

    #[test]
    fn items_are_appended_between_two_sizes() {
        let encoded = |items: &[Receipt]| {
            let mut encoded = EncodedItems::default();
            let sizes: Vec<ItemsSize> = items
                .iter()
                .map(|item| {
                    encoded.push(item).unwrap();
                    encoded.size()
                })
                .collect();
            (encoded, sizes)
        };
        let all = receipts(5);
        let (mut few, _) = encoded(&all[..1]);
        let (other, sizes) = encoded(&all);
        few.append(&other, sizes[0], sizes[2]);
        assert_eq!(few, encoded(&all[..3]).0);
    }

    /// The chunks are what the codec makes of the same items.
    #[test]
    fn a_chunk_is_one_record_of_its_items() {
        for count in [0, 1, 2, 63, 64, 200] {
            let written = records(7, &receipts(count));
            let [chunk] = &written[..] else { panic!("{count} receipts make {} chunks", written.len()) };
            let frame: Frame<Receipt> = decode(chunk).unwrap();
            assert_eq!(frame.items, receipts(count));
            assert_eq!(encode(&frame).unwrap(), *chunk, "{count} receipts");
        }
    }

    /// 3,000 items in two shards: what is read back is what was written, and every chunk has a bounded size.
    #[test]
    fn a_checkpoint_is_cut_into_bounded_chunks_by_shard() {
        let item = |partition: u32| StateItem::Receipt(Receipt { partition, ..receipts(1).remove(0) });
        let encoded: Vec<(u32, Vec<u8>)> =
            (0..3_000).map(|number| (number % 2 * 7, encode_state_item(&item(number)).unwrap())).collect();
        let written = encode_checkpoint(5, encoded).unwrap();
        assert!(written.len() > 6 && written.iter().all(|record| record.len() <= CHUNK_BYTES_MAX + 64));
        let mut found = Vec::new();
        for record in &written {
            let chunk: CheckpointChunk = decode(record).unwrap();
            assert_eq!(encode(&chunk).unwrap(), *record);
            assert_eq!(chunk.tick, 5);
            for item in chunk.items {
                let StateItem::Receipt(receipt) = item else { panic!("{item:?}") };
                assert_eq!(receipt.partition % 2 * 7, chunk.shard);
                found.push(receipt.partition);
            }
        }
        found.sort_unstable();
        assert_eq!(found, (0..3_000).collect::<Vec<u32>>());
    }

    #[test]
    fn a_record_that_is_not_a_chunk_is_refused_and_the_next_frame_is_read() {
        let mut assembler = FrameAssembler::default();
        assert!(assembler.push(0, b"junk".to_vec()).is_err());
        let frame = records(3, &receipts(1));
        assert!(assembler.push(1, frame[0].clone()).unwrap().is_some());
    }

    #[test]
    fn the_tick_of_a_rejected_frame_does_not_count() {
        let mut assembler = FrameAssembler::default();
        let mut push = |tick, is_rejected| {
            let frame = assembler.push(0, records(tick, &receipts(1)).remove(0)).unwrap();
            if is_rejected {
                assembler.reject();
            }
            frame.is_some()
        };
        assert!(push(3, false) && push(1 << 60, true) && push(4, false) && push(1 << 60, false));
        assert!(!push(4, false));
    }

    #[test]
    fn a_frame_with_a_changed_item_is_refused() {
        let mut log = records(1, &receipts(2));
        let mut frame: Frame<Receipt> = decode(&log[0]).unwrap();
        frame.items[1].crc = 8;
        log[0] = encode(&frame).unwrap();
        assert!(matches!(read_frames(&log), Err(DecodeError::Invalid(_))));
    }
}
