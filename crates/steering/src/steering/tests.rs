//! Counts the windows that hold memory through changes of the provisioning, and what they hold.

use spillway_events::{
    AgentName, CdnOfSite, ClientName, Event, LISTED_PROBES_MAX, Metric, Micros, Network, NetworkName,
    Objective, Origin, Probe, Reason, Site, SiteName, Verdict, items_bytes,
};

use spillway_provisioning::SavedObject;
use spillway_provisioning::limits::{DECISION_BYTES_MAX, OBJECTIVES_PER_SITE_MAX};

use super::*;
use crate::{Rank, Ranked};

mod performance;
mod restoring;

const SECOND_US: i64 = 1_000_000;

fn objective(percentile: u32, window_secs: u64) -> Objective {
    Objective {
        metric: Metric::ResponseTime,
        threshold: 100,
        percentile,
        window_us: Micros(window_secs * 1_000_000),
        samples_min: 1,
        probes_min: 1,
    }
}

fn site(name: &str, objectives: &[Objective]) -> Site {
    Site {
        title: None,
        name: SiteName::new(name).unwrap(),
        client: ClientName::new("client").unwrap(),
        hosts: Vec::new(),
        origin: Origin { name: String::from("origin"), addresses: Vec::new(), probe_url: None },
        cdns: vec![CdnOfSite { cdn: CdnName::new("cdn").unwrap(), dns_name: None }],
        ttl_secs: 20,
        probe_interval_ms: 10_000,
        objectives: objectives.to_vec(),
    }
}

fn probe(agent: &str) -> Probe {
    Probe { agent: AgentName::new(agent).unwrap(), network: NetworkName::everywhere() }
}

/// Provisions exactly these.
fn provision(steering: &mut Steering, sites: &[Site], probes: &[Probe]) {
    let sites = sites.iter().map(|site| Event::Site(site.clone()));
    let objects = sites.chain(probes.iter().map(|probe| Event::Probe(probe.clone())));
    provision_objects(steering, objects, 0);
}

/// Provisions exactly these, which were agreed by the record of a number.
fn provision_objects(steering: &mut Steering, objects: impl IntoIterator<Item = Event>, agreement: u64) {
    let objects = objects.into_iter().map(|object| SavedObject { object, changed: 0, agreement });
    let state = State::restored(1, objects, []);
    let changed: BTreeSet<ObjectId> = steering.state.ids().chain(state.ids()).collect();
    let changed: Vec<ObjectId> = changed.into_iter().collect();
    let deleted: Vec<ObjectId> = changed.iter().filter(|id| state.object(id).is_none()).cloned().collect();
    steering.provision(&state, &changed, &deleted, |_| true);
    steering.settle(steering.greatest_at.unwrap_or(TimeMicros(0)));
}

fn add(steering: &mut Steering, site: u32, probe: u32, at_secs: i64, now_secs: i64) {
    add_to(steering, (site, probe, 0), at_secs, now_secs);
}

fn add_to(steering: &mut Steering, (site, probe, target): (u32, u32, u16), at_secs: i64, now_secs: i64) {
    let mut samples = Samples::default();
    let series = samples.add_series(SeriesId { site, probe, target });
    let response_time = Some(Rank::of(Metric::ResponseTime, 50));
    let ranked = Ranked { response_time, bandwidth: None };
    samples.push(series, TimeMicros(at_secs * SECOND_US), ranked);
    steering.add(&samples, TimeMicros(now_secs * SECOND_US));
}

/// The windows that hold samples, and those that only wait until their samples have left.
fn windows(steering: &Steering) -> (usize, usize) {
    let live = steering.states().map(|state| state.window_ids().count()).sum();
    (live, steering.windows.held() - live)
}

/// Every window knows under which target, probe and objective it is listed; returns these.
fn listed(steering: &Steering) -> Vec<(u16, u32, u16)> {
    let mut listed = Vec::new();
    for state in steering.states() {
        for (objective, held) in (0..).zip(&state.windows) {
            for (target, probe, id) in held.iter() {
                let of = steering.windows.of(id);
                assert_eq!((of.series.target, of.series.probe, of.objective), (target, probe, objective));
                listed.push((target, probe, objective));
            }
        }
    }
    listed
}

