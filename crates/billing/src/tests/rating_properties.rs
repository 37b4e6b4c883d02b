//! Properties of rating over generated cards and histories.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use spillway_events::{
    DecimalAmount, FlatPrice, GraduatedPrice, GraduatedTier, Increment, Meter, P95Price, PackagePrice,
    RateBy, RateCommitment, RateItem, RateModel, UnitPrice, VolumePrice, VolumeTier,
};

use super::{Case, card, code, increment, item, naive, name, site, target};
use crate::{CreditCap, CreditStep, CreditTerms, Minutes, MissingSlots, SLOT_MS, Span, TaxRate, Terms};

const SITES: [&str; 3] = ["a", "b", "c"];
const TARGETS: [&str; 3] = ["origin", "x", "y"];
const CODES: [&str; 2] = ["full", "low"];

/// A price or an amount of few digits or of many.
fn decimal() -> impl Strategy<Value = DecimalAmount> {
    prop_oneof!["[0-9]{1,2}\\.[0-9]{1,3}", "0\\.[0-9]{9}", "[1-9][0-9]{0,2}"]
        .prop_map(|text| text.parse().unwrap())
}

fn tiers() -> impl Strategy<Value = Vec<(u64, DecimalAmount)>> {
    let bound = prop_oneof![1_u64..9, 10_u64..5_000];
    (decimal(), vec((bound, decimal()), 0..3)).prop_map(|(first, others)| {
        let mut tiers = vec![(0, first)];
        for (width, price) in others {
            tiers.push((tiers.last().map_or(0, |(from, _)| *from) + width, price));
        }
        tiers
    })
}

fn model() -> impl Strategy<Value = (Option<Meter>, RateModel)> {
    let size = || prop_oneof![Just(None), (1_u64..2_000).prop_map(Some)];
    let meter = prop_oneof![
        Just(Meter::Bytes),
        Just(Meter::Requests),
        Just(Meter::ActiveHosts),
        Just(Meter::RoutedTime)
    ];
    let priced = prop_oneof![
        (size(), decimal())
            .prop_map(|(unit_size, price)| RateModel::UnitPrice(UnitPrice { unit_size, price })),
        (size(), tiers()).prop_map(|(unit_size, tiers)| {
            let tiers = tiers.into_iter().map(|(from, price)| GraduatedTier { from, price }).collect();
            RateModel::GraduatedPrice(GraduatedPrice { unit_size, tiers })
        }),
        (size(), tiers()).prop_map(|(unit_size, tiers)| {
            let tiers = tiers.into_iter().map(|(from, price)| VolumeTier { from, price }).collect();
            RateModel::VolumePrice(VolumePrice { unit_size, tiers })
        }),
        (1_u64..500, decimal())
            .prop_map(|(size, price)| RateModel::PackagePrice(PackagePrice { size, price })),
    ];
    prop_oneof![
        4 => (meter, priced).prop_map(|(meter, model)| (Some(meter), model)),
        1 => decimal().prop_map(|price| (None, RateModel::FlatPrice(FlatPrice { price }))),
        1 => (1_u64..9, 0_u64..90, decimal(), decimal()).prop_map(|(unit_size, commitment_bps, price, overage_price)| {
            let model = P95Price { unit_size, commitment_bps, price, overage_price };
            (Some(Meter::EgressP95), RateModel::P95Price(model))
        }),
    ]
}

prop_compose! {
    fn rate_item()(
        (meter, model) in model(),
        by in prop_oneof![Just(RateBy::None), Just(RateBy::Site), Just(RateBy::Target), Just(RateBy::Both)],
        sites in prop::sample::subsequence(SITES.to_vec(), 0..3),
        targets in prop::sample::subsequence(TARGETS.to_vec(), 0..3),
        free_quantity in prop_oneof![Just(0), 0_u64..900],
        discount_ppm in prop_oneof![Just(0), 0_u32..=1_000_000],
        bounds in (option::of(decimal()), option::of(decimal())),
        deduct_probes: bool,
        tax_code in prop::sample::select(CODES.to_vec()),
    ) -> RateItem {
        let by = match (meter, by) {
            (None | Some(Meter::ActiveHosts), RateBy::Target | RateBy::Both) => RateBy::Site,
            (Some(Meter::EgressP95), RateBy::Site | RateBy::Both) => RateBy::Target,
            (_, by) => by,
        };
        let has_sites = meter != Some(Meter::EgressP95);
        let has_targets = meter.is_some_and(|meter| meter != Meter::ActiveHosts);
        let (minimum, maximum) = match bounds {
            (Some(one), Some(other)) => (Some(one.min(other)), Some(one.max(other))),
            bounds => bounds,
        };
        RateItem {
            by,
            sites: sites.into_iter().filter(|_| has_sites).map(site).collect(),
            targets: targets.into_iter().filter(|_| has_targets).map(target).collect(),
            free_quantity: if meter.is_none() || !has_sites { 0 } else { free_quantity },
            discount_ppm,
            minimum,
            maximum,
            deduct_probes: deduct_probes && meter.and_then(Meter::of_probes).is_some(),
            tax_code: code(tax_code),
            ..item("item", meter, model)
        }
    }
}

