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
    Ok(first_late(&ticks))
}

/// The first of these consecutive ticks that lies within [`MISSING_MAX_US`] before the last one. How much time passed before a
/// tick at which time starts again is not known and counts as none.
fn first_late(ticks: &[Tick]) -> u64 {
    let Some(last) = ticks.last() else { return 0 };
    let (mut passed_us, mut first) = (0, last);
    for pair in ticks.windows(2).rev() {
        let [before, after] = pair else { break };
        passed_us += if after.restart { 0 } else { after.at_us.0 - before.at_us.0 };
        if passed_us > MISSING_MAX_US {
            break;
        }
        first = before;
    }
    first.number
}

#[cfg(test)]
mod tests {
    use spillway_events::TimeMicros;

    use super::*;

    #[test]
    fn ticks_before_time_started_again_are_late_by_the_time_that_passed() {
        let tick = |(number, second): (u64, i64)| Tick {
            number,
            at_us: TimeMicros(second * 1_000_000),
            rules: 1,
            restart: second == 20,
            installation: String::new(),
            offsets: Vec::new(),
        };
        // An hour ahead, then reset.
        let seconds = [3_598, 3_600, 3_602, 3_604, 3_606, 20, 22, 24];
        let ticks: Vec<Tick> = (0..).zip(seconds).map(tick).collect();
        assert_eq!(first_late(&ticks), 1, "4 s since the reset, 6 s before it, none at it");
        assert_eq!(first_late(&ticks[..4]), 0);
        assert_eq!(first_late(&[]), 0);
    }
}
