//! Saves the state after every tick, restores it, and continues both.

use proptest::prelude::*;
use spillway_events::{Override, OverrideKind, OverrideName, PaneCount, SeriesWindows, WindowCounts};

use super::*;
use crate::RestoreError;

const NEAR: &str = "near";

/// Freezes a site until a time.
fn freeze(site: &str, until_secs: i64) -> Event {
    Event::Override(Override {
        name: OverrideName::new(format!("freeze-{site}")).unwrap(),
        kind: OverrideKind::Freeze,
        site: Some(SiteName::new(site).unwrap()),
        cdn: None,
        to: None,
        reason: String::from("a test"),
        expires_at_us: TimeMicros(until_secs * SECOND_US),
    })
}

/// Two sites, of which the second is frozen for some ticks; a network, and a probe in it and in the root.
fn provisioned() -> Steering {
    let mut steering = Steering::default();
    provision_objects(&mut steering, objects("cdn"), 0);
    steering
}

/// The objects, with this CDN of the second site.
fn objects(cdn: &str) -> Vec<Event> {
    let (name, parent) = (NetworkName::new(NEAR).unwrap(), NetworkName::everywhere());
    let near = Probe { agent: AgentName::new("one").unwrap(), network: name.clone() };
    let cdns = vec![CdnOfSite { cdn: CdnName::new(cdn).unwrap(), dns_name: None }];
    vec![
        Event::Network(Network { name, title: None, parent, prefixes: Vec::new() }),
        Event::Probe(near),
        Event::Probe(probe("two")),
        Event::Site(site("a", &[objective(50, 3), objective(90, 5)])),
        Event::Site(Site { cdns, ..site("b", &[objective(50, 4)]) }),
        freeze("b", 105),
    ]
}

/// Another steering with the same provisioning and the state that this one saves.
fn restored(steering: &Steering, at: TimeMicros) -> Steering {
    let ids: Vec<ObjectId> = steering.state.ids().collect();
    let mut restored = Steering::default();
    restored.provision(&steering.state, &ids, &[], |_| true);
    let (routes, windows): (Vec<_>, Vec<_>) =
        (steering.save_routes().collect(), steering.save_windows().collect());
    restored.restore((at, steering.greatest_at().unwrap()), &routes, &windows).unwrap();
    restored
}

/// A sample of a site, a probe and a target in a tick: a success or a failure.
type Step = (u32, u32, u16, bool);

fn measure(steering: &mut Steering, (site, probe, target, failed): Step, now: TimeMicros) {
    let mut samples = Samples::default();
    let series = samples.add_series(SeriesId { site, probe, target });
    let rank = if failed { crate::FAILED } else { Rank::of(Metric::ResponseTime, 50) };
    samples.push(series, now, Ranked { response_time: Some(rank), bandwidth: None });
    steering.add(&samples, now);
}

proptest! {
    #[test]
    fn a_restored_steering_decides_like_the_one_that_was_saved(
        steps in prop::collection::vec(prop::option::of((0_u32..2, 0_u32..2, 0_u16..2, any::<bool>())), 8..16),
    ) {
        let mut steering = provisioned();
        let mut copies: Vec<Steering> = Vec::new();
        for (tick, step) in (0..).zip(&steps) {
            let now = TimeMicros((100 + i64::try_from(tick).unwrap()) * SECOND_US);
            let decide = |steering: &mut Steering| {
                step.iter().for_each(|step| measure(steering, *step, now));
                steering.decide(tick, now)
            };
            let expected = decide(&mut steering);
            for copy in &mut copies {
                prop_assert_eq!(&decide(copy), &expected);
            }
            copies.push(restored(&steering, now));
        }
        for copy in &copies {
            prop_assert!(copy.save_routes().eq(steering.save_routes()));
            prop_assert!(copy.save_windows().eq(steering.save_windows()));
        }
    }
}

