//! `log read`: the records of a topic as lines of JSON.

use std::io::{BufWriter, StdoutLock, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use spillway_control::nearest;
use spillway_eventlog::{EmbeddedLog, Entry, EventLog, LogError, Records};
use spillway_events::{
    CheckpointChunk, Decision, Frame, Manifest, MeasurementBatch, Performance, ProvisioningRecord, Receipt,
    Record, Rejected, SnapshotItem, StatisticsBatch, Tick, decode, topics,
};
use spillway_runtime::topics::specs;
use tokio_util::sync::CancellationToken;

use crate::roles::{cancel_on_signal, runtime};
use crate::settings::{Kafka, LogOptions};

/// How often `--follow` looks whether it was interrupted.
const INTERRUPT_POLL_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[command(after_help = "\
Every record is one line: {\"partition\", \"offset\", \"record\"}, in the order of partitions, then offsets. Fields are those \
of the record's schema (schemas/). What does not decode is {\"partition\", \"offset\", \"error\"}. A topic of derived records \
holds frames: each line is one chunk of a frame.

Topics: provisioning, measurements, statistics, ticks, decisions, performance, snapshots, checkpoints, manifests, receipts, \
rejected; and inbox.NAME on Kafka.

Only one process can open the folder of an embedded log: stop `spillway up` first. `get`, `explain` and `probe status` ask \
it while it runs.

Exit status: 0 printed, or interrupted with --follow; 2 the log could not be read.

Examples:
  spillway log read ticks --log ./data --limit 10
  spillway log read decisions --kafka 127.0.0.1:9092 --partition 2 --from 1000
  spillway log read measurements --config spillway.yaml --follow")]
pub(crate) struct Options {
    /// The topic
    topic: String,
    /// Only this partition
    #[arg(long, value_name = "N")]
    partition: Option<u32>,
    /// The first offset to print, of one partition; without it, the first one that the log still has
    #[arg(long, value_name = "OFFSET")]
    from: Option<u64>,
    /// The most records to print
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Wait at the end for more records, until interrupted; for Kafka, as nothing else can append to a folder that is open
    #[arg(long, conflicts_with = "log")]
    follow: bool,
    /// The folder of an embedded log that no process has open; without it, the log on Kafka
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    #[command(flatten)]
    kafka: LogOptions,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let to_json = json_of(&options.topic)?;
    let cancel = CancellationToken::new();
    // Dropped at the end. Without --follow an interrupt ends the process as it ends others.
    let signals = options.follow.then(runtime).transpose()?;
    if let Some(signals) = &signals {
        signals.spawn(cancel_on_signal(cancel.clone()));
    }
    let log = open(options, cancel.clone())?;
    match print(options, log.as_ref(), to_json, &cancel) {
        Err(error) if is_cancelled(&error) => Ok(ExitCode::SUCCESS),
        printed => printed.map(|()| ExitCode::SUCCESS),
    }
}

fn open(options: &Options, cancel: CancellationToken) -> anyhow::Result<Box<dyn EventLog>> {
    match &options.log {
        Some(folder) => Ok(Box::new(open_folder(folder)?)),
        None => {
            let kafka =
                Kafka::required(&options.kafka).context("name the log: a folder with --log, or a cluster")?;
            Ok(Box::new(kafka.connect_for_a_command_until(cancel)?))
        }
    }
}

fn open_folder(folder: &Path) -> anyhow::Result<EmbeddedLog> {
    EmbeddedLog::open_to_read(folder).map_err(|error| match error {
        LogError::InUse { file } => anyhow!(
            "{} is locked: another process, such as `spillway up`, has the log open, and only one can. Stop it, then read; \
             while it runs, `spillway get`, `explain` and `probe status` ask it over HTTP",
            file.display()
        ),
        error => error.into(),
    })
}

fn is_cancelled(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(LogError::Cancelled)))
}

fn print(
    options: &Options,
    log: &dyn EventLog,
    to_json: ToJson,
    cancel: &CancellationToken,
) -> anyhow::Result<()> {
    let mut partitions = partitions(options, log)?;
    let mut out = BufWriter::new(stdout().lock());
    let mut left = options.limit.unwrap_or(u64::MAX);
    loop {
        for (partition, records, next) in &mut partitions {
            for entry in records {
                let entry = entry?;
                print_record(&mut out, *partition, &entry, to_json)?;
                *next = entry.offset + 1;
                left -= 1;
                if left == 0 || cancel.is_cancelled() {
                    return Ok(out.flush()?);
                }
            }
        }
        out.flush()?;
        if !options.follow || cancel.is_cancelled() {
            return Ok(());
        }
        let ends: Vec<(&str, u32, u64)> = partitions
            .iter()
            .map(|(partition, _, next)| (options.topic.as_str(), *partition, *next))
            .collect();
        log.wait_any(&ends, INTERRUPT_POLL_INTERVAL)?;
    }
}

/// The partitions to read, each with its records and its next offset.
fn partitions<'a>(options: &Options, log: &'a dyn EventLog) -> anyhow::Result<Vec<(u32, Records<'a>, u64)>> {
    let topic = options.topic.as_str();
    let count = log.partitions(topic)?;
    if options.from.is_some() && options.partition.is_none() && count > 1 {
        bail!("--from needs --partition: topic {topic} has {count} partitions, each with offsets of its own");
    }
    let numbers: Vec<u32> =
        options.partition.map_or_else(|| (0..count).collect(), |partition| vec![partition]);
    let of = |partition| {
        let (start, end) = (log.start(topic, partition)?, log.end(topic, partition)?);
        let from = options.from.unwrap_or(start);
        ensure!(
            (start..=end).contains(&from),
            "--from {from}: partition {partition} of topic {topic} has the offsets {start} to {end}, the last one excluded"
        );
        Ok((partition, Records::new(log, topic, partition, from), from))
    };
    numbers.into_iter().map(of).collect()
}

