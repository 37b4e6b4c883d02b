//! Checks the arguments of calls against the bounds of the log.

use spillway_events::topics::record_bytes_max;

use crate::limits::{APPEND_BYTES_MAX, APPEND_RECORDS_MAX, TOPIC_BYTES_MAX};
use crate::{Batch, LogError};

/// Checks a new topic's name: 1 to 249 of `a-z A-Z 0-9 . _ -`, not `.` or `..`. Kafka's rule.
pub(crate) fn check_topic(topic: &str) -> Result<(), LogError> {
    let reason = if topic.is_empty() {
        "it is empty"
    } else if topic.len() > TOPIC_BYTES_MAX {
        "it is longer than 249 bytes"
    } else if topic == "." || topic == ".." {
        "`.` and `..` are not allowed"
    } else if !topic.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        "only a-z A-Z 0-9 . _ - are allowed"
    } else {
        return Ok(());
    };
    // The refused name may be of any length, so the message shortens it.
    Err(LogError::BadTopic { topic: topic.chars().take(TOPIC_BYTES_MAX).collect(), reason })
}

/// Checks the bounds of one append call.
pub(crate) fn check_batches(batches: &[Batch<'_>]) -> Result<(), LogError> {
    let (mut records, mut bytes) = (0_usize, 0_usize);
    for batch in batches {
        for record in batch.records {
            let bytes_max = record_bytes_max(batch.topic);
            if record.len() > bytes_max {
                return Err(LogError::RecordTooLong {
                    topic: batch.topic.to_owned(),
                    partition: batch.partition,
                    bytes: record.len(),
                    bytes_max,
                });
            }
            bytes = bytes.saturating_add(record.len());
        }
        records = records.saturating_add(batch.records.len());
        if records > APPEND_RECORDS_MAX || bytes > APPEND_BYTES_MAX {
            return Err(LogError::AppendTooLong {
                topic: batch.topic.to_owned(),
                partition: batch.partition,
            });
        }
    }
    Ok(())
}
