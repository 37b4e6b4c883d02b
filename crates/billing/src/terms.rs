//! The terms of an agreement that billing reads.

use spillway_events::{DecimalAmount, TaxCode};

use crate::period::Span;

/// The greatest exponent of a currency: four decimal places, which CLF and UYW have (ISO 4217).
pub const CURRENCY_EXPONENT_MAX: u32 = 4;

/// The terms of one version of an agreement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// How many decimal places the currency's minor unit has: 0 for JPY, 2 for USD, 3 for KWD.
    pub currency_exponent: u32,
    /// What a slot without a report counts as in a 95th percentile.
    pub missing_slots: MissingSlots,
    /// The rates of tax.
    pub tax_rates: Vec<TaxRate>,
    /// Times in which the level need not be kept.
    pub maintenance: Vec<Span>,
    /// Minutes that count although a reason would exclude them.
    pub counted: CountedMinutes,
    /// What is credited where the level is not kept; nothing if there are none.
    pub credits: Option<CreditTerms>,
}

/// What a slot without a report counts as in a 95th percentile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MissingSlots {
    /// As a slot of 0 bytes.
    #[default]
    Zero,
    /// Not at all.
    Excluded,
}

/// The rate of tax of a code, from a time on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxRate {
    /// The code.
    pub code: TaxCode,
    /// From when on, in ms since 1970.
    pub from_ms: i64,
    /// The rate in ppm.
    pub ppm: u32,
}

/// Which minutes count although a reason would exclude them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountedMinutes {
    /// Those in which the route was pinned.
    pub pinned: bool,
    /// Those in which a target was drained.
    pub drained: bool,
    /// Those of maintenance.
    pub maintenance: bool,
}

/// What is credited where the level is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditTerms {
    /// The steps, in any order.
    pub steps: Vec<CreditStep>,
    /// The least coverage in ppm: below it there is no credit.
    pub coverage_min_ppm: u32,
    /// The most that is credited for a site and a period.
    pub cap: Option<CreditCap>,
    /// The part of the lines that name no site which belongs to each site's base, in ppm.
    pub share_ppm: u32,
}

/// One step: what is credited below an attainment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditStep {
    /// The attainment in ppm that was not reached.
    pub below_ppm: u32,
    /// What is credited, in hundredths of a percent of the base.
    pub basis_points: u32,
}

/// The most that is credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreditCap {
    /// An amount, in the currency's major unit.
    Amount(DecimalAmount),
    /// A part of the base, in ppm.
    PpmOfBase(u32),
}

/// Why terms are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// There is no such currency.
    #[error("a currency has at most {CURRENCY_EXPONENT_MAX} decimal places, not {0}")]
    Exponent(u32),
    /// Two steps have the same bound.
    #[error("two steps are below {0} ppm")]
    SameStep(u32),
    /// A worse attainment would not be credited more.
    #[error("the step below {0} ppm does not credit more than the one above it")]
    StepOrder(u32),
    /// A code has two rates from the same time on.
    #[error("tax code {0} has two rates from the same time on")]
    SameTaxRate(TaxCode),
}

impl Terms {
    /// Refuses terms that contradict themselves.
    ///
    /// # Errors
    /// With the first rule that is broken.
    pub fn check(&self) -> Result<(), TermsError> {
        if self.currency_exponent > CURRENCY_EXPONENT_MAX {
            return Err(TermsError::Exponent(self.currency_exponent));
        }
        let mut rates: Vec<_> = self.tax_rates.iter().map(|rate| (&rate.code, rate.from_ms)).collect();
        rates.sort_unstable();
        if let Some((code, _)) = rates.iter().zip(rates.iter().skip(1)).find(|(one, other)| one == other) {
            return Err(TermsError::SameTaxRate(code.0.clone()));
        }
        let mut steps = self.credits.as_ref().map_or_else(Vec::new, |credits| credits.steps.clone());
        steps.sort_unstable_by_key(|step| std::cmp::Reverse(step.below_ppm));
        for (above, below) in steps.iter().zip(steps.iter().skip(1)) {
            if above.below_ppm == below.below_ppm {
                return Err(TermsError::SameStep(below.below_ppm));
            }
            if below.basis_points <= above.basis_points {
                return Err(TermsError::StepOrder(below.below_ppm));
            }
        }
        Ok(())
    }

    /// The rate of tax of a code at a time, in ppm; none if the terms have none.
    #[must_use]
    pub fn tax_ppm(&self, code: &TaxCode, at_ms: i64) -> Option<u32> {
        let rates = self.tax_rates.iter().filter(|rate| rate.code == *code && rate.from_ms <= at_ms);
        rates.max_by_key(|rate| rate.from_ms).map(|rate| rate.ppm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(steps: &[(u32, u32)]) -> Result<(), TermsError> {
        let step = |(below_ppm, basis_points): &(u32, u32)| CreditStep {
            below_ppm: *below_ppm,
            basis_points: *basis_points,
        };
        let steps = steps.iter().map(step).collect();
        let credits = CreditTerms { steps, coverage_min_ppm: 0, cap: None, share_ppm: 0 };
        Terms { credits: Some(credits), ..Terms::default() }.check()
    }

    #[test]
    fn a_worse_attainment_is_credited_more() {
        assert_eq!(steps(&[(999_000, 500), (990_000, 1_000), (950_000, 2_500)]), Ok(()));
        assert_eq!(steps(&[(990_000, 1_000), (999_000, 500)]), Ok(()));
        assert_eq!(steps(&[(999_000, 500), (990_000, 500)]), Err(TermsError::StepOrder(990_000)));
        assert_eq!(steps(&[(999_000, 500), (999_000, 600)]), Err(TermsError::SameStep(999_000)));
    }

    #[test]
    fn currencies_and_rates_of_tax_are_plausible() {
        let terms = Terms { currency_exponent: 5, ..Terms::default() };
        assert_eq!(terms.check(), Err(TermsError::Exponent(5)));
        let code = TaxCode::new("vat").unwrap();
        let rate = |from_ms, ppm| TaxRate { code: code.clone(), from_ms, ppm };
        let terms = Terms { tax_rates: vec![rate(5, 200_000), rate(0, 190_000)], ..Terms::default() };
        assert_eq!(terms.check(), Ok(()));
        assert_eq!(
            [-1, 0, 4, 5].map(|at| terms.tax_ppm(&code, at)),
            [None, Some(190_000), Some(190_000), Some(200_000)]
        );
        let terms = Terms { tax_rates: vec![rate(5, 1), rate(5, 2)], ..Terms::default() };
        assert_eq!(terms.check(), Err(TermsError::SameTaxRate(code)));
    }
}
