//! Counters that fall, stand still, begin and are forgotten.

use std::collections::BTreeMap;

use proptest::prelude::*;
use spillway_events::SourceName;

use crate::counters::{Counters, Rejection, Report, Taken};

const SECOND_US: i64 = 1_000_000;
const SLOT_US: i64 = 300 * SECOND_US;
const DAY_US: i64 = 86_400 * SECOND_US;
/// The time of the tests, a multiple of a slot.
const NOW: i64 = 20_000 * DAY_US;

/// A report of the counter `bytes` in batch 1 of boot 1, `secs` after the time of the tests.
fn report(secs: i64, total: u64) -> Report {
    Report {
        source: SourceName::new("edge-one").unwrap(),
        boot: 1,
        sequence: 1,
        place: 0,
        property: String::from("p"),
        node: String::new(),
        at_us: NOW + secs * SECOND_US,
        started_at_us: None,
        names_all: false,
        totals: vec![(String::from("bytes"), total)],
    }
}

/// What slots get, by their number after the time of the tests.
fn shares(taken: &Taken) -> Vec<(i64, u64)> {
    taken.shares.iter().map(|share| ((share.slot_ms - NOW / 1_000) / 300_000, share.quantity)).collect()
}

/// Takes each report in a tick of its own, at its event time.
fn take(counters: &mut Counters, reports: &[Report]) -> Vec<(i64, u64)> {
    reports.iter().flat_map(|report| shares(&counters.take(report.at_us, vec![report.clone()]))).collect()
}

fn of(reports: &[Report]) -> Vec<(i64, u64)> {
    take(&mut Counters::default(), reports)
}

#[test]
fn an_increment_is_spread_evenly_and_the_last_slot_has_the_rest() {
    assert_eq!(of(&[report(0, 70)]), []);
    assert_eq!(of(&[report(0, 70), report(300, 80)]), [(0, 10)]);
    // 100 s, 300 s and 200 s of 600 s: of 11 these are 1.83, 5.5 and 3.67.
    assert_eq!(of(&[report(200, 0), report(800, 11)]), [(0, 1), (1, 5), (2, 5)]);
    // Nothing was counted, and every slot is touched.
    assert_eq!(of(&[report(0, 7), report(301, 7)]), [(0, 0), (1, 0)]);
    assert_eq!(of(&[report(0, 0), report(600, u64::MAX)]), [(0, u64::MAX / 2), (1, u64::MAX / 2 + 1)]);
    // By microseconds: 1 µs of the first slot, of 3 µs.
    let at = |micros, total| Report { at_us: NOW + SLOT_US + micros, ..report(0, total) };
    assert_eq!(of(&[at(-1, 0), at(2, 100)]), [(0, 33), (1, 67)]);
}

#[test]
fn an_earlier_report_says_nothing() {
    let mut counters = Counters::default();
    let at = NOW + 700 * SECOND_US;
    assert_eq!(take(&mut counters, &[report(0, 0), report(600, 60)]), [(0, 30), (1, 30)]);
    for late in [report(600, 99), report(300, 10)] {
        assert_eq!(counters.take(at, vec![late]), Taken::default());
    }
    // In one tick they are taken in the order of their times.
    let mut counters = Counters::default();
    let taken = counters.take(at, vec![report(600, 60), report(0, 0), report(300, 40)]);
    assert_eq!(shares(&taken), [(0, 40), (1, 20)]);
}

#[test]
fn a_total_that_falls_is_rejected_and_changes_nothing() {
    let mut counters = Counters::default();
    let mut two = report(0, 50);
    two.totals.push((String::from("requests"), 5));
    counters.take(NOW, vec![two.clone()]);
    let before = counters.clone();
    two.at_us = NOW + SLOT_US;
    two.totals = vec![(String::from("bytes"), 80), (String::from("requests"), 4)];
    let taken = counters.take(NOW + SLOT_US, vec![two.clone()]);
    let fall = Rejection::Fall { counter: String::from("requests"), from: 5, to: 4 };
    assert_eq!(taken, Taken { shares: Vec::new(), rejected: vec![(two, fall)] });
    assert_eq!(counters, before);
    assert_eq!(take(&mut counters, &[report(600, 80)]), [(0, 15), (1, 15)]);
}

