//! How the amount of a line comes about. The amount is computed here and nowhere else.

use spillway_events::{DecimalAmount, Meter};

use crate::percentile::Percentile;
use crate::usage::Counted;
use crate::wide::{Division, TooGreat};

/// 10¹²: prices are whole numbers of 10⁻¹² of the major unit.
const PRICE_UNIT: u128 = 10_u128.pow(12);
/// 10⁶.
const MILLION: u128 = 1_000_000;

/// How the amount of a line comes about, in the currency's minor unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Derivation {
    /// A quantity at a price.
    Charge(Charge),
    /// What probes caused: no amount.
    Probe(Metered),
    /// A part of a sum: a tax, or, less than 0, a discount.
    Share(Share),
    /// What a sum lacks to a bound, or, less than 0, has beyond it.
    FillUp(FillUp),
    /// A credit.
    Credit(CreditShare),
}

/// `quantity × price × 10^e × factor ÷ (unit size × 10¹²)`, rounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// What was counted; none for a flat price.
    pub metered: Option<Metered>,
    /// What is charged for.
    pub quantity: i128,
    /// The tier that it lies in.
    pub tier: Option<Tier>,
    /// The price of a unit, in the currency's major unit.
    pub price: DecimalAmount,
    /// How many of the meter's units a price is for.
    pub unit_size: u64,
    /// The part of the period that it is for, where the price is for a period.
    pub factor: Factor,
    /// The division.
    pub division: Division,
}

/// What was counted for a group of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metered {
    /// The meter.
    pub meter: Meter,
    /// The sum of the increments; of a 95th percentile its value, of several their sum.
    pub quantity: i128,
    /// The increments; none for a 95th percentile.
    pub counted: Option<Counted>,
    /// What probes caused of it, of which at most the quantity is deducted; 0 where nothing is deducted.
    pub probe_quantity: i128,
    /// What is deducted.
    pub deducted: i128,
    /// What is free, in proportion to the part of the period.
    pub free_quantity: i128,
    /// The percentiles that the quantity is the sum of.
    pub percentiles: Vec<Percentile>,
}

/// A tier, in proportion to the part of the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Its first quantity as the rate card has it.
    pub card_from: u64,
    /// Its first quantity.
    pub from: i128,
    /// Where the next one begins; none for the last one.
    pub to: Option<i128>,
}

/// A part of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factor {
    /// The length of the part in ms.
    pub ms: u64,
    /// The length of the period in ms.
    pub of_ms: u64,
}

/// `±sum × ppm ÷ 10⁶`, rounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The sum of the lines.
    pub sum: i128,
    /// The part of it.
    pub ppm: u32,
    /// The division.
    pub division: Division,
}

/// `bound × 10^e × factor ÷ 10¹²`, rounded, minus the sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillUp {
    /// The bound, in the currency's major unit.
    pub bound: DecimalAmount,
    /// The part of the period that it is for.
    pub factor: Factor,
    /// The division.
    pub division: Division,
    /// The sum of the lines.
    pub sum: i128,
    /// What the sum lacks to the bound.
    pub amount: i128,
}

/// A part of a site's credit: that of the lines with one tax code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditShare {
    /// The attainment in ppm.
    pub attainment_ppm: u32,
    /// The bound of the step, in ppm.
    pub below_ppm: u32,
    /// What the step credits, in hundredths of a percent.
    pub basis_points: u32,
    /// The base of the site, in millionths of the minor unit.
    pub base_millionths: i128,
    /// `base × basis points ÷ 10⁴`.
    pub division: Division,
    /// The cap; none if there is none.
    pub cap: Option<Division>,
    /// The credit of the site: the quotient, or the cap if that is less.
    pub credit: i128,
    /// The base of the tax code, in millionths of the minor unit.
    pub code_base_millionths: i128,
    /// The part of the credit: its whole quotient, and 1 more if it is among the greatest remainders.
    pub share: i128,
}

impl Derivation {
    /// The amount.
    #[must_use]
    pub fn amount(&self) -> i128 {
        match self {
            Self::Charge(charge) => charge.division.rounded,
            Self::Probe(_) => 0,
            Self::Share(share) => share.division.rounded,
            Self::FillUp(fill_up) => fill_up.amount,
            Self::Credit(credit) => -credit.share,
        }
    }
}

impl Factor {
    /// A whole number in this proportion, rounded down.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn of(self, number: u64) -> Result<i128, TooGreat> {
        let product = u128::from(number).checked_mul(u128::from(self.ms)).ok_or(TooGreat)?;
        let whole = product.checked_div(u128::from(self.of_ms)).ok_or(TooGreat)?;
        i128::try_from(whole).map_err(|_| TooGreat)
    }

    /// An amount of the major unit in this proportion, in the minor unit, rounded half away from zero.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn of_amount(self, amount: DecimalAmount, exponent: u32) -> Result<Division, TooGreat> {
        let factors = [amount.units(), 10_u128.pow(exponent), u128::from(self.ms)];
        Division::new(1, &factors, &[PRICE_UNIT, u128::from(self.of_ms)])
    }
}

impl Charge {
    /// What is charged for a quantity.
    ///
    /// # Errors
    /// If the amount does not fit.
    pub fn new(
        quantity: i128,
        price: DecimalAmount,
        unit_size: u64,
        factor: Factor,
        exponent: u32,
    ) -> Result<Self, TooGreat> {
        let factors = [price.units(), 10_u128.pow(exponent), u128::from(factor.ms)];
        let denominators = [u128::from(unit_size), PRICE_UNIT, u128::from(factor.of_ms)];
        let division = Division::new(quantity, &factors, &denominators)?;
        Ok(Self { metered: None, quantity, tier: None, price, unit_size, factor, division })
    }
}

impl Share {
    /// A part of a sum, with the sum's sign.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn new(sum: i128, ppm: u32) -> Result<Self, TooGreat> {
        let division = Division::new(sum, &[u128::from(ppm)], &[MILLION])?;
        Ok(Self { sum, ppm, division })
    }

    /// A part of a sum that is taken off.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn off(sum: i128, ppm: u32) -> Result<Self, TooGreat> {
        let division = Division::new(sum.checked_neg().ok_or(TooGreat)?, &[u128::from(ppm)], &[MILLION])?;
        Ok(Self { sum, ppm, division })
    }
}

impl FillUp {
    /// What a sum lacks to a bound.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn new(bound: DecimalAmount, sum: i128, factor: Factor, exponent: u32) -> Result<Self, TooGreat> {
        let division = factor.of_amount(bound, exponent)?;
        let amount = division.rounded.checked_sub(sum).ok_or(TooGreat)?;
        Ok(Self { bound, factor, division, sum, amount })
    }
}
