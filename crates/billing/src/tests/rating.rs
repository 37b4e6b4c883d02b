//! Hand-computed statements.

use spillway_events::{
    FlatPrice, GraduatedPrice, GraduatedTier, Meter, P95Price, PackagePrice, RateBy, RateCommitment,
    RateItem, RateModel, UnitPrice, VolumePrice, VolumeTier,
};

use super::{Case, amount, bytes, card, code, increment, item, name, site, target};
use crate::{
    CreditCap, CreditStep, CreditTerms, Derivation, Minutes, MissingSlots, RatingError, SLOT_MS, Span,
    TaxRate, Terms,
};

fn unit(price: &str, unit_size: u64) -> RateModel {
    RateModel::UnitPrice(UnitPrice { unit_size: Some(unit_size), price: amount(price) })
}

fn flat(price: &str) -> RateModel {
    RateModel::FlatPrice(FlatPrice { price: amount(price) })
}

fn graduated(tiers: &[(u64, &str)]) -> RateModel {
    let tiers =
        tiers.iter().map(|(from, price)| GraduatedTier { from: *from, price: amount(price) }).collect();
    RateModel::GraduatedPrice(GraduatedPrice { unit_size: Some(1), tiers })
}

fn volume(tiers: &[(u64, &str)]) -> RateModel {
    let tiers = tiers.iter().map(|(from, price)| VolumeTier { from: *from, price: amount(price) }).collect();
    RateModel::VolumePrice(VolumePrice { unit_size: Some(1), tiers })
}

fn p95(commitment_bps: u64, price: &str, overage_price: &str) -> RateItem {
    let (price, overage_price) = (amount(price), amount(overage_price));
    let model = RateModel::P95Price(P95Price { unit_size: 1, commitment_bps, price, overage_price });
    item("egress", Some(Meter::EgressP95), model)
}

/// A card of one item, and one increment of its meter.
fn of(one: RateItem, quantity: i64) -> Case {
    let meter = one.meter.unwrap_or(Meter::Bytes);
    Case::new(card(vec![one]), vec![increment(meter, "shop", "edge", 0, quantity)])
}

#[track_caller]
fn check(case: &Case, expected: &[&str]) {
    assert_eq!(case.shown(), expected);
}

/// 12.345 of the major unit is 12 JPY, 12.35 USD and 12.345 KWD, which have 0, 2 and 3 decimal places (ISO 4217): half away from
/// zero, once.
#[test]
fn an_amount_is_rounded_to_the_minor_unit_of_its_currency() {
    for (exponent, minor) in [(0, 12), (2, 1_235), (3, 12_345)] {
        let mut case = of(item("a", Some(Meter::Requests), unit("12.345", 1_000)), 1_000);
        case.terms.currency_exponent = exponent;
        check(&case, &[&format!("a unit 1000 = {minor}")]);
    }
    // 0.5 minor units are 1, a trillionth less is 0.
    for (price, minor) in [("0.005", "1"), ("0.004999999999", "0"), ("0.015", "2"), ("0.025", "3")] {
        check(&of(item("a", Some(Meter::Requests), unit(price, 1)), 1), &[&format!("a unit 1 = {minor}")]);
    }
}

#[test]
fn the_quantity_is_summed_over_the_dimensions_that_are_not_kept() {
    let increments = vec![
        bytes("a", "x", 0, 1),
        bytes("a", "y", 0, 20),
        bytes("b", "x", 1, 300),
        bytes("b", "x", 2, 4_000),
        // The slot begins in the next period.
        bytes("b", "x", 10, 50_000),
        bytes("b", "x", -1, 50_000),
    ];
    let case = |by, sites: &[&str], targets: &[&str]| {
        let (sites, targets) =
            (sites.iter().map(|of| site(of)).collect(), targets.iter().map(|of| target(of)).collect());
        Case::new(
            card(vec![RateItem { by, sites, targets, ..item("t", Some(Meter::Bytes), unit("0.01", 1)) }]),
            increments.clone(),
        )
    };
    check(&case(RateBy::None, &[], &[]), &["t unit 4321 = 4321"]);
    check(&case(RateBy::Site, &[], &[]), &["t a unit 21 = 21", "t b unit 4300 = 4300"]);
    check(&case(RateBy::Target, &[], &[]), &["t x unit 4301 = 4301", "t y unit 20 = 20"]);
    check(
        &case(RateBy::Both, &[], &[]),
        &["t a x unit 1 = 1", "t a y unit 20 = 20", "t b x unit 4300 = 4300"],
    );
    check(&case(RateBy::None, &["a"], &["x"]), &["t unit 1 = 1"]);
    check(&case(RateBy::Both, &["b", "c"], &["x", "z"]), &["t b x unit 4300 = 4300"]);
}

