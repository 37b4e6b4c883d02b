use expect_test::{Expect, expect};
use spillway_events::{ObjectKind, RateCardName};

use super::{delete, outcome, parsed, shown, with, world};
use crate::{SourceFile, State, export, parse_files};

/// A card of one flat item.
const FLAT: &str =
    "kind: rate_card\nname: std\nversion: 1\nitems: [{name: base, model: flat, price: '9', tax_code: t}]\n";

/// Every model, and every field.
const ALL: &str = "\
kind: rate_card
name: all
version: 1
title: Everything
items:
- name: base
  by: site
  model: flat
  price: '49.90'
  tax_code: services
- name: hosts
  meter: active_hosts
  by: none
  model: unit
  unit_size: period
  price: '2.5'
  tax_code: services
- name: traffic
  meter: bytes
  sites:
  - shop
  targets:
  - own
  - origin
  by: both
  model: graduated
  unit_size: 1000000000
  tiers:
  - from: 0
    to: 1000
    price: '0.05'
  - from: 1000
    to: '9007199254740992'
    price: '0.03'
  - from: '9007199254740992'
    price: '0'
  free_quantity: 7
  deduct_probes: false
  discount_ppm: 50000
  minimum: '10'
  maximum: '500'
  tax_code: services
- name: requests
  meter: requests
  by: target
  model: volume
  unit_size: 1000
  tiers:
  - from: 0
    price: '0.000000000001'
  deduct_probes: true
  tax_code: other
- name: checks
  meter: probe_requests
  by: none
  model: package
  size: 1000000
  price: '1'
  tax_code: services
- name: egress
  meter: egress_p95
  by: target
  model: p95
  unit_size: 1000000
  commitment: 100Mbit/s
  price: '0.4'
  overage_price: '0.6'
  tax_code: services
commitments:
- name: monthly
  items:
  - base
  - traffic
  amount: '500'
  tax_code: services
";

/// The mistakes of a card whose items are these lines.
fn check_item(item: &str, expected: &Expect) {
    check(&format!("items:\n  - {{{item}}}"), expected);
}

/// The mistakes of a card with these fields, which begin on line 4.
fn check(fields: &str, expected: &Expect) {
    let text = format!("kind: rate_card\nname: std\nversion: 1\n{fields}\n");
    let file = SourceFile { name: "f", bytes: text.as_bytes() };
    let found = parse_files(&[file]).expect_err("there are mistakes");
    let path = " document 1 (rate_card std)";
    let lines: String = found.iter().map(|mistake| format!("{mistake}\n").replace(path, "")).collect();
    expected.assert_eq(&lines);
}

fn versions(state: &State) -> Vec<String> {
    state.rate_cards().map(|card| format!("{}/{}", card.name, card.version)).collect()
}

#[test]
fn a_card_is_exported_as_it_was_given() {
    let state = with(world(), "card", ALL);
    let exported = export(&state).expect("it is written");
    let quoted = ALL.replace('\'', "\"").replace("49.90", "49.9");
    assert!(exported.ends_with(&quoted), "{exported}");
    assert_eq!(outcome(&state, &exported), "");
    assert_eq!(
        with(State::default(), "again", &exported).rate_cards().collect::<Vec<_>>(),
        state.rate_cards().collect::<Vec<_>>()
    );
}

