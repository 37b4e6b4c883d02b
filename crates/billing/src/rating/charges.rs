//! Steps 1 and 2: the quantity of each group of an item, and its lines by the item's model.

use std::collections::BTreeMap;

use spillway_events::{DecimalAmount, LineKind, Meter, P95Price, PackagePrice, RateItem, RateModel};

use super::Part;
use super::groups::{self, Group};
use crate::derivation::{Charge, Derivation, Factor, Metered, Tier};
use crate::line::{RatedLine, Subject};
use crate::usage::Counted;
use crate::wide::TooGreat;

/// A price that is for a quantity, not for a time.
const WHOLE: Factor = Factor { ms: 1, of_ms: 1 };

/// The lines of an item.
pub(super) fn charge(part: &Part<'_>, item: &RateItem) -> Result<Vec<RatedLine>, TooGreat> {
    let mut lines = Vec::new();
    match (&item.model, item.meter) {
        (RateModel::FlatPrice(flat), _) => {
            for (group, ms) in groups::active(part, item) {
                let factor = Factor { ms, of_ms: part.head.period.ms() };
                let charge = Charge::new(1, flat.price, 1, factor, part.terms.currency_exponent)?;
                lines.push(line(part, item, &group, LineKind::Flat, charge)?);
            }
        }
        (RateModel::P95Price(price), _) => {
            for (group, percentiles) in groups::percentiles(part, item)? {
                let bps = percentiles.iter().try_fold(0_i128, |sum, one| sum.checked_add(one.bps));
                let metered = Metered {
                    meter: Meter::EgressP95,
                    quantity: bps.ok_or(TooGreat)?,
                    counted: None,
                    probe_quantity: 0,
                    deducted: 0,
                    free_quantity: 0,
                    percentiles,
                };
                percentile_lines(part, item, &group, price, &metered, &mut lines)?;
            }
        }
        (_, Some(meter)) => {
            let probes = match meter.of_probes().filter(|_| item.deduct_probes) {
                Some(probes) => Some(groups::counted(part, item, probes)?),
                None => None,
            };
            for (group, counted) in groups::counted(part, item, meter)? {
                let of_probes =
                    |probes: &BTreeMap<Group, Counted>| probes.get(&group).map_or(0, |of| of.quantity);
                let probe_quantity = probes.as_ref().map(of_probes);
                let metered = meter_group(part, item, meter, counted, probe_quantity)?;
                if probe_quantity.is_some() {
                    let subject = subject(item, &group, LineKind::Probe);
                    let derivation = Derivation::Probe(metered.clone());
                    lines.push(part.head.line(subject, -metered.deducted, derivation)?);
                }
                for (kind, charge) in by_model(part, item, billed(&metered)?)? {
                    let charge = Charge { metered: Some(metered.clone()), ..charge };
                    lines.push(line(part, item, &group, kind, charge)?);
                }
            }
        }
        // A card without the meter of an item is refused.
        (_, None) => {}
    }
    Ok(lines)
}

/// The quantity of a group and what is taken off it. `probe_quantity` is what probes caused, if that is deducted.
fn meter_group(
    part: &Part<'_>,
    item: &RateItem,
    meter: Meter,
    counted: Counted,
    probe_quantity: Option<i128>,
) -> Result<Metered, TooGreat> {
    let probe_quantity = probe_quantity.unwrap_or(0);
    Ok(Metered {
        meter,
        quantity: counted.quantity,
        counted: Some(counted),
        probe_quantity,
        deducted: probe_quantity.min(counted.quantity).max(0),
        free_quantity: part.factor().of(item.free_quantity)?,
        percentiles: Vec::new(),
    })
}

/// What is left to pay for, not below 0.
fn billed(metered: &Metered) -> Result<i128, TooGreat> {
    let left = metered.quantity.checked_sub(metered.deducted).ok_or(TooGreat)?.max(0);
    Ok(left.checked_sub(metered.free_quantity).ok_or(TooGreat)?.max(0))
}

