//! `backtest`: runs a policy over recorded measurements.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use spillway_backtest::{ColumnNames, Counts, Renames, Report, Rows, Ticks, first_record};
use spillway_eventlog::EmbeddedLog;
use spillway_events::TimeMicros;
use spillway_provisioning::{Parsed, State};

use crate::documents;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 done; 1 done, but some rows were wrong or late and --strict was given; 2 not done.

Examples:
  spillway backtest -f site.yaml measurements.csv.gz
  spillway backtest -f site.yaml --column at=time,site=page --format json a.csv
  # durable: run it again to continue after a stop
  spillway backtest -f site.yaml --log ./recorded measurements.csv
  # with the ticks and the policy of a recorded log
  spillway backtest --log ./recorded")]
pub(crate) struct Options {
    /// CSV file of recorded measurements, gzip or not; its first row names the columns
    #[arg(value_name = "INPUT")]
    input: Option<PathBuf>,
    /// Provisioning file (YAML documents) to try
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Which column holds which field: FIELD=COLUMN,… with the fields at, agent, network, target, site, response_time_ms,
    /// throughput_bps, ok. A field that is not given is in the column of its own name
    #[arg(long, value_name = "FIELD=COLUMN,…", default_value = "", hide_default_value = true)]
    column: String,
    /// YAML file with new names for names that are not provisioned: maps `sites`, `targets`, `networks`, `agents`
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// How to print route changes
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Worker threads of the dataflow
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// Keep input, ticks and outputs in an embedded log in this folder; a run that was stopped can be continued
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

impl From<Format> for spillway_backtest::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Table => Self::Table,
            Format::Csv => Self::Csv,
            Format::Json => Self::Json,
        }
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let mut report = Report::new(options.format.into(), std::io::stdout().lock());
    let workers = usize::from(options.workers);
    let counts = match (&options.input, &options.file, &options.log) {
        (Some(input), Some(file), log) => {
            let documents = documents::read(file)?;
            let (ticks, bar) = open(options, input, &documents)?;
            let on_decision = &mut |decision: &_| report.decision(decision);
            let objects = &documents.objects;
            let (counts, last) = match log {
                None => spillway_backtest::run(ticks, objects, workers, on_decision)?,
                Some(folder) => spillway_backtest::run_durable(folder, ticks, objects, workers, on_decision)?,
            };
            report.ended_at(last);
            bar.finish_and_clear();
            Some(counts)
        }
        (None, None, Some(folder)) => {
            let log = EmbeddedLog::open_to_read(folder)?;
            let on_decision = &mut |decision: &_| report.decision(decision);
            let last = spillway_backtest::run_recorded(&log, workers, on_decision)?;
            report.ended_at(last);
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
    counts.map_or(Ok(ExitCode::SUCCESS), |counts| print_counts(options, &counts))
}

fn print_counts(options: &Options, counts: &Counts) -> anyhow::Result<ExitCode> {
    let mut to: Box<dyn Write> = if options.format == Format::Table {
        Box::new(std::io::stdout())
    } else {
        Box::new(std::io::stderr())
    };
    counts.print(&mut to)?;
    Ok(ExitCode::from(u8::from(options.strict && counts.is_imperfect())))
}

/// Opens the input, with a progress bar over its bytes if standard error is a terminal.
fn open(options: &Options, input: &Path, documents: &Parsed) -> anyhow::Result<(Ticks, ProgressBar)> {
    let mut state = State::default();
    let record = first_record(&documents.objects, TimeMicros(0));
    state.apply(&record.map_err(|error| documents::refused(documents, error))?)?;
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
    let rows = Rows::open(input, progress, &names, renames, &state, |line| eprintln!("{line}"))?;
    Ok((Ticks::new(rows, &state), bar))
}
