//! The items of a rate card.

use serde::{Deserialize, Serialize};
use spillway_events::{DecimalAmount, LineName, Meter, RateBy, RateItem, SiteName, TargetName, TaxCode};

use super::model::{ModelName, Prices, TierSpec, UnitSize, read_model};
use crate::fields::{Field, List, Rules, list, optional};
use crate::limits::{SITES_PER_RATE_ITEM_MAX, TARGETS_PER_RATE_ITEM_MAX};
use crate::values::{DecimalText, Integer, Quantity, WholeNumber};

/// All of an amount, in ppm.
const ALL_PPM: u32 = 1_000_000;

/// The fields of an item. Those of its prices stand beside the others.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub(super) struct ItemSpec {
    name: Field<LineName>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    meter: Field<Meter>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    sites: List<SiteName>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    targets: List<TargetName>,
    by: Field<RateBy>,
    model: Field<ModelName>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    unit_size: Field<UnitSize>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    size: Field<WholeNumber>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    commitment: Field<Quantity>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    price: Field<DecimalText>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    overage_price: Field<DecimalText>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    tiers: List<TierSpec>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    free_quantity: Field<WholeNumber>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    deduct_probes: Field<bool>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    discount_ppm: Field<Integer<0, ALL_PPM>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    minimum: Field<DecimalText>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    maximum: Field<DecimalText>,
    tax_code: Field<TaxCode>,
}

pub(super) fn read_item(rules: &mut Rules, spec: ItemSpec) -> Option<RateItem> {
    let name = rules.required("name", spec.name);
    let meter = rules.optional("meter", spec.meter);
    let sites = rules.list("sites", spec.sites, SITES_PER_RATE_ITEM_MAX);
    let targets = rules.list("targets", spec.targets, TARGETS_PER_RATE_ITEM_MAX);
    let by = rules.or("by", spec.by, RateBy::None);
    let model = rules.required("model", spec.model);
    let prices = Prices {
        unit_size: spec.unit_size,
        size: spec.size,
        commitment: spec.commitment,
        price: spec.price,
        overage_price: spec.overage_price,
        tiers: spec.tiers,
    };
    let rate_model = model.and_then(|model| read_model(model, prices, rules));
    let free_quantity = rules.or("free_quantity", spec.free_quantity, WholeNumber(0));
    let deduct_probes = rules.optional("deduct_probes", spec.deduct_probes);
    let discount_ppm = rules.or("discount_ppm", spec.discount_ppm, Integer(0));
    let minimum = rules.optional("minimum", spec.minimum);
    let maximum = rules.optional("maximum", spec.maximum);
    let tax_code = rules.required("tax_code", spec.tax_code);
    let (sites, targets, free) = (sites?, targets?, free_quantity?.0);
    rules.distinct("sites", &sites, |site| format!("site {site}"))?;
    rules.distinct("targets", &targets, |target| format!("target {target}"))?;
    let amount = |field: Option<DecimalText>| field.map(|DecimalText(amount)| amount);
    let (minimum, maximum) = (amount(minimum?), amount(maximum?));
    check_bounds(minimum, maximum, rules);
    let (meter, by, model, deduct_probes) = (meter?, by?, model?, deduct_probes?);
    check_meter(meter, model, rules);
    check_dimensions(meter, by, &sites, &targets, rules);
    if free > 0 && matches!(model, ModelName::P95 | ModelName::Flat) {
        let rule = format!("an item of model {} has no free quantity", model.as_str());
        rules.broken("free_quantity", rule);
    }
    let probes = meter.and_then(Meter::of_probes);
    if probes.is_none() && deduct_probes.is_some() {
        rules.broken("deduct_probes", "only the quantities of bytes and requests have a part of probes");
    }
    Some(RateItem {
        name: name?,
        meter,
        sites,
        targets,
        by,
        model: rate_model?,
        free_quantity: free,
        discount_ppm: discount_ppm?.0,
        minimum,
        maximum,
        deduct_probes: probes.is_some() && deduct_probes.unwrap_or(true),
        tax_code: tax_code?,
    })
}

fn check_bounds(minimum: Option<DecimalAmount>, maximum: Option<DecimalAmount>, rules: &mut Rules) {
    let bounds = minimum.zip(maximum);
    if let Some((minimum, maximum)) = bounds.filter(|(minimum, maximum)| minimum > maximum) {
        rules.broken("minimum", format!("{minimum} is greater than the maximum of {maximum}"));
    }
}

fn check_meter(meter: Option<Meter>, model: ModelName, rules: &mut Rules) {
    let rule = match (meter, model) {
        (None, ModelName::Flat) => return,
        (Some(_), ModelName::Flat) => "a flat price is for the time, and has no meter",
        (None, _) => "is missing: what is metered",
        (Some(Meter::UnmappedBytes | Meter::UnmappedRequests), _) => "no client is billed for it",
        (Some(Meter::EgressP95), ModelName::P95) => return,
        (Some(Meter::EgressP95), _) => "the price of egress_p95 is of model p95",
        (Some(_), ModelName::P95) => "a price of model p95 is for the meter egress_p95",
        (Some(_), _) => return,
    };
    rules.broken("meter", rule);
}

/// A meter that does not have a dimension cannot be divided by it.
fn check_dimensions(
    meter: Option<Meter>,
    by: RateBy,
    sites: &[SiteName],
    targets: &[TargetName],
    rules: &mut Rules,
) {
    let of = meter.map_or("a flat price", Meter::as_str);
    let has_sites = meter != Some(Meter::EgressP95);
    let has_targets = meter.is_some_and(|meter| meter != Meter::ActiveHosts);
    let no_site = || format!("{of} is not counted by site");
    let no_target = || format!("{of} is not counted by target");
    if !has_sites && matches!(by, RateBy::Site | RateBy::Both) {
        rules.broken("by", no_site());
    }
    if !has_sites && !sites.is_empty() {
        rules.broken("sites", no_site());
    }
    if !has_targets && matches!(by, RateBy::Target | RateBy::Both) {
        rules.broken("by", no_target());
    }
    if !has_targets && !targets.is_empty() {
        rules.broken("targets", no_target());
    }
}

impl From<RateItem> for ItemSpec {
    fn from(item: RateItem) -> Self {
        let prices = Prices::of(&item.model);
        let has_probes = item.meter.and_then(Meter::of_probes).is_some();
        Self {
            name: item.name.into(),
            meter: optional(item.meter, |meter| meter),
            sites: given_list(item.sites),
            targets: given_list(item.targets),
            by: item.by.into(),
            model: ModelName::of(&item.model).into(),
            unit_size: prices.unit_size,
            size: prices.size,
            commitment: prices.commitment,
            price: prices.price,
            overage_price: prices.overage_price,
            tiers: prices.tiers,
            free_quantity: optional((item.free_quantity > 0).then_some(item.free_quantity), WholeNumber),
            deduct_probes: optional(has_probes.then_some(item.deduct_probes), |deduct| deduct),
            discount_ppm: optional((item.discount_ppm > 0).then_some(item.discount_ppm), Integer),
            minimum: optional(item.minimum, DecimalText),
            maximum: optional(item.maximum, DecimalText),
            tax_code: item.tax_code.into(),
        }
    }
}

/// A list that is left out if it is empty.
fn given_list<T>(items: Vec<T>) -> List<T> {
    if items.is_empty() { Field::Absent } else { list(items, |item| item) }
}
