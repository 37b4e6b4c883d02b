//! Counts the entries of the calendar through changes of the provisioning.

use spillway_events::{
    AgentName, CdnOfSite, ClientName, Event, LISTED_PROBES_MAX, Metric, Micros, NetworkName, Objective,
    Origin, Probe, Reason, Site, SiteName, Verdict, items_bytes,
};

use spillway_provisioning::SavedObject;
use spillway_provisioning::limits::{DECISION_BYTES_MAX, OBJECTIVES_PER_SITE_MAX};

use super::*;
use crate::Rank;

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
    let objects = objects.map(|object| SavedObject { object, changed: 0, agreement: 0 });
    let state = State::restored(1, objects, []);
    let changed: BTreeSet<ObjectId> = steering.state.ids().chain(state.ids()).collect();
    let changed: Vec<ObjectId> = changed.into_iter().collect();
    let deleted: Vec<ObjectId> = changed.iter().filter(|id| state.object(id).is_none()).cloned().collect();
    steering.provision(&state, &changed, &deleted, |_| true);
}

fn add(steering: &mut Steering, site: u32, probe: u32, at_secs: i64, now_secs: i64) {
    let at_us = TimeMicros(at_secs * SECOND_US);
    let rank = Some(Rank::of(Metric::ResponseTime, 50));
    let sample = Sample { site, probe, target: 0, response_time: rank, bandwidth: None, at_us };
    steering.add(&sample, TimeMicros(now_secs * SECOND_US));
}

fn entries(steering: &Steering) -> usize {
    steering.calendar.values().map(BTreeSet::len).sum()
}

#[test]
fn a_change_of_the_provisioning_enters_no_window_twice() {
    let mut steering = Steering::default();
    let (short, long) = (objective(50, 10), objective(90, 20));
    let both = [site("a", &[short.clone(), long.clone()]), site("b", std::slice::from_ref(&short))];
    let probes = [probe("one"), probe("two")];
    provision(&mut steering, &both, &probes);
    for (site, probe) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        add(&mut steering, site, probe, 100, 100);
    }
    assert_eq!(entries(&steering), 6, "two windows in two series of a, one in two of b");
    for _ in 0..3 {
        provision(&mut steering, &both, &probes);
        assert_eq!(entries(&steering), 6, "the same");
    }
    let swapped = [site("a", &[long.clone(), short.clone()]), both[1].clone()];
    provision(&mut steering, &swapped, &probes);
    assert_eq!(entries(&steering), 6, "the objectives in another order");
    provision(&mut steering, &swapped, &probes[..1]);
    assert_eq!(entries(&steering), 3, "without a probe");
    provision(&mut steering, &[site("a", &[short]), both[1].clone()], &probes[..1]);
    assert_eq!(entries(&steering), 2, "without an objective");
    provision(&mut steering, &both[1..], &probes[..1]);
    assert_eq!(entries(&steering), 1, "without a site");
    // All panes leave in time.
    steering.decide(1, TimeMicros(111 * SECOND_US), false);
    assert_eq!((entries(&steering), steering.next_due()), (0, None));
}

#[test]
fn a_window_that_gains_an_earlier_pane_loses_every_pane_in_time() {
    let mut steering = Steering::default();
    provision(&mut steering, &[site("a", &[objective(50, 10)])], &[probe("one")]);
    add(&mut steering, 0, 0, 105, 106);
    add(&mut steering, 0, 0, 103, 106);
    assert_eq!(steering.decide(1, TimeMicros(106 * SECOND_US), false).decisions[0].objectives[0].samples, 2);
    assert_eq!(steering.next_due(), Some(TimeMicros(113 * SECOND_US)));
    steering.decide(2, TimeMicros(113 * SECOND_US), false);
    assert_eq!((entries(&steering), steering.next_due()), (1, Some(TimeMicros(115 * SECOND_US))));
    let last = steering.decide(3, TimeMicros(115 * SECOND_US), false);
    let decision = &last.decisions[0];
    assert_eq!((decision.verdict, decision.reason), (Verdict::Unknown, Some(Reason::UnknownHold)));
    assert_eq!(entries(&steering), 0);
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
    let decided = steering.decide(1, TimeMicros(100 * SECOND_US), false).decisions;
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