/// The objectives and the CDNs of a site change their order: when one window empties, it alone goes.
#[test]
fn windows_follow_the_order_of_objectives_and_targets() {
    let mut steering = Steering::default();
    let (short, long) = (objective(50, 10), objective(90, 20));
    let cdns = |names: [&str; 2]| {
        names.map(|name| CdnOfSite { cdn: CdnName::new(name).unwrap(), dns_name: None }).to_vec()
    };
    let first = Site { cdns: cdns(["one", "two"]), ..site("a", &[short.clone(), long.clone()]) };
    provision(&mut steering, &[first], &[probe("one")]);
    add_to(&mut steering, (0, 0, 1), 100, 100);
    add_to(&mut steering, (0, 0, 2), 105, 105);
    assert_eq!(listed(&steering), [(1, 0, 0), (2, 0, 0), (1, 0, 1), (2, 0, 1)]);
    let second = Site { cdns: cdns(["two", "one"]), ..site("a", &[long, short]) };
    provision(&mut steering, &[second], &[probe("one")]);
    assert_eq!(listed(&steering), [(1, 0, 0), (2, 0, 0), (1, 0, 1), (2, 0, 1)]);
    // The window of 10 s of CDN one, which is target 2 now, and the objective of index 1.
    steering.decide(1, TimeMicros(110 * SECOND_US));
    assert_eq!(listed(&steering), [(1, 0, 0), (2, 0, 0), (1, 0, 1)]);
    steering.decide(2, TimeMicros(120 * SECOND_US));
    assert_eq!(listed(&steering), [(1, 0, 0)]);
}

/// The samples of all windows.
fn samples(steering: &Steering) -> u64 {
    let ids = steering.states().flat_map(SiteState::window_ids);
    ids.map(|id| steering.windows.samples(id)).sum()
}

#[test]
fn windows_are_kept_where_target_probe_and_objective_are_the_same() {
    let mut steering = Steering::default();
    let (short, long) = (objective(50, 10), objective(90, 20));
    let both = [site("a", &[short.clone(), long.clone()]), site("b", std::slice::from_ref(&short))];
    let probes = [probe("one"), probe("two")];
    provision(&mut steering, &both, &probes);
    for (site, probe) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        add(&mut steering, site, probe, 100, 100);
    }
    assert_eq!(windows(&steering), (6, 0), "two windows in two series of a, one in two of b");
    for _ in 0..3 {
        provision(&mut steering, &both, &probes);
        assert_eq!(windows(&steering), (6, 0), "the same");
    }
    let swapped = [site("a", &[long.clone(), short.clone()]), both[1].clone()];
    provision(&mut steering, &swapped, &probes);
    assert_eq!(windows(&steering), (6, 0), "the objectives in another order");
    provision(&mut steering, &swapped, &probes[..1]);
    assert_eq!(windows(&steering), (3, 3), "without a probe");
    assert!(listed(&steering).iter().all(|(_, probe, _)| *probe == 0), "without that probe");
    provision(&mut steering, &[site("a", std::slice::from_ref(&short)), both[1].clone()], &probes[..1]);
    assert_eq!(windows(&steering), (2, 4), "without an objective");
    provision(&mut steering, &both[1..], &probes[..1]);
    assert_eq!(windows(&steering), (1, 5), "without a site");
    // All panes of 10 s leave in time; the window of 20 s that nothing uses is still listed.
    steering.decide(1, TimeMicros(111 * SECOND_US));
    assert_eq!(windows(&steering), (0, 2));
    steering.decide(2, TimeMicros(121 * SECOND_US));
    assert_eq!(windows(&steering), (0, 0));
    // Their memory is used again.
    provision(&mut steering, &both, &probes);
    let number = steering.directory.number("a").unwrap();
    add(&mut steering, number, 0, 130, 130);
    assert_eq!((windows(&steering), steering.windows.len()), ((2, 0), 6));
}

