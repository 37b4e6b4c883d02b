//! Measurements, in batches keyed by source.

mod columns;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_avro_fast::Schema;

pub use columns::{AttemptRow, MeasurementColumns, SeriesNames};

use crate::codec::{DecodeError, Record, encode_serialized, schemas};
use crate::{AgentName, BitsPerSecond, Micros, NetworkName, SiteName, SourceName, TimeMicros};

/// The most series one batch may name.
pub const BATCH_SERIES_MAX: usize = 4_096;
/// The most measurements one batch may hold.
pub const BATCH_RECORDS_MAX: usize = 4_096;

/// The longest target or error of a batch, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;

/// The measurements that one source writes in one record. The names of a series are written once, and measurements refer to
/// them.
///
/// A batch that is sent again carries the same source, boot and sequence, and counts once. JSON holds this type as it is; Avro
/// holds [`MeasurementColumns`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasurementBatch {
    /// The source.
    pub source: SourceName,
    /// A number that differs at every start of the source, at most 2⁶³ − 1: random, or the time of the start.
    pub boot: u64,
    /// Counts the source's batches since its boot, from 1.
    pub sequence: u64,
    /// The series measured in this batch.
    pub series: Vec<Series>,
    /// The measurements, in the source's order.
    pub measurements: Vec<Measurement>,
}

/// The subject of a measurement: one probe, and one target of one site.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// The site.
    pub site: SiteName,
    /// The name of the site's origin or of one of its CDNs.
    pub target: String,
    /// The probe's agent.
    pub agent: AgentName,
    /// The probe's access network.
    pub network: NetworkName,
}

/// Which metrics an attempt tried to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tried {
    /// Response time only.
    ResponseTime,
    /// Available bandwidth only.
    AvailableBandwidth,
    /// Both in one attempt.
    Both,
}

/// The outcome of an attempt. Only attempts that succeeded or failed count for objectives; the others are no evidence about
/// the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It succeeded.
    Ok,
    /// It failed: it counts as worse than any number for each metric it tried.
    Failed,
    /// Nothing was tried: the target is misconfigured, or the probe may not connect to its addresses.
    Refused,
    /// It failed while the probe itself was cut off from the network.
    CutOff,
}

impl Outcome {
    /// All of them, in the order of the schema.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Failed, Self::Refused, Self::CutOff];

    /// The word as written in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::CutOff => "cut_off",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One attempt of a probe on one target of a site. What is absent is unknown, never zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Index into the batch's series.
    pub series: u32,
    /// When the attempt ended.
    pub at_us: TimeMicros,
    /// What it tried to measure.
    pub tried: Tried,
    /// The outcome.
    pub outcome: Outcome,
    /// Connect start to last byte.
    pub response_time_us: Option<Micros>,
    /// Throughput without the first 500 ms.
    pub throughput_bps: Option<BitsPerSecond>,
    /// Bytes of the body received.
    pub bytes: Option<u64>,
    /// When each phase ended.
    pub phases: Option<Phases>,
    /// Why it did not succeed, in a few words.
    pub error: Option<String>,
}

impl From<&Measurement> for AttemptRow {
    fn from(measurement: &Measurement) -> Self {
        let Measurement { series, at_us, tried, outcome, response_time_us, throughput_bps, .. } =
            *measurement;
        Self { series, at_us, tried, outcome, response_time_us, throughput_bps }
    }
}

/// How long each phase of an attempt took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phases {
    /// Name resolution.
    pub resolve_us: Option<Micros>,
    /// TCP connection.
    pub connect_us: Option<Micros>,
    /// TLS handshake.
    pub tls_us: Option<Micros>,
    /// Request sent to first byte of the answer.
    pub first_byte_us: Option<Micros>,
    /// First byte to last byte.
    pub last_byte_us: Option<Micros>,
}

/// Checks the boot and the sequence of a batch. Avro has no numbers above 2⁶³ − 1, but JSON has.
pub(crate) fn check_numbers(boot: u64, sequence: u64) -> Result<(), String> {
    if sequence == 0 {
        return Err(String::from("sequence: counts from 1"));
    }
    if boot > i64::MAX as u64 || sequence > i64::MAX as u64 {
        return Err(String::from("boot, sequence: at most 2^63 - 1"));
    }
    Ok(())
}

fn validate(batch: &MeasurementBatch) -> Result<(), String> {
    check_numbers(batch.boot, batch.sequence)?;
    if batch.series.len() > BATCH_SERIES_MAX || batch.measurements.len() > BATCH_RECORDS_MAX {
        return Err(format!(
            "series, measurements: a batch has at most {BATCH_SERIES_MAX} and {BATCH_RECORDS_MAX}"
        ));
    }
    let too_long = |text: &str| text.len() > TEXT_BYTES_MAX;
    let errors = batch.measurements.iter().filter_map(|measurement| measurement.error.as_deref());
    if batch.series.iter().map(|series| series.target.as_str()).chain(errors).any(too_long) {
        return Err(format!("target, error: a text has at most {TEXT_BYTES_MAX} bytes"));
    }
    let out_of_range = |measurement: &Measurement| {
        usize::try_from(measurement.series).map_or(true, |series| series >= batch.series.len())
    };
    match batch.measurements.iter().position(out_of_range) {
        Some(index) => Err(format!("measurements[{index}].series: no such series in this batch")),
        None => Ok(()),
    }
}

impl Record for MeasurementBatch {
    fn schemas() -> &'static [Schema] {
        schemas!("measurement_batch.v1.avsc")
    }

    fn validate(&self) -> Result<(), String> {
        validate(self)
    }

    fn encode_avro(&self) -> Result<Vec<u8>, DecodeError> {
        encode_serialized(&MeasurementColumns::of(self)?, Self::schema())
    }

    fn decode_datum(schema: &Schema, datum: &[u8]) -> Result<Self, DecodeError> {
        MeasurementColumns::decode_datum(schema, datum)?.to_batch()
    }
}
