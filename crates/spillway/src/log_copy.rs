//! `log copy`: moves an installation from the embedded log to Kafka, offset for offset.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use spillway_eventlog::{EmbeddedLog, EventLog, KafkaLog, Records, TopicSpec};
use spillway_runtime::topics::specs;

use crate::output::line;
use crate::settings::{Kafka, LogOptions};

/// The maximum size of one append.
const GROUP_RECORDS_MAX: usize = 10_000;
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

#[derive(Debug, Args)]
#[command(after_help = "\
Every record keeps its offset, so that checkpoints and ticks stay valid. Records that were truncated before the \
copy are written as void records and truncated again. The topics of the cluster must be missing or empty. If a \
copy is interrupted, delete the topics and start again. The folder is only read.

Exit status: 0 copied and verified; 2 not copied.

Examples:
  spillway log copy --from ./data --to kafka --kafka 127.0.0.1:9092")]
pub(crate) struct Options {
    /// The folder of an embedded log that no process has open
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// What to copy to; --kafka or --config names the cluster
    #[arg(long, value_enum, default_value = "kafka")]
    to: Target,
    #[command(flatten)]
    log: LogOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// A Kafka cluster
    Kafka,
}

/// The content of a partition for a comparison: the number of records, and the CRC-32 of their offsets and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    start: u64,
    end: u64,
    records: u64,
    crc: u32,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let Target::Kafka = options.to;
    let from = EmbeddedLog::open_to_read(&options.from)?;
    let to = Kafka::required(&options.log)?.connect_for_a_command()?;
    let topics = topics(&from)?;
    for spec in &topics {
        to.create(spec)?;
        for partition in 0..spec.partitions {
            let end = to.end(&spec.name, partition)?;
            ensure!(
                end == 0,
                "topic {} of the cluster is not empty: partition {partition} ends at {end}",
                spec.name
            );
        }
    }
    let bar = ProgressBar::no_length()
        .with_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} records {elapsed} (ETA {eta})")?);
    bar.set_length(records(&from, &topics)?);
    for spec in &topics {
        for partition in 0..spec.partitions {
            let topic_partition = format!("{}/{partition}", spec.name);
            copy(&from, &to, &spec.name, partition, &bar).with_context(|| topic_partition.clone())?;
            let (was, is) = (content(&from, &spec.name, partition)?, content(&to, &spec.name, partition)?);
            if was != is {
                bail!("{topic_partition}: the copy differs: {is:?} instead of {was:?}");
            }
            bar.suspend(|| {
                line(format_args!(
                    "{topic_partition}: {} records, offsets {} to {}, equal",
                    is.records, is.start, is.end
                ))
            })?;
        }
    }
    bar.finish_and_clear();
    Ok(ExitCode::SUCCESS)
}

/// The topics of the log with their numbers of partitions.
fn topics(from: &EmbeddedLog) -> anyhow::Result<Vec<TopicSpec>> {
    let there = from.topics()?;
    let known = specs(1, 1);
    let strange = there.iter().find(|name| !known.iter().any(|spec| spec.name == **name));
    if let Some(name) = strange {
        bail!("the log has a topic {name}, which this release does not know");
    }
    let of_log = known.into_iter().filter(|spec| there.contains(&spec.name));
    of_log.map(|spec| Ok(TopicSpec { partitions: from.partitions(&spec.name)?, ..spec })).collect()
}

fn records(from: &EmbeddedLog, topics: &[TopicSpec]) -> anyhow::Result<u64> {
    let mut records = 0;
    for spec in topics {
        for partition in 0..spec.partitions {
            records += from.end(&spec.name, partition)? - from.start(&spec.name, partition)?;
        }
    }
    Ok(records)
}

fn copy(
    from: &EmbeddedLog,
    to: &KafkaLog,
    topic: &str,
    partition: u32,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let start = from.start(topic, partition)?;
    let void: Vec<&[u8]> = vec![b""; GROUP_RECORDS_MAX];
    let mut next = 0;
    while next < start {
        let count = usize::try_from(start - next).unwrap_or(usize::MAX).min(GROUP_RECORDS_MAX);
        append(to, topic, partition, next, &void[..count], false)?;
        next += count as u64;
    }
    to.truncate_before(topic, partition, start)?;
    let mut group: Vec<Vec<u8>> = Vec::new();
    let mut bytes = 0;
    for entry in Records::new(from, topic, partition, start) {
        let entry = entry?;
        bytes += entry.bytes.len();
        group.push(entry.bytes);
        if group.len() >= GROUP_RECORDS_MAX || bytes >= GROUP_BYTES_MAX {
            next = append_group(to, topic, partition, next, &group)?;
            bar.inc(group.len() as u64);
            group.clear();
            bytes = 0;
        }
    }
    append_group(to, topic, partition, next, &group)?;
    bar.inc(group.len() as u64);
    Ok(())
}

fn append_group(
    to: &KafkaLog,
    topic: &str,
    partition: u32,
    next: u64,
    group: &[Vec<u8>],
) -> anyhow::Result<u64> {
    let records: Vec<&[u8]> = group.iter().map(Vec::as_slice).collect();
    append(to, topic, partition, next, &records, true)?;
    Ok(next + group.len() as u64)
}

fn append(
    to: &KafkaLog,
    topic: &str,
    partition: u32,
    next: u64,
    records: &[&[u8]],
    is_numbered: bool,
) -> anyhow::Result<()> {
    // On the embedded log a record's number is its offset.
    let at = to.append_copied(topic, partition, is_numbered.then_some(next), records)?;
    ensure!(
        at == next || records.is_empty(),
        "another process appends to the cluster: offset {at} instead of {next}"
    );
    Ok(())
}

fn content(log: &dyn EventLog, topic: &str, partition: u32) -> anyhow::Result<Content> {
    let (start, end) = (log.start(topic, partition)?, log.end(topic, partition)?);
    let (mut records, mut crc) = (0, crc32fast::Hasher::new());
    for entry in Records::new(log, topic, partition, start) {
        let entry = entry?;
        records += 1;
        crc.update(&entry.offset.to_le_bytes());
        crc.update(&entry.bytes);
    }
    Ok(Content { start, end, records, crc: crc.finalize() })
}
