//! Overrides come, end and outlast checkpoints, on any number of workers.

use std::collections::BTreeSet;

use spillway_events::{Decision, Reason, decode_frame, format_time, topics};
use spillway_provisioning::State;

use super::reset::reset_steps;
use super::{Frames, Step, TimeMicros, provisioning, same_whoever_decides, site, steps};

/// The tick that reads the overrides, some ticks before which sites change.
const READ: u64 = 160;

/// Adds overrides that end one after the other, of which some are still in force at the end.
fn with_overrides(mut steps: Vec<Step>) -> Vec<Step> {
    let mut state = State::default();
    for step in &steps[..usize::try_from(READ).unwrap()] {
        step.provisioning.iter().for_each(|record| _ = state.apply(record).unwrap());
    }
    let start = steps[0].tick.at_us;
    let document = |name: &str, fields: &str, end_tick: i64| {
        let end = format_time(TimeMicros(start.0 + end_tick * 1_000_000));
        format!("kind: override\nname: {name}\n{fields}\nreason: a test\nexpires: {end}\n---\n")
    };
    let text = [
        document("pin-two", "type: pin\nsite: site01\nto: two", 195),
        document("pin-origin", "type: pin\nsite: site02\nto: origin", 1_000),
        document("still", "type: freeze\nsite: site04", 215),
        // One tick after a checkpoint.
        document("no-one", "type: drain\ncdn: one", 221),
        document("no-origin", "type: drain\nsite: site05", 1_000),
        document("all", "type: freeze", 172),
        document("over", "type: pin\nsite: site06\nto: one", 100),
    ];
    steps[usize::try_from(READ).unwrap()].provisioning.push(provisioning(&mut state, 2, &text.concat()));
    // A site that comes while everything is frozen, at the tick of a checkpoint.
    let late = [document("all", "type: freeze", 290), site("site90", "80ms")];
    steps[280].provisioning.push(provisioning(&mut state, 3, &late.concat()));
    steps
}

fn reasons_at(frames: &Frames, tick: u64) -> BTreeSet<(String, Option<Reason>)> {
    let of = frames.iter().filter(|((at, topic, _), _)| *topic == topics::DECISIONS && *at == tick);
    let decisions = of.flat_map(|(_, records)| decode_frame::<Decision>(records).unwrap());
    decisions.map(|decision| (decision.site.to_string(), decision.reason)).collect()
}

#[test]
fn overrides_take_effect_and_end_at_the_same_ticks_whoever_decides() {
    let frames = same_whoever_decides(&with_overrides(steps(false))).frames;
    let at = |tick| reasons_at(&frames, tick);
    let has = |tick: u64, site: &str, reason: Option<Reason>| at(tick).contains(&(site.to_owned(), reason));
    for site in ["site00", "site05", "site06", "site11"] {
        assert!(has(READ, site, Some(Reason::Frozen)), "{site}: {:?}", at(READ));
    }
    assert!(has(READ, "site01", Some(Reason::Pinned)) && has(READ, "site02", Some(Reason::Pinned)));
    // Not before the first tick at or after the end, and not later.
    assert!(
        !at(171).iter().any(|(_, reason)| *reason != Some(Reason::Frozen) && *reason != Some(Reason::Pinned))
    );
    assert!(at(172).iter().any(|(site, reason)| site == "site00" && *reason != Some(Reason::Frozen)));
    assert!(!at(172).iter().any(|(site, _)| site == "site04"), "its own freeze goes on");
    assert!(at(195).iter().any(|(site, reason)| site == "site01" && *reason != Some(Reason::Pinned)));
    assert!(at(215).iter().any(|(site, reason)| site == "site04" && *reason != Some(Reason::Frozen)));
    assert!((READ..400).any(|tick| has(tick, "site05", Some(Reason::Drained))));
    assert!(has(280, "site90", Some(Reason::ColdStart)), "{:?}", at(280));
    assert!(has(281, "site90", Some(Reason::Frozen)), "{:?}", at(281));
    let ended_before = (0..400).any(|tick| has(tick, "site06", Some(Reason::Pinned)));
    assert!(!ended_before, "an override that had ended when it was read");
}

#[test]
fn overrides_outlast_a_reset_of_the_clock() {
    let frames = same_whoever_decides(&with_overrides(reset_steps(200))).frames;
    // The tick times from there on are an hour earlier than the ends, but what has ended has ended.
    let revived = (200..280).flat_map(|tick| reasons_at(&frames, tick));
    let revived: Vec<_> = revived.filter(|(site, reason)| site == "site01" && reason.is_some()).collect();
    assert!(!revived.iter().any(|(_, reason)| *reason == Some(Reason::Pinned)), "{revived:?}");
}
