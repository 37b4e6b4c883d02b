//! A batch as the log holds it: in columns, which are small and quick to read.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    BATCH_RECORDS_MAX, BATCH_SERIES_MAX, Measurement, MeasurementBatch, Outcome, Phases, Series,
    TEXT_BYTES_MAX, Tried, check_numbers,
};
use crate::codec::{DecodeError, decode_datum, decode_single_object};
use crate::names::check as check_name;
use crate::{AgentName, BitsPerSecond, Micros, NameError, NetworkName, SiteName, SourceName, TimeMicros};

/// A [`MeasurementBatch`] in columns, the form in which it is written to the log. It borrows from the record that it was
/// decoded from, and has been validated.
///
/// Every name stands once in `names`. A column holds one number for each series, or one for each measurement. All numbers of
/// a column have the same width of 0, 1, 2, 4 or 8 bytes, which is the column's length divided by the count of numbers, and
/// are unsigned and little-endian; with width 0 they are all 0. A number that may be absent is written as 0 if it is, else as
/// the number plus 1. Two columns tell how many numbers the others have: `series_site` always has 2 bytes for each series, and
/// `outcome` always one byte for each measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename = "MeasurementBatch", deny_unknown_fields)]
pub struct MeasurementColumns<'a> {
    source: &'a str,
    boot: u64,
    sequence: u64,
    #[serde(borrow)]
    names: Vec<&'a str>,
    #[serde(borrow)]
    series_site: Column<'a>,
    #[serde(borrow)]
    series_target: Column<'a>,
    #[serde(borrow)]
    series_agent: Column<'a>,
    #[serde(borrow)]
    series_network: Column<'a>,
    /// One byte for each measurement: its outcome, plus 16 times what it tried.
    #[serde(borrow)]
    outcome: Column<'a>,
    #[serde(borrow)]
    series: Column<'a>,
    first_at_us: i64,
    #[serde(borrow)]
    after_first_us: Column<'a>,
    #[serde(borrow)]
    response_time_us: Column<'a>,
    #[serde(borrow)]
    throughput_bps: Column<'a>,
    #[serde(borrow)]
    bytes: Column<'a>,
    #[serde(borrow)]
    resolve_us: Column<'a>,
    #[serde(borrow)]
    connect_us: Column<'a>,
    #[serde(borrow)]
    tls_us: Column<'a>,
    #[serde(borrow)]
    first_byte_us: Column<'a>,
    #[serde(borrow)]
    last_byte_us: Column<'a>,
    #[serde(borrow)]
    errors: Vec<&'a str>,
    #[serde(borrow)]
    error: Column<'a>,
}

/// The names of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesNames<'a> {
    /// The site.
    pub site: &'a str,
    /// The name of the site's origin or of one of its CDNs.
    pub target: &'a str,
    /// The probe's agent.
    pub agent: &'a str,
    /// The probe's access network.
    pub network: &'a str,
}

/// What steering needs of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptRow {
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
}

/// The most different names of a batch: four for each series.
const NAMES_MAX: usize = 4 * BATCH_SERIES_MAX;
/// The bytes of each number in `series_site`. As they are never 0, a short record cannot have many series.
const SITE_WIDTH: usize = 2;
const _: () = assert!(NAMES_MAX - 1 <= u16::MAX as usize);

impl<'a> MeasurementColumns<'a> {
    /// Decodes and validates a record in Avro.
    ///
    /// # Errors
    /// As [`crate::decode`].
    pub fn decode(record: &'a [u8]) -> Result<Self, DecodeError> {
        Self::validated(decode_single_object::<MeasurementBatch, Self>(record)?)
    }

    pub(super) fn decode_datum(
        schema: &serde_avro_fast::Schema,
        datum: &'a [u8],
    ) -> Result<Self, DecodeError> {
        Self::validated(decode_datum(schema, datum)?)
    }

    fn validated(self) -> Result<Self, DecodeError> {
        self.validate().map_err(DecodeError::Invalid)?;
        Ok(self)
    }

