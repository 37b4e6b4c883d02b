//! How an agreement is paid for.

use serde::{Deserialize, Serialize};
use spillway_events::{BillingTerms, MissingSlots, Tax};

use crate::fields::{Field, List, Rules, list};
use crate::limits::TAXES_MAX;
use crate::values::{CurrencyCode, Integer, ItemName, RateCardId, ZoneName};

const SEAL_DAY_DEFAULT: u32 = 5;

/// The fields of the billing terms.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub(super) struct BillingSpec {
    rate_card: Field<RateCardId>,
    currency: Field<CurrencyCode>,
    currency_exponent: Field<Integer<0, 4>>,
    zone: Field<ZoneName>,
    seal_day: Field<Integer<1, 28>>,
    missing: Field<MissingSlots>,
    taxes: List<TaxSpec>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, expecting = "a mapping")]
struct TaxSpec {
    code: Field<ItemName>,
    rate_ppm: Field<Integer<0, 1_000_000>>,
}

pub(super) fn read_billing(spec: BillingSpec, rules: &mut Rules) -> Option<BillingTerms> {
    let rate_card = rules.required("rate_card", spec.rate_card);
    let currency = rules.required("currency", spec.currency);
    let currency_exponent = rules.or("currency_exponent", spec.currency_exponent, Integer(2));
    let zone = rules.required("zone", spec.zone);
    let seal_day = rules.or("seal_day", spec.seal_day, Integer(SEAL_DAY_DEFAULT));
    let missing = rules.or("missing", spec.missing, MissingSlots::Zero);
    let taxes = rules.each("taxes", spec.taxes, TAXES_MAX, |rules, spec| {
        let (code, rate) = (rules.required("code", spec.code), rules.required("rate_ppm", spec.rate_ppm));
        Some(Tax { code: code?.into(), rate_ppm: rate?.0 })
    });
    if let Some(taxes) = &taxes {
        rules.distinct("taxes", taxes.iter().map(|tax| &tax.code), ToString::to_string)?;
    }
    Some(BillingTerms {
        rate_card: rate_card?.into(),
        currency: currency?.into(),
        currency_exponent: currency_exponent?.0,
        zone: zone?.into(),
        seal_day: seal_day?.0,
        missing: missing?,
        taxes: taxes?,
    })
}

impl From<BillingTerms> for BillingSpec {
    fn from(terms: BillingTerms) -> Self {
        let tax =
            |tax: Tax| TaxSpec { code: ItemName(tax.code).into(), rate_ppm: Integer(tax.rate_ppm).into() };
        Self {
            rate_card: RateCardId(terms.rate_card).into(),
            currency: CurrencyCode(terms.currency).into(),
            currency_exponent: Integer(terms.currency_exponent).into(),
            zone: ZoneName(terms.zone).into(),
            seal_day: Integer(terms.seal_day).into(),
            missing: terms.missing.into(),
            taxes: list(terms.taxes, tax),
        }
    }
}
