use std::sync::Arc;

use spillway_events::{CdnName, ClockReset, Deleted, Event, Gap, Network, NetworkName, ObjectKind, SiteName};

use super::{WORLD, apply_text, command, delete, record, with, world};
use crate::limits::{GAPS_MAX, MISTAKES_LISTED_MAX, NETWORK_TREE_LEVELS_MAX};
use crate::{ApplyError, Change, ObjectId, Refusal, SavedObject, State, decide, diff};

fn network(name: &str) -> NetworkName {
    NetworkName::new(name).expect("a name")
}

#[test]
fn records_have_no_gaps() {
    let mut state = State::default();
    let mut first = record(&state, "a", Vec::new());
    first.number = 1;
    assert_eq!(state.apply(&first), Err(ApplyError::Gap { expected: 0, found: 1 }));
    assert_eq!(state, State::default());
    first.number = 0;
    assert_eq!(state.apply(&first), Ok(Vec::new()));
    assert_eq!(state.revision(), 1);
    assert_eq!(state.apply(&first), Err(ApplyError::Gap { expected: 1, found: 0 }));
}

#[test]
fn the_agreement_is_the_record_that_set_the_objectives() {
    let agreement = |state: &State| state.sites().map(|site| site.agreement).collect::<Vec<u64>>();
    let state = with(world(), "b", "{kind: client, name: other}");
    let state = with(state, "c", &WORLD.replace("cdns:\n", "ttl_secs: 30\ncdns:\n"));
    assert_eq!((state.revision(), agreement(&state)), (3, vec![0]));
    let state = with(state, "d", &WORLD.replace("150ms", "160ms"));
    assert_eq!((state.revision(), agreement(&state)), (4, vec![3]));
}

#[test]
fn a_deleted_object_is_gone() {
    let mut state = world();
    for (object, name) in [
        (ObjectKind::Site, "shop"),
        (ObjectKind::Probe, "a1/as64500"),
        (ObjectKind::Cdn, "own"),
        (ObjectKind::Cdn, "rented"),
        (ObjectKind::Network, "as64500"),
        (ObjectKind::Network, "region"),
        (ObjectKind::Client, "acme"),
        (ObjectKind::Client, "acme"),
    ] {
        state.apply_event(1, &Event::Deleted(Deleted { object, name: name.to_owned() }));
    }
    let mut empty = State::default();
    empty.apply(&record(&State::default(), "world", Vec::new())).expect("the record is next");
    assert_eq!(ObjectKind::ALL.map(|kind| state.count(kind)), [0; ObjectKind::ALL.len()]);
    assert_eq!(state, empty);
}

#[test]
fn the_tree_of_networks_is_walked_up() {
    let state = world();
    assert_eq!(
        state.ancestors(&network("as64500")),
        [network("as64500"), network("region"), NetworkName::everywhere()]
    );
    assert_eq!(state.ancestors(&NetworkName::everywhere()), [NetworkName::everywhere()]);
    assert_eq!(state.ancestors(&network("unknown")), [network("unknown"), NetworkName::everywhere()]);
    assert_eq!(state.networks_in_order(), [network("as64500"), NetworkName::everywhere(), network("region")]);
}

#[test]
fn a_checkpoint_restores_the_state() {
    let mut state = world();
    let (topic, reason) = (String::from("measurements"), String::from("lost"));
    state.apply_event(0, &Event::Gap(Gap { topic, partition: 1, from: 5, to: 9, reason }));
    let saved: Vec<SavedObject> = state.saved_objects().collect();
    let gaps = state.gaps().cloned().collect::<Vec<_>>();
    // In reverse order, because objects may come in any.
    let restored = State::restored(state.revision(), saved.into_iter().rev(), gaps);
    assert_eq!(restored, state);
    assert_eq!(restored.accepted_gap_end("measurements", 1, 5), Some(9));
}

