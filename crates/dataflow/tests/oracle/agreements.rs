//! Agreements come into force at a tick, and what they say of routes outlasts checkpoints, on any number of workers.

use std::collections::BTreeSet;

use spillway_events::{Decision, Event, Party, Reason, decode_frame, format_time, topics};
use spillway_provisioning::{AgreementAct, AgreementCommand, Change, State, VersionId, parse};

use super::reset::reset_steps;
use super::{Frames, Step, TimeMicros, decided, same_whoever_decides, steps};

/// The tick that reads the acceptances.
const READ: usize = 20;
/// The tick at whose time they begin: a whole multiple of five minutes.
const BEGIN: u64 = 100;

/// Adds agreements, each of one site, with terms of their own.
fn with_agreements(mut steps: Vec<Step>) -> Vec<Step> {
    let mut state = State::default();
    for step in &steps[..READ] {
        step.provisioning.iter().for_each(|record| _ = state.apply(record).unwrap());
    }
    let begin = TimeMicros(steps[0].tick.at_us.0 + i64::try_from(BEGIN).unwrap() * 1_000_000);
    assert_eq!(begin.0 % 300_000_000, 0);
    // A window that no sample is enough for, so that nothing is known.
    let level = "{metric: response_time, threshold: 80ms, percentile: 75, window: 2min, samples_min: 3, probes_min: 2}";
    let silent = level.replace("samples_min: 3", "samples_min: 900000");
    for (site, objective, terms) in [
        ("site00", level, "return_band_permille: 400"),
        ("site01", level, "dwell: 70s"),
        ("site02", &silent, "on_silence: {hold: 45s, then: cdn}"),
        ("site03", level, "cdns: [two, one]"),
        ("site04", level, "cdns_in: [{network: region, cdns: [two]}, {network: n1, cdns: []}]"),
        ("site05", &silent, "on_silence: {hold: 150s, then: origin}\ndwell: 10s"),
    ] {
        let text = format!(
            "kind: agreement\nname: of-{site}\nclient: acme\nsites: [{site}]\neffective_from: {}\n\
             objectives: [{objective}]\n{terms}\n",
            format_time(begin)
        );
        let document = parse("test", text).unwrap().objects.remove(0);
        let of = |by, act| Change::Agreement(AgreementCommand { by, act });
        let proposed = decided(&mut state, of(Party::Provider, AgreementAct::Propose(document)));
        let Event::Agreement(version) = &proposed.events[0] else { panic!("another event") };
        let id = VersionId { name: version.name.clone(), version: version.version };
        let accept = AgreementAct::Accept(id, version.terms_sha256);
        let accepted = decided(&mut state, of(Party::Client, accept));
        steps[READ].provisioning.extend([proposed, accepted]);
    }
    // The record that changes sites at a later tick counts on from these.
    let mut number = state.revision();
    for step in &mut steps[READ + 1..] {
        for record in &mut step.provisioning {
            record.number = number;
            number += 1;
        }
    }
    steps
}

fn decisions(frames: &Frames, tick: u64) -> Vec<Decision> {
    let of = frames.iter().filter(|((at, topic, _), _)| *topic == topics::DECISIONS && *at == tick);
    of.flat_map(|(_, records)| decode_frame::<Decision>(records).unwrap()).collect()
}

/// The first tick after the beginning that decides a site like this.
fn first(frames: &Frames, site: &str, is: impl Fn(&Decision) -> bool) -> Option<u64> {
    let has = |tick: &u64| decisions(frames, *tick).iter().any(|of| of.site.as_str() == site && is(of));
    (BEGIN..400).find(has)
}

#[test]
fn agreements_come_into_force_at_the_same_tick_whoever_decides() {
    let frames = same_whoever_decides(&with_agreements(steps(false))).frames;
    let threshold = |decision: &Decision| decision.objectives.first().map(|of| of.threshold);
    for tick in 0..400 {
        for decision in decisions(&frames, tick).iter().filter(|of| of.site.as_str() < "site06") {
            // The document of one of the sites changes later; what it says of the level no longer counts.
            let expected = if tick < BEGIN { 100_000 } else { 80_000 };
            assert_eq!(threshold(decision), Some(expected), "{} at {tick}", decision.site);
        }
    }
    let changed: BTreeSet<String> =
        decisions(&frames, BEGIN).iter().map(|decision| decision.site.to_string()).collect();
    assert!((0..6).all(|site| changed.contains(&format!("site{site:02}"))), "{changed:?}");

    let reason = |site, reason| first(&frames, site, |of| of.reason == Some(reason));
    assert!(reason("site00", Reason::ReturnBand).is_some());
    assert!(reason("site01", Reason::Dwell).is_some());
    assert_eq!(reason("site02", Reason::ReturnBand), None);
    // Unknown from the beginning, and for the agreed time.
    let of_silent = |tick: &u64| decisions(&frames, *tick).iter().any(|of| of.site.as_str() == "site02");
    assert_eq!((BEGIN + 1..400).find(of_silent), Some(BEGIN + 45));
    let on_two = |of: &Decision| of.route.cdn.as_ref().is_some_and(|cdn| cdn.as_str() == "two");
    assert!(first(&frames, "site03", on_two).is_some());
    let in_n1 = |of: &Decision| of.network.as_str() == "n1" && of.route.cdn.is_some();
    assert_eq!(first(&frames, "site04", in_n1), None);
    let in_n0 = |of: &Decision| of.network.as_str() == "n0" && of.route.cdn.is_some() && !on_two(of);
    assert_eq!(first(&frames, "site04", in_n0), None);
    assert!(first(&frames, "site04", |of| of.network.as_str() == "n0" && on_two(of)).is_some());
}

#[test]
fn agreements_outlast_a_reset_of_the_clock() {
    let frames = same_whoever_decides(&with_agreements(reset_steps(200))).frames;
    // The time of the ticks from there on is before the beginning, but what has begun has begun.
    for tick in BEGIN..400 {
        for decision in decisions(&frames, tick).iter().filter(|of| of.site.as_str() < "site06") {
            assert_eq!(decision.objectives[0].threshold, 80_000, "{} at {tick}", decision.site);
        }
    }
    // What is unknown is so since the reset, wherever it was on a CDN.
    let silent_at = |tick: u64| {
        let of_tick = decisions(&frames, tick);
        of_tick.iter().any(|of| of.site.as_str() == "site05" && of.reason == Some(Reason::UnknownHold))
    };
    assert!(!(BEGIN + 1..350).any(silent_at) && silent_at(350), "150 s after the reset");
}
