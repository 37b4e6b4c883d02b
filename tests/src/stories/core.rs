//! A story in the pure core: what the operators of the dataflow do, without the dataflow.

use std::collections::BTreeMap;

use spillway_events::{
    AggregateStatistics, CdnName, MeasurementBatch, Series, SeriesNames, StatisticsBatch, TimeMicros,
};
use spillway_provisioning::{ObjectId, State};
use spillway_steering::{AHEAD_MAX_US, Samples, Steering, rank_measurement};

use super::compare::Got;
use super::script::Script;

pub(super) fn run(script: &Script) -> Got {
    let (mut state, mut steering) = (State::default(), Steering::default());
    let mut latest = BTreeMap::new();
    let mut got = Got::new(script.base);
    for tick in &script.ticks {
        let now = tick.tick.at_us;
        for record in &tick.provisioning {
            let mut changed = state.apply(record).unwrap();
            changed.sort();
            let deleted: Vec<ObjectId> = record.events.iter().filter_map(ObjectId::deleted_by).collect();
            steering.provision(&state, &changed, &deleted, |_| true);
        }
        tick.statistics.iter().for_each(|batch| report(&mut steering, &mut latest, batch, now));
        tick.measurements.iter().for_each(|batch| measure(&mut steering, batch, now));
        got.decisions.extend(steering.decide(tick.tick.number, now));
    }
    got
}

/// What orders the reports of a CDN: event time, then the sequence of its only boot.
type Order = (TimeMicros, u64);

/// The latest report of a CDN says whether it can be used.
fn report(
    steering: &mut Steering,
    latest: &mut BTreeMap<CdnName, (Order, AggregateStatistics)>,
    batch: &StatisticsBatch,
    now: TimeMicros,
) {
    for report in batch.aggregates.iter().filter(|report| !is_too_far_ahead(report.at_us, now)) {
        let order = (report.at_us.min(now), batch.sequence);
        let kept = latest.entry(report.cdn.clone()).or_insert_with(|| (order, report.clone()));
        if order > kept.0 {
            *kept = (order, report.clone());
        }
        steering.set_usable(&report.cdn, kept.1.is_usable());
    }
}

fn measure(steering: &mut Steering, batch: &MeasurementBatch, now: TimeMicros) {
    let counted = batch.measurements.iter().filter(|measurement| !is_too_far_ahead(measurement.at_us, now));
    let mut samples = Samples::default();
    for measurement in counted {
        let Series { site, target, agent, network } = &batch.series[measurement.series as usize];
        let (site, agent, network) = (site.as_str(), agent.as_str(), network.as_str());
        let Ok(series) = steering.directory().series(&SeriesNames { site, target, agent, network }) else {
            continue;
        };
        let series = samples.add_series(series);
        samples.push(series, measurement.at_us.min(now), rank_measurement(&measurement.into()).unwrap());
    }
    steering.add(&samples, now);
}

fn is_too_far_ahead(at_us: TimeMicros, now: TimeMicros) -> bool {
    at_us.0 - now.0 > AHEAD_MAX_US
}