    /// The source.
    #[must_use]
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// The boot.
    #[must_use]
    pub fn boot(&self) -> u64 {
        self.boot
    }

    /// The sequence.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The number of measurements.
    #[must_use]
    pub fn measurements_count(&self) -> usize {
        self.outcome.0.len()
    }

    /// The names of every series, in order.
    pub fn series(&self) -> impl Iterator<Item = SeriesNames<'a>> + '_ {
        let count = self.series_count();
        let [site, target, agent, network] = self.series_columns().map(|column| column.numbers(count));
        let name = |numbers: Numbers, index| {
            self.names
                .get(usize::try_from(numbers.get(index)).unwrap_or(usize::MAX))
                .copied()
                .unwrap_or_default()
        };
        (0..count).map(move |index| SeriesNames {
            site: name(site, index),
            target: name(target, index),
            agent: name(agent, index),
            network: name(network, index),
        })
    }

    /// What steering needs of every measurement, in the source's order.
    pub fn rows(&self) -> impl Iterator<Item = AttemptRow> + '_ {
        let count = self.measurements_count();
        let [series, after_first, response_time, throughput] =
            [&self.series, &self.after_first_us, &self.response_time_us, &self.throughput_bps]
                .map(|column| column.numbers(count));
        self.outcome.0.iter().enumerate().map(move |(index, attempt)| {
            let (tried, outcome) = attempt_of(*attempt).unwrap_or((Tried::Both, Outcome::Refused));
            AttemptRow {
                series: u32::try_from(series.get(index)).unwrap_or(u32::MAX),
                at_us: TimeMicros(self.first_at_us.saturating_add_unsigned(after_first.get(index))),
                tried,
                outcome,
                response_time_us: response_time.get_optional(index).map(Micros),
                throughput_bps: throughput.get_optional(index).map(BitsPerSecond),
            }
        })
    }

    fn series_columns(&self) -> [&Column<'a>; 4] {
        [&self.series_site, &self.series_target, &self.series_agent, &self.series_network]
    }

    /// The columns with one number for each measurement.
    fn measurement_columns(&self) -> [(&'static str, &Column<'a>); 11] {
        [
            ("series", &self.series),
            ("after_first_us", &self.after_first_us),
            ("response_time_us", &self.response_time_us),
            ("throughput_bps", &self.throughput_bps),
            ("bytes", &self.bytes),
            ("resolve_us", &self.resolve_us),
            ("connect_us", &self.connect_us),
            ("tls_us", &self.tls_us),
            ("first_byte_us", &self.first_byte_us),
            ("last_byte_us", &self.last_byte_us),
            ("error", &self.error),
        ]
    }

    fn series_count(&self) -> usize {
        self.series_site.0.len() / SITE_WIDTH
    }

    fn validate(&self) -> Result<(), String> {
        check_numbers(self.boot, self.sequence)?;
        if self.names.len() > NAMES_MAX || self.errors.len() > BATCH_RECORDS_MAX {
            return Err(format!("names, errors: a batch has at most {NAMES_MAX} and {BATCH_RECORDS_MAX}"));
        }
        if self.names.iter().chain(&self.errors).any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(format!("names, errors: a text has at most {TEXT_BYTES_MAX} bytes"));
        }
        let (series_count, count) = (self.series_count(), self.measurements_count());
        if series_count > BATCH_SERIES_MAX || count > BATCH_RECORDS_MAX {
            return Err(format!(
                "series_site, outcome: a batch has at most {BATCH_SERIES_MAX} series and {BATCH_RECORDS_MAX} measurements"
            ));
        }
        let fields = ["series_site", "series_target", "series_agent", "series_network"];
        for (field, column) in fields.into_iter().zip(self.series_columns()) {
            column.check(field, series_count)?;
            column.check_below(field, series_count, self.names.len(), "name")?;
        }
        self.check_names(series_count)?;
        for (field, column) in self.measurement_columns() {
            column.check(field, count)?;
        }
        self.series.check_below("series", count, series_count, "series")?;
        // 0 is "no error", so the numbers are one more than the indexes.
        self.error.check_below("error", count, self.errors.len() + 1, "error")?;
        let last = self.after_first_us.numbers(count).max(count);
        if self.first_at_us.checked_add_unsigned(last).is_none() {
            return Err(String::from("after_first_us: a time is beyond what a record can hold"));
        }
        match self.outcome.0.iter().position(|attempt| attempt_of(*attempt).is_none()) {
            Some(index) => Err(format!("outcome[{index}]: {} is no outcome", self.outcome.0[index])),
            None => Ok(()),
        }
    }

    /// Checks the names of sites, agents and networks, each once. Names of targets that are not provisioned may be any text.
    fn check_names(&self, series_count: usize) -> Result<(), String> {
        let mut is_checked = vec![false; self.names.len()];
        for column in [&self.series_site, &self.series_agent, &self.series_network] {
            let numbers = column.numbers(series_count);
            for index in 0..series_count {
                let name = usize::try_from(numbers.get(index)).unwrap_or(usize::MAX);
                let (Some(text), Some(is_checked)) = (self.names.get(name), is_checked.get_mut(name)) else {
                    continue;
                };
                if !std::mem::replace(is_checked, true) {
                    check_name(text).map_err(|error| format!("names[{name}]: {error}"))?;
                }
            }
        }
        Ok(())
    }

    /// The batch as a list of measurements.
    pub(super) fn to_batch(&self) -> Result<MeasurementBatch, DecodeError> {
        let source = SourceName::new(self.source).map_err(|error| invalid(&error))?;
        let series = self.series().map(|names| {
            Ok(Series {
                site: SiteName::new(names.site).map_err(|error| invalid(&error))?,
                target: names.target.to_owned(),
                agent: AgentName::new(names.agent).map_err(|error| invalid(&error))?,
                network: NetworkName::new(names.network).map_err(|error| invalid(&error))?,
            })
        });
        let series = series.collect::<Result<_, DecodeError>>()?;
        let count = self.measurements_count();
        let bytes = self.bytes.numbers(count);
        let phases =
            [&self.resolve_us, &self.connect_us, &self.tls_us, &self.first_byte_us, &self.last_byte_us]
                .map(|column| column.numbers(count));
        let errors = self.error.numbers(count);
        let measurements = self.rows().enumerate().map(|(index, row)| {
            let [resolve_us, connect_us, tls_us, first_byte_us, last_byte_us] =
                phases.map(|phase| phase.get_optional(index).map(Micros));
            let phases = Phases { resolve_us, connect_us, tls_us, first_byte_us, last_byte_us };
            let error = errors.get_optional(index).and_then(|error| usize::try_from(error).ok());
            Measurement {
                series: row.series,
                at_us: row.at_us,
                tried: row.tried,
                outcome: row.outcome,
                response_time_us: row.response_time_us,
                throughput_bps: row.throughput_bps,
                bytes: bytes.get_optional(index),
                phases: (phases != Phases::default()).then_some(phases),
                error: error.and_then(|error| self.errors.get(error)).map(|&error| error.to_owned()),
            }
        });
        let measurements = measurements.collect();
        Ok(MeasurementBatch { source, boot: self.boot, sequence: self.sequence, series, measurements })
    }

    /// The columns of a batch.
    ///
    /// # Errors
    /// If there are more names than a batch can have, or an optional number is 2⁶⁴ − 1.
    pub(super) fn of(batch: &'a MeasurementBatch) -> Result<Self, DecodeError> {
        let measurements = &batch.measurements;
        let mut names = Indexed::default();
        let series: Vec<[u64; 4]> = batch
            .series
            .iter()
            .map(|Series { site, target, agent, network }| {
                [site.as_str(), target, agent.as_str(), network.as_str()].map(|name| names.index(name))
            })
            .collect();
        if names.texts.len() > NAMES_MAX {
            return Err(DecodeError::Datum(format!(
                "series: a batch has at most {NAMES_MAX} different names"
            )));
        }
        let series_column = |part: usize| Column::of(series.iter().map(|of_series| of_series[part]));
        let mut errors = Indexed::default();
        let error: Vec<u64> = measurements
            .iter()
            .map(|measurement| measurement.error.as_ref().map_or(0, |error| errors.index(error) + 1))
            .collect();
        let first_at_us = measurements.iter().map(|measurement| measurement.at_us.0).min().unwrap_or(0);
        let optional = |number: &dyn Fn(&Measurement) -> Option<u64>| {
            let numbers = measurements.iter().map(|measurement| match number(measurement) {
                Some(number) => number.checked_add(1).ok_or_else(|| {
                    DecodeError::Datum(format!("{number} is greater than what a column can hold"))
                }),
                None => Ok(0),
            });
            Ok(Column::of(numbers.collect::<Result<Vec<u64>, DecodeError>>()?.into_iter()))
        };
        let phase = |part: fn(&Phases) -> Option<Micros>| {
            optional(&move |measurement| measurement.phases.as_ref().and_then(part).map(|part| part.0))
        };
        let attempts =
            measurements.iter().map(|measurement| attempt_byte(measurement.tried, measurement.outcome));
        Ok(Self {
            source: batch.source.as_str(),
            boot: batch.boot,
            sequence: batch.sequence,
            series_site: Column::of_width(series.iter().map(|of_series| of_series[0]), SITE_WIDTH),
            series_target: series_column(1),
            series_agent: series_column(2),
            series_network: series_column(3),
            names: names.texts,
            outcome: Column(Cow::Owned(attempts.collect())),
            series: Column::of(measurements.iter().map(|measurement| u64::from(measurement.series))),
            first_at_us,
            after_first_us: Column::of(
                measurements.iter().map(|measurement| measurement.at_us.0.abs_diff(first_at_us)),
            ),
            response_time_us: optional(&|measurement| measurement.response_time_us.map(|time| time.0))?,
            throughput_bps: optional(&|measurement| {
                measurement.throughput_bps.map(|throughput| throughput.0)
            })?,
            bytes: optional(&|measurement| measurement.bytes)?,
            resolve_us: phase(|phases| phases.resolve_us)?,
            connect_us: phase(|phases| phases.connect_us)?,
            tls_us: phase(|phases| phases.tls_us)?,
            first_byte_us: phase(|phases| phases.first_byte_us)?,
            last_byte_us: phase(|phases| phases.last_byte_us)?,
            errors: errors.texts,
            error: Column::of(error.into_iter()),
        })
    }
}

