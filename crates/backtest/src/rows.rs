//! Recorded measurements, row by row: what is good, what is skipped and what is wrong.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use spillway_events::{
    AgentName, BitsPerSecond, Measurement, Micros, NetworkName, Outcome, Probe, RESPONSE_TIME_MAX, Series,
    SiteName, THROUGHPUT_MAX, TimeMicros, Tried, parse_time, scaled_decimal,
};
use spillway_provisioning::State;

use crate::BacktestError;
use crate::bound::{Allowance, BUFFER_BYTES, Bounded, ROW_BYTES_MAX};
use crate::columns::{ColumnNames, Columns};

/// How many wrong rows are shown one by one.
const SHOWN_MAX: u64 = 20;
/// The maximum number of spellings of series that are kept.
const SPELLINGS_MAX: usize = 1 << 20;
/// The longest one that is kept: four names with their lengths.
const SPELLING_BYTES_MAX: usize = 512;

/// New names for what matches nothing provisioned, by the name in the input.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Renames {
    sites: BTreeMap<String, String>,
    targets: BTreeMap<String, String>,
    networks: BTreeMap<String, String>,
    agents: BTreeMap<String, String>,
}

/// What became of the input's rows.
#[derive(Debug, Default)]
pub struct Counts {
    /// How many rows were read.
    pub rows: u64,
    /// How many were used.
    pub kept: u64,
    /// By reason: rows of what is not provisioned.
    pub(crate) skipped: BTreeMap<&'static str, u64>,
    /// By reason, with the first line: rows that could not be used, or files that end early.
    pub(crate) wrong: BTreeMap<&'static str, (u64, u64)>,
    /// Rows earlier than the second being gathered, with the first line; they are used.
    pub(crate) late: (u64, u64),
    shown: u64,
}

/// A good row of something provisioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) line: u64,
    /// Of the series with this number among those of the file ([`Rows::series`]).
    pub(crate) measurement: Measurement,
}

/// Reads the rows of a file.
pub struct Rows {
    file: PathBuf,
    reader: csv::Reader<Bounded<Box<dyn Read + Send>>>,
    allowance: Allowance,
    columns: Columns,
    provisioned: Provisioned,
    record: csv::StringRecord,
    ended: bool,
    warn: fn(&str),
    pub(crate) counts: Counts,
}

/// The names that rows may use.
struct Provisioned {
    renames: Renames,
    /// By name and by host.
    sites: BTreeMap<String, SiteName>,
    targets: BTreeMap<SiteName, Vec<String>>,
    probes: std::collections::BTreeSet<Probe>,
    /// The series found so far, and their numbers.
    series: Vec<Series>,
    numbers: HashMap<Series, u32>,
    /// What [`Provisioned::resolve`] found for the names as they stand in rows, each behind its length.
    spellings: HashMap<Vec<u8>, Result<u32, &'static str>>,
    spelling: Vec<u8>,
}

impl Rows {
    /// Opens a CSV file, gzip or not, whose first row names the columns. `warn` is given a line for each of the first wrong
    /// rows.
    ///
    /// # Errors
    /// If the file cannot be read, or its header does not name the columns.
    pub fn open(
        file: &Path,
        progress: impl FnOnce(File) -> Box<dyn Read + Send>,
        names: &ColumnNames,
        renames: Renames,
        state: &State,
        warn: fn(&str),
    ) -> Result<Self, BacktestError> {
        let failed = |source| BacktestError::Input { path: file.to_owned(), source };
        let opened = File::open(file).map_err(failed)?;
        let mut buffered = BufReader::with_capacity(256 * 1024, progress(opened));
        let head = buffered.fill_buf().map_err(failed)?;
        let input: Box<dyn Read + Send> = if head.starts_with(&[0x1F, 0x8B]) {
            Box::new(BufReader::new(MultiGzDecoder::new(buffered)))
        } else {
            Box::new(buffered)
        };
        let allowance = Allowance::new();
        let input = Bounded { input, allowance: allowance.clone() };
        let mut reader =
            csv::ReaderBuilder::new().flexible(true).buffer_capacity(BUFFER_BYTES).from_reader(input);
        let header =
            reader.headers().map_err(|source| BacktestError::Header { path: file.to_owned(), source })?;
        if header.is_empty() {
            return Err(BacktestError::Empty { path: file.to_owned() });
        }
        let columns = names.resolve(header).map_err(|error| match error {
            BacktestError::Columns(reason) => BacktestError::Columns(format!("{}: {reason}", file.display())),
            other => other,
        })?;
        Ok(Self {
            file: file.to_owned(),
            reader,
            allowance,
            columns,
            provisioned: Provisioned::of(state, renames),
            record: csv::StringRecord::new(),
            ended: false,
            warn,
            counts: Counts::default(),
        })
    }