#[test]
fn the_unit_can_be_the_period() {
    let model = RateModel::UnitPrice(UnitPrice { unit_size: None, price: amount("2.50") });
    // Three hosts for the whole period of 3,000,000 ms, and one for half of it.
    check(&of(item("hosts", Some(Meter::ActiveHosts), model), 10_500_000), &["hosts unit 10500000 = 875"]);
}

#[test]
fn tiers_are_half_open() {
    let tiers = [(0, "0.05"), (100, "0.03"), (200, "0.01")];
    let of_both = |quantity| {
        let one = of(item("g", Some(Meter::Requests), graduated(&tiers)), quantity).shown();
        let other = of(item("v", Some(Meter::Requests), volume(&tiers)), quantity).shown();
        [one, other].concat()
    };
    assert_eq!(of_both(0), Vec::<String>::new());
    assert_eq!(of_both(99), ["g graduated [0] 99 = 495", "v volume [0] 99 = 495"]);
    assert_eq!(of_both(100), ["g graduated [0] 100 = 500", "v volume [100] 100 = 300"]);
    assert_eq!(
        of_both(101),
        ["g graduated [0] 100 = 500", "g graduated [100] 1 = 3", "v volume [100] 101 = 303"]
    );
    assert_eq!(
        of_both(250),
        [
            "g graduated [0] 100 = 500",
            "g graduated [100] 100 = 300",
            "g graduated [200] 50 = 50",
            "v volume [200] 250 = 250"
        ]
    );
}

#[test]
fn a_package_is_paid_whole() {
    let model = RateModel::PackagePrice(PackagePrice { size: 1_000, price: amount("2") });
    for (quantity, lines) in
        [(1, "p package 1 = 200"), (1_000, "p package 1 = 200"), (1_001, "p package 2 = 400")]
    {
        check(&of(item("p", Some(Meter::Requests), model.clone()), quantity), &[lines]);
    }
    check(&of(item("p", Some(Meter::Requests), model), 0), &[]);
}

#[test]
fn what_probes_caused_and_what_is_free_is_not_paid() {
    let increments = |bytes_of_a: i64| {
        vec![
            bytes("a", "x", 0, bytes_of_a),
            increment(Meter::ProbeBytes, "a", "x", 0, 100),
            bytes("b", "x", 0, 1_000),
            increment(Meter::ProbeBytes, "c", "x", 0, 7),
        ]
    };
    let mut one = item("t", Some(Meter::Bytes), unit("0.01", 1));
    (one.by, one.deduct_probes, one.free_quantity) = (RateBy::Site, true, 50);
    let case = |bytes_of_a| Case::new(card(vec![one.clone()]), increments(bytes_of_a));
    check(&case(500), &["t a probe -100 = 0", "t a unit 350 = 350", "t b probe 0 = 0", "t b unit 950 = 950"]);
    // The free quantity is more than what is left, and the probe quantity more than there is.
    check(&case(149), &["t a probe -100 = 0", "t b probe 0 = 0", "t b unit 950 = 950"]);
    check(&case(60), &["t a probe -60 = 0", "t b probe 0 = 0", "t b unit 950 = 950"]);
    let mut kept = case(500);
    kept.card.items[0].deduct_probes = false;
    check(&kept, &["t a unit 450 = 450", "t b unit 950 = 950"]);
}

#[test]
fn a_flat_price_is_for_the_time_that_its_site_exists() {
    let mut one = item("base", None, flat("10"));
    let mut case = Case::new(card(vec![one.clone()]), Vec::new());
    let spans = |spans: &[(i64, i64)]| {
        spans.iter().map(|(begin_ms, end_ms)| Span { begin_ms: *begin_ms, end_ms: *end_ms }).collect()
    };
    case.sites.insert(site("a"), spans(&[(-5, 1_000_000), (2_000_000, 9_000_000)]));
    case.sites.insert(site("b"), spans(&[(2_999_999, 9_000_000)]));
    case.sites.insert(site("c"), spans(&[(3_000_000, 9_000_000)]));
    check(&case, &["base flat 1 = 1000"]);
    one.by = RateBy::Site;
    case.card = card(vec![one.clone()]);
    check(&case, &["base a flat 1 = 667", "base b flat 1 = 0"]);
    one.sites = vec![site("b")];
    case.card = card(vec![one]);
    check(&case, &["base b flat 1 = 0"]);
}