fn invalid(error: &NameError) -> DecodeError {
    DecodeError::Invalid(error.to_string())
}

/// Texts, each once, with the index of each.
#[derive(Default)]
struct Indexed<'a> {
    texts: Vec<&'a str>,
    indexes: HashMap<&'a str, u64>,
}

impl<'a> Indexed<'a> {
    fn index(&mut self, text: &'a str) -> u64 {
        *self.indexes.entry(text).or_insert_with(|| {
            self.texts.push(text);
            self.texts.len() as u64 - 1
        })
    }
}

/// What an attempt tried, and its outcome, as one byte.
fn attempt_byte(tried: Tried, outcome: Outcome) -> u8 {
    let tried = match tried {
        Tried::ResponseTime => 0,
        Tried::AvailableBandwidth => 1,
        Tried::Both => 2,
    };
    let outcome = match outcome {
        Outcome::Ok => 0,
        Outcome::Failed => 1,
        Outcome::Refused => 2,
        Outcome::CutOff => 3,
    };
    outcome + 16 * tried
}

fn attempt_of(byte: u8) -> Option<(Tried, Outcome)> {
    const TRIED: [Tried; 3] = [Tried::ResponseTime, Tried::AvailableBandwidth, Tried::Both];
    Some((*TRIED.get(usize::from(byte >> 4))?, *Outcome::ALL.get(usize::from(byte & 15))?))
}