pub(super) fn increments(slots: i64) -> impl Strategy<Value = Vec<Increment>> {
    let meter = prop_oneof![
        4 => Just(Meter::Bytes),
        2 => Just(Meter::Requests),
        1 => Just(Meter::ProbeBytes),
        1 => Just(Meter::ProbeRequests),
        1 => Just(Meter::ActiveHosts),
        1 => Just(Meter::RoutedTime),
    ];
    let quantity = prop_oneof![Just(0_i64), 1_i64..50, 1_i64..9_000];
    let one = (meter, 0..SITES.len(), 0..TARGETS.len(), -1..=slots, quantity);
    vec(one, 0..60).prop_map(|all| {
        let one = |(meter, of, to, slot, quantity)| {
            let to = if meter == Meter::ActiveHosts { "" } else { TARGETS[to] };
            increment(meter, SITES[of], to, slot, quantity)
        };
        all.into_iter().map(one).collect()
    })
}

fn minutes() -> impl Strategy<Value = Minutes> {
    (0_u64..40, 0_u64..9, 0_u64..9, 0_u64..9).prop_map(|(met, missed, unknown, excluded)| Minutes {
        met,
        missed,
        unknown,
        excluded,
    })
}

prop_compose! {
    fn terms()(
        currency_exponent in 0_u32..4,
        missing in any::<bool>(),
        rates in [0_u32..300_000, 0_u32..300_000],
        later in 0_u32..300_000,
        cap in option::of(prop_oneof![decimal().prop_map(CreditCap::Amount), (0_u32..500_000).prop_map(CreditCap::PpmOfBase)]),
        (coverage_min_ppm, share_ppm) in (0_u32..900_000, prop_oneof![Just(0), 0_u32..=1_000_000]),
        has_credits: bool,
    ) -> Terms {
        let rate = |text: &str, from_ms, ppm| TaxRate { code: code(text), from_ms, ppm };
        let step = |below_ppm, basis_points| CreditStep { below_ppm, basis_points };
        let steps = vec![step(999_000, 333), step(900_000, 1_234), step(600_000, 10_000)];
        Terms {
            currency_exponent,
            missing_slots: if missing { MissingSlots::Zero } else { MissingSlots::Excluded },
            tax_rates: vec![rate("full", -SLOT_MS, rates[0]), rate("low", -SLOT_MS, rates[1]), rate("low", SLOT_MS, later)],
            credits: has_credits.then_some(CreditTerms { steps, coverage_min_ppm, cap, share_ppm }),
            ..Terms::default()
        }
    }
}

prop_compose! {
    pub(super) fn case()(
        items in vec(rate_item(), 1..5),
        commitments in vec((vec(any::<bool>(), 4), decimal(), prop::sample::select(CODES.to_vec())), 0..3),
        terms in terms(),
        slots in 1_i64..30,
        part in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        is_whole in any::<bool>(),
        increments in increments(30),
        exists in vec((0_i64..9_000_000, 0_i64..9_000_000), 3),
        minutes in vec(minutes(), 3),
    ) -> Case {
        let items = items.into_iter().enumerate();
        let items: Vec<RateItem> = items.map(|(at, item)| RateItem { name: name(&format!("i{at}")), ..item }).collect();
        let names: Vec<_> = items.iter().map(|item| item.name.clone()).collect();
        let mut card = card(items);
        card.commitments = commitments.into_iter().enumerate().map(|(at, (of, amount, tax_code))| RateCommitment {
            name: name(&format!("c{at}")),
            items: names.iter().zip(of).filter(|(_, is_of)| *is_of).map(|(name, _)| name.clone()).collect(),
            amount,
            tax_code: code(tax_code),
        }).collect();
        let period = Span { begin_ms: 0, end_ms: slots * SLOT_MS };
        let count = usize::try_from(slots).unwrap();
        let (one, other) = (part.0.index(count + 1), part.1.index(count + 1));
        let bound = |slot: usize| i64::try_from(slot).unwrap() * SLOT_MS;
        let part = Span { begin_ms: bound(one.min(other)), end_ms: bound(one.max(other)) };
        let span = |(one, other): (i64, i64)| Span { begin_ms: one.min(other), end_ms: one.max(other) };
        Case {
            terms,
            part: if is_whole || part.ms() == 0 { period } else { part },
            period,
            sites: SITES.map(site).into_iter().zip(exists.into_iter().map(|pair| vec![span(pair)])).collect(),
            minutes: SITES.map(site).into_iter().zip(minutes).collect(),
            ..Case::new(card, increments)
        }
    }
}

