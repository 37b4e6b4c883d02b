//! `backtest`: the very same dataflow over recorded input, in its own event time.

mod columns;
mod record;
mod report;
mod rows;
mod summary;
mod ticks;

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use spillway_dataflow::Output;
use spillway_eventlog::EmbeddedLog;
use spillway_events::{Decision, SourceName, TimeMicros, topics};
use spillway_provisioning::State;

use crate::engine::{self, FullTick, Step, ticks::LogTicks};
use crate::provisioning_file;
use columns::ColumnNames;
use report::Report;
use rows::{Counts, Renames, Rows};
use ticks::Ticks;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 done; 1 done, but some rows were wrong and --strict was given; 2 not done.

Examples:
  spillway backtest -f site.yaml measurements.csv.gz
  spillway backtest -f site.yaml --column at=time,network=as_name,site=page --format json rows.csv
  spillway backtest -f site.yaml --log ./recorded measurements.csv    durable; run again to go on after a stop
  spillway backtest --log ./recorded                                   the ticks and policy of a recorded log")]
pub(crate) struct Options {
    /// CSV file of recorded measurements, gzip or not; its first row names the columns
    #[arg(value_name = "INPUT")]
    input: Option<PathBuf>,
    /// Provisioning file (YAML documents) to try
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Which column is what: FIELD=COLUMN,… with the fields at, agent, network, target, site, response_time_ms,
    /// throughput_bps, ok. A field not named is sought under its own name
    #[arg(long, value_name = "FIELD=COLUMN,…", default_value = "", hide_default_value = true)]
    column: String,
    /// YAML file that renames what matches nothing provisioned: maps `sites`, `targets`, `networks`, `agents`
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// How to print route changes
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Worker threads of the dataflow
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// Keep input, ticks and outputs in an embedded log in this folder; a run that was stopped goes on
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    /// Exit with status 1 if any row was wrong or late
    #[arg(long)]
    strict: bool,
    /// No progress bar
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns for people, then the summary
    Table,
    /// CSV; the summary goes to standard error
    Csv,
    /// One decision record a line; the summary goes to standard error
    Json,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let mut report = Report::new(options.format, std::io::stdout().lock());
    let counts = match (&options.input, &options.file, &options.log) {
        (Some(input), Some(file), log) => {
            let (ticks, bar) = open(options, input, file)?;
            let counts = match log {
                None => direct(options, ticks, file, &mut report)?,
                Some(folder) => record::run(options.workers.into(), folder, ticks, file, &bar, &mut report)?,
            };
            bar.finish_and_clear();
            Some(counts)
        }
        (None, None, Some(folder)) => {
            recorded(options, folder, &mut report)?;
            None
        }
        (None, Some(_), Some(_)) => {
            bail!(
                "a recorded log has its own provisioning; leave out --file, or name the CSV file to take rows from"
            )
        }
        _ => {
            bail!("name the CSV file and, with --file, the provisioning to try; or a recorded log with --log")
        }
    };
    report.finish()?;
    let Some(counts) = counts else { return Ok(ExitCode::SUCCESS) };
    let mut to: Box<dyn Write> = if options.format == Format::Table {
        Box::new(std::io::stdout())
    } else {
        Box::new(std::io::stderr())
    };
    counts.print(&mut to)?;
    Ok(ExitCode::from(u8::from(options.strict && counts.is_imperfect())))
}

/// Opens the input, with a progress bar over its bytes where a person watches.
fn open(options: &Options, input: &Path, file: &Path) -> anyhow::Result<(Ticks, ProgressBar)> {
    let record = provisioning_file::first_record(&provisioning_file::read(file)?, TimeMicros(0))?;
    let mut state = State::default();
    state.apply(&record)?;
    let renames: Renames = match &options.map {
        None => Renames::default(),
        Some(map) => {
            let text =
                std::fs::read_to_string(map).with_context(|| format!("cannot read {}", map.display()))?;
            serde_saphyr::from_str(&text).with_context(|| map.display().to_string())?
        }
    };
    let names = if options.column.is_empty() { ColumnNames::default() } else { options.column.parse()? };
    let bar = if options.quiet || !std::io::stderr().is_terminal() {
        ProgressBar::hidden()
    } else {
        ProgressBar::no_length().with_style(ProgressStyle::with_template(
            "{wide_bar} {bytes}/{total_bytes} {elapsed} (ETA {eta})",
        )?)
    };
    let progress = |file: std::fs::File| -> Box<dyn Read + Send> {
        bar.set_length(file.metadata().map_or(0, |metadata| metadata.len()));
        Box::new(bar.wrap_read(file))
    };
    let rows = Rows::open(input, progress, &names, renames, &state)?;
    Ok((Ticks::new(rows, &state, SourceName::new("backtest")?), bar))
}