    /// Counts a wrong row and, if it is one of the first, describes it.
    pub(crate) fn wrong(&mut self, line: u64, why: &'static str, detail: &str) {
        let (count, _) = self.counts.wrong.entry(why).or_insert((0, line));
        *count += 1;
        self.counts.shown += 1;
        if self.counts.shown <= SHOWN_MAX {
            let separator = if detail.is_empty() { "" } else { ": " };
            (self.warn)(&format!("{}:{line}: {why}{separator}{detail}", self.file.display()));
        } else if self.counts.shown == SHOWN_MAX + 1 {
            (self.warn)(&format!("{}: further wrong rows are only counted", self.file.display()));
        }
    }

    fn row(&mut self, line: u64) -> Option<Row> {
        match parse_row(&self.record, &self.columns) {
            Err((why, detail)) => {
                self.wrong(line, why, &detail);
                None
            }
            Ok((measurement, names)) => match self.provisioned.number(&names) {
                Err(why) => {
                    *self.counts.skipped.entry(why).or_default() += 1;
                    None
                }
                Ok(series) => {
                    self.counts.kept += 1;
                    Some(Row { line, measurement: Measurement { series, ..measurement } })
                }
            },
        }
    }
}

impl Rows {
    /// The series of the rows so far, by their numbers.
    pub(crate) fn series(&self) -> &[Series] {
        &self.provisioned.series
    }

    /// The next row of something provisioned; nothing at the end of the file.
    pub(crate) fn next(&mut self) -> Option<Row> {
        while !self.ended {
            let line = self.reader.position().line();
            self.allowance.renew();
            match self.reader.read_record(&mut self.record) {
                Ok(true) => {
                    let line = self.record.position().map_or(line, csv::Position::line);
                    self.counts.rows += 1;
                    if let Some(row) = self.row(line) {
                        return Some(row);
                    }
                }
                Ok(false) => self.ended = true,
                Err(error) => {
                    self.counts.rows += 1;
                    let detail = error.to_string();
                    // A reader that fails does not go on: a truncated gzip, say.
                    if error.is_io_error() {
                        self.ended = true;
                        self.wrong(line, "the rest of the file cannot be read", &detail);
                    } else {
                        self.wrong(line, "not a CSV row", &detail);
                    }
                }
            }
        }
        None
    }
}

/// The names in a row, as they stand.
struct Names<'a> {
    site: &'a str,
    target: &'a str,
    agent: &'a str,
    network: &'a str,
}

type Wrong = (&'static str, String);

fn parse_row<'a>(
    record: &'a csv::StringRecord,
    columns: &Columns,
) -> Result<(Measurement, Names<'a>), Wrong> {
    let field = |index: usize| {
        record
            .get(index)
            .map(str::trim)
            .ok_or_else(|| ("too few columns", format!("{} of them", record.len())))
    };
    if record.as_slice().len() > ROW_BYTES_MAX {
        return Err(("too long a row", format!("{} bytes", record.as_slice().len())));
    }
    let at_us = parse_time(field(columns.at)?).map_err(|error| ("not a time", error.to_string()))?;
    let number =
        |index: Option<usize>, scale: u64, max: u64, why: &'static str| -> Result<Option<u64>, Wrong> {
            let Some(index) = index else { return Ok(None) };
            let text = field(index)?;
            if text.is_empty() {
                return Ok(None);
            }
            let number = scaled_decimal(text, scale).map_err(|error| (why, error.to_string()))?;
            if number > max { Err((why, format!("`{text}` is out of range"))) } else { Ok(Some(number)) }
        };
    let response_time =
        number(columns.response_time_ms, 1_000, RESPONSE_TIME_MAX.0, "not a response time from 0 to 3600 s")?;
    let throughput =
        number(columns.throughput_bps, 1, THROUGHPUT_MAX.0, "not a throughput from 0 to 10^15 bit/s")?;
    let outcome = match columns.ok {
        None if response_time.is_some() || throughput.is_some() => Outcome::Ok,
        None => Outcome::Failed,
        Some(index) => parse_outcome(field(index)?)?,
    };
    let tried = match (columns.response_time_ms, columns.throughput_bps) {
        (Some(_), Some(_)) => Tried::Both,
        (None, _) => Tried::AvailableBandwidth,
        (_, None) => Tried::ResponseTime,
    };
    let measurement = Measurement {
        series: 0,
        at_us: TimeMicros(at_us.0),
        tried,
        outcome,
        response_time_us: response_time.map(Micros),
        throughput_bps: throughput.map(BitsPerSecond),
        bytes: None,
        phases: None,
        error: None,
    };
    let names = Names {
        site: field(columns.site)?,
        target: field(columns.target)?,
        agent: field(columns.agent)?,
        network: field(columns.network)?,
    };
    Ok((measurement, names))
}