fn rows(case: &Case) -> naive::Rows {
    let row = |line: &crate::RatedLine| {
        let line = &line.line;
        (line.id.to_string(), (line.quantity.into(), line.amount_minor.into(), line.tax_minor.into()))
    };
    case.rate().iter().map(row).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_second_writing_gives_the_same_cents(case in case()) {
        prop_assert_eq!(rows(&case), naive::rate(&case));
    }

    /// The sum of the tax shares is that of the lines of tax; each line's amount is its derivation's; ids are unique and in order.
    #[test]
    fn a_total_is_the_sum_of_its_lines(case in case()) {
        let lines = case.rate();
        let taxes = lines.iter().filter(|line| line.line.tax_code.is_none());
        let tax: i64 = taxes.map(|line| line.line.amount_minor).sum();
        prop_assert_eq!(lines.iter().map(|line| line.line.tax_minor).sum::<i64>(), tax);
        for line in &lines {
            prop_assert_eq!(line.derivation.amount(), i128::from(line.line.amount_minor));
        }
        prop_assert!(lines.windows(2).all(|pair| pair[0].line.id < pair[1].line.id));
    }

    /// Increments add up: their order, and how often a quantity is divided and corrected, changes nothing.
    #[test]
    fn order_and_corrections_of_increments_change_nothing(case in case(), seed in any::<prop::sample::Index>(), split in 0_i64..100) {
        let mut other = case.clone();
        other.increments.reverse();
        if !other.increments.is_empty() {
            let at = seed.index(other.increments.len());
            other.increments.rotate_left(at);
            let mut part = other.increments[at].clone();
            let mut wrong = part.clone();
            part.quantity = split;
            other.increments[at].quantity -= split;
            wrong.quantity = 777;
            let back = Increment { quantity: -777, ..wrong.clone() };
            other.increments.extend([part, wrong, back]);
        }
        prop_assert_eq!(rows(&other), rows(&case));
    }

    /// Quantities and flat amounts of the parts of a period are those of the whole: amounts by one rounding a line.
    #[test]
    fn splitting_a_period_changes_nothing_but_rounding(case in case(), at in any::<prop::sample::Index>()) {
        let linear = |item: &RateItem| matches!(item.model, RateModel::FlatPrice(_) | RateModel::UnitPrice(_));
        let mut whole = Case { part: case.period, ..case };
        whole.card.items.retain(linear);
        whole.card.commitments.clear();
        whole.terms.credits = None;
        for item in &mut whole.card.items {
            (item.free_quantity, item.discount_ppm, item.minimum, item.maximum) = (0, 0, None, None);
            // What probes caused is deducted up to the quantity, of each part by itself.
            item.deduct_probes = false;
        }
        let slots = usize::try_from(whole.period.slots()).unwrap();
        let cut = i64::try_from(at.index(slots + 1)).unwrap() * SLOT_MS;
        let parts = [Span { end_ms: cut, ..whole.period }, Span { begin_ms: cut, ..whole.period }];
        let mut sums: std::collections::BTreeMap<String, (i128, i128, i128)> = std::collections::BTreeMap::new();
        for part in parts.into_iter().filter(|part| part.ms() > 0) {
            for line in (Case { part, ..whole.clone() }).rate() {
                let is_flat = line.line.kind == spillway_events::LineKind::Flat;
                let sum = sums.entry(super::shown_key(&line)).or_default();
                sum.0 = if is_flat { 1 } else { sum.0 + i128::from(line.line.quantity) };
                sum.1 += i128::from(line.line.amount_minor);
                sum.2 += 1;
            }
        }
        for line in whole.rate() {
            let sum = sums.get(&super::shown_key(&line)).copied().unwrap_or_default();
            if line.line.kind == spillway_events::LineKind::Tax {
                continue;
            }
            prop_assert_eq!(sum.0, i128::from(line.line.quantity));
            prop_assert!((sum.1 - i128::from(line.line.amount_minor)).abs() <= 1, "{:?} {:?}", sum, line);
        }
    }
}