#[test]
fn a_commitment_to_a_percentile_is_paid_without_traffic() {
    // Ten slots: the tenth in order decides.
    let increments = vec![
        bytes("a", "x", 0, 300),
        bytes("b", "x", 0, 600),
        bytes("a", "x", 1, 450),
        bytes("a", "y", 1, 75_000),
    ];
    let case = |by, targets: &[&str]| {
        let targets = targets.iter().map(|of| target(of)).collect();
        Case::new(card(vec![RateItem { by, targets, ..p95(20, "0.10", "0.20") }]), increments.clone())
    };
    // 900 bytes are 24 bit/s, 75,000 are 2,000.
    check(
        &case(RateBy::Target, &[]),
        &[
            "egress x commitment 20 = 200",
            "egress x overage 4 = 80",
            "egress y commitment 20 = 200",
            "egress y overage 1980 = 39600",
        ],
    );
    check(&case(RateBy::Target, &["z"]), &["egress z commitment 20 = 200"]);
    check(&case(RateBy::None, &["x", "z"]), &["egress commitment 20 = 200", "egress overage 4 = 80"]);
    check(&case(RateBy::None, &[]), &["egress commitment 20 = 200", "egress overage 2004 = 40080"]);
    let nothing = Case::new(card(vec![p95(20, "0.10", "0.20")]), Vec::new());
    check(&nothing, &["egress commitment 20 = 200"]);
}

#[test]
fn slots_without_a_report_count_as_agreed() {
    let increments: Vec<_> = (0..20).map(|slot| bytes("a", "x", slot, 300 * slot)).collect();
    let mut case = Case::new(card(vec![p95(0, "0", "1")]), increments);
    case.period = Span { begin_ms: 0, end_ms: 400 * SLOT_MS };
    case.part = case.period;
    // Of 400 slots the one of rank 380 is the last without a report; of 20 the one of rank 19.
    check(&case, &["egress commitment 0 = 0"]);
    case.terms.missing_slots = MissingSlots::Excluded;
    check(&case, &["egress commitment 0 = 0", "egress overage 144 = 14400"]);
    // A report of nothing is a report.
    case.increments = vec![bytes("a", "x", 0, 0), bytes("a", "x", 1, 300)];
    check(&case, &["egress commitment 0 = 0", "egress overage 8 = 800"]);
}

#[test]
fn an_item_has_one_discount_then_a_minimum_then_a_maximum() {
    let mut one = RateItem { by: RateBy::Site, ..item("t", Some(Meter::Bytes), unit("0.01", 1)) };
    (one.discount_ppm, one.minimum, one.maximum) = (150_000, Some(amount("20")), Some(amount("30.005")));
    let case = |quantity| {
        Case::new(card(vec![one.clone()]), vec![bytes("a", "x", 0, quantity), bytes("b", "x", 0, 3)])
    };
    // 15 % of 1,003 are 150.45.
    check(
        &case(1_000),
        &["t a unit 1000 = 1000", "t b unit 3 = 3", "t discount 0 = -150", "t minimum 0 = 1147"],
    );
    check(&case(2_497), &["t a unit 2497 = 2497", "t b unit 3 = 3", "t discount 0 = -375"]);
    // The maximum of 3,000.5 is 3,001.
    check(
        &case(9_997),
        &["t a unit 9997 = 9997", "t b unit 3 = 3", "t discount 0 = -1500", "t maximum 0 = -5499"],
    );
    // A minimum holds without any quantity.
    check(&Case::new(card(vec![one]), Vec::new()), &["t minimum 0 = 2000"]);
}

