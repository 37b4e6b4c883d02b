//! What is emitted of slots, and when.

use spillway_events::{BillingItem, CdnName, ClientName, Meter, NetworkName};

use super::{site, target};
use crate::counters::{Counters, Report};
use crate::slots::{Property, Slots, Subject};
use crate::{Minutes, Outcome, SLOT_MS};

const MINUTE_MS: i64 = 60_000;

fn acme() -> ClientName {
    ClientName::new("acme").unwrap()
}

fn subject(meter: Meter) -> Subject {
    Subject { client: acme(), meter, site: site("shop"), target: Some(target("edge")) }
}

fn property() -> Property {
    Property { cdn: CdnName::new("edge").unwrap(), property: String::from("p1") }
}

fn shown(items: &[BillingItem]) -> Vec<String> {
    items
        .iter()
        .map(|item| match item {
            BillingItem::Increment(of) => {
                format!(
                    "{} {}: {} v{:?}",
                    of.slot_ms / SLOT_MS,
                    of.meter.as_str(),
                    of.quantity,
                    of.agreement_version
                )
            }
            BillingItem::UnmappedIncrement(of) => {
                format!("{} {} of {}: {}", of.slot_ms / SLOT_MS, of.meter.as_str(), of.property, of.quantity)
            }
            BillingItem::ServiceLevel(of) => format!(
                "{} {}: {} {} {} {} {} {}",
                of.slot_ms / SLOT_MS,
                of.network,
                of.met,
                of.missed,
                of.unknown,
                of.excluded_pinned,
                of.excluded_drained,
                of.excluded_maintenance
            ),
            BillingItem::BillingFault(of) => format!("{} {}", of.from_ms / SLOT_MS, of.why),
            _ => String::from("another"),
        })
        .collect()
}

/// What a tick at a time emits, under version 2 of an agreement from slot 1 on.
fn emit(slots: &mut Slots, tick_ms: i64) -> Vec<String> {
    let agreement = |slot_ms| (slot_ms >= SLOT_MS).then(|| (String::from("acme-1"), 2));
    shown(&slots.emit(7, tick_ms, |_, _, slot_ms| agreement(slot_ms)))
}

#[test]
fn a_slot_is_emitted_ten_minutes_after_its_end() {
    let mut slots = Slots::default();
    slots.add(subject(Meter::Bytes), 0, 5);
    slots.add(subject(Meter::Requests), SLOT_MS, 2);
    assert_eq!(emit(&mut slots, 15 * MINUTE_MS - 1), Vec::<String>::new());
    slots.add(subject(Meter::Bytes), 0, 6);
    assert_eq!(emit(&mut slots, 15 * MINUTE_MS), ["0 bytes: 11 vNone"]);
    // Within the minute nothing is emitted again, not even what is late.
    slots.add(subject(Meter::Bytes), 0, -4);
    assert_eq!(emit(&mut slots, 16 * MINUTE_MS - 1), Vec::<String>::new());
    assert_eq!(emit(&mut slots, 16 * MINUTE_MS), ["0 bytes: -4 vNone"]);
    assert_eq!(emit(&mut slots, 90 * MINUTE_MS), ["1 requests: 2 vSome(2)"]);
    assert_eq!(emit(&mut slots, 95 * MINUTE_MS), Vec::<String>::new());
}

#[test]
fn a_clock_that_is_set_back_emits_nothing_again() {
    let mut slots = Slots::default();
    assert_eq!(emit(&mut slots, 30 * MINUTE_MS), Vec::<String>::new());
    slots.add(subject(Meter::Bytes), 0, 5);
    assert_eq!(emit(&mut slots, 20 * MINUTE_MS), Vec::<String>::new());
    assert_eq!(emit(&mut slots, 31 * MINUTE_MS - 1), Vec::<String>::new());
    assert_eq!(emit(&mut slots, 31 * MINUTE_MS), ["0 bytes: 5 vNone"]);
}

#[test]
fn bytes_are_emitted_also_as_0_the_first_time() {
    let mut slots = Slots::default();
    let mut minute = 60;
    let mut next = |slots: &mut Slots| {
        minute += 1;
        emit(slots, minute * MINUTE_MS)
    };
    for meter in [Meter::Bytes, Meter::Requests] {
        slots.add(subject(meter), 0, 0);
    }
    assert_eq!(next(&mut slots), ["0 bytes: 0 vNone"]);
    slots.add(subject(Meter::Bytes), 0, 0);
    assert_eq!(next(&mut slots), Vec::<String>::new());
    // Its slots may come in any order, and those of one run more than once.
    for (slot, is_first) in
        [(3, true), (1, true), (2, true), (3, false), (1, false), (2, false), (0, false), (4, true)]
    {
        slots.add(subject(Meter::Bytes), slot * SLOT_MS, 0);
        assert_eq!(next(&mut slots).len(), usize::from(is_first), "{slot}");
    }
    slots.add(subject(Meter::Bytes), 2 * SLOT_MS, 9);
    assert_eq!(next(&mut slots), ["2 bytes: 9 vSome(2)"]);
    // Another subject has reports of its own.
    slots.add(Subject { target: Some(target("other")), ..subject(Meter::Bytes) }, 0, 0);
    assert_eq!(next(&mut slots), ["0 bytes: 0 vNone"]);
    // What is forgotten is emitted anew: here the first slot of the other subject, whose only run ends by then.
    slots.forget_reports_before(SLOT_MS);
    for (to, is_first) in [("edge", false), ("other", true)] {
        slots.add(Subject { target: Some(target(to)), ..subject(Meter::Bytes) }, 0, 0);
        assert_eq!(next(&mut slots).len(), usize::from(is_first), "{to}");
    }
}

