//! Rating written a second time, as plainly as possible: fractions instead of divisions with a remainder, and all increments looked
//! through for every number.

use std::collections::{BTreeMap, BTreeSet};

use spillway_events::{Increment, Meter, RateBy, RateItem, RateModel, Sha256};

use super::Case;
use crate::{CreditCap, MissingSlots, SLOT_MS};

/// A fraction in lowest terms; the denominator is greater than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fraction(i128, i128);

fn gcd(one: i128, other: i128) -> i128 {
    if other == 0 { one.abs() } else { gcd(other, one % other) }
}

impl Fraction {
    fn new(numerator: i128, denominator: i128) -> Self {
        let by = gcd(numerator, denominator).max(1) * denominator.signum();
        Self(numerator / by, denominator / by)
    }

    fn whole(number: impl Into<i128>) -> Self {
        Self(number.into(), 1)
    }

    fn times(self, other: Self) -> Self {
        // Crosswise first, so that the products stay small.
        let (one, another) = (Self::new(self.0, other.1), Self::new(other.0, self.1));
        Self::new(one.0.checked_mul(another.0).unwrap(), one.1.checked_mul(another.1).unwrap())
    }

    fn plus(self, other: Self) -> Self {
        let numerator =
            self.0.checked_mul(other.1).unwrap().checked_add(other.0.checked_mul(self.1).unwrap());
        Self::new(numerator.unwrap(), self.1.checked_mul(other.1).unwrap())
    }

    fn floor(self) -> i128 {
        self.0.div_euclid(self.1)
    }

    /// The part that the floor leaves.
    fn rest(self) -> Self {
        Self::new(self.0.rem_euclid(self.1), self.1)
    }

    /// Half away from zero.
    fn rounded(self) -> i128 {
        self.0.signum() * Self(self.0.abs() * 2 + self.1, self.1 * 2).floor()
    }

    fn is_above(self, other: Self) -> bool {
        self.0 * other.1 > other.0 * self.1
    }
}

/// A line: what it is for, its quantity, amount and share of tax.
#[derive(Debug, Clone)]
struct Row {
    item: String,
    site: String,
    target: String,
    kind: &'static str,
    tier: String,
    quantity: i128,
    amount: i128,
    code: Option<String>,
    tax: i128,
}

/// Quantity, amount and tax of each line, by the hexadecimal digits of its id.
pub(super) type Rows = BTreeMap<String, (i128, i128, i128)>;

struct Naive<'a> {
    case: &'a Case,
    part: Fraction,
    minor: Fraction,
}

pub(super) fn rate(case: &Case) -> Rows {
    let period_ms = i128::from(case.period.end_ms - case.period.begin_ms);
    let part_ms = i128::from(case.part.end_ms - case.part.begin_ms);
    let minor = Fraction::new(10_i128.pow(case.terms.currency_exponent), 10_i128.pow(12));
    let naive = Naive { case, part: Fraction::new(part_ms, period_ms), minor };
    let mut rows = Vec::new();
    for item in &case.card.items {
        rows.extend(naive.item(item));
    }
    for commitment in &case.card.commitments {
        let items: Vec<&str> = commitment.items.iter().map(|item| item.as_str()).collect();
        let reached: i128 = rows
            .iter()
            .filter(|row: &&Row| row.kind != "true_up" && items.contains(&&*row.item))
            .map(|row| row.amount)
            .sum();
        let lacks = naive.money(commitment.amount.units()) - reached;
        if lacks > 0 {
            rows.push(row(commitment.name.as_str(), "true_up", commitment.tax_code.as_str(), lacks));
        }
    }
    let credits = naive.credits(&rows);
    rows.extend(credits);
    rows.retain(|row| {
        row.quantity != 0 || row.amount != 0 || ["flat", "commitment", "probe"].contains(&row.kind)
    });
    naive.tax(&mut rows);
    rows.iter().map(|row| (naive.id(row), (row.quantity, row.amount, row.tax))).collect()
}

fn row(item: &str, kind: &'static str, code: &str, amount: i128) -> Row {
    let (item, code) = (item.to_owned(), Some(code.to_owned()));
    Row {
        item,
        site: String::new(),
        target: String::new(),
        kind,
        tier: String::new(),
        quantity: 0,
        amount,
        code,
        tax: 0,
    }
}

