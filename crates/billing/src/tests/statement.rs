//! Digests, corrections and seals.

use proptest::prelude::*;
use spillway_events::{LineClass, LineId, LineKind, Sha256, StatementLine, encode};

use super::rating_properties::{case, increments};
use super::{Case, bytes, card, item, shown};
use crate::statement::{
    Digest, Printed, SealAsked, SealComputed, SealRefusal, StatementError, check_seal, corrections, digest,
};
use crate::{RatedLine, SLOT_MS, Span};

fn lines(case: &Case) -> Vec<StatementLine> {
    case.rate().into_iter().map(|RatedLine { line, .. }| line).collect()
}

fn sums(lines: &[StatementLine]) -> std::collections::BTreeMap<LineId, (i64, i64)> {
    let mut sums = std::collections::BTreeMap::new();
    for line in lines {
        let sum: &mut (i64, i64) = sums.entry(line.id).or_default();
        (sum.0, sum.1) = (sum.0 + line.quantity, sum.1 + line.amount_minor);
    }
    sums.retain(|_, sum| *sum != (0, 0));
    sums
}

fn by_slots(slots: i64) -> Case {
    use spillway_events::{Meter, RateBy, RateItem, RateModel, UnitPrice};
    let model = RateModel::UnitPrice(UnitPrice { unit_size: Some(3), price: "0.01".parse().unwrap() });
    let one = RateItem { by: RateBy::Target, ..item("t", Some(Meter::Bytes), model) };
    let increments =
        (0..slots).map(|slot| bytes("a", if slot % 2 == 0 { "x" } else { "y" }, slot, 1)).collect();
    Case::new(card(vec![one]), increments)
}

#[test]
fn the_digest_is_of_the_lines_in_the_order_of_their_ids() {
    let mut all = lines(&by_slots(10));
    let [one, other] = &all[..] else { panic!("two lines") };
    let expected = Sha256::of(&[encode(one).unwrap(), encode(other).unwrap()].concat());
    assert_eq!(digest(&all), Ok(Digest { lines_sha256: expected, lines: 2, total_minor: 4 }));
    all.reverse();
    assert_eq!(digest(&all).unwrap().lines_sha256, expected);
    all[0].amount_minor = i64::MAX;
    assert_eq!(digest(&all), Err(StatementError::TooGreat));
}