#[test]
fn what_several_items_lack_is_a_line_of_its_own() {
    let items = vec![
        item("a", Some(Meter::Bytes), unit("1", 1)),
        item("b", Some(Meter::Requests), unit("1", 1)),
        item("c", None, flat("500")),
    ];
    let mut case =
        Case::new(card(items), vec![bytes("s", "x", 0, 30), increment(Meter::Requests, "s", "x", 0, 20)]);
    let commitment = |text: &str, items: &[&str], sum: &str| RateCommitment {
        name: name(text),
        items: items.iter().map(|item| name(item)).collect(),
        amount: amount(sum),
        tax_code: code("none"),
    };
    case.card.commitments =
        vec![commitment("more", &["a", "b"], "80.01"), commitment("enough", &["a", "b"], "50")];
    check(&case, &["a unit 30 = 3000", "b unit 20 = 2000", "c flat 1 = 50000", "more true_up 0 = 3001"]);
    // A commitment does not count for another one of the name of its item.
    case.card.commitments = vec![commitment("a", &["a"], "40"), commitment("b", &["a"], "50")];
    check(
        &case,
        &[
            "a true_up 0 = 1000",
            "a unit 30 = 3000",
            "b true_up 0 = 2000",
            "b unit 20 = 2000",
            "c flat 1 = 50000",
        ],
    );
}

#[test]
fn tax_is_rounded_once_and_split_by_largest_remainder() {
    let of_code = |text: &str, tax: &str, price: &str| RateItem {
        tax_code: code(tax),
        ..item(text, None, flat(price))
    };
    let items = vec![
        of_code("a", "full", "1.03"),
        of_code("b", "full", "1.03"),
        of_code("c", "full", "1.02"),
        of_code("d", "low", "5"),
    ];
    let mut case = Case::new(card(items), Vec::new());
    let rate = |text: &str, from_ms, ppm| TaxRate { code: code(text), from_ms, ppm };
    case.terms.tax_rates = vec![
        rate("full", 0, 1),
        rate("full", 2_999_999, 190_000),
        rate("full", 3_000_000, 2),
        rate("low", 0, 70_000),
    ];
    // 19 % of 308 are 58.52: 59. Of 103 each: 19.57; of 102: 19.38. Two units are left: both go to the 0.57.
    check(
        &case,
        &[
            "a flat 1 = 103 +20",
            "b flat 1 = 103 +20",
            "c flat 1 = 102 +19",
            "d flat 1 = 500 +35",
            "tax tax [full/190000] 0 = 59",
            "tax tax [low/70000] 0 = 35",
        ],
    );
    // Three equal fractions, one unit left: it goes to the lowest id.
    case.card = card(vec![of_code("a", "full", "1"), of_code("b", "full", "1"), of_code("c", "full", "1")]);
    case.terms.tax_rates = vec![rate("full", 0, 3_400)];
    let lines = case.rate();
    let mut shares: Vec<_> =
        lines.iter().filter(|line| line.line.item != name("tax")).map(|line| line.line.tax_minor).collect();
    assert_eq!(shares, [1, 0, 0]);
    shares.sort_unstable();
    assert!(lines.windows(2).all(|pair| pair[0].line.id < pair[1].line.id));
    case.terms.tax_rates.clear();
    assert!(matches!(case.try_rate(), Err(RatingError::NoTaxRate { code, .. }) if code.as_str() == "full"));
}

fn credited(met: u64, missed: u64, unknown: u64, terms: CreditTerms) -> Case {
    let by_site = RateItem { by: RateBy::Site, ..item("t", Some(Meter::Bytes), unit("0.01", 1)) };
    let other = RateItem {
        tax_code: code("other"),
        by: RateBy::Site,
        ..item("u", Some(Meter::Requests), unit("0.01", 1))
    };
    let increments = vec![
        bytes("a", "x", 0, 2_000),
        bytes("b", "x", 0, 9_000),
        increment(Meter::Requests, "a", "x", 0, 1_001),
    ];
    let mut case = Case::new(card(vec![by_site, other, item("base", None, flat("10"))]), increments);
    case.terms.tax_rates.push(TaxRate { code: code("other"), from_ms: 0, ppm: 0 });
    case.terms.credits = Some(terms);
    case.minutes.insert(site("a"), Minutes { met, missed, unknown, excluded: 5 });
    case
}

fn credit_terms() -> CreditTerms {
    let step = |below_ppm, basis_points| CreditStep { below_ppm, basis_points };
    let steps = vec![step(900_000, 2_500), step(999_000, 500), step(990_000, 1_000)];
    CreditTerms { steps, coverage_min_ppm: 500_000, cap: None, share_ppm: 0 }
}

fn credits(case: &Case) -> Vec<String> {
    case.shown().into_iter().filter(|line| line.contains("credit")).collect()
}

