//! Spans of tick time.

use spillway_events::{ClientName, Measurement, Micros, Outcome, Phases, TimeMicros, Tried};

use super::{site, target};
use crate::SLOT_MS;
use crate::time_meters::{SlotTime, TimeMeter, probe_usage};

fn acme() -> ClientName {
    ClientName::new("acme").unwrap()
}

fn shown(spent: Vec<SlotTime>) -> Vec<(i64, String, i128)> {
    let one = |(subject, slot_ms, quantity): SlotTime| {
        (slot_ms / SLOT_MS, subject.target.map_or_else(String::new, |target| target.to_string()), quantity)
    };
    spent.into_iter().map(one).collect()
}

fn some(slot: i64, target: &str, quantity: i128) -> (i64, String, i128) {
    (slot, target.to_owned(), quantity)
}

#[test]
fn a_route_holds_until_the_next_one() {
    let mut routed = TimeMeter::routed_time();
    let (shop, origin, edge) = (site("shop"), target("origin"), target("edge"));
    assert_eq!(shown(routed.set(&shop, &acme(), Some(&origin), 1, 100_000)), []);
    assert_eq!(shown(routed.advance(160_000)), [some(0, "origin", 60_000)]);
    let changed = routed.set(&shop, &acme(), Some(&edge), 1, 700_000);
    assert_eq!(
        shown(changed),
        [some(0, "origin", 140_000), some(1, "origin", 300_000), some(2, "origin", 100_000)]
    );
    assert_eq!(shown(routed.end(&shop, 700_001)), [some(2, "edge", 1)]);
    assert_eq!(shown(routed.end(&shop, 800_000)), []);
    assert_eq!(shown(routed.advance(800_000)), []);
}

#[test]
fn a_reset_of_the_clock_leaves_out_what_is_between() {
    let mut routed = TimeMeter::routed_time();
    let (shop, origin) = (site("shop"), target("origin"));
    routed.set(&shop, &acme(), Some(&origin), 1, 0);
    assert_eq!(shown(routed.reset(1_000, 600_000)), [some(0, "origin", 1_000)]);
    assert_eq!(shown(routed.advance(600_010)), [some(2, "origin", 10)]);
    assert_eq!(shown(routed.reset(600_020, 10)), [some(2, "origin", 10)]);
    assert_eq!(shown(routed.advance(30)), [some(0, "origin", 20)]);
}

#[test]
fn host_names_are_counted_by_their_number() {
    let mut hosts = TimeMeter::active_hosts();
    hosts.set(&site("shop"), &acme(), None, 3, 0);
    hosts.set(&site("blog"), &acme(), None, 1, 0);
    let mut spent = shown(hosts.set(&site("shop"), &acme(), None, 4, 1_000));
    spent.extend(shown(hosts.advance(2_000)));
    assert_eq!(spent, [some(0, "", 3_000), some(0, "", 2_000), some(0, "", 4_000)]);
}

#[test]
fn a_probe_causes_bytes_and_a_request_once_it_could_ask() {
    let usage = |outcome, phases: Phases, bytes, is_tls| {
        let measurement = Measurement {
            series: 0,
            at_us: TimeMicros(0),
            tried: Tried::ResponseTime,
            outcome,
            response_time_us: None,
            throughput_bps: None,
            bytes,
            phases: Some(phases),
            error: None,
        };
        probe_usage(&measurement, is_tls)
    };
    let (none, some) = (Phases::default(), Some(Micros(5)));
    let connected = Phases { connect_us: some, ..none };
    assert_eq!(usage(Outcome::Ok, none, Some(70), false), (70, 1));
    assert_eq!(usage(Outcome::Failed, Phases { resolve_us: some, ..none }, None, false), (0, 0));
    assert_eq!(usage(Outcome::Failed, connected, None, false), (0, 1));
    assert_eq!(usage(Outcome::Failed, connected, None, true), (0, 0));
    assert_eq!(usage(Outcome::Failed, Phases { tls_us: some, ..connected }, None, true), (0, 1));
    assert_eq!(usage(Outcome::CutOff, Phases { first_byte_us: some, ..none }, Some(9), false), (9, 1));
    assert_eq!(usage(Outcome::Refused, none, None, false), (0, 0));
}