/// The least width, in bytes, that holds a number: 0, 1, 2, 4 or 8.
fn width_of(number: u64) -> usize {
    match number {
        0 => 0,
        1..=0xFF => 1,
        0x100..=0xFFFF => 2,
        0x1_0000..=0xFFFF_FFFF => 4,
        _ => 8,
    }
}

/// Numbers of one width.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Column<'a>(Cow<'a, [u8]>);

impl Column<'_> {
    /// Numbers in the least width that holds them all.
    fn of(numbers: impl Iterator<Item = u64> + Clone) -> Self {
        let width = width_of(numbers.clone().max().unwrap_or(0));
        Self::of_width(numbers, width)
    }

    fn of_width(numbers: impl Iterator<Item = u64>, width: usize) -> Self {
        let mut bytes = Vec::new();
        numbers.for_each(|number| bytes.extend(number.to_le_bytes().iter().take(width)));
        Self(Cow::Owned(bytes))
    }

    /// Reads it as so many numbers.
    fn numbers(&self, count: usize) -> Numbers<'_> {
        Numbers { bytes: &self.0, width: self.0.len().checked_div(count).unwrap_or(0) }
    }

    fn check(&self, field: &str, count: usize) -> Result<(), String> {
        if [0, 1, 2, 4, 8].iter().any(|width| width * count == self.0.len()) {
            return Ok(());
        }
        Err(format!("{field}: {} bytes are not 0, 1, 2, 4 or 8 for each of {count} numbers", self.0.len()))
    }

    /// Checks that all numbers are less than a bound.
    fn check_below(&self, field: &str, count: usize, bound: usize, noun: &str) -> Result<(), String> {
        let numbers = self.numbers(count);
        match (0..count).find(|index| numbers.get(*index) >= bound as u64) {
            Some(index) => Err(format!("{field}[{index}]: no such {noun} in this batch")),
            None => Ok(()),
        }
    }
}

