//! Retention of the embedded log. Kafka has it by the settings of its topics.

use spillway_eventlog::{EmbeddedLog, EventLog, Kept, RetentionRule};
use spillway_events::{Tick, TimeMicros, topics};

use crate::RuntimeError;
use crate::checkpoint::{manifests, read_tick};
use crate::topics::specs;

/// Deletes some records that are older than the retention of their topic. Returns whether there may be more: call it again
/// then. What the oldest checkpoint that is kept needs is not deleted, whatever its age.
///
/// # Errors
/// If the log fails.
pub fn drop_expired(log: &EmbeddedLog, now: TimeMicros) -> Result<bool, RuntimeError> {
    let Some(oldest) = oldest_checkpoint(log)? else { return Ok(false) };
    let (tick, tick_offset) = oldest;
    let mut rules = Vec::new();
    let specs = specs(1, 1);
    for spec in &specs {
        if spec.kept == Kept::ForEver {
            continue;
        }
        for partition in 0..log.partitions(&spec.name)? {
            let read =
                tick.offsets.iter().find(|offset| offset.topic == spec.name && offset.partition == partition);
            let needed_from = match read {
                Some(read) => read.end,
                None if spec.name == topics::TICKS => tick_offset,
                // An input that the tick does not read, or an output, which no process needs to continue.
                None if topics::bears_input(&spec.name) => 0,
                None => log.end(&spec.name, partition)?,
            };
            rules.push(RetentionRule { topic: &spec.name, partition, kept: spec.kept, needed_from });
        }
    }
    Ok(log.drop_expired(&rules, u64::try_from(now.0 / 1_000).unwrap_or(0))?)
}

/// The tick of the oldest checkpoint that is kept, and its offset.
fn oldest_checkpoint(log: &EmbeddedLog) -> Result<Option<(Tick, u64)>, RuntimeError> {
    let mut oldest: Option<(u64, u64)> = None;
    for manifest in manifests(log, log.start(topics::CHECKPOINTS, 0)?) {
        let (_, manifest) = manifest?;
        let found = (manifest.tick, manifest.tick_offset);
        oldest = Some(oldest.map_or(found, |oldest| oldest.min(found)));
    }
    let read = |(number, offset)| Ok((read_tick(log, number, offset)?, offset));
    oldest.map(read).transpose()
}