/// Rows to ticks to decisions, with nothing kept.
fn direct(
    options: &Options,
    mut ticks: Ticks,
    file: &Path,
    report: &mut Report<impl Write>,
) -> anyhow::Result<Counts> {
    let at = ticks.first_at().unwrap_or(TimeMicros(0));
    let mut provisioning =
        vec![provisioning_file::first_record(&provisioning_file::read_quietly(file)?, at)?];
    let workers = usize::from(options.workers);
    let mut end = 0;
    let mut taken = TickDecisions::default();
    // Ticks are made by the feeder's thread, which gives them back with their counts.
    let counts = std::sync::Mutex::new(Counts::default());
    let full_ticks = std::iter::from_fn(|| match ticks.next() {
        Some(recorded) => {
            let records = recorded.batches.into_iter().map(|bytes| {
                end += 1;
                engine::measurement_record(end - 1, bytes)
            });
            Some(Ok(FullTick {
                tick_offset: recorded.tick.number,
                provisioning: std::mem::take(&mut provisioning),
                records: records.collect(),
                tick: recorded.tick,
            }))
        }
        None => {
            if let Ok(mut counts) = counts.lock() {
                *counts = std::mem::take(&mut ticks.rows.counts);
            }
            None
        }
    });
    let last = std::sync::Mutex::new(None);
    let full_ticks = full_ticks.inspect(|tick: &anyhow::Result<FullTick>| {
        if let (Ok(tick), Ok(mut last)) = (tick, last.lock()) {
            *last = Some(tick.tick.at_us);
        }
    });
    engine::run(engine::config(workers), None, Vec::new(), full_ticks, |step| taken.take(step, report))?;
    report.ended_at(last.lock().ok().and_then(|last| *last));
    let counts = counts.lock().map(|mut counts| std::mem::take(&mut *counts)).unwrap_or_default();
    Ok(counts)
}

/// A recorded log under its own ticks: the policy of then repeats its decisions.
fn recorded(options: &Options, folder: &Path, report: &mut Report<impl Write>) -> anyhow::Result<()> {
    let log = EmbeddedLog::open(folder)?;
    let workers = usize::from(options.workers);
    let mut taken = TickDecisions::default();
    let mut last = None;
    let ticks = LogTicks::new(&log, engine::config(workers), None)?.inspect(|tick| {
        if let Ok(tick) = tick {
            last = Some(tick.tick.at_us);
        }
    });
    engine::run(engine::config(workers), None, Vec::new(), ticks, |step| taken.take(step, report))?;
    report.ended_at(last);
    Ok(())
}

/// The decisions of one tick, from all partitions, in the order of site, then network.
#[derive(Default)]
struct TickDecisions {
    decisions: Vec<Decision>,
}

impl TickDecisions {
    fn take(&mut self, step: Step, report: &mut Report<impl Write>) -> anyhow::Result<()> {
        let Step::Output(output) = step else { return Ok(()) };
        match output {
            Output::Frame { topic: topics::DECISIONS, records, .. } => {
                let frames = spillway_events::read_frames::<Decision>(&records);
                let frames = frames.map_err(|(_, error)| error)?;
                self.decisions.extend(frames.into_iter().flat_map(|(_, decisions)| decisions));
            }
            // Worker 0 frames all decisions.
            Output::Done { worker: 0, .. } if !self.decisions.is_empty() => {
                let mut decisions = std::mem::take(&mut self.decisions);
                decisions.sort_by(|a, b| (&a.site, &a.network).cmp(&(&b.site, &b.network)));
                for decision in &decisions {
                    report.decision(decision)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
