//! The prices of an item, by its model.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use spillway_events::{
    BitsPerSecond, DecimalAmount, FlatPrice, GraduatedPrice, GraduatedTier, P95Price, PackagePrice,
    RateModel, UnitPrice, VolumePrice, VolumeTier, format_throughput, parse_throughput,
};

use crate::fields::{Field, List, Rules, list, optional};
use crate::limits::TIERS_PER_RATE_ITEM_MAX;
use crate::values::{DecimalText, Quantity, WholeNumber};

/// The name of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ModelName {
    Flat,
    Unit,
    Graduated,
    Volume,
    Package,
    P95,
}

impl ModelName {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Unit => "unit",
            Self::Graduated => "graduated",
            Self::Volume => "volume",
            Self::Package => "package",
            Self::P95 => "p95",
        }
    }

    pub(super) fn of(model: &RateModel) -> Self {
        match model {
            RateModel::FlatPrice(_) => Self::Flat,
            RateModel::UnitPrice(_) => Self::Unit,
            RateModel::GraduatedPrice(_) => Self::Graduated,
            RateModel::VolumePrice(_) => Self::Volume,
            RateModel::PackagePrice(_) => Self::Package,
            RateModel::P95Price(_) => Self::P95,
        }
    }

    /// The fields that the prices of this model have.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Flat => &["price"],
            Self::Unit => &["price", "unit_size"],
            Self::Graduated | Self::Volume => &["tiers", "unit_size"],
            Self::Package => &["price", "size"],
            Self::P95 => &["commitment", "price", "overage_price", "unit_size"],
        }
    }
}

/// The fields of an item's prices. A model has some of them.
#[derive(Debug, Default)]
pub(super) struct Prices {
    pub(super) unit_size: Field<UnitSize>,
    pub(super) size: Field<WholeNumber>,
    pub(super) commitment: Field<Quantity>,
    pub(super) price: Field<DecimalText>,
    pub(super) overage_price: Field<DecimalText>,
    pub(super) tiers: List<TierSpec>,
}

/// The fields of a tier.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub(super) struct TierSpec {
    from: Field<WholeNumber>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    to: Field<WholeNumber>,
    price: Field<DecimalText>,
}

/// A tier as its item reads it.
struct Tier {
    from: u64,
    to: Option<u64>,
    price: DecimalAmount,
}

pub(super) fn read_model(model: ModelName, prices: Prices, rules: &mut Rules) -> Option<RateModel> {
    refuse_others(model, &prices, rules);
    let unit_size = rules.or("unit_size", prices.unit_size, UnitSize::Number(1))?;
    let Prices { size, commitment, price, overage_price, tiers, .. } = prices;
    Some(match model {
        ModelName::Flat => RateModel::FlatPrice(FlatPrice { price: rules.required("price", price)?.0 }),
        ModelName::Unit => {
            let price = rules.required("price", price)?.0;
            RateModel::UnitPrice(UnitPrice { unit_size: unit_size.number(), price })
        }
        ModelName::Graduated => {
            let tier = |Tier { from, price, .. }| GraduatedTier { from, price };
            let tiers = read_tiers(tiers, rules)?.into_iter().map(tier).collect();
            RateModel::GraduatedPrice(GraduatedPrice { unit_size: unit_size.number(), tiers })
        }
        ModelName::Volume => {
            let tier = |Tier { from, price, .. }| VolumeTier { from, price };
            let tiers = read_tiers(tiers, rules)?.into_iter().map(tier).collect();
            RateModel::VolumePrice(VolumePrice { unit_size: unit_size.number(), tiers })
        }
        ModelName::Package => {
            let (size, price) = (rules.required("size", size), rules.required("price", price));
            let WholeNumber(size) = size?;
            if size == 0 {
                rules.broken("size", "must be at least 1");
            }
            RateModel::PackagePrice(PackagePrice { size, price: price?.0 })
        }
        ModelName::P95 => {
            let commitment = rules.required("commitment", commitment);
            let commitment_bps = commitment.and_then(|text| read_commitment(&text, rules));
            let price = rules.required("price", price);
            let overage_price = rules.required("overage_price", overage_price);
            let UnitSize::Number(unit_size) = unit_size else {
                rules.broken("unit_size", "of a price of model p95 is a number of bit/s");
                return None;
            };
            RateModel::P95Price(P95Price {
                unit_size,
                commitment_bps: commitment_bps?,
                price: price?.0,
                overage_price: overage_price?.0,
            })
        }
    })
}

/// Refuses fields of other models.
fn refuse_others(model: ModelName, prices: &Prices, rules: &mut Rules) {
    let given = [
        ("unit_size", !prices.unit_size.is_absent()),
        ("size", !prices.size.is_absent()),
        ("commitment", !prices.commitment.is_absent()),
        ("price", !prices.price.is_absent()),
        ("overage_price", !prices.overage_price.is_absent()),
        ("tiers", !prices.tiers.is_absent()),
    ];
    for (key, _) in given.iter().filter(|(key, is_given)| *is_given && !model.keys().contains(key)) {
        let keys = model.keys().join(", ");
        rules.broken(key, format!("does not belong to model {}, whose prices have {keys}", model.as_str()));
    }
}