/// What a removed window has listed does not come back in the window that is given its index.
#[test]
fn a_window_starts_empty_whatever_had_its_index_before() {
    let mut steering = Steering::default();
    let (first, second) = ([site("a", &[objective(50, 10)])], [site("b", &[objective(50, 10)])]);
    provision(&mut steering, &first, &[probe("one")]);
    add(&mut steering, 0, 0, 100, 100);
    provision(&mut steering, &second, &[probe("one")]);
    add(&mut steering, 0, 0, 105, 105);
    assert_eq!(windows(&steering), (1, 1));
    steering.decide(1, TimeMicros(105 * SECOND_US));
    assert_eq!(samples(&steering), 1);
    steering.decide(2, TimeMicros(110 * SECOND_US));
    assert_eq!(windows(&steering), (1, 0));
    // The new window has the index that the site a had, while the sample of b's old window is still listed.
    provision(&mut steering, &[site("b", &[objective(50, 20)])], &[probe("one")]);
    add(&mut steering, 0, 0, 111, 111);
    steering.decide(3, TimeMicros(111 * SECOND_US));
    assert_eq!(samples(&steering), 1);
    let saved: Vec<_> = steering.save_windows().collect();
    let counts: Vec<_> = saved[0].windows[0].counts.iter().map(|count| (count.pane, count.count)).collect();
    assert_eq!((saved.len(), counts), (1, vec![(111, 1)]));
    steering.decide(4, TimeMicros(115 * SECOND_US));
    assert_eq!(windows(&steering), (1, 0));
}

#[test]
fn a_window_that_gains_an_earlier_pane_loses_every_pane_in_time() {
    let mut steering = Steering::default();
    provision(&mut steering, &[site("a", &[objective(50, 10)])], &[probe("one")]);
    add(&mut steering, 0, 0, 105, 106);
    add(&mut steering, 0, 0, 103, 106);
    assert_eq!(steering.decide(1, TimeMicros(106 * SECOND_US))[0].objectives[0].samples, 2);
    steering.decide(2, TimeMicros(113 * SECOND_US - 1));
    assert_eq!(samples(&steering), 2);
    steering.decide(3, TimeMicros(113 * SECOND_US));
    assert_eq!(samples(&steering), 1);
    let last = steering.decide(4, TimeMicros(115 * SECOND_US));
    let decision = &last[0];
    assert_eq!((decision.verdict, decision.reason), (Verdict::Unknown, Some(Reason::UnknownHold)));
    assert_eq!(windows(&steering), (0, 0));
}

/// As many objectives as a site can have, and more probes than a decision lists.
#[test]
fn a_decision_lists_the_first_probes_and_says_how_many_there_are() {
    let mut steering = Steering::default();
    let windows = (10..60).map(|secs| objective(50, secs)).chain((10..60).map(|secs| objective(90, secs)));
    let objectives: Vec<Objective> = windows.take(OBJECTIVES_PER_SITE_MAX).collect();
    assert_eq!(objectives.len(), OBJECTIVES_PER_SITE_MAX);
    let count = LISTED_PROBES_MAX + 10;
    let probes: Vec<Probe> = (0..count).map(|n| probe(&format!("{n:063}"))).collect();
    provision(&mut steering, &[site("a", &objectives)], &probes);
    for probe in 0..u32::try_from(count).unwrap() {
        add(&mut steering, 0, probe, 100, 100);
    }
    let decided = steering.decide(1, TimeMicros(100 * SECOND_US));
    for evidence in &decided[0].objectives {
        assert_eq!((evidence.samples, evidence.probes_count), (count as u64, count as u64));
        let listed = evidence.probes.iter().map(|probe| probe.agent.as_str().to_owned());
        assert!(listed.eq((0..LISTED_PROBES_MAX).map(|n| format!("{n:063}"))));
    }
    assert!(items_bytes(&decided).unwrap() <= DECISION_BYTES_MAX);
}