#[test]
fn a_correction_is_a_reversal_a_new_line_or_a_difference() {
    let before = by_slots(9);
    let mut after = before.clone();
    after.increments.retain(|increment| increment.target.as_ref().unwrap().as_str() == "x");
    after.increments.extend([bytes("a", "z", 3, 5), bytes("a", "x", 3, 2)]);
    let changes = corrections(&lines(&before), &lines(&after)).unwrap();
    let mut texts: Vec<_> = changes
        .iter()
        .map(|line| format!("{} {} {}", line.target.as_ref().unwrap(), line.quantity, line.amount_minor))
        .collect();
    texts.sort();
    // x was 5 (1.67: 2) and is 7 (2.33: 2); y was 4 (1.33: 1).
    assert_eq!(texts, ["x 2 0", "y -4 -1", "z 5 2"]);
    assert!(changes.iter().all(|line| line.class == LineClass::Correction));
    assert!(changes.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert_eq!(corrections(&lines(&before), &lines(&before)), Ok(Vec::new()));
    let (mut one, mut other) = (lines(&before), lines(&before));
    (one[0].amount_minor, other[0].amount_minor) = (i64::MIN, 1);
    assert_eq!(corrections(&one, &other), Err(StatementError::TooGreat));
}

/// A period is corrected on the statements of two later ones, of which one is voided.
#[test]
fn what_was_printed_is_never_printed_again_unless_it_is_voided() {
    let month = |index: i64| Span { begin_ms: 10 * index * SLOT_MS, end_ms: 10 * (index + 1) * SLOT_MS };
    let of = |index: i64, slots: i64| {
        let mut case = by_slots(slots);
        (case.period, case.part) = (month(index), month(index));
        case.increments.iter_mut().for_each(|increment| increment.slot_ms += month(index).begin_ms);
        lines(&case)
    };
    let next = |printed: &Printed, index: i64, first: i64| {
        let rated = |index| of(index, if index == 0 { first } else { 10 });
        printed
            .next_lines::<StatementError>(month(index), rated(index), |period| {
                Ok(if period == month(0) { of(0, first) } else { of(1, 10) })
            })
            .unwrap()
    };
    let of_first = |lines: &[StatementLine]| {
        lines.iter().filter(|line| line.begin_ms == 0).map(|line| line.quantity).sum::<i64>()
    };
    let mut printed = Printed::default();
    printed.seal("s0", month(0), next(&printed, 0, 6));
    let second = next(&printed, 1, 8);
    assert_eq!(of_first(&second), 2);
    printed.seal("s1", month(1), second);
    assert_eq!(printed.periods_before(month(2)), [month(0), month(1)]);
    assert_eq!(printed.periods_before(month(0)), []);
    assert_eq!(of_first(&next(&printed, 2, 8)), 0);
    assert_eq!(of_first(&next(&printed, 2, 9)), 1);
    printed.void("s1");
    assert_eq!(of_first(&next(&printed, 1, 9)), 3);
    assert_eq!(printed.lines_of(month(0)).map(|line| line.quantity).sum::<i64>(), 6);
}

#[test]
fn only_what_was_seen_and_is_settled_is_sealed() {
    let digest = digest(&lines(&by_slots(10))).unwrap();
    let head = Sha256::of(b"head");
    let asked = SealAsked { cut: 8, head, lines_sha256: digest.lines_sha256 };
    let computed = SealComputed { tick: 9, closed_at: Some(8), head: Some(head), digest, blocked_by: &[] };
    assert_eq!(check_seal(&asked, &computed), Ok(()));
    let refused =
        |asked: &SealAsked, computed: &SealComputed<'_>| check_seal(asked, computed).unwrap_err().to_string();
    assert_eq!(
        check_seal(&asked, &SealComputed { closed_at: None, ..computed.clone() }),
        Err(SealRefusal::Open)
    );
    assert!(
        refused(&asked, &SealComputed { closed_at: Some(9), ..computed.clone() })
            .contains("is before tick 9")
    );
    assert!(refused(&asked, &SealComputed { tick: 8, ..computed.clone() }).contains("is not before tick 8"));
    assert!(refused(&asked, &SealComputed { head: None, ..computed.clone() }).contains("head of the chain"));
    let other = SealAsked { lines_sha256: head, ..asked.clone() };
    assert!(refused(&other, &computed).contains("digest of the lines"));
    let blocks = [String::from("unmapped bytes of edge-one"), String::from("a fault")];
    assert_eq!(
        refused(&asked, &SealComputed { blocked_by: &blocks, ..computed }),
        "unmapped bytes of edge-one; a fault"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// What a first statement and the corrections after it print together is what a later statement would have printed, line by line
    /// and to the cent, with every model, bound, commitment, cap and tax; whatever was corrected in between.
    #[test]
    fn a_statement_with_its_corrections_is_the_later_statement(
        first in case(), more in prop::collection::vec(increments(30), 1..4),
    ) {
        let mut printed = lines(&first);
        let mut later = first;
        for more in more {
            later.increments.extend(more);
            let now = lines(&later);
            let changes = corrections(&printed, &now).unwrap();
            printed.extend(changes);
            prop_assert_eq!(sums(&printed), sums(&now));
            prop_assert_eq!(corrections(&printed, &now), Ok(Vec::new()));
            let total = |lines: &[StatementLine]| lines.iter().map(|line| line.amount_minor).sum::<i64>();
            prop_assert_eq!(total(&printed), total(&now));
        }
    }
}

#[test]
fn lines_of_the_own_period_are_not_corrections() {
    let rated = by_slots(4).rate();
    assert!(
        rated.iter().all(|line| line.line.class == LineClass::Regular && line.line.kind == LineKind::Unit)
    );
    assert_eq!(rated.iter().map(shown).count(), 2);
}