fn read_commitment(Quantity(text): &Quantity, rules: &mut Rules) -> Option<u64> {
    match parse_throughput(text) {
        Ok(BitsPerSecond(commitment)) => Some(commitment),
        Err(error) => {
            rules.broken("commitment", error.to_string());
            None
        }
    }
}

/// Reads tiers `[from, to)` that begin at 0, follow each other without a gap, and end with one that has no end.
fn read_tiers(field: List<TierSpec>, rules: &mut Rules) -> Option<Vec<Tier>> {
    if field.is_absent() {
        rules.broken("tiers", "is missing");
        return None;
    }
    let tiers = rules.each("tiers", field, TIERS_PER_RATE_ITEM_MAX, |rules, spec: TierSpec| {
        let from = rules.required("from", spec.from);
        let to = rules.optional("to", spec.to);
        let price = rules.required("price", spec.price);
        let (WholeNumber(from), to) = (from?, to?.map(|WholeNumber(to)| to));
        if to.is_some_and(|to| to <= from) {
            rules.broken("to", format!("must be greater than {from}, where the tier begins"));
        }
        Some(Tier { from, to, price: price?.0 })
    })?;
    if tiers.is_empty() {
        rules.broken("tiers", "must have at least one tier");
    }
    let mut begin = Some(0);
    for (index, tier) in tiers.iter().enumerate() {
        match begin {
            Some(begin) if begin != tier.from => {
                let rule = format!("must begin at {begin}: tiers begin at 0, without gaps and overlaps");
                rules.item_broken("tiers", index, rule);
            }
            Some(_) => {}
            None => {
                rules.item_broken(
                    "tiers",
                    index,
                    "follows a tier without an end: only the last one has none",
                );
            }
        }
        begin = tier.to;
    }
    if let Some(to) = tiers.last().and_then(|tier| tier.to) {
        let rule = format!("ends at {to}: the last tier has no end, so that every quantity has a price");
        rules.item_broken("tiers", tiers.len() - 1, rule);
    }
    Some(tiers)
}

impl Prices {
    /// The fields of prices.
    pub(super) fn of(model: &RateModel) -> Self {
        let given = |price| Field::Given(DecimalText(price));
        let sized = |size: Option<u64>| Field::Given(size.map_or(UnitSize::Period, UnitSize::Number));
        match model {
            RateModel::FlatPrice(flat) => Self { price: given(flat.price), ..Self::default() },
            RateModel::UnitPrice(unit) => {
                Self { price: given(unit.price), unit_size: sized(unit.unit_size), ..Self::default() }
            }
            RateModel::GraduatedPrice(GraduatedPrice { unit_size, tiers }) => {
                let tiers = tier_specs(tiers.iter().map(|tier| (tier.from, tier.price)).collect());
                Self { tiers, unit_size: sized(*unit_size), ..Self::default() }
            }
            RateModel::VolumePrice(VolumePrice { unit_size, tiers }) => {
                let tiers = tier_specs(tiers.iter().map(|tier| (tier.from, tier.price)).collect());
                Self { tiers, unit_size: sized(*unit_size), ..Self::default() }
            }
            RateModel::PackagePrice(PackagePrice { size, price }) => {
                Self { size: WholeNumber(*size).into(), price: given(*price), ..Self::default() }
            }
            RateModel::P95Price(P95Price { unit_size, commitment_bps, price, overage_price }) => Self {
                unit_size: sized(Some(*unit_size)),
                commitment: Quantity(format_throughput(BitsPerSecond(*commitment_bps))).into(),
                price: given(*price),
                overage_price: given(*overage_price),
                ..Self::default()
            },
        }
    }
}

/// The fields of tiers, each of which ends where the next one begins.
fn tier_specs(tiers: Vec<(u64, DecimalAmount)>) -> List<TierSpec> {
    let ends: Vec<Option<u64>> = tiers.iter().skip(1).map(|(from, _)| Some(*from)).chain([None]).collect();
    list(tiers.into_iter().zip(ends).collect(), |((from, price), to)| TierSpec {
        from: WholeNumber(from).into(),
        to: optional(to, WholeNumber),
        price: DecimalText(price).into(),
    })
}

/// The quantity that a price is for: `period`, the milliseconds of the whole period, or a number of the meter's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnitSize {
    Period,
    Number(u64),
}

impl UnitSize {
    fn number(self) -> Option<u64> {
        match self {
            Self::Period => None,
            Self::Number(size) => Some(size),
        }
    }
}

impl Serialize for UnitSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Period => serializer.serialize_str("period"),
            Self::Number(size) => WholeNumber(*size).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for UnitSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = UnitSize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`period` or a whole number from 1 on")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<UnitSize, E> {
                if text == "period" {
                    return Ok(UnitSize::Period);
                }
                let WholeNumber(size) = WholeNumber::read(text)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))?;
                self.visit_u64(size)
            }
            fn visit_u64<E: de::Error>(self, size: u64) -> Result<UnitSize, E> {
                match (1..=i64::MAX.unsigned_abs()).contains(&size) {
                    true => Ok(UnitSize::Number(size)),
                    false => Err(E::invalid_value(de::Unexpected::Unsigned(size), &self)),
                }
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}