/// A sample that no window takes, and a change that leaves no window of a series, leave no series.
#[test]
fn a_series_without_samples_is_not_kept() {
    let mut steering = Steering::default();
    let sites = [site("a", &[objective(50, 10)]), site("b", &[])];
    provision(&mut steering, &sites, &[probe("one")]);
    add(&mut steering, 0, 0, 100, 200);
    add(&mut steering, 1, 0, 200, 200);
    assert_eq!(steering.save_windows().count(), 0);
    add(&mut steering, 0, 0, 200, 200);
    add(&mut steering, 0, 0, 100, 200);
    assert_eq!(steering.save_windows().count(), 1);
    provision(&mut steering, &[site("a", &[objective(60, 10)])], &[probe("one")]);
    assert_eq!(steering.save_windows().count(), 0);
}

/// The new network comes before the other one in the order of names, so that its index is another one.
#[test]
fn a_route_stays_with_its_network_when_another_one_is_created() {
    let network = |name: &str| Network {
        name: NetworkName::new(name).unwrap(),
        title: None,
        parent: NetworkName::everywhere(),
        prefixes: Vec::new(),
    };
    let near = Probe { agent: AgentName::new("one").unwrap(), network: NetworkName::new("near").unwrap() };
    let spec = Site { cdns: Vec::new(), ..site("a", &[objective(50, 10)]) };
    let objects = |names: &[&str]| -> Vec<Event> {
        let networks = names.iter().map(|name| Event::Network(network(name)));
        let others = [Event::Probe(near.clone()), Event::Probe(probe("two")), Event::Site(spec.clone())];
        networks.chain(others).collect()
    };
    let decided = |steering: &mut Steering, tick| -> Vec<(String, Verdict)> {
        let decisions = steering.decide(tick, TimeMicros(100 * SECOND_US));
        decisions.iter().map(|decision| (decision.network.to_string(), decision.verdict)).collect()
    };
    let mut steering = Steering::default();
    provision_objects(&mut steering, objects(&["near", "other"]), 0);
    // The sample of `near` is a failure, and that of the root's own probe is none.
    let mut samples = Samples::default();
    let series = samples.add_series(SeriesId { site: 0, probe: 0, target: 0 });
    samples.push(
        series,
        TimeMicros(100 * SECOND_US),
        Ranked { response_time: Some(crate::FAILED), bandwidth: None },
    );
    steering.add(&samples, TimeMicros(100 * SECOND_US));
    add(&mut steering, 0, 1, 100, 100);
    let first = [
        ("everywhere".to_owned(), Verdict::Below),
        ("near".to_owned(), Verdict::AtOrAbove),
        ("other".to_owned(), Verdict::Below),
    ];
    assert_eq!(decided(&mut steering, 1), first);
    provision_objects(&mut steering, objects(&["a-new-one", "near", "other"]), 0);
    assert_eq!(decided(&mut steering, 2), [("a-new-one".to_owned(), Verdict::Below)]);
    provision_objects(&mut steering, objects(&["near", "other"]), 0);
    assert_eq!(decided(&mut steering, 3), []);
}

/// Objectives may change and change back between two ticks: the site is as before, but agreed by a later record.
#[test]
fn a_decision_names_the_latest_agreement_of_a_site_that_is_as_before() {
    let mut steering = Steering::default();
    let objects = || [Event::Probe(probe("one")), Event::Site(site("a", &[objective(50, 10)]))];
    provision_objects(&mut steering, objects(), 3);
    assert_eq!(steering.decide(1, TimeMicros(100 * SECOND_US))[0].agreement, 3);
    provision_objects(&mut steering, objects(), 5);
    add(&mut steering, 0, 0, 101, 101);
    let decided = steering.decide(2, TimeMicros(101 * SECOND_US));
    assert_eq!((decided[0].verdict, decided[0].agreement), (Verdict::Below, 5));
}

