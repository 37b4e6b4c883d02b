//! Recomputes everything derived from a log and compares it byte for byte with what was emitted.

use std::collections::BTreeMap;

use serde::Serialize;
use spillway_dataflow::{Config, Output};
use spillway_eventlog::{EncodedFrames, EventLog, ReadError, RecordReader};
use spillway_events::{EncodedFrame, Tick, topics};

use crate::{LogTicks, RuntimeError, Step};

/// How far before the last tick frames may be missing: the dataflow had not appended them when it was stopped.
const MISSING_MAX_US: i64 = 10_000_000;
/// How many ticks before the last one are searched for the first tick within that time.
const TICKS_SEARCHED: u64 = 2_000;
/// How many differences are described.
const DIFFERENCES_MAX: usize = 20;

/// What a comparison found.
#[derive(Debug, Default, Serialize)]
pub struct Verification {
    /// How many ticks were recomputed.
    pub ticks: u64,
    /// How many frames are equal.
    pub frames_equal: u64,
    /// How many bytes these have.
    pub bytes_equal: u64,
    /// How many frames were recomputed but are not in the log yet: the dataflow was stopped before it appended them.
    pub frames_not_yet_emitted: u64,
    /// The first differences, in words.
    pub differences: Vec<String>,
}

impl Verification {
    fn compare(
        &mut self,
        partition: &str,
        (tick, recomputed): (u64, &[Vec<u8>]),
        emitted: Option<&EncodedFrame>,
        may_be_missing_from: u64,
    ) {
        let Some(emitted) = emitted else {
            if tick >= may_be_missing_from {
                self.frames_not_yet_emitted += 1;
            } else {
                self.differ(format!("{partition}: the frame of tick {tick} is missing"));
            }
            return;
        };
        if emitted.tick == tick && emitted.chunks == recomputed {
            self.frames_equal += 1;
            self.bytes_equal += recomputed.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        } else if emitted.tick == tick {
            self.differ(format!("{partition}: the frame of tick {tick} differs"));
        } else {
            self.differ(format!(
                "{partition}: tick {tick} is recomputed where the log has tick {}",
                emitted.tick
            ));
        }
    }

    fn differ(&mut self, difference: String) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(difference);
        }
    }
}

/// Recomputes everything derived from a log, from its first tick on.
///
/// # Errors
/// If the log cannot be read, or the dataflow ends early.
pub fn verify(log: &dyn EventLog) -> Result<Verification, RuntimeError> {
    let config = Config { output_partitions: log.partitions(topics::DECISIONS)?, ..crate::config(1) };
    let mut emitted: BTreeMap<(&'static str, u32), EncodedFrames<'_>> = BTreeMap::new();
    let derived =
        [topics::DECISIONS, topics::PERFORMANCE, topics::SNAPSHOTS, topics::RECEIPTS, topics::REJECTED];
    for topic in derived {
        for partition in 0..log.partitions(topic)? {
            emitted.insert((topic, partition), EncodedFrames::all(log, topic, partition)?);
        }
    }
    let may_be_missing_from = may_be_missing_from(log)?;
    let mut found = Verification::default();
    let ticks = LogTicks::new(log, config, None)?;
    crate::run(config, None, Vec::new(), ticks, |step| {
        match step {
            Step::Output(Output::Done { .. }) => found.ticks += 1,
            Step::Output(Output::Frame { tick, topic, partition, records }) => {
                let next = emitted.get_mut(&(topic, partition)).and_then(Iterator::next).transpose()?;
                let partition = format!("{topic}/{partition}");
                found.compare(&partition, (tick, &records), next.as_ref(), may_be_missing_from);
            }
            Step::Output(Output::Checkpoint { .. }) | Step::Idle | Step::Ended => {}
        }
        Ok::<(), RuntimeError>(())
    })?;
    for ((topic, partition), rest) in emitted {
        for frame in rest {
            let tick = frame?.tick;
            found.differ(format!(
                "{topic}/{partition}: the log has a frame of tick {tick} that is not recomputed"
            ));
        }
    }
    Ok(found)
}

/// The first tick whose frames may be missing because the dataflow was stopped before it appended them.
fn may_be_missing_from(log: &dyn EventLog) -> Result<u64, RuntimeError> {
    let (start, end) = (log.start(topics::TICKS, 0)?, log.end(topics::TICKS, 0)?);
    let from = end.saturating_sub(TICKS_SEARCHED).max(start);
    let ticks = RecordReader::<Tick>::new(log, topics::TICKS, 0, from);
    let ticks: Vec<Tick> = ticks.map(|tick| tick.map(|(_, tick)| tick)).collect::<Result<_, ReadError>>()?;
    let Some(last) = ticks.last() else { return Ok(0) };
    let is_late = |tick: &&Tick| last.at_us.0 - tick.at_us.0 <= MISSING_MAX_US;
    Ok(ticks.iter().rev().take_while(is_late).last().map_or(last.number, |tick| tick.number))
}