/// What a quantity is charged by an item's model.
fn by_model(part: &Part<'_>, item: &RateItem, quantity: i128) -> Result<Vec<(LineKind, Charge)>, TooGreat> {
    let exponent = part.terms.currency_exponent;
    let period_ms = part.head.period.ms();
    let sized = |size: Option<u64>| size.unwrap_or(period_ms);
    Ok(match &item.model {
        RateModel::UnitPrice(unit) => {
            let charge = Charge::new(quantity, unit.price, sized(unit.unit_size), WHOLE, exponent)?;
            vec![(LineKind::Unit, charge)]
        }
        RateModel::GraduatedPrice(graduated) => {
            let prices = graduated.tiers.iter().map(|tier| (tier.from, tier.price)).collect();
            let within = tiers(part, prices)?.into_iter().map(|(tier, price)| {
                let end = tier.to.map_or(quantity, |to| to.min(quantity));
                let within = (end - tier.from).max(0);
                let charge = Charge::new(within, price, sized(graduated.unit_size), WHOLE, exponent)?;
                Ok((LineKind::Graduated, Charge { tier: Some(tier), ..charge }))
            });
            within.collect::<Result<_, TooGreat>>()?
        }
        RateModel::VolumePrice(volume) => {
            let prices = volume.tiers.iter().map(|tier| (tier.from, tier.price)).collect();
            let tiers = tiers(part, prices)?;
            // Of tiers that are empty in this part, the last one that begins at the quantity holds it.
            let Some((tier, price)) = tiers.into_iter().rev().find(|(tier, _)| tier.from <= quantity) else {
                return Ok(Vec::new());
            };
            let charge = Charge::new(quantity, price, sized(volume.unit_size), WHOLE, exponent)?;
            vec![(LineKind::Volume, Charge { tier: Some(tier), ..charge })]
        }
        RateModel::PackagePrice(PackagePrice { size, price }) => {
            let size = i128::from(*size);
            let whole = quantity.checked_div(size).ok_or(TooGreat)?;
            let packages = whole + i128::from(whole * size < quantity);
            vec![(LineKind::Package, Charge::new(packages, *price, 1, WHOLE, exponent)?)]
        }
        RateModel::FlatPrice(_) | RateModel::P95Price(_) => Vec::new(),
    })
}

/// The tiers in proportion to the part.
fn tiers(part: &Part<'_>, prices: Vec<(u64, DecimalAmount)>) -> Result<Vec<(Tier, DecimalAmount)>, TooGreat> {
    let factor = part.factor();
    let ends: Vec<Option<u64>> = prices.iter().skip(1).map(|(from, _)| Some(*from)).chain([None]).collect();
    let tiers = prices.into_iter().zip(ends).map(|((card_from, price), to)| {
        let to = to.map(|to| factor.of(to)).transpose()?;
        Ok((Tier { card_from, from: factor.of(card_from)?, to }, price))
    });
    tiers.collect()
}

fn percentile_lines(
    part: &Part<'_>,
    item: &RateItem,
    group: &Group,
    p95: &P95Price,
    metered: &Metered,
    lines: &mut Vec<RatedLine>,
) -> Result<(), TooGreat> {
    let commitment = i128::from(p95.commitment_bps);
    let overage = (metered.quantity - commitment).max(0);
    for (kind, quantity, price) in
        [(LineKind::Commitment, commitment, p95.price), (LineKind::Overage, overage, p95.overage_price)]
    {
        let charge =
            Charge::new(quantity, price, p95.unit_size, part.factor(), part.terms.currency_exponent)?;
        lines.push(line(part, item, group, kind, Charge { metered: Some(metered.clone()), ..charge })?);
    }
    Ok(())
}

fn line(
    part: &Part<'_>,
    item: &RateItem,
    group: &Group,
    kind: LineKind,
    charge: Charge,
) -> Result<RatedLine, TooGreat> {
    let tier = charge.tier.map_or_else(String::new, |tier| tier.card_from.to_string());
    let subject = Subject { tier, ..subject(item, group, kind) };
    part.head.line(subject, charge.quantity, Derivation::Charge(charge))
}

fn subject(item: &RateItem, (site, target): &Group, kind: LineKind) -> Subject {
    let of_item = Subject::of_item(&item.name, kind, &item.tax_code);
    Subject { site: site.clone(), target: target.clone(), ..of_item }
}
