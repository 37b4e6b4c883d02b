//! The part of a measurement that steering uses.

use spillway_events::{Measurement, Metric, Outcome, RESPONSE_TIME_MAX, THROUGHPUT_MAX, TimeMicros, Tried};

use crate::rank::{FAILED, Rank};

/// Event times further ahead of the tick than this are refused: 5 minutes, in microseconds.
pub const AHEAD_MAX_US: i64 = 300_000_000;

/// One measurement, resolved against the provisioning of its tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sample {
    /// The site's number in the directory.
    pub site: u32,
    /// The probe's number in the directory.
    pub probe: u32,
    /// The target's index in the site: 0 is the origin, then the CDNs in order.
    pub target: u16,
    /// Rank of the response time; `None` if the attempt is no evidence about it.
    pub response_time: Option<Rank>,
    /// Rank of the available bandwidth; `None` if the attempt is no evidence about it.
    pub bandwidth: Option<Rank>,
    /// Event time, at most the tick's time.
    pub at_us: TimeMicros,
}

/// The ranks of the response time and of the available bandwidth of an attempt, or why the measurement is refused.
///
/// An attempt counts for every metric that it tried. A failed attempt is a failure for each of them. A successful attempt
/// without a number of a metric is no evidence about that metric. An attempt that was refused, or made while its probe was
/// cut off, is no evidence at all.
///
/// # Errors
/// A reason, when a number is out of range.
pub fn rank_measurement(measurement: &Measurement) -> Result<(Option<Rank>, Option<Rank>), &'static str> {
    let response_time = measurement.response_time_us;
    let throughput = measurement.throughput_bps;
    if response_time.is_some_and(|time| time > RESPONSE_TIME_MAX) {
        return Err("response time above 3600 s");
    }
    if throughput.is_some_and(|throughput| throughput > THROUGHPUT_MAX) {
        return Err("throughput above 10^15 bit/s");
    }
    let rank = |tried: bool, metric: Metric, number: Option<u64>| match measurement.outcome {
        Outcome::Ok => number.filter(|_| tried).map(|number| Rank::of(metric, number)),
        Outcome::Failed => tried.then_some(FAILED),
        Outcome::Refused | Outcome::CutOff => None,
    };
    let tried_time = measurement.tried != Tried::AvailableBandwidth;
    let tried_bandwidth = measurement.tried != Tried::ResponseTime;
    Ok((
        rank(tried_time, Metric::ResponseTime, response_time.map(|time| time.0)),
        rank(tried_bandwidth, Metric::AvailableBandwidth, throughput.map(|throughput| throughput.0)),
    ))
}
