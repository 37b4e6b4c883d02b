//! An objective of a site: the rules of its numbers (DESIGN §5).

use spillway_events::{
    Metric, Micros, Objective, RESPONSE_TIME_MAX, THROUGHPUT_MAX, format_duration, parse_duration,
    parse_throughput,
};

use crate::fields::{Cell, Fields};
use crate::limits::{EVIDENCE_COUNT_MAX, WINDOW_US_MAX};
use crate::mistake::Report;

const PERCENTILE_DEFAULT: u32 = 95;
const SAMPLES_MIN_DEFAULT: u32 = 20;
const PROBES_MIN_DEFAULT: u32 = 3;
const SECOND_US: u64 = 1_000_000;
const MINUTE_US: u64 = 60 * SECOND_US;

const KEYS: &[&str] = &["metric", "threshold", "percentile", "window", "samples_min", "probes_min"];

/// Reads an objective; every mistake is noted.
pub(crate) fn read_objective(cell: &Cell<'_>, report: &mut Report<'_>) -> Option<Objective> {
    let fields = Fields::read(cell, KEYS, report)?;
    let metric = fields.required("metric", report, |cell, report| match cell.text(report)? {
        "response_time" => Some(Metric::ResponseTime),
        "available_bandwidth" => Some(Metric::AvailableBandwidth),
        _ => {
            cell.wrong_type("response_time or available_bandwidth", report);
            None
        }
    });
    let threshold =
        fields.required("threshold", report, |cell, report| read_threshold(cell, metric?, report));
    let percentile =
        fields.or("percentile", PERCENTILE_DEFAULT, report, |cell, report| cell.integer(1, 99, report));
    let window = fields.or("window", window_default(metric), report, read_window);
    let samples_min = fields.or("samples_min", SAMPLES_MIN_DEFAULT, report, |cell, report| {
        cell.integer(1, EVIDENCE_COUNT_MAX, report)
    });
    let probes_min = fields.or("probes_min", PROBES_MIN_DEFAULT, report, |cell, report| {
        cell.integer(1, EVIDENCE_COUNT_MAX, report)
    });
    Some(Objective {
        metric: metric?,
        threshold: threshold?,
        percentile: percentile?,
        window_us: window?,
        samples_min: samples_min?,
        probes_min: probes_min?,
    })
}

fn window_default(metric: Option<Metric>) -> Micros {
    match metric {
        Some(Metric::AvailableBandwidth) => Micros(60 * MINUTE_US),
        Some(Metric::ResponseTime) | None => Micros(10 * MINUTE_US),
    }
}

/// Warns when the window holds too few samples beyond the percentile to decide it.
pub(crate) fn warn_of_small_window(
    cell: &Cell<'_>,
    objective: &Objective,
    probe_interval_ms: u32,
    report: &mut Report<'_>,
) {
    let interval_us = u64::from(probe_interval_ms) * 1_000;
    let beyond_percent = u64::from(100_u32.saturating_sub(objective.percentile));
    let window_us = objective.window_us.0;
    // window ÷ interval × (100 − p) % < 3, in whole numbers.
    if interval_us == 0 || window_us * beyond_percent >= 3 * 100 * interval_us {
        return;
    }
    let hundredths = window_us * beyond_percent / interval_us;
    let reason = format!(
        "a window of {} with a sample every {} holds {} samples a probe; the {beyond_percent} % of them beyond \
         percentile {} are {}.{:02}, fewer than 3",
        format_duration(objective.window_us),
        format_duration(Micros(interval_us)),
        window_us / interval_us,
        objective.percentile,
        hundredths / 100,
        hundredths % 100,
    );
    report.warning(cell.node.line, &cell.path, reason);
}

fn read_threshold(cell: &Cell<'_>, metric: Metric, report: &mut Report<'_>) -> Option<u64> {
    let text = cell.scalar(report)?;
    let parsed = match metric {
        Metric::ResponseTime => parse_duration(text).map(|time| time.0),
        Metric::AvailableBandwidth => parse_throughput(text).map(|throughput| throughput.0),
    };
    let number = match parsed {
        Ok(number) => number,
        Err(error) => {
            cell.mistake(report, error.to_string());
            return None;
        }
    };
    let greatest = match metric {
        Metric::ResponseTime => RESPONSE_TIME_MAX.0,
        Metric::AvailableBandwidth => THROUGHPUT_MAX.0,
    };
    if number == 0 {
        cell.mistake(report, format!("must be greater than 0; the least is {}", metric.format(1)));
        return None;
    }
    if number > greatest {
        cell.mistake(report, format!("must be at most {}", metric.format(greatest)));
        return None;
    }
    let (below, above) = edges(number);
    if below != number {
        let (below, above) = (metric.format(below), metric.format(above));
        let reason =
            format!("must be a number of three significant digits; the nearest are {below} and {above}");
        cell.mistake(report, reason);
        return None;
    }
    Some(number)
}

/// The nearest numbers of three significant digits: the one at or below, and the one above.
fn edges(number: u64) -> (u64, u64) {
    let mut step = 1_u64;
    while number / step >= 1_000 {
        step *= 10;
    }
    let below = number / step * step;
    (below, below + step)
}

fn read_window(cell: &Cell<'_>, report: &mut Report<'_>) -> Option<Micros> {
    let window = match parse_duration(cell.scalar(report)?) {
        Ok(window) => window,
        Err(error) => {
            cell.mistake(report, error.to_string());
            return None;
        }
    };
    let is_whole = window.0.is_multiple_of(if window.0 <= MINUTE_US { SECOND_US } else { MINUTE_US });
    if window.0 < SECOND_US || window > WINDOW_US_MAX || !is_whole {
        let reason = format!(
            "must be whole seconds from 1s to 60s or whole minutes up to 7d, not {}",
            format_duration(window)
        );
        cell.mistake(report, reason);
        return None;
    }
    Some(window)
}