/// The numbers of a column.
#[derive(Debug, Clone, Copy)]
struct Numbers<'a> {
    bytes: &'a [u8],
    width: usize,
}

impl Numbers<'_> {
    /// The number at an index; 0 beyond the last one.
    #[inline]
    fn get(&self, index: usize) -> u64 {
        let from = index * self.width;
        let found = match self.width {
            1 => self.bytes.get(index).map(|byte| u64::from(*byte)),
            2 => self.array(from).map(|bytes| u64::from(u16::from_le_bytes(bytes))),
            4 => self.array(from).map(|bytes| u64::from(u32::from_le_bytes(bytes))),
            8 => self.array(from).map(u64::from_le_bytes),
            _ => None,
        };
        found.unwrap_or(0)
    }

    #[inline]
    fn array<const N: usize>(&self, from: usize) -> Option<[u8; N]> {
        self.bytes.get(from..)?.first_chunk().copied()
    }

    /// The number at an index of a column in which 0 is "absent".
    #[inline]
    fn get_optional(&self, index: usize) -> Option<u64> {
        self.get(index).checked_sub(1)
    }

    fn max(&self, count: usize) -> u64 {
        (0..count).map(|index| self.get(index)).max().unwrap_or(0)
    }
}

impl Serialize for Column<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Column<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Column<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Column<'de>, E> {
                Ok(Column(Cow::Borrowed(bytes)))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Column<'de>, E> {
                Ok(Column(Cow::Owned(bytes.to_vec())))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

#[cfg(test)]
impl serde_avro_derive::BuildSchema for Column<'_> {
    fn append_schema(builder: &mut serde_avro_derive::SchemaBuilder) {
        <Vec<u8> as serde_avro_derive::BuildSchema>::append_schema(builder);
    }
    type TypeLookup = Vec<u8>;
}

#[cfg(test)]
mod tests;