/// Deciding all again repeats what holds; it does not count as a change.
#[test]
fn a_route_keeps_the_tick_that_changed_it_when_all_is_decided_again() {
    let mut steering = Steering::default();
    provision(&mut steering, &[site("a", &[objective(50, 10)])], &[probe("one")]);
    let decided = |steering: &mut Steering, tick, secs| {
        let reasons: Vec<_> = steering
            .decide(tick, TimeMicros(secs * SECOND_US))
            .iter()
            .map(|decision| (decision.verdict, decision.reason))
            .collect();
        let saved: Vec<_> = steering.save_routes().map(|saved| saved.everywhere.decided_tick).collect();
        (reasons, saved)
    };
    let (below, cold) = ((Verdict::Below, None), (Verdict::Unknown, Some(Reason::ColdStart)));
    assert_eq!(decided(&mut steering, 1, 100), (vec![cold], vec![1]));
    add(&mut steering, 0, 0, 101, 101);
    assert_eq!(decided(&mut steering, 2, 101), (vec![below], vec![2]));
    steering.redecide_all();
    assert_eq!(decided(&mut steering, 3, 102), (vec![below], vec![2]));
    assert_eq!(decided(&mut steering, 4, 103), (vec![], vec![2]));
}

/// The CDN before it in the site's order is below meanwhile, which would be chosen if the origin were at-or-above.
#[test]
fn while_the_origin_is_unknown_the_route_stays_at_its_cdn() {
    let mut steering = Steering::default();
    let cdns = ["first", "second"].map(|name| CdnOfSite { cdn: CdnName::new(name).unwrap(), dns_name: None });
    let spec = Site { cdns: cdns.to_vec(), ..site("a", &[objective(50, 10)]) };
    provision(&mut steering, &[spec], &[probe("one")]);
    let mut samples = Samples::default();
    for target in [0, 1] {
        let series = samples.add_series(SeriesId { site: 0, probe: 0, target });
        let failed = Ranked { response_time: Some(crate::FAILED), bandwidth: None };
        samples.push(series, TimeMicros(100 * SECOND_US), failed);
    }
    steering.add(&samples, TimeMicros(100 * SECOND_US));
    add_to(&mut steering, (0, 0, 2), 100, 100);
    let decided = |steering: &mut Steering, tick, secs| {
        let decisions = steering.decide(tick, TimeMicros(secs * SECOND_US));
        let last = decisions.first().unwrap();
        (last.route.cdn.as_ref().map(ToString::to_string), last.verdict, last.reason)
    };
    let second = Some("second".to_owned());
    assert_eq!(decided(&mut steering, 1, 100), (second.clone(), Verdict::AtOrAbove, None));
    add_to(&mut steering, (0, 0, 1), 111, 111);
    assert_eq!(decided(&mut steering, 2, 111), (second, Verdict::Unknown, Some(Reason::UnknownHold)));
}

/// As after a reset of the clock: how old the evidence is, is not known.
#[test]
fn forgotten_evidence_leaves_the_route_and_every_cdn_usable() {
    let mut steering = Steering::default();
    provision(&mut steering, &[site("a", &[objective(50, 10)])], &[probe("one")]);
    let measure_slow = |steering: &mut Steering, secs: i64| {
        let mut samples = Samples::default();
        let series = samples.add_series(SeriesId { site: 0, probe: 0, target: 0 });
        let response_time = Some(Rank::of(Metric::ResponseTime, 200));
        samples.push(series, TimeMicros(secs * SECOND_US), Ranked { response_time, bandwidth: None });
        steering.add(&samples, TimeMicros(secs * SECOND_US));
    };
    let decided = |steering: &mut Steering, tick, secs| {
        let decisions = steering.decide(tick, TimeMicros(secs * SECOND_US));
        let last = decisions.first().unwrap();
        (last.route.cdn.is_some(), last.verdict, last.reason)
    };
    let cdn = CdnName::new("cdn").unwrap();
    steering.set_usable(&cdn, false);
    measure_slow(&mut steering, 100);
    let at_origin = (false, Verdict::AtOrAbove, Some(Reason::NoUsableCdn));
    assert_eq!(decided(&mut steering, 1, 100), at_origin);
    steering.forget_evidence(TimeMicros(50 * SECOND_US));
    assert_eq!((windows(&steering), steering.windows.listed()), ((0, 0), (0, 0)));
    assert_eq!(decided(&mut steering, 2, 50), (false, Verdict::Unknown, Some(Reason::UnknownHold)));
    measure_slow(&mut steering, 51);
    assert_eq!(decided(&mut steering, 3, 51), (true, Verdict::AtOrAbove, None));
}
