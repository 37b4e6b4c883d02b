use spillway_events::{Deleted, Event, NetworkName, ObjectKind};

use super::{WORLD, apply_text, record, with, world};
use crate::limits::COMMANDS_REMEMBERED_MAX;
use crate::{ApplyError, Remembered, State};

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
    assert_eq!(state.apply(&first), Ok(()));
    assert_eq!(state.revision(), 1);
    assert_eq!(state.apply(&first), Err(ApplyError::Gap { expected: 1, found: 0 }));
}

#[test]
fn the_agreement_is_the_record_that_set_the_objectives() {
    let agreement = |state: &State| state.sites().values().map(|site| site.agreement).collect::<Vec<u64>>();
    let state = with(world(), "b", "{kind: client, name: other}");
    let state = with(state, "c", &WORLD.replace("cdns:\n", "ttl_secs: 30\ncdns:\n"));
    assert_eq!((state.revision(), agreement(&state)), (3, vec![0]));
    let state = with(state, "d", &WORLD.replace("150ms", "160ms"));
    assert_eq!((state.revision(), agreement(&state)), (4, vec![3]));
}

#[test]
fn a_retry_is_recognized_among_the_last_commands() {
    let mut state = world();
    let expected = Remembered { command: String::from("world"), number: 0, events: 7 };
    assert_eq!(state.remembered("world"), Some(&expected));
    assert_eq!(apply_text(&state, "world", "{kind: client, name: other}"), Ok(Vec::new()));
    for number in 1..COMMANDS_REMEMBERED_MAX {
        let next = record(&state, &format!("c{number}"), Vec::new());
        state.apply(&next).expect("the record is next");
    }
    assert_eq!(state.remembered("world"), Some(&expected));
    let next = record(&state, "last", Vec::new());
    state.apply(&next).expect("the record is next");
    assert_eq!(state.remembered("world"), None);
    assert_eq!(state.remembered("c1").map(|remembered| remembered.number), Some(1));
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
    assert_eq!((state.clients().len(), state.networks().len(), state.probes().len()), (0, 0, 0));
    assert_eq!((state.cdns().len(), state.sites().len(), state.revision()), (0, 0, 1));
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

/// In reverse order, because facts may come in any.
#[test]
fn facts_make_up_the_state() {
    let state = world();
    let facts: Vec<(u64, Event)> = state.facts().collect();
    let made =
        State::from_facts(state.revision(), facts.iter().rev().map(|(number, event)| (*number, event)));
    assert_eq!(made.revision(), state.revision());
    assert_eq!(made.facts().collect::<Vec<_>>(), facts);
    assert_eq!((made.sites(), made.networks(), made.cdns()), (state.sites(), state.networks(), state.cdns()));
}
