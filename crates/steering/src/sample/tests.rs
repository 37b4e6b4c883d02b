//! What an attempt says about each metric, for every outcome and at the bounds of the numbers.

use spillway_events::{BitsPerSecond, Micros};

use super::*;

fn attempt(tried: Tried, outcome: Outcome, numbers: (Option<u64>, Option<u64>)) -> AttemptRow {
    AttemptRow {
        series: 0,
        at_us: TimeMicros(0),
        tried,
        outcome,
        response_time_us: numbers.0.map(Micros),
        throughput_bps: numbers.1.map(BitsPerSecond),
    }
}

#[test]
fn an_attempt_counts_for_the_metrics_that_it_tried() {
    let time = Some(Rank::of(Metric::ResponseTime, 7));
    let bandwidth = Some(Rank::of(Metric::AvailableBandwidth, 9));
    let failed = Some(FAILED);
    for (tried, outcome, numbers, expected) in [
        (Tried::Both, Outcome::Ok, (Some(7), Some(9)), (time, bandwidth)),
        (Tried::ResponseTime, Outcome::Ok, (Some(7), Some(9)), (time, None)),
        (Tried::AvailableBandwidth, Outcome::Ok, (Some(7), Some(9)), (None, bandwidth)),
        // Without a number a success is no evidence.
        (Tried::Both, Outcome::Ok, (None, Some(9)), (None, bandwidth)),
        (Tried::Both, Outcome::Ok, (Some(7), None), (time, None)),
        // A failure counts with or without numbers.
        (Tried::Both, Outcome::Failed, (Some(7), None), (failed, failed)),
        (Tried::ResponseTime, Outcome::Failed, (None, None), (failed, None)),
        (Tried::AvailableBandwidth, Outcome::Failed, (None, None), (None, failed)),
        (Tried::Both, Outcome::Refused, (Some(7), Some(9)), (None, None)),
        (Tried::Both, Outcome::CutOff, (Some(7), Some(9)), (None, None)),
    ] {
        let ranked = rank_measurement(&attempt(tried, outcome, numbers)).unwrap();
        assert_eq!((ranked.response_time, ranked.bandwidth), expected, "{tried:?} {outcome:?} {numbers:?}");
        let mut samples = Samples::default();
        samples.push(0, TimeMicros(0), ranked);
        assert_eq!(samples.is_empty(), expected == (None, None));
    }
}

/// A number beyond its range refuses the measurement, whatever it tried and came to.
#[test]
fn the_greatest_numbers_count_and_greater_ones_are_refused() {
    let (time, throughput) = (RESPONSE_TIME_MAX.0, THROUGHPUT_MAX.0);
    let rank = |numbers| rank_measurement(&attempt(Tried::Both, Outcome::Ok, numbers));
    let greatest = rank((Some(time), Some(throughput))).unwrap();
    assert!(greatest.response_time.is_some() && greatest.bandwidth.is_some());
    assert_eq!(rank((Some(time + 1), Some(1))), Err("response time above 3600 s"));
    assert_eq!(rank((Some(1), Some(throughput + 1))), Err("throughput above 10^15 bit/s"));
    let failed = attempt(Tried::AvailableBandwidth, Outcome::Failed, (Some(time + 1), None));
    assert_eq!(rank_measurement(&failed), Err("response time above 3600 s"));
}
