//! Objectives of a site, and the rules of their numbers.

use serde::{Deserialize, Serialize};
use spillway_events::{
    Metric, Micros, Objective, RESPONSE_TIME_MAX, Site, THROUGHPUT_MAX, format_duration, parse_duration,
    parse_throughput,
};

use crate::fields::{Field, Rules};
use crate::limits::{EVIDENCE_COUNT_MAX, WINDOW_US_MAX};
use crate::values::{Integer, Quantity};

const PERCENTILE_DEFAULT: u32 = 95;
const SAMPLES_MIN_DEFAULT: u32 = 20;
const PROBES_MIN_DEFAULT: u32 = 3;
const SECOND_US: u64 = 1_000_000;
const MINUTE_US: u64 = 60 * SECOND_US;

/// The fields of an objective.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub(crate) struct ObjectiveSpec {
    metric: Field<Metric>,
    threshold: Field<Quantity>,
    percentile: Field<Integer<1, 99>>,
    window: Field<Quantity>,
    samples_min: Field<Integer<1, EVIDENCE_COUNT_MAX>>,
    probes_min: Field<Integer<1, EVIDENCE_COUNT_MAX>>,
}

pub(crate) fn read_objective(spec: ObjectiveSpec, rules: &mut Rules) -> Option<Objective> {
    let metric = rules.required("metric", spec.metric);
    let threshold = rules.required("threshold", spec.threshold);
    let threshold = metric.zip(threshold).and_then(|(metric, text)| read_threshold(metric, &text, rules));
    let percentile = rules.or("percentile", spec.percentile, Integer(PERCENTILE_DEFAULT));
    let window = match rules.optional("window", spec.window) {
        Some(Some(text)) => read_window(&text, rules),
        Some(None) => Some(window_default(metric)),
        None => None,
    };
    let samples_min = rules.or("samples_min", spec.samples_min, Integer(SAMPLES_MIN_DEFAULT));
    let probes_min = rules.or("probes_min", spec.probes_min, Integer(PROBES_MIN_DEFAULT));
    Some(Objective {
        metric: metric?,
        threshold: threshold?,
        percentile: percentile?.0,
        window_us: window?,
        samples_min: samples_min?.0,
        probes_min: probes_min?.0,
    })
}

impl From<Objective> for ObjectiveSpec {
    fn from(objective: Objective) -> Self {
        let Objective { metric, threshold, percentile, window_us, samples_min, probes_min } = objective;
        Self {
            metric: metric.into(),
            threshold: Quantity(metric.format(threshold)).into(),
            percentile: Integer(percentile).into(),
            window: Quantity(format_duration(window_us)).into(),
            samples_min: Integer(samples_min).into(),
            probes_min: Integer(probes_min).into(),
        }
    }
}

fn window_default(metric: Option<Metric>) -> Micros {
    match metric {
        Some(Metric::AvailableBandwidth) => Micros(60 * MINUTE_US),
        Some(Metric::ResponseTime) | None => Micros(10 * MINUTE_US),
    }
}

/// How often available bandwidth is measured.
const BANDWIDTH_INTERVAL_US: Micros = Micros(5 * MINUTE_US);

/// How often a metric of a site's targets is measured.
pub(crate) fn measured_every(site: &Site, metric: Metric) -> Micros {
    match metric {
        Metric::ResponseTime => Micros(u64::from(site.probe_interval_ms) * 1_000),
        Metric::AvailableBandwidth => BANDWIDTH_INTERVAL_US,
    }
}

/// Warns when fewer than three samples of a full window lie beyond the percentile.
pub(super) fn warn_of_small_window(objective: &Objective, probe_interval_ms: u32, rules: &mut Rules) {
    let interval = Micros(u64::from(probe_interval_ms) * 1_000);
    too_few_beyond(objective, interval).into_iter().for_each(|warning| rules.warn(warning));
}

/// Says so when fewer than three samples of a full window, one in each interval, lie beyond the percentile.
pub(crate) fn too_few_beyond(objective: &Objective, Micros(interval_us): Micros) -> Option<String> {
    let beyond_percent = u64::from(100_u32.saturating_sub(objective.percentile));
    let window_us = objective.window_us.0;
    // window ÷ interval × (100 − p) % < 3, in whole numbers.
    if interval_us == 0 || window_us * beyond_percent >= 3 * 100 * interval_us {
        return None;
    }
    let hundredths = window_us * beyond_percent / interval_us;
    Some(format!(
        "a window of {} with a sample every {} holds {} samples of a probe; the {beyond_percent} % of them beyond \
         percentile {} are {}.{:02}, fewer than 3",
        format_duration(objective.window_us),
        format_duration(Micros(interval_us)),
        window_us / interval_us,
        objective.percentile,
        hundredths / 100,
        hundredths % 100,
    ))
}

/// How long after its beginning an outage is at or above the threshold, and how long after its end it is below again, if every
/// probe measures once in each interval and the window was full: the samples that it takes to move the percentile's rank.
pub(crate) fn detection_and_return(objective: &Objective, interval: Micros) -> (Micros, Micros) {
    let samples = objective.window_us.0.checked_div(interval.0).unwrap_or(0);
    let rank = (u64::from(objective.percentile) * samples).div_ceil(100);
    let failures = samples.saturating_sub(rank) + 1;
    (Micros(failures * interval.0), Micros(rank * interval.0))
}

fn read_threshold(metric: Metric, Quantity(text): &Quantity, rules: &mut Rules) -> Option<u64> {
    let (parsed, greatest) = match metric {
        Metric::ResponseTime => (parse_duration(text).map(|time| time.0), RESPONSE_TIME_MAX.0),
        Metric::AvailableBandwidth => {
            (parse_throughput(text).map(|throughput| throughput.0), THROUGHPUT_MAX.0)
        }
    };
    let broken = match parsed {
        Err(error) => error.to_string(),
        Ok(0) => format!("must be greater than 0; the least is {}", metric.format(1)),
        Ok(number) if number > greatest => format!("must be at most {}", metric.format(greatest)),
        Ok(number) => match neighbours(number) {
            (below, _) if below == number => return Some(number),
            (below, above) => format!(
                "must be a number of three significant digits; the nearest are {} and {}",
                metric.format(below),
                metric.format(above)
            ),
        },
    };
    rules.broken("threshold", broken);
    None
}

/// The nearest numbers of three significant digits: the one at or below, and the one above.
fn neighbours(number: u64) -> (u64, u64) {
    let mut step = 1_u64;
    while number / step >= 1_000 {
        step *= 10;
    }
    let below = number / step * step;
    (below, below + step)
}

fn read_window(Quantity(text): &Quantity, rules: &mut Rules) -> Option<Micros> {
    let window = match parse_duration(text) {
        Ok(window) => window,
        Err(error) => {
            rules.broken("window", error.to_string());
            return None;
        }
    };
    let is_whole = window.0.is_multiple_of(if window.0 <= MINUTE_US { SECOND_US } else { MINUTE_US });
    if window.0 < SECOND_US || window > WINDOW_US_MAX || !is_whole {
        let shown = format_duration(window);
        rules.broken(
            "window",
            format!("must be whole seconds from 1s to 60s or whole minutes up to 6h, not {shown}"),
        );
        return None;
    }
    Some(window)
}