/// Reads the column `ok`: whether the attempt succeeded, or the outcome by its name.
fn parse_outcome(text: &str) -> Result<Outcome, Wrong> {
    match text {
        "1" | "true" | "True" | "TRUE" => Ok(Outcome::Ok),
        "0" | "false" | "False" | "FALSE" => Ok(Outcome::Failed),
        _ => Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or_else(|| {
            (
                "`ok` is none of 1, 0, true, false, ok, failed, refused, cut_off",
                text.chars().take(40).collect(),
            )
        }),
    }
}

impl Provisioned {
    fn of(state: &State, renames: Renames) -> Self {
        let mut sites = BTreeMap::new();
        let mut targets = BTreeMap::new();
        for site in state.sites().map(|site| site.site) {
            for host in &site.hosts {
                sites.entry(host.clone()).or_insert_with(|| site.name.clone());
            }
            let cdns = site.cdns.iter().map(|cdn| cdn.cdn.as_str().to_owned());
            targets
                .insert(site.name.clone(), std::iter::once(site.origin.name.clone()).chain(cdns).collect());
        }
        // A name goes before a host of another site.
        for site in state.sites().map(|site| site.site) {
            sites.insert(site.name.as_str().to_owned(), site.name.clone());
        }
        let probes = state.probes().cloned().collect();
        let (series, numbers) = (Vec::new(), HashMap::new());
        let (spellings, spelling) = (HashMap::new(), Vec::new());
        Self { renames, sites, targets, probes, series, numbers, spellings, spelling }
    }

    /// The number of a row's series.
    fn number(&mut self, names: &Names<'_>) -> Result<u32, &'static str> {
        self.spelling.clear();
        for name in [names.site, names.target, names.agent, names.network] {
            self.spelling.extend_from_slice(&name.len().to_le_bytes());
            self.spelling.extend_from_slice(name.as_bytes());
        }
        if let Some(known) = self.spellings.get(&self.spelling) {
            return *known;
        }
        let found = self.resolve(names).map(|series| {
            let next = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
            *self.numbers.entry(series).or_insert_with_key(|new| {
                self.series.push(new.clone());
                next
            })
        });
        if self.spellings.len() < SPELLINGS_MAX && self.spelling.len() <= SPELLING_BYTES_MAX {
            self.spellings.insert(self.spelling.clone(), found);
        }
        found
    }

    /// The names provisioned for those of a row: themselves where they match, else renamed.
    fn resolve(&self, names: &Names<'_>) -> Result<Series, &'static str> {
        let renames = &self.renames;
        let find = |name: &str| self.sites.get(name).or_else(|| self.sites.get(name.to_lowercase().as_str()));
        let site = find(names.site)
            .or_else(|| find(renames.sites.get(names.site)?))
            .ok_or("the site is not provisioned")?;
        let of_site = self.targets.get(site).map_or(&[][..], Vec::as_slice);
        let renamed = renames.targets.get(names.target).map(String::as_str);
        let target = [Some(names.target), renamed]
            .into_iter()
            .flatten()
            .find(|target| of_site.iter().any(|known| known == target))
            .ok_or("the target is none of the site's")?;
        let candidates = |name: &str, renamed: Option<&String>| {
            [Some(name.to_owned()), renamed.cloned()].into_iter().flatten().collect::<Vec<_>>()
        };
        for agent in candidates(names.agent, renames.agents.get(names.agent)) {
            for network in candidates(names.network, renames.networks.get(names.network)) {
                let (Ok(agent), Ok(network)) = (AgentName::new(agent.as_str()), NetworkName::new(network))
                else {
                    continue;
                };
                let probe = Probe { agent, network };
                if self.probes.contains(&probe) {
                    let Probe { agent, network } = probe;
                    return Ok(Series { site: site.clone(), target: target.to_owned(), agent, network });
                }
            }
        }
        Err("the probe is not provisioned")
    }
}
