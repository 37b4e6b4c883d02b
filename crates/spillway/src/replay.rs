//! `replay verify`: recomputes everything derived from a log and compares it byte for byte with what was emitted.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_runtime::verify;

use crate::output::line;
use crate::settings::{Kafka, LogOptions};

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 everything is equal; 1 something differs or is missing; 2 the log could not be read.

Examples:
  spillway replay verify --log ./data
  spillway replay verify --kafka 127.0.0.1:9092")]
pub(crate) struct Options {
    /// The folder of an embedded log that no process has open; without it, the log on Kafka
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    #[command(flatten)]
    kafka: LogOptions,
    /// Print the outcome as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let log: Box<dyn EventLog> = match &options.log {
        Some(folder) => Box::new(EmbeddedLog::open_to_read(folder)?),
        None => Box::new(
            Kafka::required(&options.kafka)
                .context("name the log: a folder with --log, or a cluster")?
                .connect_for_a_command()?,
        ),
    };
    let found = verify(log.as_ref())?;
    if options.json {
        line(format_args!("{}", serde_json::to_string(&found)?))?;
    } else {
        for difference in &found.differences {
            line(format_args!("{difference}"))?;
        }
        line(format_args!(
            "{} ticks recomputed: {} frames with {} bytes equal, {} not yet emitted, {}",
            found.ticks,
            found.frames_equal,
            found.bytes_equal,
            found.frames_not_yet_emitted,
            if found.differences.is_empty() { "no difference" } else { "DIFFERENT" }
        ))?;
    }
    Ok(ExitCode::from(u8::from(!found.differences.is_empty())))
}
