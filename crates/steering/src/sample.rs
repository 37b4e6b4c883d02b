//! The part of measurements that steering uses.

use serde::{Deserialize, Serialize};
use spillway_events::{AttemptRow, Metric, Outcome, RESPONSE_TIME_MAX, THROUGHPUT_MAX, TimeMicros, Tried};

use crate::rank::{FAILED, Rank};

/// Event times further ahead of the tick than this are refused: 5 minutes, in microseconds.
pub const AHEAD_MAX_US: i64 = 300_000_000;

/// A probe and one target of a site, by the numbers that the provisioning of a tick gives them ([`crate::Directory`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesId {
    /// The site's number in the directory.
    pub site: u32,
    /// The probe's number in the directory.
    pub probe: u32,
    /// The target's index in the site: 0 is the origin, then the CDNs in order.
    pub target: u16,
}

/// The samples of a batch, each with an index into the list of their series.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    pub(crate) series: Vec<SeriesId>,
    pub(crate) samples: Vec<Sample>,
}

/// What one measurement says about one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Event time, at most the tick's time.
    pub(crate) at_us: TimeMicros,
    pub(crate) series: u32,
    pub(crate) rank: Rank,
    pub(crate) metric: Metric,
}

impl Samples {
    /// Adds a series; returns its index.
    pub fn add_series(&mut self, series: SeriesId) -> u32 {
        self.series.push(series);
        u32::try_from(self.series.len() - 1).unwrap_or(u32::MAX)
    }

    /// Adds a measurement of the series at an index. `at_us` is its event time, at most the tick's time.
    #[inline]
    pub fn push(&mut self, series: u32, at_us: TimeMicros, ranked: Ranked) {
        let mut push = |metric, rank: Option<Rank>| {
            if let Some(rank) = rank {
                self.samples.push(Sample { at_us, series, rank, metric });
            }
        };
        push(Metric::ResponseTime, ranked.response_time);
        push(Metric::AvailableBandwidth, ranked.bandwidth);
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

/// The ranks of an attempt; `None` where it is no evidence about a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranked {
    /// Rank of the response time.
    pub response_time: Option<Rank>,
    /// Rank of the available bandwidth.
    pub bandwidth: Option<Rank>,
}

/// The ranks of an attempt, or why the measurement is refused.
///
/// An attempt counts for every metric that it tried. A failed attempt is a failure for each of them. A successful attempt
/// without a number of a metric is no evidence about that metric. An attempt that was refused, or made while its probe was
/// cut off, is no evidence at all.
///
/// # Errors
/// A reason, when a number is out of range.
#[inline]
pub fn rank_measurement(attempt: &AttemptRow) -> Result<Ranked, &'static str> {
    let AttemptRow { tried, outcome, response_time_us: response_time, throughput_bps: throughput, .. } =
        *attempt;
    if response_time.is_some_and(|time| time > RESPONSE_TIME_MAX) {
        return Err("response time above 3600 s");
    }
    if throughput.is_some_and(|throughput| throughput > THROUGHPUT_MAX) {
        return Err("throughput above 10^15 bit/s");
    }
    let rank = |tried: bool, metric: Metric, number: Option<u64>| match outcome {
        Outcome::Ok => number.filter(|_| tried).map(|number| Rank::of(metric, number)),
        Outcome::Failed => tried.then_some(FAILED),
        Outcome::Refused | Outcome::CutOff => None,
    };
    Ok(Ranked {
        response_time: rank(
            tried != Tried::AvailableBandwidth,
            Metric::ResponseTime,
            response_time.map(|time| time.0),
        ),
        bandwidth: rank(
            tried != Tried::ResponseTime,
            Metric::AvailableBandwidth,
            throughput.map(|throughput| throughput.0),
        ),
    })
}

#[cfg(test)]
mod tests;
