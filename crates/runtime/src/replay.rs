//! Recomputes everything derived from a log and compares it byte for byte with what was emitted.

use std::collections::BTreeMap;

use serde::Serialize;
use spillway_dataflow::{Config, Output};
use spillway_eventlog::{EncodedFrames, EventLog};
use spillway_events::{EncodedFrame, topics};

use crate::{LogTicks, RuntimeError, Step};

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
    fn compare(&mut self, partition: &str, recomputed: &EncodedFrame, emitted: Option<&EncodedFrame>) {
        let Some(emitted) = emitted else {
            self.frames_not_yet_emitted += 1;
            return;
        };
        let tick = recomputed.tick;
        if emitted == recomputed {
            self.frames_equal += 1;
            self.bytes_equal += recomputed.chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
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
    let mut found = Verification::default();
    let ticks = LogTicks::new(log, config, None)?;
    crate::run(config, None, Vec::new(), ticks, |step| {
        match step {
            Step::Output(Output::Done { .. }) => found.ticks += 1,
            Step::Output(Output::Frame { tick, topic, partition, records }) => {
                let next = emitted.get_mut(&(topic, partition)).and_then(Iterator::next).transpose()?;
                let recomputed = EncodedFrame { tick, chunks: records };
                found.compare(&format!("{topic}/{partition}"), &recomputed, next.as_ref());
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
