//! Recorded rows, and reading them from CSV.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use spillway_events::{Metric, Outcome, Value, parse_time, scaled_decimal};

/// One recorded attempt, in the words of the provisioning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// When, in microseconds since 1970.
    pub at_us: i64,
    /// The probe's agent.
    pub agent: String,
    /// The probe's network.
    pub network: String,
    /// The site.
    pub site: String,
    /// The origin's name or a CDN's.
    pub target: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The response time, where it gave one.
    pub response_time_us: Option<u64>,
    /// The throughput, where it gave one.
    pub throughput_bps: Option<u64>,
    /// Whether it tried to measure response time.
    pub tried_response_time: bool,
    /// Whether it tried to measure available bandwidth.
    pub tried_bandwidth: bool,
}

impl Row {
    /// What the attempt says of a metric, if anything.
    pub(super) fn value(&self, metric: Metric) -> Option<Value> {
        let (tried, number) = match metric {
            Metric::ResponseTime => (self.tried_response_time, self.response_time_us),
            Metric::AvailableBandwidth => (self.tried_bandwidth, self.throughput_bps),
        };
        match (tried, self.outcome) {
            (false, _) | (_, Outcome::Refused | Outcome::CutOff) => None,
            (true, Outcome::Failed) => Some(Value::Failed),
            (true, Outcome::Ok) => number.map(Value::Number),
        }
    }
}

/// Which column says what.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// The time of the attempt.
    pub at: &'a str,
    /// The probe's agent.
    pub agent: &'a str,
    /// The probe's network.
    pub network: &'a str,
    /// The target.
    pub target: &'a str,
    /// The site.
    pub site: &'a str,
    /// The response time in milliseconds; without it no row tried response time.
    pub response_time_ms: Option<&'a str>,
    /// The throughput in bit/s; without it no row tried available bandwidth.
    pub throughput_bps: Option<&'a str>,
    /// `1`, `true` or `ok` for success, `refused` and `cut_off` for attempts that say nothing of the target; without it every
    /// row succeeded.
    pub ok: Option<&'a str>,
}

/// Reads a CSV file with a header, compressed where its name ends in `.gz`; `map` turns the file's site and target
/// into those provisioned. A row with a time or number that is not understood is left out.
///
/// # Panics
/// When the file or its CSV cannot be read, or a column is missing: a test has no use for half of its input.
pub fn read_rows(
    path: &Path,
    columns: Columns<'_>,
    map: impl Fn(&str, &str) -> (String, String),
) -> Vec<Row> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let is_compressed = path.extension().is_some_and(|extension| extension == "gz");
    let input: Box<dyn Read> =
        if is_compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut reader = csv::Reader::from_reader(input);
    let header = reader.headers().unwrap_or_else(|error| panic!("{}: {error}", path.display())).clone();
    let place = |column: &str| {
        let found = header.iter().position(|name| name == column);
        found.unwrap_or_else(|| panic!("{} has no column {column}", path.display()))
    };
    let places = Places {
        at: place(columns.at),
        agent: place(columns.agent),
        network: place(columns.network),
        target: place(columns.target),
        site: place(columns.site),
        response_time_ms: columns.response_time_ms.map(place),
        throughput_bps: columns.throughput_bps.map(place),
        ok: columns.ok.map(place),
    };
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        rows.extend(read_row(&record, &places, &map));
    }
    rows
}

struct Places {
    at: usize,
    agent: usize,
    network: usize,
    target: usize,
    site: usize,
    response_time_ms: Option<usize>,
    throughput_bps: Option<usize>,
    ok: Option<usize>,
}

fn read_row(
    record: &csv::StringRecord,
    places: &Places,
    map: impl Fn(&str, &str) -> (String, String),
) -> Option<Row> {
    let (site, target) = map(record.get(places.site)?, record.get(places.target)?);
    let number = |place: Option<usize>, scale: u64| -> Option<Option<u64>> {
        match place.and_then(|place| record.get(place)) {
            None | Some("") => Some(None),
            Some(text) => scaled_decimal(text, scale).ok().map(Some),
        }
    };
    Some(Row {
        at_us: parse_time(record.get(places.at)?).ok()?.0,
        agent: record.get(places.agent)?.to_owned(),
        network: record.get(places.network)?.to_owned(),
        site,
        target,
        outcome: match places.ok.map(|place| record.get(place)) {
            None | Some(Some("1" | "true" | "ok")) => Outcome::Ok,
            Some(Some("refused")) => Outcome::Refused,
            Some(Some("cut_off")) => Outcome::CutOff,
            Some(Some(_)) => Outcome::Failed,
            Some(None) => return None,
        },
        response_time_us: number(places.response_time_ms, 1_000)?,
        throughput_bps: number(places.throughput_bps, 1)?,
        tried_response_time: places.response_time_ms.is_some(),
        tried_bandwidth: places.throughput_bps.is_some(),
    })
}
