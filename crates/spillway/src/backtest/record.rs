//! A durable backtest: input and ticks go onto a log first, then the dataflow works on the log.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};
use indicatif::ProgressBar;
use spillway_eventlog::{Appended, Batch, EmbeddedLog, EventLog};
use spillway_events::{Decision, Tick, TimeMicros, decode, encode, read_frames, topics};

use super::report::Report;
use super::rows::Counts;
use super::ticks::{RecordedTick, Ticks};
use crate::engine::records::FrameRecords;
use crate::engine::writer::catch_up;
use crate::engine::{OUTPUT_PARTITIONS, topics as own_topics};
use crate::provisioning_file;

/// How many ticks are appended in one commit.
const GROUP_TICKS: usize = 2_000;
/// A checkpoint every 6 hours of event time.
const CHECKPOINT_PERIOD_US: i64 = 6 * 3_600 * 1_000_000;

/// Records what is not on the log yet, derives what is not derived yet, and prints all decisions.
pub(super) fn run(
    workers: usize,
    folder: &Path,
    mut ticks: Ticks,
    file: &Path,
    bar: &ProgressBar,
    report: &mut Report<impl Write>,
) -> anyhow::Result<Counts> {
    let log = EmbeddedLog::create(folder)?;
    own_topics::create(&log)?;
    provision(&log, file, ticks.first_at().unwrap_or(TimeMicros(0)))?;
    let last = append_input(&log, &mut ticks, folder)?;
    bar.finish_and_clear();
    catch_up(&log, workers, CHECKPOINT_PERIOD_US)?;
    print(&log, report)?;
    report.ended_at(last);
    Ok(std::mem::take(&mut ticks.rows.counts))
}

/// Puts the provisioning on an empty log, or checks that it is what the log has.
fn provision(log: &EmbeddedLog, file: &Path, at: TimeMicros) -> anyhow::Result<()> {
    let record = provisioning_file::first_record(&provisioning_file::read_quietly(file)?, at)?;
    let won = log.append_at(topics::PROVISIONING, 0, &encode(&record)?)?;
    ensure!(
        matches!(won, Appended::Won(_)),
        "the log was recorded with another provisioning or input than {}; name another folder",
        file.display()
    );
    Ok(())
}

/// Appends the ticks that the log lacks, and what they read; returns the time of the last tick.
fn append_input(log: &EmbeddedLog, ticks: &mut Ticks, folder: &Path) -> anyhow::Result<Option<TimeMicros>> {
    let recorded = log.end(topics::TICKS, 0)?;
    let measured = log.end(topics::MEASUREMENTS, 0)?;
    let mut last: Option<Tick> = None;
    let mut group: Vec<RecordedTick> = Vec::new();
    loop {
        let next = ticks.next();
        let ended = next.is_none();
        if let Some(tick) = next {
            last = Some(tick.tick.clone());
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
    ensure!(ticks >= recorded, "{} was recorded from a longer input; name another folder", folder.display());
    Ok(last.map(|tick| tick.at_us))
}

/// The last tick on the log against the same tick of this input.
fn check_equal(log: &EmbeddedLog, recorded: u64, tick: &Tick, folder: &Path) -> anyhow::Result<()> {
    if tick.number + 1 == recorded {
        let entries = log.read(topics::TICKS, 0, tick.number, 1, usize::MAX)?;
        let on_log: Tick = decode(&entries.first().context("the last tick does not read")?.bytes)?;
        let why = "was recorded from another input; name another folder";
        ensure!(on_log == *tick, "{} {why}", folder.display());
    }
    Ok(())
}

/// Appends measurements, then the ticks that read them. Of measurements those that a run before this one appended
/// without their ticks are not appended again: they were made from the same rows.
fn append_group(log: &EmbeddedLog, group: &[RecordedTick], measured: u64) -> anyhow::Result<()> {
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
    // Nobody else ticks on a log that this process alone has open: number and offset are one.
    log.append_many(&[Batch { topic: topics::TICKS, partition: 0, records: &records }])?;
    Ok(())
}

fn print(log: &EmbeddedLog, report: &mut Report<impl Write>) -> anyhow::Result<()> {
    let mut decisions: Vec<Decision> = Vec::new();
    for partition in 0..OUTPUT_PARTITIONS {
        for frame in FrameRecords::all(log, topics::DECISIONS, partition)? {
            let (_, records) = frame?;
            let frames = read_frames::<Decision>(&records).map_err(|(_, error)| error)?;
            decisions.extend(frames.into_iter().flat_map(|(_, decisions)| decisions));
        }
    }
    decisions.sort_by(|a, b| (a.tick, &a.site, &a.network).cmp(&(b.tick, &b.site, &b.network)));
    decisions.iter().try_for_each(|decision| report.decision(decision))
}