#[test]
fn what_is_unmapped_is_held_until_it_is_mapped() {
    let mut slots = Slots::default();
    slots.hold(&property(), Meter::Bytes, 0, 5);
    slots.hold(&property(), Meter::Requests, 0, 1);
    slots.hold(&property(), Meter::Bytes, SLOT_MS, 0);
    assert_eq!(
        emit(&mut slots, 20 * MINUTE_MS),
        ["0 unmapped_bytes of p1: 5", "0 unmapped_requests of p1: 1"]
    );
    slots.hold(&property(), Meter::Bytes, 0, 2);
    assert_eq!(slots.held_between(0, SLOT_MS).values().copied().collect::<Vec<_>>(), [7, 1]);
    assert_eq!(slots.held_between(SLOT_MS, 2 * SLOT_MS).len(), 0);
    assert_eq!(slots.holding().len(), 1);
    slots.map(&property(), &acme(), &site("shop"), &target("edge"));
    assert_eq!(slots.holding().len(), 0);
    // What was not emitted yet is not taken back; a slot that was only touched has a report.
    let mut lines = emit(&mut slots, 21 * MINUTE_MS);
    lines.sort();
    let expected = [
        "0 bytes: 7 vNone",
        "0 requests: 1 vNone",
        "0 unmapped_bytes of p1: -5",
        "0 unmapped_requests of p1: -1",
        "1 bytes: 0 vSome(2)",
    ];
    assert_eq!(lines, expected);
    // Mapped again, nothing moves.
    slots.map(&property(), &acme(), &site("other"), &target("edge"));
    assert_eq!(emit(&mut slots, 22 * MINUTE_MS), Vec::<String>::new());
}

#[test]
fn minutes_are_emitted_with_their_slot() {
    let mut slots = Slots::default();
    let network = NetworkName::new("as1").unwrap();
    let outcomes = [
        Outcome::Met,
        Outcome::Met,
        Outcome::Missed,
        Outcome::Pinned,
        Outcome::Drained,
        Outcome::Maintenance,
        Outcome::Unknown,
    ];
    for (minute, outcome) in (0..).zip(outcomes) {
        slots.add_minute(&acme(), &site("shop"), &network, minute * MINUTE_MS, outcome);
    }
    let of_minutes = slots.clone().emit(7, 15 * MINUTE_MS, |_, _, _| None);
    let [BillingItem::ServiceLevel(record)] = &of_minutes[..] else { panic!("one record") };
    assert_eq!(Minutes::from(record), Minutes { met: 2, missed: 1, unknown: 0, excluded: 2 });
    assert_eq!(emit(&mut slots, 15 * MINUTE_MS), ["0 as1: 2 1 0 1 1 0"]);
    assert_eq!(emit(&mut slots, 20 * MINUTE_MS), ["1 as1: 0 0 1 0 0 1"]);
}

#[test]
fn what_a_record_cannot_hold_is_a_fault() {
    let mut slots = Slots::default();
    slots.add(subject(Meter::Requests), 0, i128::from(i64::MAX) + 1);
    slots.hold(&property(), Meter::Bytes, 0, i128::from(i64::MIN) - 1);
    let lines = emit(&mut slots, 15 * MINUTE_MS);
    assert_eq!(lines[0], "0 requests of site shop: 9223372036854775808 is beyond what a record can hold");
    assert_eq!(lines[1..], ["0 unmapped_bytes of p1: -9223372036854775807", "0 unmapped_bytes of p1: -2"]);
}

/// From the first report to the increments: a gap of an hour in the reports touches every slot of it.
#[test]
fn a_counter_becomes_increments() {
    let mut counters = Counters::default();
    let mut slots = Slots::default();
    let report = |secs: i64, total| Report {
        source: spillway_events::SourceName::new("edge").unwrap(),
        boot: 1,
        sequence: 1,
        place: 0,
        property: String::from("p1"),
        node: String::new(),
        at_us: secs * 1_000_000,
        started_at_us: None,
        names_all: false,
        totals: vec![(String::from("bytes"), total)],
    };
    for (secs, total) in [(0, 10), (3_600, 22)] {
        for share in counters.take(secs * 1_000_000, vec![report(secs, total)]).shares {
            slots.add(subject(Meter::Bytes), share.slot_ms, share.quantity.into());
        }
    }
    assert_eq!(emit(&mut slots, 7_200_000).len(), 12);
}
