//! Time starts again in the middle of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use spillway_dataflow::{InputRecord, InputTopic};
use spillway_events::{
    AggregateStatistics, CdnName, Decision, MeasurementBatch, NetworkName, Reason, SiteName, SourceName,
    StatisticsBatch, Tick, TimeMicros, Verdict, decode, decode_frame, encode, topics,
};

use super::{Draws, Frames, Step, TICKS, batch, ill, run, same_whoever_decides, steps};

/// The steps with time set back by an hour at a tick, and CDN one unhealthy at the tick before. The agents' clocks are reset
/// two ticks later than the ticks' clock.
pub(crate) fn reset_steps(at_tick: u64) -> Vec<Step> {
    const BACK_US: i64 = 3_600_000_000;
    let mut steps = steps(false);
    for step in &mut steps {
        let number = step.tick.number;
        if number >= at_tick {
            step.tick.at_us.0 -= BACK_US;
            step.tick.restart = number == at_tick;
        }
        let is_measured_late = number >= at_tick + 2;
        for record in step.records.iter_mut().filter(|_| is_measured_late) {
            if let Ok(mut batch) = decode::<MeasurementBatch>(&record.bytes) {
                batch.measurements.iter_mut().for_each(|measurement| measurement.at_us.0 -= BACK_US);
                record.bytes = encode(&batch).unwrap();
            } else if let Ok(mut batch) = decode::<StatisticsBatch>(&record.bytes) {
                batch.aggregates.iter_mut().for_each(|report| report.at_us.0 -= BACK_US);
                record.bytes = encode(&batch).unwrap();
            }
        }
        if number + 1 == at_tick {
            let report = AggregateStatistics { cdn: CdnName::new("one").unwrap(), ..ill(step.tick.at_us) };
            let source = SourceName::new("one").unwrap();
            let batch = StatisticsBatch { source, boot: 9, sequence: 1, aggregates: vec![report] };
            let bytes = encode(&batch).unwrap();
            step.records.push(InputRecord { topic: InputTopic::Statistics, partition: 1, offset: 0, bytes });
        }
    }
    steps
}

fn decisions_of(frames: &Frames, ticks: Range<u64>) -> Vec<Decision> {
    let of =
        frames.iter().filter(|((tick, topic, _), _)| *topic == topics::DECISIONS && ticks.contains(tick));
    of.flat_map(|(_, records)| decode_frame::<Decision>(records).unwrap()).collect()
}

/// The last decision of each site in each network before a tick.
fn held_before(frames: &Frames, tick: u64) -> BTreeMap<(SiteName, NetworkName), Decision> {
    let key = |decision: &Decision| (decision.site.clone(), decision.network.clone());
    decisions_of(frames, 0..tick).into_iter().map(|decision| (key(&decision), decision)).collect()
}

#[test]
fn when_time_starts_again_every_route_is_held_until_there_is_new_evidence() {
    const RESET: u64 = 200;
    let frames = run(&reset_steps(RESET), 1, None).frames;
    let before = held_before(&frames, RESET);
    assert!(before.values().any(|held| held.verdict == Verdict::AtOrAbove && held.route.cdn.is_some()));
    assert!(before.values().any(|held| held.verdict == Verdict::Below));
    let at_reset = held_before(&frames, RESET + 1);
    for (key, held) in &before {
        let now = &at_reset[key];
        assert_eq!((&now.route, now.verdict), (&held.route, Verdict::Unknown), "{key:?}");
        let was_never_known = held.reason == Some(Reason::ColdStart);
        let reason = if was_never_known { Reason::ColdStart } else { Reason::UnknownHold };
        assert_eq!(now.reason, Some(reason), "{key:?}");
    }
    // What was measured by clocks an hour ahead is rejected.
    assert!(frames.contains_key(&(RESET, topics::REJECTED, 0)));
    // Three samples of each target come in the next seconds, and time goes on as before.
    assert!(decisions_of(&frames, RESET + 2..RESET + 10).iter().any(|d| d.verdict == Verdict::Below));
    let after = held_before(&frames, TICKS);
    assert!(after.values().any(|held| held.verdict == Verdict::AtOrAbove));
    assert!(after.values().all(|held| held.reason != Some(Reason::UnknownHold)));
    // What CDN one reports now is newer than what it reported with a clock an hour ahead.
    let to_one = |decision: &Decision| decision.route.cdn.as_ref().is_some_and(|cdn| cdn.as_str() == "one");
    assert!(decisions_of(&frames, 316..TICKS).iter().any(to_one));
    for (topic, period) in [(topics::SNAPSHOTS, 1), (topics::PERFORMANCE, 10), (topics::RECEIPTS, 60)] {
        let ticks: BTreeSet<u64> =
            frames.keys().filter(|(_, of, _)| *of == topic).map(|(tick, ..)| *tick).collect();
        let gaps = ticks.iter().zip(ticks.iter().skip(1)).map(|(one, next)| next - one);
        // At the reset itself no performance value is left.
        assert!(gaps.max().unwrap() <= 2 * period, "{topic} stops");
    }
}

#[test]
fn a_reset_of_the_clock_gives_the_same_on_any_number_of_workers_and_from_any_checkpoint() {
    let one = same_whoever_decides(&reset_steps(200));
    let before_reset = one.checkpoints.iter().filter(|(tick, ..)| *tick < 200).count();
    assert!(before_reset >= 3 && one.checkpoints.len() >= before_reset + 3);
}

/// An agent has as many boots as are remembered, all a year ahead. A new start is heard once the others are 6 h old by the
/// clock that was reset.
#[test]
fn boots_that_were_heard_in_the_future_age_from_the_reset_on() {
    const DAY_US: i64 = 24 * 3_600_000_000;
    let all = steps(false);
    let start = all[0].tick.at_us;
    let step = |number: u64, after_us: i64, boots: Range<u64>| {
        let (provisioning, mut offset) =
            (if number == 0 { all[0].provisioning.clone() } else { Vec::new() }, 0);
        let at_us = TimeMicros(start.0 + after_us);
        let records = boots.map(|boot| {
            offset += 1;
            let batch = MeasurementBatch { boot, sequence: 1, ..batch(&mut Draws(1), 0, 0, at_us) };
            let bytes = encode(&batch).unwrap();
            InputRecord { topic: InputTopic::Measurements, partition: 0, offset, bytes }
        });
        let like = &all[usize::from(number > 0)].tick;
        let tick = Tick { number, at_us, restart: number == 2, ..like.clone() };
        Step { records: records.collect(), tick, provisioning }
    };
    let six_hours = DAY_US / 4;
    let steps = [
        step(0, 0, 0..0),
        step(1, 365 * DAY_US, 0..1_024),
        step(2, DAY_US, 0..0),
        step(3, DAY_US + six_hours, 5_000..5_001),
        step(4, DAY_US + six_hours + 1, 6_000..6_001),
    ];
    let frames = run(&steps, 2, None).frames;
    let rejected: Vec<u64> =
        frames.keys().filter(|(_, topic, _)| *topic == topics::REJECTED).map(|(tick, ..)| *tick).collect();
    assert_eq!(rejected, [3], "a boot is new, and the others are not older than 6 h");
}