#[test]
fn defaults_are_filled_in() {
    let text = "{kind: rate_card, name: a, version: 1, items: [{name: b, meter: bytes, model: unit, price: '1', tax_code: t}]}";
    let state = with(world(), "card", text);
    let card = state.rate_card(&RateCardName::new("a").expect("a name"), 1).expect("it is there");
    expect![[r#"
        RateItem {
            name: LineName(
                "b",
            ),
            meter: Some(
                Bytes,
            ),
            sites: [],
            targets: [],
            by: None,
            model: UnitPrice(
                UnitPrice {
                    unit_size: Some(
                        1,
                    ),
                    price: DecimalAmount(
                        1000000000000,
                    ),
                },
            ),
            free_quantity: 0,
            discount_ppm: 0,
            minimum: None,
            maximum: None,
            deduct_probes: true,
            tax_code: TaxCode(
                "t",
            ),
        }
    "#]]
    .assert_debug_eq(&card.items[0]);
}

#[test]
fn a_version_never_changes() {
    let state = with(world(), "card", FLAT);
    assert_eq!(outcome(&state, FLAT), "");
    expect![[r#"
        f.yaml:1: document 1 (rate_card std/1): a version of a rate card never changes: apply the change as version 2
    "#]]
    .assert_eq(&outcome(&state, &FLAT.replace("'9'", "'10'")));
    let titled = FLAT.replace("items", "title: Now\nitems");
    assert!(outcome(&state, &titled).contains("never changes"));
    expect![[r#"
        rate_card std/1 cannot be deleted: statements may rest on it; an agreement that should use it no more names another version
    "#]]
    .assert_eq(&shown(&state, delete(&state, &[(ObjectKind::RateCard, "std/1")])));
    expect![[r#"
        there is no rate_card std/2
    "#]]
    .assert_eq(&shown(&state, delete(&state, &[(ObjectKind::RateCard, "std/2")])));
}

#[test]
fn versions_have_no_gaps() {
    let version = |number: u32| FLAT.replace("version: 1", &format!("version: {number}"));
    expect![[r#"
        f.yaml:3: document 1 (rate_card std/2): version: must be 1: there is no earlier version of std
    "#]]
    .assert_eq(&outcome(&world(), &version(2)));
    let state = with(world(), "card", FLAT);
    expect![[r#"
        f.yaml:3: document 1 (rate_card std/3): version: must be 2: the last version of std is 1
    "#]]
    .assert_eq(&outcome(&state, &version(3)));
    // Several at once are set in their order, which is not that of their names.
    let documents: Vec<String> = (2..=11).rev().map(version).collect();
    let lines = outcome(&state, &documents.join("---\n"));
    assert_eq!(
        (lines.lines().next(), lines.lines().last()),
        (Some("+ rate_card std/2"), Some("+ rate_card std/11"))
    );
    assert_eq!(versions(&with(state, "more", &documents.join("---\n"))).len(), 11);
}

#[test]
fn names_of_cards_differ_in_more_than_case() {
    let state = with(world(), "card", FLAT);
    expect![[r#"
        f.yaml:2: document 1 (rate_card STD/1): name: collides with rate_card std/1: names of rate cards differ in more than upper and lower case, and `.` and `_`
    "#]]
    .assert_eq(&outcome(&state, &FLAT.replace("name: std", "name: STD")));
}

#[test]
fn a_card_does_not_refer_to_sites_and_targets() {
    let text = FLAT.replace("model: flat", "sites: [nowhere], model: flat");
    let state = with(world(), "card", &text);
    assert_eq!(versions(&state), ["std/1"]);
    assert_eq!(parsed(&text).warnings, []);
}

#[test]
fn what_is_missing_is_named() {
    check(
        "",
        &expect![[r#"
            f:1:: items: is missing: a rate card has at least one item
        "#]],
    );
    check_item(
        "name: a, model: unit",
        &expect![[r#"
            f:5:: items[0].price: is missing
            f:5:: items[0].tax_code: is missing
            f:5:: items[0].meter: is missing: what is metered
        "#]],
    );
    check_item(
        "model: p95, tax_code: t",
        &expect![[r#"
            f:5:: items[0].name: is missing
            f:5:: items[0].commitment: is missing
            f:5:: items[0].price: is missing
            f:5:: items[0].overage_price: is missing
            f:5:: items[0].meter: is missing: what is metered
        "#]],
    );
}

#[test]
fn prices_are_text_with_at_most_12_places() {
    let price = |price: &str, expected: &Expect| {
        check_item(&format!("name: a, model: flat, tax_code: t, price: {price}"), expected);
    };
    price(
        "0.05",
        &expect![[r#"
        f:5:: items[0].price: must be text; put `0.05` in quotes
    "#]],
    );
    price(
        "'0.0000000000001'",
        &expect![[r#"
        f:5:: items[0].price: `0.0000000000001`: a decimal number is written like 0.05: at most 12 digits, then at most 12 after a point, no sign and no exponent
    "#]],
    );
    price(
        "'-1'",
        &expect![[r#"
        f:5:: items[0].price: `-1`: a decimal number is written like 0.05: at most 12 digits, then at most 12 after a point, no sign and no exponent
    "#]],
    );
}

#[test]
fn a_model_has_its_own_fields() {
    check_item(
        "name: a, model: flat, tax_code: t, price: '1', size: 1, unit_size: 1, tiers: [], meter: bytes",
        &expect![[r#"
            f:5:: items[0].unit_size: does not belong to model flat, whose prices have price
            f:5:: items[0].size: does not belong to model flat, whose prices have price
            f:5:: items[0].tiers: does not belong to model flat, whose prices have price
            f:5:: items[0].meter: a flat price is for the time, and has no meter
        "#]],
    );
    check_item(
        "name: a, meter: bytes, model: package, tax_code: t, size: 0, price: '1'",
        &expect![[r#"
        f:5:: items[0].size: must be at least 1
    "#]],
    );
    check_item(
        "name: a, meter: egress_p95, model: p95, tax_code: t, unit_size: period, commitment: 5, price: '1', overage_price: '1', free_quantity: 1",
        &expect![[r#"
            f:5:: items[0].commitment: `5` needs a unit: one of bit/s, kbit/s, Mbit/s, Gbit/s, Tbit/s
            f:5:: items[0].unit_size: of a price of model p95 is a number of bit/s
            f:5:: items[0].free_quantity: an item of model p95 has no free quantity
        "#]],
    );
    check_item(
        "name: a, meter: bytes, model: unit, tax_code: t, unit_size: 0, price: '1'",
        &expect![[r#"
            f:5:: items[0].unit_size: must be `period` or a whole number from 1 on, not `0`
        "#]],
    );
}

#[test]
fn tiers_have_no_gaps_and_the_last_has_no_end() {
    let tiers = |tiers: &str, expected: &Expect| {
        check_item(&format!("name: a, meter: bytes, model: volume, tax_code: t, tiers: [{tiers}]"), expected);
    };
    tiers(
        "",
        &expect![[r#"
        f:5:: items[0].tiers: must have at least one tier
    "#]],
    );
    tiers(
        "{from: 1, price: '1'}",
        &expect![[r#"
        f:5:: items[0].tiers[0]: must begin at 0: tiers begin at 0, without gaps and overlaps
    "#]],
    );
    tiers(
        "{from: 0, to: 5, price: '1'}, {from: 6, price: '1'}",
        &expect![[r#"
        f:5:: items[0].tiers[1]: must begin at 5: tiers begin at 0, without gaps and overlaps
    "#]],
    );
    tiers(
        "{from: 0, to: 5, price: '1'}, {from: 4, price: '1'}",
        &expect![[r#"
        f:5:: items[0].tiers[1]: must begin at 5: tiers begin at 0, without gaps and overlaps
    "#]],
    );
    tiers(
        "{from: 0, to: 0, price: '1'}, {from: 0, price: '1'}",
        &expect![[r#"
        f:5:: items[0].tiers[0].to: must be greater than 0, where the tier begins
    "#]],
    );
    tiers(
        "{from: 0, price: '1'}, {from: 5, price: '1'}",
        &expect![[r#"
        f:5:: items[0].tiers[1]: follows a tier without an end: only the last one has none
    "#]],
    );
    tiers(
        "{from: 0, to: 5, price: '1'}",
        &expect![[r#"
        f:5:: items[0].tiers[0]: ends at 5: the last tier has no end, so that every quantity has a price
    "#]],
    );
    tiers(
        "{from: 0, to: 9007199254740993, price: '1'}",
        &expect![[r#"
        f:5:: items[0].tiers[0].to: must be a whole number up to 9007199254740991, or a greater one up to 9223372036854775807 in quotes, not `9007199254740993`
    "#]],
    );
}

#[test]
fn a_meter_has_its_own_dimensions_and_models() {
    let item = |fields: &str, expected: &Expect| {
        check_item(&format!("name: a, tax_code: t, price: '1', {fields}"), expected);
    };
    item(
        "model: unit, meter: active_hosts, by: both, targets: [a]",
        &expect![[r#"
        f:5:: items[0].by: active_hosts is not counted by target
        f:5:: items[0].targets: active_hosts is not counted by target
    "#]],
    );
    item(
        "model: flat, by: target, targets: [a]",
        &expect![[r#"
        f:5:: items[0].by: a flat price is not counted by target
        f:5:: items[0].targets: a flat price is not counted by target
    "#]],
    );
    item(
        "model: unit, meter: unmapped_bytes",
        &expect![[r#"
        f:5:: items[0].meter: no client is billed for it
    "#]],
    );
    item(
        "model: unit, meter: egress_p95",
        &expect![[r#"
        f:5:: items[0].meter: the price of egress_p95 is of model p95
    "#]],
    );
    let p95 = "model: p95, overage_price: '1', commitment: 1bit/s";
    item(
        &format!("{p95}, meter: egress_p95, by: site, sites: [a]"),
        &expect![[r#"
        f:5:: items[0].by: egress_p95 is not counted by site
        f:5:: items[0].sites: egress_p95 is not counted by site
    "#]],
    );
    item(
        &format!("{p95}, meter: bytes"),
        &expect![[r#"
        f:5:: items[0].meter: a price of model p95 is for the meter egress_p95
    "#]],
    );
    item(
        "model: unit, meter: redirects, deduct_probes: true",
        &expect![[r#"
        f:5:: items[0].deduct_probes: only the quantities of bytes and requests have a part of probes
    "#]],
    );
}

#[test]
fn amounts_fit_each_other() {
    check_item(
        "name: a, model: flat, tax_code: t, price: '1', minimum: '2', maximum: '1.99', discount_ppm: 1000001, free_quantity: 1",
        &expect![[r#"
            f:5:: items[0].discount_ppm: must be a whole number from 0 to 1000000, not `1000001`
            f:5:: items[0].minimum: 2 is greater than the maximum of 1.99
            f:5:: items[0].free_quantity: an item of model flat has no free quantity
        "#]],
    );
    check_item(
        "name: a, model: flat, tax_code: t, price: '1', sites: [a, a], by: site",
        &expect![[r#"
        f:5:: items[0].sites[1]: site a is listed twice: it is also sites[0]
    "#]],
    );
}

#[test]
fn a_commitment_is_to_items_of_the_card() {
    check(
        "items:\n  - {name: a, model: flat, tax_code: t, price: '1'}\ncommitments:\n  - {name: c, items: [b], tax_code: t}",
        &expect![[r#"
            f:7:: commitments[0].amount: is missing
            f:7:: commitments[0].items[0]: the card has no item b
        "#]],
    );
    check(
        "items:\n  - {name: a, model: flat, tax_code: t, price: '1'}\n  - {name: a, model: flat, tax_code: t, price: '1'}",
        &expect![[r#"
            f:6:: items[1]: item a is listed twice: it is also items[0]
        "#]],
    );
    check(
        "items:\n  - {name: a, model: flat, tax_code: t, price: '1'}\ncommitments:\n  - {name: c, items: [b, a, a], amount: '1', tax_code: t}\n  - {name: d, items: [b], amount: '1'}\n  - {name: e, amount: '1', tax_code: t}",
        &expect![[r#"
            f:7:: commitments[0].items[2]: item a is listed twice: it is also items[1]
            f:8:: commitments[1].tax_code: is missing
            f:8:: commitments[1].items[0]: the card has no item b
            f:9:: commitments[2].items: is missing: a commitment is to items of the card
        "#]],
    );
    check(
        "items:\n  - {name: a, model: flat, tax_code: t, price: '1'}\ncommitments:\n  - {name: c, items: [a], amount: '1', tax_code: t}\n  - {name: c, items: [a], amount: '1', tax_code: t}",
        &expect![[r#"
            f:8:: commitments[1]: commitment c is listed twice: it is also commitments[0]
        "#]],
    );
}