#[test]
fn applying_a_record_tells_which_objects_changed() {
    let mut state = world();
    let text =
        "{kind: cdn, name: rented, type: partner, dns_name: x.example}\n---\n{kind: client, name: new}";
    let events = apply_text(&state, "b", text).expect("it fits");
    let next = record(&state, "b", events);
    let changed = state.apply(&next).expect("the record is next");
    let (new, rented) = (ObjectId::new(ObjectKind::Client, "new"), ObjectId::new(ObjectKind::Cdn, "rented"));
    assert_eq!(changed, [new.clone(), rented.clone()]);
    let shop = ObjectId::new(ObjectKind::Site, "shop");
    assert_eq!(state.users(&rented).collect::<Vec<_>>(), [&shop]);
    assert_eq!([&new, &rented, &shop].map(|id| state.changed(id)), [Some(1), Some(1), Some(0)]);
    assert!(next.events.iter().all(|event| ObjectId::deleted_by(event).is_none()));
    let events = delete(&state, &[(ObjectKind::Client, "new")]).expect("nothing uses it");
    assert_eq!(events.iter().map(ObjectId::deleted_by).collect::<Vec<_>>(), [Some(new.clone())]);
    let next = record(&state, "c", events);
    assert_eq!(state.apply(&next), Ok(vec![new.clone()]));
    assert_eq!((state.changed(&new), state.object(&new)), (None, None));
}

#[test]
fn objects_are_found_by_name() {
    let state = world();
    let site = state.site(&SiteName::new("shop").expect("a name")).expect("it is provisioned");
    assert_eq!((site.site.ttl_secs, site.agreement), (20, 0));
    let cdn = state.cdn(&CdnName::new("own").expect("a name")).expect("it is provisioned");
    assert_eq!(cdn.dns_name, "own.example.net");
    assert_eq!(state.network(&network("as64500")).map(|network| network.prefixes.len()), Some(2));
    assert_eq!(state.network(&NetworkName::everywhere()), None);
    assert_eq!(state.clients().map(|client| client.name.as_str()).collect::<Vec<_>>(), ["acme"]);
    assert_eq!(state.probes().map(|probe| probe.agent.as_str()).collect::<Vec<_>>(), ["a1"]);
    assert_eq!(state.cdns().count() + state.networks().count() + state.sites().count(), 5);
}

/// How often the names of 1,000 sites are shared tells whether a change copies what it does not change: a copy of an entry would
/// hold its name once more.
#[test]
fn a_clone_and_a_change_share_all_that_does_not_change() {
    let site = |at: usize| {
        format!("{{kind: site, client: acme, name: s{at:04}, hosts: [s{at}.example], cdns: [own]}}")
    };
    let sites: Vec<String> = (0..1_000).map(site).collect();
    let before = with(world(), "sites", &sites.join("\n---\n"));
    let own = ObjectId::new(ObjectKind::Cdn, "own");
    let holders = || -> Vec<usize> { before.users(&own).map(|site| Arc::strong_count(&site.name)).collect() };
    let holders_before = holders();
    let mut after = before.clone();
    assert_eq!(holders(), holders_before);
    let text = "{kind: site, client: acme, name: s0500, hosts: [new.example], cdns: [own]}";
    let events = apply_text(&after, "change", text).expect("it fits");
    let next = record(&after, "change", events);
    after.apply(&next).expect("the record is next");
    let changed = holders().iter().zip(&holders_before).filter(|(now, then)| now != then).count();
    assert!(changed <= 1, "{changed} sites");
    assert_ne!(after, before);
}

/// Records of the log could make a cycle, although no command does.
#[test]
fn the_path_up_ends_even_in_a_cycle() {
    let mut state = State::default();
    for (name, parent) in [("a", "b"), ("b", "a")] {
        let (name, parent) = (network(name), network(parent));
        state.apply_event(0, &Event::Network(Network { name, title: None, parent, prefixes: Vec::new() }));
    }
    let path = state.ancestors(&network("a"));
    assert_eq!((path.len(), path.last()), (NETWORK_TREE_LEVELS_MAX + 1, Some(&NetworkName::everywhere())));
}

