//! A durable backtest: input and ticks are appended to a log, and the dataflow works on the log.

use std::path::Path;

use spillway_eventlog::{Appended, Batch, EmbeddedLog, EventLog, FrameReader, RecordReader, Records};
use spillway_events::{Decision, Tick, TimeMicros, encode, topics};
use spillway_provisioning::Object;
use spillway_runtime::{OUTPUT_PARTITIONS, catch_up};

use crate::ticks::RecordedTick;
use crate::{BacktestError, Counts, Ticks, first_record};

/// How many ticks are appended in one commit.
const GROUP_TICKS: usize = 2_000;
/// A checkpoint every 6 hours of event time.
const CHECKPOINT_PERIOD_US: i64 = 6 * 3_600 * 1_000_000;

/// Appends the rows that the log in a folder lacks, derives what is not derived yet, and hands out all decisions. Returns
/// what became of the rows, and the time of the last tick. A run that was killed is continued by the next one.
///
/// # Errors
/// If the folder holds the log of another backtest, the log fails, or `on_decision` does.
pub fn run_durable(
    folder: &Path,
    mut ticks: Ticks,
    objects: &[Object],
    workers: usize,
    on_decision: &mut dyn FnMut(&Decision) -> Result<(), BacktestError>,
) -> Result<(Counts, Option<TimeMicros>), BacktestError> {
    let log = EmbeddedLog::create(folder)?;
    spillway_runtime::topics::create(&log, 1)?;
    provision(&log, folder, objects, ticks.first_at().unwrap_or(TimeMicros(0)))?;
    let last = append_input(&log, &mut ticks, folder)?;
    catch_up(&log, workers, CHECKPOINT_PERIOD_US)?;
    all_decisions(&log)?.iter().try_for_each(on_decision)?;
    Ok((std::mem::take(&mut ticks.rows.counts), last))
}

/// Appends the provisioning to an empty log, or checks that it is what the log has.
fn provision(
    log: &EmbeddedLog,
    folder: &Path,
    objects: &[Object],
    at: TimeMicros,
) -> Result<(), BacktestError> {
    let record = first_record(objects, at)?;
    let won = log.append_at(topics::PROVISIONING, 0, &encode(&record)?)?;
    match won {
        Appended::Won(_) => Ok(()),
        Appended::Lost { .. } => Err(other(folder, "was recorded with another provisioning or input")),
    }
}

/// Appends the ticks that the log lacks, and what they read. Returns the time of the last tick.
fn append_input(
    log: &EmbeddedLog,
    ticks: &mut Ticks,
    folder: &Path,
) -> Result<Option<TimeMicros>, BacktestError> {
    let recorded = log.end(topics::TICKS, 0)?;
    let measured = log.end(topics::MEASUREMENTS, 0)?;
    let mut last: Option<Tick> = None;
    let mut group: Vec<RecordedTick> = Vec::new();
    let mut measurements = Records::new(log, topics::MEASUREMENTS, 0, 0);
    loop {
        let next = ticks.next().transpose()?;
        let ended = next.is_none();
        if let Some(tick) = next {
            last = Some(tick.tick.clone());
            for batch in &tick.batches {
                // An earlier run may have appended more measurements than its ticks read.
                if measurements.next_before(measured)?.is_some_and(|on_log| on_log.bytes != *batch) {
                    return Err(other(folder, "was recorded from another input"));
                }
            }
            if tick.tick.number < recorded {
                check_equal(log, recorded, &tick.tick, folder)?;
            } else {
                group.push(tick);
            }
        }
        if !group.is_empty() && (ended || group.len() >= GROUP_TICKS) {
            append_group(log, &group, measured)?;
            group.clear();
        }
        if ended {
            break;
        }
    }
    let ticks = last.as_ref().map_or(0, |tick| tick.number + 1);
    if ticks < recorded {
        return Err(other(folder, "was recorded from a longer input"));
    }
    Ok(last.map(|tick| tick.at_us))
}

/// The last tick on the log against the same tick of this input.
fn check_equal(log: &EmbeddedLog, recorded: u64, tick: &Tick, folder: &Path) -> Result<(), BacktestError> {
    if tick.number + 1 == recorded {
        let mut last = RecordReader::<Tick>::new(log, topics::TICKS, 0, tick.number);
        if last.next().transpose()?.is_none_or(|(_, on_log)| on_log != *tick) {
            return Err(other(folder, "was recorded from another input"));
        }
    }
    Ok(())
}

/// Appends measurements, then the ticks that read them. Measurements that an earlier run appended without their ticks are
/// not appended again: they were made from the same rows.
fn append_group(log: &EmbeddedLog, group: &[RecordedTick], measured: u64) -> Result<(), BacktestError> {
    let first_end = |tick: &RecordedTick| {
        let end =
            tick.tick.offsets.iter().find(|offset| offset.topic == topics::MEASUREMENTS).map_or(0, |o| o.end);
        end - tick.batches.len() as u64
    };
    let offsets = group.iter().flat_map(|tick| (first_end(tick)..).zip(&tick.batches));
    let batches: Vec<&[u8]> =
        offsets.filter(|(offset, _)| *offset >= measured).map(|(_, batch)| batch.as_slice()).collect();
    if !batches.is_empty() {
        log.append(topics::MEASUREMENTS, 0, &batches)?;
    }
    let ticks = group.iter().map(|tick| encode(&tick.tick)).collect::<Result<Vec<_>, _>>()?;
    let records: Vec<&[u8]> = ticks.iter().map(Vec::as_slice).collect();
    // No other process has the log open, so the number of a tick is its offset.
    log.append_many(&[Batch { topic: topics::TICKS, partition: 0, records: &records }])?;
    Ok(())
}

fn other(folder: &Path, reason: &'static str) -> BacktestError {
    BacktestError::OtherLog { folder: folder.to_owned(), reason }
}

/// All decisions of a log, in the order of tick, site, network.
fn all_decisions(log: &EmbeddedLog) -> Result<Vec<Decision>, BacktestError> {
    let mut decisions: Vec<Decision> = Vec::new();
    for partition in 0..OUTPUT_PARTITIONS {
        for frame in FrameReader::<Decision>::all(log, topics::DECISIONS, partition)? {
            decisions.extend(frame?.1);
        }
    }
    decisions.sort_by(|a, b| (a.tick, &a.site, &a.network).cmp(&(b.tick, &b.site, &b.network)));
    Ok(decisions)
}
