//! `replay verify`: recomputes everything derived from a log and compares it byte for byte with what was emitted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use spillway_dataflow::{Config, Output};
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::topics;

use crate::engine::Step;
use crate::engine::records::FrameRecords;
use crate::engine::ticks::LogTicks;
use crate::settings::{Kafka, LogOptions};

#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 all equal, 1 something differs, 2 the log could not be read.\n\n\
    Example:\n  spillway replay verify --log ./data\n  spillway replay verify --kafka 127.0.0.1:9092")]
pub(crate) struct Options {
    /// The folder of an embedded log that nothing has open; without it, the log on Kafka
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    #[command(flatten)]
    kafka: LogOptions,
    /// Print the outcome as one JSON object
    #[arg(long)]
    json: bool,
}

/// What a comparison found.
#[derive(Debug, Default, serde::Serialize)]
struct Found {
    ticks: u64,
    frames_equal: u64,
    bytes_equal: u64,
    /// Recomputed but not in the log: the dataflow was stopped before it wrote them.
    frames_not_yet_emitted: u64,
    differences: Vec<String>,
}

pub(crate) fn verify(options: &Options) -> anyhow::Result<ExitCode> {
    let log: Box<dyn EventLog> = match &options.log {
        Some(folder) => Box::new(EmbeddedLog::open(folder)?),
        None => Box::new(
            Kafka::required(&options.kafka)
                .context("name the log: a folder with --log, or a cluster")?
                .connect_for_a_command()?,
        ),
    };
    let log = log.as_ref();
    let partitions =
        log.partitions(topics::DECISIONS).context("this log has no decisions: nothing to verify")?;
    let config = Config { output_partitions: partitions, ..crate::engine::config(1) };
    let mut emitted: BTreeMap<(&'static str, u32), FrameRecords<'_>> = BTreeMap::new();
    let derived =
        [topics::DECISIONS, topics::PERFORMANCE, topics::SNAPSHOTS, topics::RECEIPTS, topics::REJECTED];
    for topic in derived {
        for partition in 0..log.partitions(topic)? {
            emitted.insert((topic, partition), FrameRecords::all(log, topic, partition)?);
        }
    }
    let mut found = Found::default();
    let ticks = LogTicks::new(log, config, None)?;
    crate::engine::run(config, None, Vec::new(), ticks, |step| {
        let Step::Output(output) = step else { return Ok(()) };
        match output {
            Output::Done { .. } => found.ticks += 1,
            Output::Checkpoint { .. } => {}
            Output::Frame { tick, topic, partition, records } => {
                let next = emitted.get_mut(&(topic, partition)).and_then(Iterator::next).transpose()?;
                compare(&mut found, &format!("{topic}/{partition}"), tick, &records, next);
            }
        }
        Ok(())
    })?;
    for ((topic, partition), rest) in emitted {
        for frame in rest {
            let (tick, _) = frame?;
            found.differ(format!(
                "{topic}/{partition}: the log has a frame of tick {tick} that is not recomputed"
            ));
        }
    }
    report(&found, options.json)
}

fn compare(
    found: &mut Found,
    place: &str,
    tick: u64,
    records: &[Vec<u8>],
    emitted: Option<(u64, Vec<Vec<u8>>)>,
) {
    match emitted {
        None => found.frames_not_yet_emitted += 1,
        Some((of_log, bytes)) if of_log == tick && bytes == records => {
            found.frames_equal += 1;
            found.bytes_equal += records.iter().map(|record| record.len() as u64).sum::<u64>();
        }
        Some((of_log, _)) if of_log == tick => {
            found.differ(format!("{place}: the frame of tick {tick} differs"))
        }
        Some((of_log, _)) => {
            found.differ(format!("{place}: tick {tick} is recomputed where the log has tick {of_log}"));
        }
    }
}

impl Found {
    /// The first differences say it all: what follows them is not listed.
    fn differ(&mut self, what: String) {
        const DIFFERENCES_MAX: usize = 20;
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(what);
        }
    }
}

fn report(found: &Found, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string(found)?);
    } else {
        found.differences.iter().for_each(|difference| println!("{difference}"));
        println!(
            "{} ticks recomputed: {} frames with {} bytes equal, {} not yet emitted, {}",
            found.ticks,
            found.frames_equal,
            found.bytes_equal,
            found.frames_not_yet_emitted,
            if found.differences.is_empty() { "no difference" } else { "DIFFERENT" }
        );
    }
    Ok(ExitCode::from(u8::from(!found.differences.is_empty())))
}
