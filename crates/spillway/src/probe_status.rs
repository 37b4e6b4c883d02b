//! `probe status`: what every probe has tried lately.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use reqwest::Method;
use spillway_control::{Cause, ProbesReport, Provisioner, Recent, SeriesReport};
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::{Outcome, format_time};

use crate::client::{Server, call};
use crate::output::line;

#[derive(Debug, Args)]
#[command(after_help = "\
A row for each probe (agent, network), site and target: the last attempt, and how many attempts had which outcome in the 10
minutes before the last tick. Below it, why attempts did not succeed. An attempt that was refused was not made, and moves
no traffic: the target is misconfigured, or the probe may not connect to it (see --probe-allow).

Examples:
  spillway probe status
  spillway probe status --log ./data --format json")]
pub(crate) struct Options {
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Read the folder of an embedded log that nothing has open, instead of asking a running system
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object
    Json,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let report: ProbesReport = match &options.log {
        Some(folder) => {
            let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::open_to_read(folder)?);
            let state = Provisioner::new(Arc::clone(&log)).state()?;
            Recent::new(log).probes(&state)?
        }
        None => serde_json::from_str(&call(options.server.request(Method::GET, &["probes"])?)?)?,
    };
    match options.format {
        Format::Json => line(format_args!("{}", serde_json::to_string(&report)?))?,
        Format::Table => print_table(&report)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What a person reads of attempts that did not succeed.
pub(crate) fn cause_text(cause: &Cause) -> String {
    let error = if cause.error.is_empty() { "no reason given" } else { &cause.error };
    let what = match cause.outcome {
        Outcome::Refused => "misconfigured",
        Outcome::CutOff => "the probe was cut off",
        Outcome::Ok | Outcome::Failed => "failed",
    };
    format!("{what}: {error}; {} times, last {}", cause.count, format_time(cause.last_at_us))
}

fn print_table(report: &ProbesReport) -> anyhow::Result<()> {
    let head = [
        "AGENT",
        "NETWORK",
        "SITE",
        "TARGET",
        "LAST ATTEMPT",
        "OUTCOME",
        "OK",
        "FAILED",
        "REFUSED",
        "CUT OFF",
    ];
    let rows: Vec<[String; 10]> = report.series.iter().map(cells).collect();
    let mut widths = head.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let print = |cells: &[&str]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        line(format_args!("{}", padded.collect::<Vec<_>>().join("  ").trim_end()))
    };
    print(&head)?;
    for (row, series) in rows.iter().zip(&report.series) {
        print(&row.each_ref().map(String::as_str))?;
        for cause in &series.causes {
            line(format_args!("    {}", cause_text(cause)))?;
        }
        if series.other_causes > 0 {
            line(format_args!("    {} more did not succeed for other causes", series.other_causes))?;
        }
    }
    for probe in &report.silent {
        line(format_args!("{}  {}  no attempt", probe.agent, probe.network))?;
    }
    if report.is_cut {
        line(format_args!("there is more than is listed"))?;
    }
    let from = report.from_us.map_or_else(|| String::from("the start of the log"), format_time);
    let as_of = report.as_of_us.map_or_else(|| String::from("before the first tick"), format_time);
    line(format_args!("attempts are counted from {from} on; the last tick: {as_of}"))
}

fn cells(series: &SeriesReport) -> [String; 10] {
    [
        series.agent.to_string(),
        series.network.to_string(),
        series.site.to_string(),
        series.target.clone(),
        format_time(series.last.at_us),
        series.last.outcome.to_string(),
        series.ok.to_string(),
        series.failed.to_string(),
        series.refused.to_string(),
        series.cut_off.to_string(),
    ]
}