impl Naive<'_> {
    /// An amount for the part, of units of 10⁻¹² of the major unit for the period.
    fn money(&self, units: u128) -> i128 {
        self.price(units).times(self.part).rounded()
    }

    /// A price in the minor unit.
    fn price(&self, units: u128) -> Fraction {
        Fraction::whole(i128::try_from(units).unwrap()).times(self.minor)
    }

    fn id(&self, row: &Row) -> String {
        let key = [
            "acme-1",
            "1",
            &row.item,
            &row.site,
            &row.target,
            row.kind,
            &row.tier,
            &self.case.period.begin_ms.to_string(),
            &self.case.period.end_ms.to_string(),
            "",
        ];
        Sha256::of(key.join("\0").as_bytes()).to_string()[..32].to_owned()
    }

    /// The increments of a meter in the part that an item covers.
    fn increments(&self, item: &RateItem, meter: Meter) -> Vec<&Increment> {
        let covered = |increment: &&Increment| {
            let has_site = item.sites.is_empty() || item.sites.contains(&increment.site);
            let has_target = increment
                .target
                .as_ref()
                .is_none_or(|target| item.targets.is_empty() || item.targets.contains(target));
            let in_part =
                self.case.part.begin_ms <= increment.slot_ms && increment.slot_ms < self.case.part.end_ms;
            increment.meter == meter && has_site && has_target && in_part
        };
        self.case.increments.iter().filter(covered).collect()
    }

    fn item(&self, item: &RateItem) -> Vec<Row> {
        let mut rows = match &item.model {
            RateModel::FlatPrice(_) => self.flat(item),
            RateModel::P95Price(_) => self.p95(item),
            _ => self.metered(item),
        };
        let total = |rows: &[Row]| rows.iter().map(|row| row.amount).sum::<i128>();
        let line = |kind, amount| row(item.name.as_str(), kind, item.tax_code.as_str(), amount);
        let discount = Fraction::new(total(&rows) * i128::from(item.discount_ppm), 1_000_000).rounded();
        rows.push(line("discount", -discount));
        if let Some(lacks) = item.minimum.map(|minimum| self.money(minimum.units()) - total(&rows)) {
            rows.push(line("minimum", lacks.max(0)));
        }
        if let Some(lacks) = item.maximum.map(|maximum| self.money(maximum.units()) - total(&rows)) {
            rows.push(line("maximum", lacks.min(0)));
        }
        rows
    }

    fn flat(&self, item: &RateItem) -> Vec<Row> {
        let RateModel::FlatPrice(flat) = &item.model else { return Vec::new() };
        let line = |site: &str, time: Fraction| Row {
            site: site.to_owned(),
            quantity: 1,
            ..row(
                item.name.as_str(),
                "flat",
                item.tax_code.as_str(),
                self.price(flat.price.units()).times(time).rounded(),
            )
        };
        if item.by != RateBy::Site {
            return vec![line("", self.part)];
        }
        let mut rows = Vec::new();
        for (site, spans) in &self.case.sites {
            let part = self.case.part;
            let within = spans
                .iter()
                .map(|span| (span.end_ms.min(part.end_ms) - span.begin_ms.max(part.begin_ms)).max(0));
            let ms: i64 = within.sum();
            if ms > 0 && (item.sites.is_empty() || item.sites.contains(site)) {
                rows.push(line(
                    site.as_str(),
                    Fraction::new(ms.into(), (self.case.period.end_ms - self.case.period.begin_ms).into()),
                ));
            }
        }
        rows
    }

    fn p95(&self, item: &RateItem) -> Vec<Row> {
        let RateModel::P95Price(p95) = &item.model else { return Vec::new() };
        let all = self.increments(item, Meter::Bytes);
        let mut targets: BTreeSet<String> =
            all.iter().filter_map(|increment| increment.target.as_ref()).map(ToString::to_string).collect();
        targets.extend(item.targets.iter().map(ToString::to_string));
        let mut groups: BTreeMap<String, i128> = BTreeMap::new();
        if item.by == RateBy::None {
            groups.insert(String::new(), 0);
        }
        for target in targets {
            let mut slots = Vec::new();
            let mut slot_ms = self.case.part.begin_ms.div_euclid(SLOT_MS) * SLOT_MS;
            while slot_ms < self.case.part.end_ms {
                let of_slot: Vec<_> = all
                    .iter()
                    .filter(|increment| {
                        increment.slot_ms == slot_ms && increment.target.as_ref().unwrap().as_str() == target
                    })
                    .collect();
                let is_in = slot_ms >= self.case.part.begin_ms;
                if is_in && (!of_slot.is_empty() || self.case.terms.missing_slots == MissingSlots::Zero) {
                    slots.push(of_slot.iter().map(|increment| i128::from(increment.quantity)).sum::<i128>());
                }
                slot_ms += SLOT_MS;
            }
            slots.sort_unstable();
            let rank = (95 * slots.len()).div_ceil(100);
            let bytes = if rank == 0 { 0 } else { slots[rank - 1] };
            let bps = Fraction::new(bytes * 8, 300).floor();
            *groups.entry(if item.by == RateBy::None { String::new() } else { target }).or_default() += bps;
        }
        let mut rows = Vec::new();
        for (target, bps) in groups {
            let commitment = i128::from(p95.commitment_bps);
            for (kind, quantity, price) in [
                ("commitment", commitment, p95.price),
                ("overage", (bps - commitment).max(0), p95.overage_price),
            ] {
                let units = Fraction::new(quantity, p95.unit_size.into());
                let amount = self.price(price.units()).times(self.part).times(units).rounded();
                rows.push(Row {
                    target: target.clone(),
                    quantity,
                    ..row(item.name.as_str(), kind, item.tax_code.as_str(), amount)
                });
            }
        }
        rows
    }

    fn metered(&self, item: &RateItem) -> Vec<Row> {
        let meter = item.meter.unwrap();
        let key = |increment: &Increment| {
            let site = matches!(item.by, RateBy::Site | RateBy::Both).then(|| increment.site.to_string());
            let target = matches!(item.by, RateBy::Target | RateBy::Both)
                .then(|| increment.target.as_ref().map(ToString::to_string))
                .flatten();
            (site.unwrap_or_default(), target.unwrap_or_default())
        };
        let sum = |meter, group: &(String, String)| {
            let of_group =
                self.increments(item, meter).into_iter().filter(|increment| key(increment) == *group);
            of_group.map(|increment| i128::from(increment.quantity)).sum::<i128>()
        };
        let groups: BTreeSet<_> = self.increments(item, meter).into_iter().map(key).collect();
        let mut rows = Vec::new();
        for group in groups {
            let mut quantity = sum(meter, &group);
            let line = |kind, tier: String, quantity: i128, price: u128, unit: i128| Row {
                site: group.0.clone(),
                target: group.1.clone(),
                tier,
                quantity,
                ..row(
                    item.name.as_str(),
                    kind,
                    item.tax_code.as_str(),
                    self.price(price).times(Fraction::new(quantity, unit)).rounded(),
                )
            };
            if item.deduct_probes {
                let probes =
                    sum(if meter == Meter::Bytes { Meter::ProbeBytes } else { Meter::ProbeRequests }, &group)
                        .min(quantity);
                rows.push(line("probe", String::new(), -probes, 0, 1));
                quantity -= probes;
            }
            let free = Fraction::whole(item.free_quantity).times(self.part).floor();
            let quantity = (quantity - free).max(0);
            for (kind, tier, quantity, price, unit) in self.charges(item, quantity) {
                rows.push(line(kind, tier, quantity, price, unit));
            }
        }
        rows
    }

    /// Kind, tier, quantity, price and unit size of what a quantity is charged.
    fn charges(&self, item: &RateItem, quantity: i128) -> Vec<(&'static str, String, i128, u128, i128)> {
        let period = i128::from(self.case.period.end_ms - self.case.period.begin_ms);
        let unit = |size: Option<u64>| size.map_or(period, i128::from);
        let scaled = |bound: u64| Fraction::whole(bound).times(self.part).floor();
        match &item.model {
            RateModel::UnitPrice(price) => {
                vec![("unit", String::new(), quantity, price.price.units(), unit(price.unit_size))]
            }
            RateModel::PackagePrice(price) => {
                let packages = -Fraction::new(-quantity, price.size.into()).floor();
                vec![("package", String::new(), packages, price.price.units(), 1)]
            }
            RateModel::GraduatedPrice(price) => {
                let mut charges = Vec::new();
                for (index, tier) in price.tiers.iter().enumerate() {
                    let to = price.tiers.get(index + 1).map_or(i128::MAX, |next| scaled(next.from));
                    let within = (quantity.min(to) - scaled(tier.from)).max(0);
                    let (from, price, size) =
                        (tier.from.to_string(), tier.price.units(), unit(price.unit_size));
                    charges.push(("graduated", from, within, price, size));
                }
                charges
            }
            RateModel::VolumePrice(price) => {
                let tier = price.tiers.iter().rfind(|tier| scaled(tier.from) <= quantity).unwrap();
                vec![("volume", tier.from.to_string(), quantity, tier.price.units(), unit(price.unit_size))]
            }
            RateModel::FlatPrice(_) | RateModel::P95Price(_) => Vec::new(),
        }
    }

    fn credits(&self, rows: &[Row]) -> Vec<Row> {
        let Some(terms) = &self.case.terms.credits else { return Vec::new() };
        let mut credits = Vec::new();
        for (site, minutes) in &self.case.minutes {
            let known = minutes.met + minutes.missed;
            if known == 0 {
                continue;
            }
            let attainment = Fraction::new((minutes.met * 1_000_000).into(), known.into()).floor();
            let coverage =
                Fraction::new((known * 1_000_000).into(), (known + minutes.unknown).into()).floor();
            let mut steps = terms.steps.clone();
            steps.sort_by_key(|step| step.below_ppm);
            let Some(step) = steps.into_iter().find(|step| i128::from(step.below_ppm) > attainment) else {
                continue;
            };
            if coverage < i128::from(terms.coverage_min_ppm) {
                continue;
            }
            let mut bases: BTreeMap<String, Fraction> = BTreeMap::new();
            for row in rows {
                let share = match row.site.as_str() {
                    named if named == site.as_str() => Fraction::whole(1),
                    "" => Fraction::new(terms.share_ppm.into(), 1_000_000),
                    _ => continue,
                };
                let base = bases.entry(row.code.clone().unwrap()).or_insert_with(|| Fraction::whole(0));
                *base = base.plus(Fraction::whole(row.amount).times(share));
            }
            let base = bases.values().fold(Fraction::whole(0), |sum, base| sum.plus(*base));
            if base.0 <= 0 {
                continue;
            }
            let credit = base.times(Fraction::new(step.basis_points.into(), 10_000)).rounded();
            let credit = match terms.cap {
                None => credit,
                Some(CreditCap::Amount(cap)) => credit.min(self.money(cap.units())),
                Some(CreditCap::PpmOfBase(ppm)) => {
                    credit.min(base.times(Fraction::new(ppm.into(), 1_000_000)).rounded())
                }
            };
            let parts = bases.iter().map(|(code, of_code)| {
                let line =
                    Row { site: site.to_string(), tier: code.clone(), ..row("credit", "credit", code, 0) };
                (line, Fraction::whole(credit).times(*of_code).times(Fraction::new(base.1, base.0)))
            });
            let mut lines: Vec<_> = parts.collect();
            self.split(&mut lines, credit);
            credits.extend(lines.into_iter().map(|(line, _)| Row { amount: -line.tax, tax: 0, ..line }));
        }
        credits
    }

    /// Puts whole shares on lines as their tax: rounded down, and the rest to the greatest fractions, the lowest id first.
    fn split(&self, lines: &mut [(Row, Fraction)], whole: i128) {
        lines.sort_by_key(|(line, _)| self.id(line));
        lines.iter_mut().for_each(|(line, share)| line.tax = share.floor());
        let mut given: BTreeSet<usize> = BTreeSet::new();
        while lines.iter().map(|(line, _)| line.tax).sum::<i128>() < whole {
            let mut best: Option<usize> = None;
            for index in (0..lines.len()).filter(|index| !given.contains(index)) {
                if best.is_none_or(|best| lines[index].1.rest().is_above(lines[best].1.rest())) {
                    best = Some(index);
                }
            }
            let best = best.unwrap();
            lines[best].0.tax += 1;
            given.insert(best);
        }
    }

    fn tax(&self, rows: &mut Vec<Row>) {
        let codes: BTreeSet<String> = rows.iter().filter_map(|row| row.code.clone()).collect();
        let last = self.case.period.end_ms - 1;
        let mut taxed = Vec::new();
        for code in codes {
            let mut rates: Vec<_> = self
                .case
                .terms
                .tax_rates
                .iter()
                .filter(|rate| rate.code.as_str() == code && rate.from_ms <= last)
                .collect();
            rates.sort_by_key(|rate| rate.from_ms);
            let ppm = rates.last().unwrap().ppm;
            let rate = Fraction::new(ppm.into(), 1_000_000);
            let of_code = rows.iter().filter(|row| row.code.as_deref() == Some(&code));
            let mut lines: Vec<_> =
                of_code.map(|row| (row.clone(), Fraction::whole(row.amount).times(rate))).collect();
            let sum: i128 = lines.iter().map(|(row, _)| row.amount).sum();
            let tax = Fraction::whole(sum).times(rate).rounded();
            self.split(&mut lines, tax);
            taxed.extend(lines.into_iter().map(|(row, _)| row));
            if tax != 0 {
                taxed.push(Row {
                    tier: format!("{code}/{ppm}"),
                    code: None,
                    ..row("tax", "tax", &code, tax)
                });
            }
        }
        *rows = taxed;
    }
}

#[test]
fn fractions_are_rounded_half_away_from_zero() {
    let rounded = |one, other| Fraction::new(one, other).rounded();
    assert_eq!(
        [(1, 2), (-1, 2), (3, 2), (1, 3), (2, 3), (-2, 3)].map(|(one, other)| rounded(one, other)),
        [1, -1, 2, 0, 1, -1]
    );
    assert_eq!(Fraction::new(1, 6).plus(Fraction::new(1, 3)), Fraction(1, 2));
}