#[test]
fn a_credit_is_that_of_the_lowest_step_that_was_missed() {
    let of = |met, missed| credits(&credited(met, missed, 0, credit_terms()));
    assert_eq!(of(999, 1), Vec::<String>::new());
    // 5 % of 3,001 are 150.05: 150, of which 99.97 and 50.03 are for the two codes.
    assert_eq!(of(9_989, 11), ["credit a credit [none] 0 = -100", "credit a credit [other] 0 = -50"]);
    assert_eq!(of(990, 10), ["credit a credit [none] 0 = -100", "credit a credit [other] 0 = -50"]);
    assert_eq!(of(989, 11), ["credit a credit [none] 0 = -200", "credit a credit [other] 0 = -100"]);
    // 25 % are 750.25: 499.83 and 250.17.
    assert_eq!(of(1, 99), ["credit a credit [none] 0 = -500", "credit a credit [other] 0 = -250"]);
}

#[test]
fn without_coverage_or_a_base_there_is_no_credit() {
    let of = |met, missed, unknown| credits(&credited(met, missed, unknown, credit_terms()));
    assert_eq!(of(0, 1, 1).len(), 2);
    assert_eq!(of(0, 1, 2), Vec::<String>::new());
    assert_eq!(of(0, 0, 9), Vec::<String>::new());
    let mut case = credited(0, 9, 0, credit_terms());
    case.increments.clear();
    assert_eq!(credits(&case), Vec::<String>::new());
}

#[test]
fn a_credit_is_capped_and_a_share_of_other_lines_is_agreed() {
    let with = |cap, share_ppm| credits(&credited(0, 9, 0, CreditTerms { cap, share_ppm, ..credit_terms() }));
    assert_eq!(
        with(Some(CreditCap::Amount(amount("3.005"))), 0),
        ["credit a credit [none] 0 = -201", "credit a credit [other] 0 = -100"]
    );
    assert_eq!(
        with(Some(CreditCap::PpmOfBase(100_000)), 0),
        ["credit a credit [none] 0 = -200", "credit a credit [other] 0 = -100"]
    );
    assert_eq!(
        with(Some(CreditCap::PpmOfBase(900_000)), 0),
        ["credit a credit [none] 0 = -500", "credit a credit [other] 0 = -250"]
    );
    // Half of the flat 1,000: the base is 3,501.
    assert_eq!(with(None, 500_000), ["credit a credit [none] 0 = -625", "credit a credit [other] 0 = -250"]);
}

/// Both codes have half of an odd credit: the line with the lower id has the unit that is left, whatever the names are.
#[test]
fn equal_parts_of_a_credit_go_by_the_ids_of_their_lines() {
    let mut is_first = Vec::new();
    for other in (0..20).map(|number| format!("code-{number}")) {
        let other = other.as_str();
        let mut case = credited(0, 9, 0, credit_terms());
        case.card.items.truncate(2);
        case.card.items[1].tax_code = code(other);
        case.terms.tax_rates.push(TaxRate { code: code(other), from_ms: 0, ppm: 0 });
        case.increments = vec![bytes("a", "x", 0, 1_002), increment(Meter::Requests, "a", "x", 0, 1_002)];
        let lines = case.rate();
        let credits: Vec<_> = lines.iter().filter(|line| line.line.item == name("credit")).collect();
        assert_eq!(credits.iter().map(|line| line.line.amount_minor).collect::<Vec<_>>(), [-251, -250]);
        is_first.push(credits[0].line.tax_code == Some(code(other)));
    }
    assert!(is_first.contains(&true) && is_first.contains(&false), "{is_first:?}");
}

