//! The newest performance values of a site, from the newest frame of each partition of `performance`.

use std::ops::RangeInclusive;

use spillway_eventlog::{EventLog, LogError};
use spillway_events::{CHUNK_BYTES_MAX, Frame, FrameHead, Performance, SiteName, TimeMicros, decode, topics};

use super::BUDGET;
use super::tail::Tail;

/// The most steps back to a complete frame. Each passes an incomplete frame, or a record that is no chunk.
const STEPS_BACK_MAX: usize = 64;
/// The most chunks with values of the site that are read.
const CHUNKS_MAX: usize = 16;

/// The offsets of the newest complete frame of a partition.
struct NewestFrame {
    tick: u64,
    start: u64,
    end: u64,
}

/// The values of a site from a range of times, by target, then network, then objective; and whether some were left
/// out because there are too many.
///
/// # Errors
/// If the log cannot be read.
pub(super) fn newest_values(
    log: &dyn EventLog,
    site: &SiteName,
    recent: &RangeInclusive<TimeMicros>,
) -> Result<(Vec<Performance>, bool), LogError> {
    let (mut values, mut is_cut) = (Vec::new(), false);
    for partition in 0..log.partitions(topics::PERFORMANCE)? {
        let Some(frame) = newest_frame(log, partition)? else { continue };
        let mut offset = first_chunk_of_site(log, partition, &frame, site)?;
        let mut chunks = 0;
        while let Some((next, items)) = chunk(log, partition, &frame, offset)? {
            if items.first().is_none_or(|first| first.site > *site) {
                break;
            }
            if chunks == CHUNKS_MAX {
                is_cut = true;
                break;
            }
            chunks += 1;
            offset = next;
            values
                .extend(items.into_iter().filter(|item| item.site == *site && recent.contains(&item.at_us)));
        }
    }
    Ok((values, is_cut))
}

/// Walks back from the end to the last chunk of a frame.
fn newest_frame(log: &dyn EventLog, partition: u32) -> Result<Option<NewestFrame>, LogError> {
    let (mut end, mut budget) = (u64::MAX, BUDGET);
    for _ in 0..STEPS_BACK_MAX {
        let tail = Tail::new(log, topics::PERFORMANCE, partition)?.before(end);
        let Some(entry) = tail.last(&mut budget)? else { return Ok(None) };
        let Some(FrameHead { tick, chunk, chunks, .. }) = FrameHead::of(&entry.bytes) else {
            end = entry.offset;
            continue;
        };
        let start = entry.offset.saturating_sub(u64::from(chunk));
        if chunk + 1 == chunks {
            return Ok(Some(NewestFrame { tick, start, end: entry.offset + 1 }));
        }
        // The rest of this frame is not written yet, or never will be.
        end = start;
    }
    Ok(None)
}

/// Finds the last chunk of a frame that begins before a site, by bisection: items are sorted by site.
fn first_chunk_of_site(
    log: &dyn EventLog,
    partition: u32,
    frame: &NewestFrame,
    site: &SiteName,
) -> Result<u64, LogError> {
    let (mut low, mut high) = (frame.start, frame.end);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let read = chunk(log, partition, frame, middle)?;
        let begins_before =
            read.is_some_and(|(_, items)| items.first().is_some_and(|first| first.site < *site));
        if begins_before {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// The first chunk of a frame at or after an offset, with the offset after it; none if the record there is no such chunk.
fn chunk(
    log: &dyn EventLog,
    partition: u32,
    frame: &NewestFrame,
    offset: u64,
) -> Result<Option<(u64, Vec<Performance>)>, LogError> {
    if offset >= frame.end {
        return Ok(None);
    }
    let read = match log.read(topics::PERFORMANCE, partition, offset, 1, CHUNK_BYTES_MAX) {
        // Retention has deleted it meanwhile.
        Err(LogError::Truncated { .. }) => return Ok(None),
        read => read?,
    };
    let Some(entry) = read.into_iter().next() else { return Ok(None) };
    let decoded = decode::<Frame<Performance>>(&entry.bytes).ok().filter(|chunk| chunk.tick == frame.tick);
    Ok(decoded.map(|chunk| (entry.offset + 1, chunk.items)))
}
