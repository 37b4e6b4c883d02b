//! The level of service of an agreement, and the credits for missing it.

use serde::{Deserialize, Serialize};
use spillway_events::{CreditShare, CreditStep, LineName, MaintenanceWindow, ServiceLevelTerms};

use crate::fields::{Field, List, Rules, list, optional};
use crate::limits::{CREDIT_STEPS_MAX, MAINTENANCE_WINDOWS_MAX, RATE_ITEMS_PER_CARD_MAX};
use crate::values::{Integer, TimeText};

const PPM: u32 = 1_000_000;

/// The fields of a level of service.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub(super) struct ServiceLevelSpec {
    steps: List<CreditStepSpec>,
    coverage_min_ppm: Field<Integer<0, PPM>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    cap_ppm: Field<Integer<1, PPM>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    cap_minor: Field<Integer<1, { u32::MAX }>>,
    counts_overridden: Field<bool>,
    maintenance: List<MaintenanceSpec>,
    shares: List<CreditShareSpec>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, expecting = "a mapping")]
struct CreditStepSpec {
    below_ppm: Field<Integer<1, PPM>>,
    credit_basis_points: Field<Integer<1, 10_000>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, expecting = "a mapping")]
struct MaintenanceSpec {
    from: Field<TimeText>,
    to: Field<TimeText>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, expecting = "a mapping")]
struct CreditShareSpec {
    item: Field<LineName>,
    ppm: Field<Integer<1, PPM>>,
}

pub(super) fn read_service_level(spec: ServiceLevelSpec, rules: &mut Rules) -> Option<ServiceLevelTerms> {
    let steps = read_steps(spec.steps, rules);
    let coverage_min_ppm = rules.or("coverage_min_ppm", spec.coverage_min_ppm, Integer(0));
    let cap_ppm = rules.optional("cap_ppm", spec.cap_ppm);
    let cap_minor = rules.optional("cap_minor", spec.cap_minor);
    if cap_ppm.flatten().is_some() && cap_minor.flatten().is_some() {
        rules.broken("cap_minor", "repeats cap_ppm: a cap is in money or in ppm, not in both");
    }
    let counts_overridden = rules.or("counts_overridden", spec.counts_overridden, false);
    let maintenance = rules.each("maintenance", spec.maintenance, MAINTENANCE_WINDOWS_MAX, |rules, spec| {
        let (from, to) = (rules.required("from", spec.from), rules.required("to", spec.to));
        let (TimeText(from_us), TimeText(to_us)) = (from?, to?);
        if to_us <= from_us {
            rules.broken("to", "must be after `from`");
        }
        Some(MaintenanceWindow { from_us, to_us })
    });
    let shares = rules.each("shares", spec.shares, RATE_ITEMS_PER_CARD_MAX, |rules, spec| {
        let (item, ppm) = (rules.required("item", spec.item), rules.required("ppm", spec.ppm));
        Some(CreditShare { item: item?, ppm: ppm?.0 })
    });
    if let Some(shares) = &shares {
        rules.distinct("shares", shares.iter().map(|share| &share.item), ToString::to_string)?;
    }
    Some(ServiceLevelTerms {
        steps: steps?,
        coverage_min_ppm: coverage_min_ppm?.0,
        cap_ppm: cap_ppm?.map(|Integer(ppm)| ppm),
        cap_minor: cap_minor?.map(|Integer(units)| units),
        counts_overridden: counts_overridden?,
        maintenance: maintenance?,
        shares: shares?,
    })
}

/// The steps by falling bounds; the deeper the fall, the greater the credit.
fn read_steps(field: List<CreditStepSpec>, rules: &mut Rules) -> Option<Vec<CreditStep>> {
    let steps = rules.each("steps", field, CREDIT_STEPS_MAX, |rules, spec| {
        let below = rules.required("below_ppm", spec.below_ppm);
        let credit = rules.required("credit_basis_points", spec.credit_basis_points);
        Some(CreditStep { below_ppm: below?.0, credit_basis_points: credit?.0 })
    })?;
    if steps.is_empty() {
        rules.broken("steps", "must list at least one step");
    }
    for (index, pair) in (1..).zip(steps.windows(2)) {
        let [before, after] = pair else { continue };
        if after.below_ppm >= before.below_ppm {
            rules.item_broken("steps", index, "must have a lower bound than the step before it");
        } else if after.credit_basis_points <= before.credit_basis_points {
            rules.item_broken("steps", index, "must have a greater credit than the step before it");
        }
    }
    Some(steps)
}

impl From<ServiceLevelTerms> for ServiceLevelSpec {
    fn from(level: ServiceLevelTerms) -> Self {
        let step = |step: CreditStep| CreditStepSpec {
            below_ppm: Integer(step.below_ppm).into(),
            credit_basis_points: Integer(step.credit_basis_points).into(),
        };
        let window = |window: MaintenanceWindow| MaintenanceSpec {
            from: TimeText(window.from_us).into(),
            to: TimeText(window.to_us).into(),
        };
        let share =
            |share: CreditShare| CreditShareSpec { item: share.item.into(), ppm: Integer(share.ppm).into() };
        Self {
            steps: list(level.steps, step),
            coverage_min_ppm: Integer(level.coverage_min_ppm).into(),
            cap_ppm: optional(level.cap_ppm, Integer),
            cap_minor: optional(level.cap_minor, Integer),
            counts_overridden: level.counts_overridden.into(),
            maintenance: list(level.maintenance, window),
            shares: list(level.shares, share),
        }
    }
}