/// The middle third of the period: bounds and amounts are a third, a tier's bound is rounded down.
#[test]
fn a_part_has_its_proportion_of_everything_that_is_for_a_period() {
    let thirds = |mut case: Case| {
        (case.period, case.part) = (
            Span { begin_ms: 0, end_ms: 30 * SLOT_MS },
            Span { begin_ms: 10 * SLOT_MS, end_ms: 20 * SLOT_MS },
        );
        case.increments.iter_mut().for_each(|increment| increment.slot_ms += 10 * SLOT_MS);
        case
    };
    let tiers = [(0, "1"), (100, "2")];
    check(
        &thirds(of(item("g", Some(Meter::Requests), graduated(&tiers)), 40)),
        &["g graduated [0] 33 = 3300", "g graduated [100] 7 = 1400"],
    );
    check(&thirds(of(item("v", Some(Meter::Requests), volume(&tiers)), 33)), &["v volume [100] 33 = 6600"]);
    let mut one = item("t", Some(Meter::Requests), unit("1", 1));
    (one.free_quantity, one.minimum, one.maximum) = (100, Some(amount("20")), Some(amount("50")));
    check(&thirds(of(one.clone(), 40)), &["t unit 7 = 700"]);
    check(&thirds(of(one.clone(), 34)), &["t minimum 0 = 567", "t unit 1 = 100"]);
    check(&thirds(of(one, 100)), &["t maximum 0 = -5033", "t unit 67 = 6700"]);
    check(&thirds(of(item("f", None, flat("10")), 0)), &["f flat 1 = 333"]);
    check(
        &thirds(of(RateItem { meter: Some(Meter::EgressP95), ..p95(20, "1", "2") }, 0)),
        &["egress commitment 20 = 667"],
    );
    let mut commitment = of(item("t", Some(Meter::Requests), unit("1", 1)), 1);
    let (items, tax_code) = (vec![name("t")], code("none"));
    commitment.card.commitments.push(RateCommitment {
        name: name("c"),
        items,
        amount: amount("10"),
        tax_code,
    });
    check(&thirds(commitment), &["c true_up 0 = 233", "t unit 1 = 100"]);
    // A unit of the size of the period stays that.
    let model = RateModel::UnitPrice(UnitPrice { unit_size: None, price: amount("3") });
    check(&thirds(of(item("h", Some(Meter::ActiveHosts), model), 3_000_000)), &["h unit 3000000 = 100"]);
    let capped =
        credited(0, 9, 0, CreditTerms { cap: Some(CreditCap::Amount(amount("3"))), ..credit_terms() });
    assert_eq!(
        credits(&thirds(capped)),
        ["credit a credit [none] 0 = -67", "credit a credit [other] 0 = -33"]
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let what = |case: &Case| case.try_rate().unwrap_err().to_string();
    let great = of(item("a", Some(Meter::Bytes), unit("999999999999", 1)), i64::MAX);
    assert_eq!(what(&great), "client acme: item a is beyond what can be computed");
    // A bound beyond 2⁶³ of the minor unit would not fit; this one does.
    let mut items = vec![item("a", None, flat("900000000000"))];
    items[0].minimum = Some(amount("999999999999.99"));
    let mut case = Case::new(card(items), Vec::new());
    case.terms.currency_exponent = 4;
    assert!(case.try_rate().is_ok());
    case.part = Span { begin_ms: 0, end_ms: 0 };
    assert!(what(&case).contains("is not one of a period"));
    case.part = Span { begin_ms: 0, end_ms: 11 * SLOT_MS };
    assert!(what(&case).contains("is not one of a period"));
}

/// The derivation has every number that the amount is made of.
#[test]
fn a_line_says_how_its_amount_comes_about() {
    let mut one = item("t", Some(Meter::Bytes), graduated(&[(0, "0.333")]));
    (one.deduct_probes, one.free_quantity) = (true, 3);
    let increments =
        vec![bytes("a", "x", 2, 100), bytes("a", "x", 7, 11), increment(Meter::ProbeBytes, "a", "x", 2, 8)];
    let lines = Case::new(card(vec![one]), increments).rate();
    let charges = lines.iter().filter_map(|line| match &line.derivation {
        Derivation::Charge(charge) => Some(charge),
        _ => None,
    });
    let [charge] = charges.collect::<Vec<_>>()[..] else { panic!("one charge") };
    let metered = charge.metered.as_ref().unwrap();
    let counted = metered.counted.unwrap();
    assert_eq!(
        (metered.quantity, metered.deducted, metered.free_quantity, charge.quantity),
        (111, 8, 3, 100)
    );
    assert_eq!((counted.increments, counted.first_slot_ms, counted.last_slot_ms), (2, 600_000, 2_100_000));
    assert_eq!(charge.division.numerator.to_string(), "3330000000000000");
    assert_eq!(charge.division.denominator.to_string(), "1000000000000");
    assert_eq!((charge.division.remainder.to_string().as_str(), charge.division.rounded), ("0", 3_330));
    let tier = charge.tier.unwrap();
    assert_eq!((tier.card_from, tier.from, tier.to), (0, 0, None));
}

#[test]
fn terms_without_credits_give_none() {
    let mut case = credited(0, 9, 0, credit_terms());
    case.terms = Terms { credits: None, ..case.terms };
    assert_eq!(credits(&case), Vec::<String>::new());
}