/// For one tick the rule decides, because the site no longer has the CDN of its last route.
#[test]
fn a_frozen_site_that_lost_its_cdn_is_frozen_again_after_a_checkpoint_too() {
    let mut steering = provisioned();
    let at = |secs: i64| TimeMicros(secs * SECOND_US);
    measure(&mut steering, (1, 1, 0, true), at(100));
    steering.decide(1, at(100));
    let reasons = |steering: &mut Steering, tick, secs| -> Vec<Option<Reason>> {
        steering.decide(tick, at(secs)).iter().map(|decision| decision.reason).collect()
    };
    assert_eq!(reasons(&mut steering, 2, 101), [Some(Reason::Frozen); 2]);
    provision_objects(&mut steering, objects("other"), 0);
    assert_eq!(reasons(&mut steering, 3, 102), [None; 2]);
    let mut restored = restored(&steering, at(102));
    assert_eq!(reasons(&mut restored, 4, 103), [Some(Reason::Frozen); 2]);
    assert_eq!(reasons(&mut steering, 4, 103), [Some(Reason::Frozen); 2]);
}

/// The time of ticks was reset before the checkpoint: the override has ended by the greatest time, but not by the present one.
#[test]
fn an_override_that_has_ended_stays_ended_in_a_checkpoint() {
    let mut steering = provisioned();
    steering.decide(1, TimeMicros(100 * SECOND_US));
    let reason = |decided: &[Decision]| -> Vec<(String, Option<Reason>)> {
        decided.iter().map(|of| (of.site.to_string(), of.reason)).collect()
    };
    let frozen = vec![(String::from("b"), Some(Reason::Frozen)); 2];
    assert_eq!(reason(&steering.decide(2, TimeMicros(101 * SECOND_US))), frozen);
    steering.decide(3, TimeMicros(105 * SECOND_US));
    let back = TimeMicros(50 * SECOND_US);
    steering.forget_evidence(back);
    steering.decide(4, back);
    let mut restored = restored(&steering, back);
    assert_eq!(restored.greatest_at(), Some(TimeMicros(105 * SECOND_US)));
    restored.redecide_all();
    let decided = reason(&restored.decide(5, TimeMicros(51 * SECOND_US)));
    assert_eq!(decided.len(), 4);
    assert!(decided.iter().all(|(_, reason)| *reason == Some(Reason::ColdStart)), "{decided:?}");
}

#[test]
fn a_checkpoint_that_does_not_fit_the_provisioning_is_refused() {
    let mut saved = provisioned();
    measure(&mut saved, (0, 0, 0, false), TimeMicros(100 * SECOND_US));
    saved.decide(1, TimeMicros(100 * SECOND_US));
    let routes: Vec<_> = saved.save_routes().collect();
    let windows: Vec<_> = saved.save_windows().collect();
    let restore = |routes: &[_], windows: &[_]| {
        let at = TimeMicros(100 * SECOND_US);
        provisioned().restore((at, at), routes, windows).map_err(|(site, error)| (site.to_string(), error))
    };
    assert_eq!(restore(&routes, &windows), Ok(()));
    let mut of_another = routes[0].clone();
    of_another.site = SiteName::new("c").unwrap();
    assert_eq!(restore(&[of_another], &[]), Err((String::from("c"), RestoreError::Site)));
    let mut elsewhere = routes[0].clone();
    elsewhere.others.push(elsewhere.everywhere.clone());
    elsewhere.others[0].network = NetworkName::new("far").unwrap();
    assert_eq!(restore(&[elsewhere], &[]), Err((String::from("a"), RestoreError::Network)));
    let refused = |change: &dyn Fn(&mut SeriesWindows)| {
        let mut changed = windows[0].clone();
        change(&mut changed);
        restore(&routes, &[changed]).unwrap_err().1
    };
    assert_eq!(refused(&|of| of.target = String::from("gone")), RestoreError::Target);
    assert_eq!(refused(&|of| of.agent = AgentName::new("gone").unwrap()), RestoreError::Probe);
    assert_eq!(refused(&|of| _ = of.windows.pop()), RestoreError::Windows);
    assert_eq!(refused(&|of| of.windows.push(WindowCounts { counts: Vec::new() })), RestoreError::Windows);
    let none = PaneCount { pane: 100, rank: 5, count: 0 };
    assert_eq!(refused(&|of| of.windows[0].counts = vec![none]), RestoreError::Windows);
    let twice = [windows[0].clone(), windows[0].clone()];
    assert_eq!(restore(&routes, &twice), Err((String::from("a"), RestoreError::Windows)));
}
