//! Where to start reading snapshots: at the last full table.

use spillway_eventlog::{EventLog, FrameReader, ReadError};
use spillway_events::{SnapshotItem, SnapshotKind, topics};

/// The search for a full table begins this many records before the end.
const SEARCH_RECORDS: u64 = 2_000;

/// An offset at or before the last full table.
pub(super) fn first_offset(log: &dyn EventLog) -> Result<u64, ReadError> {
    let (start, end) = (log.start(topics::SNAPSHOTS, 0)?, log.end(topics::SNAPSHOTS, 0)?);
    let mut back = SEARCH_RECORDS;
    loop {
        let from = end.saturating_sub(back).max(start);
        if from == start {
            return Ok(start);
        }
        for frame in FrameReader::<SnapshotItem>::new(log, topics::SNAPSHOTS, 0, from) {
            match frame {
                Ok((_, items)) if items.iter().any(is_full) => return Ok(from),
                // Records that do not decode are reported when the log is followed.
                Ok(_) | Err(ReadError::Record { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        back *= 4;
    }
}

fn is_full(item: &SnapshotItem) -> bool {
    matches!(item, SnapshotItem::SnapshotHead(head) if head.kind == SnapshotKind::Full)
}