#[test]
fn a_new_boot_counts_from_its_start_if_that_is_known_to_be_after_the_last_report() {
    let boot = |secs, total, started: Option<i64>| Report {
        boot: 2,
        started_at_us: started.map(|secs| NOW + secs * SECOND_US),
        ..report(secs, total)
    };
    let begin = [report(0, 0), report(300, 30)];
    let after = |reports: &[Report]| of(&[&begin, reports].concat())[1..].to_vec();
    assert_eq!(after(&[boot(600, 20, Some(400))]), [(1, 20)]);
    assert_eq!(after(&[boot(600, 20, Some(300))]), [(1, 20)]);
    assert_eq!(after(&[boot(600, 20, Some(299))]), []);
    assert_eq!(after(&[boot(650, 20, Some(650))]), []);
    assert_eq!(after(&[boot(600, 20, None)]), []);
    // A late report of the old boot is not the last one.
    assert_eq!(after(&[report(100, 9), boot(600, 20, Some(200))]), []);
    // The next one goes on from there.
    assert_eq!(after(&[boot(600, 20, None), boot(900, 25, Some(400))]), [(2, 5)]);
    // A source that was never heard of, too, unless its boot is older than what is remembered.
    assert_eq!(of(&[boot(0, 20, Some(-300))]), [(-1, 20)]);
    assert_eq!(of(&[boot(0, 20, Some(-30 * 86_400))]).iter().map(|(_, quantity)| quantity).sum::<u64>(), 20);
    assert_eq!(of(&[boot(0, 20, Some(-30 * 86_400 - 1))]), []);
}

#[test]
fn only_counters_of_the_first_batch_count_from_the_start() {
    let of_property = |property: &str, sequence, secs, total| Report {
        property: property.to_owned(),
        sequence,
        started_at_us: Some(NOW - 100 * SECOND_US),
        ..report(secs, total)
    };
    // Both are of the first batch, though one is later than the other.
    let first = [of_property("p", 1, 0, 5), of_property("q", 1, 10, 7)];
    assert_eq!(of(&first), [(-1, 5), (-1, 6), (0, 1)]);
    assert_eq!(of(&[of_property("p", 1, 0, 5), of_property("q", 2, 10, 7)]), [(-1, 5)]);
}

#[test]
fn an_edge_node_names_all_that_it_counts() {
    let named = |sequence, secs, totals: &[(&str, u64)]| Report {
        names_all: true,
        sequence,
        totals: totals.iter().map(|(name, total)| ((*name).to_owned(), *total)).collect(),
        ..report(secs, 0)
    };
    let mut counters = Counters::default();
    assert_eq!(take(&mut counters, &[named(1, 0, &[("a", 5)])]), []);
    // Late: it is left to the next one.
    assert_eq!(counters.take(NOW, vec![named(2, 0, &[("c", 1)])]), Taken::default());
    assert_eq!(
        take(&mut counters, &[named(3, 300, &[("a", 6), ("b", 9), ("c", 3)])]),
        [(0, 1), (0, 9), (0, 3)]
    );
    // Without that promise a counter that is named first is a baseline.
    let other = Report { names_all: false, ..named(4, 600, &[("d", 8)]) };
    assert_eq!(take(&mut counters, &[other]), []);
}

#[test]
fn times_too_far_away_are_rejected() {
    let judged = |offset_us: i64| {
        let mut counters = Counters::default();
        let taken = counters.take(NOW, vec![Report { at_us: NOW + offset_us, ..report(0, 5) }]);
        assert_eq!(taken.rejected.is_empty(), counters != Counters::default());
        taken.rejected.first().map(|(_, rejection)| rejection.clone())
    };
    assert_eq!([0, SLOT_US, -30 * DAY_US].map(judged), [None, None, None]);
    assert_eq!(judged(SLOT_US + 1), Some(Rejection::Ahead));
    assert_eq!(judged(i64::MAX - NOW), Some(Rejection::Ahead));
    assert_eq!(judged(-30 * DAY_US - 1), Some(Rejection::Old));
    assert_eq!(judged(i64::MIN), Some(Rejection::Old));
    // What is ahead counts as now.
    let mut counters = Counters::default();
    counters.take(NOW, vec![report(0, 0)]);
    let taken = counters.take(NOW + SLOT_US, vec![report(450, 10)]);
    assert_eq!(shares(&taken), [(0, 10)]);
}