fn print_record(
    out: &mut BufWriter<StdoutLock<'_>>,
    partition: u32,
    entry: &Entry,
    to_json: ToJson,
) -> anyhow::Result<()> {
    let (key, value) = match to_json(&entry.bytes) {
        Ok(record) => ("record", record),
        Err(reason) => ("error", serde_json::to_string(&reason)?),
    };
    writeln!(out, "{{\"partition\":{partition},\"offset\":{},\"{key}\":{value}}}", entry.offset)?;
    Ok(())
}

/// The JSON of a record, or why it is none.
type ToJson = fn(&[u8]) -> Result<String, String>;

fn json<R: Record>(bytes: &[u8]) -> Result<String, String> {
    let record: R = decode(bytes).map_err(|error| error.to_string())?;
    serde_json::to_string(&record).map_err(|error| error.to_string())
}

/// How the records of a topic become JSON.
fn json_of(topic: &str) -> anyhow::Result<ToJson> {
    Ok(match topic {
        topics::PROVISIONING => json::<ProvisioningRecord>,
        topics::MEASUREMENTS => json::<MeasurementBatch>,
        topics::STATISTICS => json::<StatisticsBatch>,
        topics::TICKS => json::<Tick>,
        topics::DECISIONS => json::<Frame<Decision>>,
        topics::PERFORMANCE => json::<Frame<Performance>>,
        topics::SNAPSHOTS => json::<Frame<SnapshotItem>>,
        topics::CHECKPOINTS => json::<CheckpointChunk>,
        topics::MANIFESTS => json::<Manifest>,
        topics::RECEIPTS => json::<Frame<Receipt>>,
        topics::REJECTED => json::<Frame<Rejected>>,
        inbox if inbox.starts_with(topics::INBOX_PREFIX) => json::<StatisticsBatch>,
        _ => {
            let names: Vec<String> = specs(1, 1).into_iter().map(|spec| spec.name).collect();
            let nearest = nearest(topic, names.iter().map(String::as_str));
            let hint = nearest.map_or_else(String::new, |name| format!(", did you mean {name}?"));
            bail!("{topic} is no topic of Spillway{hint}; the topics are {} and inbox.NAME", names.join(", "))
        }
    })
}
