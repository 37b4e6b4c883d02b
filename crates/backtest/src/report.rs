//! Prints route changes.

use std::io::Write;

use spillway_events::{Decision, ObjectiveEvidence, TimeMicros, format_time};

use crate::BacktestError;
use crate::summary::Summary;

/// How decisions are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for people.
    Table,
    /// CSV.
    Csv,
    /// One decision record as JSON a line.
    Json,
}

/// Prints decisions as they come, and a summary at the end.
pub struct Report<W: Write> {
    format: Format,
    out: std::io::BufWriter<W>,
    started: bool,
    summary: Summary,
}

const COLUMNS: [&str; 10] =
    ["time", "site", "network", "route", "verdict", "reason", "value", "threshold", "samples", "probes"];

impl<W: Write> Report<W> {
    /// A report that prints to `out`.
    pub fn new(format: Format, out: W) -> Self {
        Self { format, out: std::io::BufWriter::new(out), started: false, summary: Summary::default() }
    }

    /// Prints a decision.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn decision(&mut self, decision: &Decision) -> Result<(), BacktestError> {
        self.summary.take(decision);
        if !std::mem::replace(&mut self.started, true) {
            self.head()?;
        }
        match self.format {
            Format::Table => self.table_row(&fields(decision, true)),
            Format::Csv => self.csv_row(&fields(decision, false)),
            Format::Json => {
                serde_json::to_writer(&mut self.out, decision)?;
                Ok(writeln!(self.out)?)
            }
        }
    }

    /// Sets the time of the last tick: the last routes held until then.
    pub fn ended_at(&mut self, at: Option<TimeMicros>) {
        self.summary.ended_at = at;
    }

    /// Prints the summary: after a table to `out`, else to standard error.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> Result<(), BacktestError> {
        if !self.started {
            self.head()?;
        }
        if self.format == Format::Table {
            writeln!(self.out)?;
            self.summary.print(&mut self.out)?;
            return Ok(self.out.flush()?);
        }
        self.out.flush()?;
        Ok(self.summary.print(&mut std::io::stderr())?)
    }

    fn head(&mut self) -> Result<(), BacktestError> {
        let names = COLUMNS.map(str::to_owned);
        match self.format {
            Format::Table => self.table_row(&names),
            Format::Csv => self.csv_row(&names),
            Format::Json => Ok(()),
        }
    }

    fn table_row(&mut self, fields: &[String; 10]) -> Result<(), BacktestError> {
        let [time, site, network, route, verdict, reason, value, threshold, samples, probes] = fields;
        let line = format!(
            "{time:<20}  {site:<20}  {network:<16}  {route:<28}  {verdict:<11}  {reason:<13}  {value:>12}  \
             {threshold:>12}  {samples:>7}  {probes:>6}"
        );
        Ok(writeln!(self.out, "{}", line.trim_end())?)
    }

    fn csv_row(&mut self, fields: &[String; 10]) -> Result<(), BacktestError> {
        let mut writer = csv::Writer::from_writer(&mut self.out);
        writer.write_record(fields)?;
        Ok(writer.flush()?)
    }
}

/// The objective that decides: the first with the verdict of all together.
fn deciding(decision: &Decision) -> Option<&ObjectiveEvidence> {
    decision.objectives.iter().find(|objective| objective.verdict == decision.verdict)
}

/// The fields of a line; numbers in the metric's unit (microseconds, bit/s), with units for people.
fn fields(decision: &Decision, for_people: bool) -> [String; 10] {
    let objective = deciding(decision);
    let number = |objective: &ObjectiveEvidence, number: u64| {
        if for_people { objective.metric.format(number) } else { number.to_string() }
    };
    let value = objective.map_or_else(String::new, |objective| match objective.value {
        Some(value) => number(objective, value),
        None if objective.failed => String::from("failed"),
        None => String::new(),
    });
    [
        format_time(decision.at_us),
        decision.site.to_string(),
        decision.network.to_string(),
        decision.route.to_string(),
        decision.verdict.to_string(),
        decision.reason.map(|reason| reason.to_string()).unwrap_or_default(),
        value,
        objective.map(|objective| number(objective, objective.threshold)).unwrap_or_default(),
        objective.map(|objective| objective.samples.to_string()).unwrap_or_default(),
        objective.map(|objective| objective.probes_count.to_string()).unwrap_or_default(),
    ]
}