/// A counter that only late reports keep known: its interval begins 60 days before the tick, and not one more.
#[test]
fn late_reports_keep_a_counter_known() {
    let total = |days: i64| {
        let mut counters = Counters::default();
        counters.take(NOW, vec![report(0, 1)]);
        let late = Report { at_us: NOW - DAY_US, ..report(0, 0) };
        assert_eq!(counters.take(NOW + 29 * DAY_US, vec![late]), Taken::default());
        let tick = NOW + days * DAY_US;
        shares(&counters.take(tick, vec![Report { at_us: tick, ..report(0, 9) }]))
            .iter()
            .map(|(_, of)| of)
            .sum::<u64>()
    };
    assert_eq!([29, 59, 60].map(total), [8, 8, 0]);
}

#[test]
fn what_is_silent_for_30_days_is_forgotten() {
    let later = |days: i64, extra_us: i64| {
        let mut counters = Counters::default();
        counters.take(NOW, vec![report(0, 5)]);
        let tick = NOW + days * DAY_US + extra_us;
        let mut swept = counters.clone();
        swept.forget(tick);
        let next = Report { at_us: tick, ..report(0, 9) };
        let taken = counters.take(tick, vec![next.clone()]);
        assert_eq!(swept.take(tick, vec![next]), taken);
        shares(&taken).iter().map(|(_, quantity)| quantity).sum::<u64>()
    };
    assert_eq!((later(30, 0), later(30, 1)), (4, 0));
}

/// A history of a source: the seconds to each report, and how much is counted until then; sometimes the counters start again.
fn history() -> impl Strategy<Value = Vec<Report>> {
    prop::collection::vec((1_i64..900, 0_u64..1_000, prop::bool::weighted(0.1)), 1..40).prop_map(|steps| {
        let (mut secs, mut total, mut boot, mut started) = (0, 0, 1, -10);
        let mut reports = Vec::new();
        for (sequence, (wait, count, restarts)) in (1..).zip(steps) {
            if restarts {
                (boot, total, started) = (boot + 1, 0, secs);
            }
            secs += wait;
            total += count;
            let started_at_us = Some(NOW + started * SECOND_US);
            reports.push(Report { boot, sequence, started_at_us, ..report(secs, total) });
        }
        reports
    })
}

fn sums(taken: &[Taken]) -> BTreeMap<i64, u64> {
    let mut sums = BTreeMap::new();
    for (slot, quantity) in taken.iter().flat_map(shares) {
        *sums.entry(slot).or_default() += quantity;
    }
    sums
}

proptest! {
    /// Nothing is lost and nothing is counted twice, through restarts of the counters.
    #[test]
    fn what_is_counted_is_what_was_counted(reports in history()) {
        let mut counters = Counters::default();
        let taken: Vec<_> = reports.iter().map(|report| counters.take(report.at_us, vec![report.clone()])).collect();
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        reports.iter().for_each(|report| _ = last.insert(report.boot, report.totals[0].1));
        prop_assert_eq!(sums(&taken).values().sum::<u64>(), last.values().sum::<u64>());
        prop_assert!(taken.iter().all(|taken| taken.rejected.is_empty()));
    }

    /// However reports are gathered into ticks, in whatever order within a tick, and whichever are repeated.
    #[test]
    fn order_and_repeats_within_a_tick_change_nothing(
        reports in history(), cuts in prop::collection::vec(any::<bool>(), 40), turn in any::<prop::sample::Index>(),
    ) {
        let mut one = Counters::default();
        let expected: Vec<_> = reports.iter().map(|report| one.take(report.at_us, vec![report.clone()])).collect();
        let mut other = Counters::default();
        let (mut taken, mut gathered) = (Vec::new(), Vec::new());
        for (report, cut) in reports.iter().zip(cuts) {
            gathered.push(report.clone());
            if cut || report == reports.last().unwrap() {
                let again = gathered.clone();
                gathered.extend(again);
                let at = turn.index(gathered.len());
                gathered.rotate_left(at);
                taken.push(other.take(report.at_us, std::mem::take(&mut gathered)));
            }
        }
        prop_assert_eq!(sums(&taken), sums(&expected));
    }
}