#[test]
fn every_clock_reset_is_an_event_of_its_own_and_changes_no_object() {
    let mut state = State::default();
    let reset = |reason: &str| command("reset", Change::ResetClock { reason: reason.to_owned() });
    for bad in ["", &"x".repeat(256)] {
        assert_eq!(decide(&state, &reset(bad)), Err(Refusal::BadReasonLength));
    }
    for bad in ["two\nlines", "\u{1b}[2J", "\u{85}"] {
        assert_eq!(decide(&state, &reset(bad)), Err(Refusal::BadReasonText));
    }
    let before = state.clone();
    for number in 0..2 {
        let command = reset("two hours ahead");
        let events = decide(&state, &command).expect("a decision");
        assert_eq!(events, [Event::ClockReset(ClockReset { reason: String::from("two hours ahead") })]);
        let lines: Vec<String> = diff(&state, &events).iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["+ clock reset: two hours ahead"]);
        assert_eq!(state.apply(&command.into_record(number, events)), Ok(Vec::new()));
    }
    assert_eq!(state.revision(), 2);
    assert!(state.saved_objects().eq(before.saved_objects()));
}

/// A name of the greatest length is quoted whole, a longer text is cut.
#[test]
fn foreign_names_are_cut_in_messages() {
    let state = world();
    let name = format!("{}/{}", "a".repeat(63), "n".repeat(63));
    let refused = |name: &str| {
        let id = ObjectId::new(ObjectKind::Probe, name);
        decide(&state, &command("d", Change::Delete(vec![id]))).unwrap_err().to_string()
    };
    assert_eq!(refused(&name), format!("there is no probe {name}"));
    assert_eq!(refused(&format!("{name}{}", "x".repeat(10_000))), format!("there is no probe {name}…"));
    let gap = Gap { topic: "t".repeat(10_000), partition: 0, from: 0, to: 1, reason: String::from("lost") };
    let refused = decide(&state, &command("g", Change::AcceptLoss { gap, log_starts_at: 1 })).unwrap_err();
    assert_eq!(refused.to_string(), format!("topic {}… has no input partitions", "t".repeat(127)));
}

/// The greatest number of faults that are listed, and one more.
#[test]
fn a_refusal_says_how_many_faults_it_does_not_list() {
    let refused = |count: usize| {
        let text = "{kind: probe, agent: a, network: nowhere}\n---\n".to_owned();
        let documents = (1..count).map(|_| "{kind: probe, agent: a, network: nowhere}").collect::<Vec<_>>();
        apply_text(&world(), "faults", &(text + &documents.join("\n---\n"))).unwrap_err().to_string()
    };
    // The network is missing, and each repeated document is a fault of its own.
    let listed = refused(MISTAKES_LISTED_MAX);
    assert_eq!(listed.lines().count(), MISTAKES_LISTED_MAX);
    assert!(!listed.contains("not listed"));
    let cut = refused(MISTAKES_LISTED_MAX + 2);
    assert_eq!(cut.lines().count(), MISTAKES_LISTED_MAX + 1);
    assert_eq!(cut.lines().last(), Some("2 more faults are not listed"));
}

#[test]
fn the_number_of_accepted_losses_is_bounded() {
    let gap = |from| Gap {
        topic: String::from("measurements"),
        partition: 0,
        from,
        to: from + 1,
        reason: String::from("lost"),
    };
    let mut state = State::default();
    let accept = |state: &State, from| {
        decide(state, &command("g", Change::AcceptLoss { gap: gap(from), log_starts_at: u64::MAX }))
    };
    for from in 1..GAPS_MAX as u64 {
        state.apply_event(0, &Event::Gap(gap(from)));
    }
    let last = accept(&state, 0).expect("it is within the limit");
    assert_eq!(last, [Event::Gap(gap(0))]);
    state.apply_event(0, &last[0]);
    // At the limit; then above it, because a log may hold more from a time with a greater one.
    for from in [GAPS_MAX as u64, GAPS_MAX as u64 + 1] {
        let refused = accept(&state, from).unwrap_err();
        assert_eq!(refused.to_string(), "10000 gaps are accepted already, which is the limit");
        state.apply_event(0, &Event::Gap(gap(from)));
    }
    assert_eq!(accept(&state, 5), Ok(Vec::new()), "it was accepted before");
}
