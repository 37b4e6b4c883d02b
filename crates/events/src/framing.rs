//! Frames on the log: whole items cut into chunks, and put together again once and in order.

use crate::codec::{DecodeError, Record, decode, encode};
use crate::records::frame::{CHUNK_BYTES_MAX, Frame, Framed};

/// Encodes what a tick sends to one partition: one record a chunk.
///
/// # Errors
/// When an item does not encode.
pub fn encode_frame<T: Framed>(tick: u64, items: Vec<T>) -> Result<Vec<Vec<u8>>, DecodeError>
where
    Frame<T>: Record,
{
    let mut digest = crc32fast::Hasher::new();
    // The encoded items of each chunk, and how many they are.
    let mut chunks: Vec<(Vec<u8>, u64)> = vec![(Vec::new(), 0)];
    for item in items {
        let encoded = item_bytes(item)?;
        digest.update(&encoded);
        match chunks.last_mut() {
            Some((bytes, count)) if *count == 0 || bytes.len() + encoded.len() <= CHUNK_BYTES_MAX => {
                bytes.extend(encoded);
                *count += 1;
            }
            _ => chunks.push((encoded, 1)),
        }
    }
    let digest = digest.finalize();
    let total = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    let frames = (0..).zip(chunks).map(|(chunk, (items, count))| {
        let mut bytes = encode(&Frame::<T> { tick, chunk, chunks: total, digest, items: Vec::new() })?;
        if count > 0 {
            // An Avro array: a block's count, its items, and the count 0 that ends it, which stands there already.
            bytes.pop();
            put_long(&mut bytes, count);
            bytes.extend(items);
            bytes.push(0);
        }
        Ok(bytes)
    });
    frames.collect()
}

/// The Avro bytes of one item: those of a frame that holds it alone, without the frame's own.
fn item_bytes<T: Framed>(item: T) -> Result<Vec<u8>, DecodeError>
where
    Frame<T>: Record,
{
    const HEAD_BYTES: usize = 10 + 4 + 1;
    let alone = Frame { tick: 0, chunk: 0, chunks: 0, digest: 0, items: vec![item] };
    let mut bytes = encode(&alone)?;
    bytes.pop();
    bytes.drain(..HEAD_BYTES.min(bytes.len()));
    Ok(bytes)
}

/// Appends an Avro long that is not negative: zigzag, 7 bits a byte.
fn put_long(bytes: &mut Vec<u8>, number: u64) {
    let mut rest = number << 1;
    while rest >= 0x80 {
        bytes.push((rest & 0x7F) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push((rest & 0x7F) as u8);
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
    /// The tick and the digest, which chunk is next, and the items of those before.
    type Open<T> = ((u64, u32), u32, Vec<T>);
    let mut open: Option<Open<T>> = None;
    for (place, record) in records.into_iter().enumerate() {
        let frame: Frame<T> = decode(record.as_ref()).map_err(|error| (place, error))?;
        if frames.last().is_some_and(|(tick, _)| *tick >= frame.tick) {
            continue;
        }
        // Two writers of one frame may alternate; whoever is first with a chunk has the same bytes. Only where records were
        // given up may a frame that was cut short come again as another one.
        let key = (frame.tick, frame.digest);
        let mut items = match open.take_if(|(of, next, _)| *of == key && *next == frame.chunk) {
            Some((.., items)) => items,
            None if frame.chunk == 0 && open.as_ref().is_none_or(|(of, ..)| *of != key) => Vec::new(),
            None => continue,
        };
        items.extend(frame.items);
        if frame.chunk + 1 < frame.chunks {
            open = Some((key, frame.chunk + 1, items));
            continue;
        }
        open = None;
        let mut digest = crc32fast::Hasher::new();
        for item in items.clone() {
            digest.update(&item_bytes(item).map_err(|error| (place, error))?);
        }
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
    use crate::Receipt;

    fn receipts(count: u32) -> Vec<Receipt> {
        let topic = "t".repeat(2_000);
        (0..count)
            .map(|partition| Receipt { topic: topic.clone(), partition, end: 1, records: 1, crc: 7 })
            .collect()
    }

    fn records(tick: u64, items: Vec<Receipt>) -> Vec<Vec<u8>> {
        encode_frame(tick, items).unwrap()
    }

    #[test]
    fn a_frame_is_cut_into_chunks_and_read_back_once() {
        let first = records(1, receipts(1_000));
        assert!(first.len() > 3 && first.iter().all(|chunk| chunk.len() <= CHUNK_BYTES_MAX + 64));
        let second = records(2, receipts(1));
        // Cut short by a crash after its first chunk, then sent again whole, then once more.
        let log = [&first[..1], &first[..], &second[..], &first[..], &second[..]].concat();
        // Two writers at once, one of them ahead by two chunks and then behind.
        let mixed = [&first[..2], &first[..1], &first[2..3], &first[1..], &first[3..], &second[..]].concat();
        assert_eq!(read_frames(&mixed), Ok(vec![(1, receipts(1_000)), (2, receipts(1))]));
        assert_eq!(frame_head(&first[1]), Some((1, 1, u32::try_from(first.len()).unwrap())));
        assert_eq!(frame_head(&first[1][..11]), None);
        assert_eq!(read_frames(&log), Ok(vec![(1, receipts(1_000)), (2, receipts(1))]));
        // Cut short, then derived anew without records that were given up.
        let other = records(1, receipts(900));
        let log = [&first[..2], &other[..], &first[..], &second[..]].concat();
        assert_eq!(read_frames(&log), Ok(vec![(1, receipts(900)), (2, receipts(1))]));
    }

    /// The chunks are what the codec makes of the same items.
    #[test]
    fn a_chunk_is_one_record_of_its_items() {
        for count in [0, 1, 2, 63, 64, 200] {
            let written = records(7, receipts(count));
            let [chunk] = &written[..] else { panic!("{count} receipts make {} chunks", written.len()) };
            let frame: Frame<Receipt> = decode(chunk).unwrap();
            assert_eq!(frame.items, receipts(count));
            assert_eq!(encode(&frame).unwrap(), *chunk, "{count} receipts");
        }
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
