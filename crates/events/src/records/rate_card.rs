//! Rate cards: what is paid for which quantity.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{LineName, RateCardName, SiteName, TargetName, TaxCode};

/// One version of a rate card. It never changes: another price is another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct RateCard {
    /// Its name, which all versions share.
    pub name: RateCardName,
    /// Counts its versions from 1, without gaps.
    pub version: u32,
    /// A name for people.
    pub title: Option<String>,
    /// What is paid, in order.
    pub items: Vec<RateItem>,
    /// Amounts that several items reach together, or are filled up to.
    pub commitments: Vec<RateCommitment>,
}

/// One item of a rate card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct RateItem {
    /// Its name; no other item of the card has it.
    pub name: LineName,
    /// What is metered; absent for a flat price.
    pub meter: Option<Meter>,
    /// The sites that it covers; all if there are none.
    pub sites: Vec<SiteName>,
    /// The targets that it covers; all if there are none.
    pub targets: Vec<TargetName>,
    /// The dimensions that it keeps: a group of lines for each of their values. The quantity is summed over the others.
    pub by: RateBy,
    /// The prices.
    pub model: RateModel,
    /// What each group has for nothing, in the meter's unit.
    pub free_quantity: u64,
    /// The part of the item's lines that is not paid, in ppm.
    pub discount_ppm: u32,
    /// The least amount of the item, in the currency's major unit.
    pub minimum: Option<DecimalAmount>,
    /// The greatest amount of the item, in the currency's major unit.
    pub maximum: Option<DecimalAmount>,
    /// Whether what probes caused is deducted from the quantity.
    pub deduct_probes: bool,
    /// The tax code of its lines.
    pub tax_code: TaxCode,
}

/// An amount for several items together: what their lines lack is a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct RateCommitment {
    /// Its name; no other commitment of the card has it.
    pub name: LineName,
    /// The items.
    pub items: Vec<LineName>,
    /// The amount, in the currency's major unit.
    pub amount: DecimalAmount,
    /// The tax code of its line.
    pub tax_code: TaxCode,
}

/// The dimensions that an item keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum RateBy {
    /// None: one group.
    None,
    /// The site.
    Site,
    /// The target.
    Target,
    /// The site and the target.
    Both,
}

/// The prices of an item, in the currency's major unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
pub enum RateModel {
    /// One price for the whole period.
    FlatPrice(FlatPrice),
    /// The same price for each unit.
    UnitPrice(UnitPrice),
    /// What lies in a tier has the tier's price.
    GraduatedPrice(GraduatedPrice),
    /// Everything has the price of the tier that the whole quantity lies in.
    VolumePrice(VolumePrice),
    /// A price for each package, whole or begun.
    PackagePrice(PackagePrice),
    /// A commitment, and a price for what the 95th percentile exceeds it by.
    P95Price(P95Price),
}

/// One price for the whole period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct FlatPrice {
    /// The price.
    pub price: DecimalAmount,
}

/// The same price for each unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct UnitPrice {
    /// The quantity that a price is for; absent for the milliseconds of the whole period.
    pub unit_size: Option<u64>,
    /// The price.
    pub price: DecimalAmount,
}

/// What lies in a tier has the tier's price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct GraduatedPrice {
    /// The quantity that a price is for; absent for the milliseconds of the whole period.
    pub unit_size: Option<u64>,
    /// The tiers, from 0 up without gaps.
    pub tiers: Vec<GraduatedTier>,
}

/// A tier of a graduated price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct GraduatedTier {
    /// Its first quantity, in the meter's unit. It ends where the next one begins; the last one has no end.
    pub from: u64,
    /// The price.
    pub price: DecimalAmount,
}

/// Everything has the price of the tier that the whole quantity lies in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct VolumePrice {
    /// The quantity that a price is for; absent for the milliseconds of the whole period.
    pub unit_size: Option<u64>,
    /// The tiers, from 0 up without gaps.
    pub tiers: Vec<VolumeTier>,
}

/// A tier of a volume price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct VolumeTier {
    /// Its first quantity, in the meter's unit. It ends where the next one begins; the last one has no end.
    pub from: u64,
    /// The price.
    pub price: DecimalAmount,
}

/// A price for each package, whole or begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct PackagePrice {
    /// The quantity of a package, in the meter's unit.
    pub size: u64,
    /// The price of a package.
    pub price: DecimalAmount,
}

/// A commitment, and a price for what the 95th percentile exceeds it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct P95Price {
    /// The quantity that a price is for, in bit/s.
    pub unit_size: u64,
    /// What is paid in any case, in bit/s.
    pub commitment_bps: u64,
    /// The price of the commitment.
    pub price: DecimalAmount,
    /// The price of what exceeds it.
    pub overage_price: DecimalAmount,
}

/// What is metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// Bytes that a target sent, by its statistics.
    Bytes,
    /// Requests that a target answered, by its statistics.
    Requests,
    /// Body bytes that probes received.
    ProbeBytes,
    /// Requests that probes sent.
    ProbeRequests,
    /// DNS answers that named a target.
    DnsAnswers,
    /// HTTP redirects to a target.
    Redirects,
    /// How long the site's route in `everywhere` was to a target, in milliseconds.
    RoutedTime,
    /// The number of the site's host names times how long, in host milliseconds.
    ActiveHosts,
    /// The 95th percentile of a target's egress, in bit/s; computed from `bytes`.
    EgressP95,
    /// Bytes of a property of a CDN that no site is mapped to.
    UnmappedBytes,
    /// Requests of a property of a CDN that no site is mapped to.
    UnmappedRequests,
}

impl Meter {
    /// All meters.
    pub const ALL: [Self; 11] = [
        Self::Bytes,
        Self::Requests,
        Self::ProbeBytes,
        Self::ProbeRequests,
        Self::DnsAnswers,
        Self::Redirects,
        Self::RoutedTime,
        Self::ActiveHosts,
        Self::EgressP95,
        Self::UnmappedBytes,
        Self::UnmappedRequests,
    ];

    /// The meter as written in documents and records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Requests => "requests",
            Self::ProbeBytes => "probe_bytes",
            Self::ProbeRequests => "probe_requests",
            Self::DnsAnswers => "dns_answers",
            Self::Redirects => "redirects",
            Self::RoutedTime => "routed_time",
            Self::ActiveHosts => "active_hosts",
            Self::EgressP95 => "egress_p95",
            Self::UnmappedBytes => "unmapped_bytes",
            Self::UnmappedRequests => "unmapped_requests",
        }
    }

    /// The meter of what probes cause of this one.
    #[must_use]
    pub fn of_probes(self) -> Option<Self> {
        match self {
            Self::Bytes => Some(Self::ProbeBytes),
            Self::Requests => Some(Self::ProbeRequests),
            _ => None,
        }
    }
}

/// The decimal places of a [`DecimalAmount`].
const PLACES: u32 = 12;
/// 10¹².
const ONE: u128 = 10_u128.pow(PLACES);
/// The most digits before the point.
const WHOLE_DIGITS_MAX: usize = 12;

/// A decimal number from 0 up to below 10¹² with at most 12 places. It is text on the log, in one form: `0`, `0.05`, `12.5`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DecimalAmount(u128);

/// The text is not a [`DecimalAmount`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a decimal number is written like 0.05: at most 12 digits, then at most 12 after a point, no sign and no exponent"
)]
pub struct DecimalAmountError;

impl DecimalAmount {
    /// The number in units of 10⁻¹², less than 10²⁴.
    #[must_use]
    pub fn units(self) -> u128 {
        self.0
    }
}

impl FromStr for DecimalAmount {
    type Err = DecimalAmountError;
    fn from_str(text: &str) -> Result<Self, DecimalAmountError> {
        let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let is_short = whole.len() <= WHOLE_DIGITS_MAX && places.len() <= PLACES as usize;
        if !is_digits(whole) || !is_digits(places) || !is_short {
            return Err(DecimalAmountError);
        }
        let whole: u128 = whole.parse().map_err(|_| DecimalAmountError)?;
        let places: u128 =
            format!("{places:0<width$}", width = PLACES as usize).parse().map_err(|_| DecimalAmountError)?;
        Ok(Self(whole * ONE + places))
    }
}

impl TryFrom<String> for DecimalAmount {
    type Error = DecimalAmountError;
    fn try_from(text: String) -> Result<Self, DecimalAmountError> {
        text.parse()
    }
}

impl From<DecimalAmount> for String {
    fn from(number: DecimalAmount) -> Self {
        number.to_string()
    }
}

impl fmt::Display for DecimalAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, places) = (self.0 / ONE, self.0 % ONE);
        if places == 0 {
            return write!(f, "{whole}");
        }
        let places = format!("{places:0width$}", width = PLACES as usize);
        write!(f, "{whole}.{}", places.trim_end_matches('0'))
    }
}

#[cfg(test)]
impl serde_avro_derive::BuildSchema for DecimalAmount {
    fn append_schema(builder: &mut serde_avro_derive::SchemaBuilder) {
        <String as serde_avro_derive::BuildSchema>::append_schema(builder);
    }
    type TypeLookup = String;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_decimal_has_at_most_12_places_and_one_text() {
        for (text, written, units) in [
            ("0", "0", 0),
            ("000.10", "0.1", 100_000_000_000),
            ("0.000000000001", "0.000000000001", 1),
            ("999999999999.999999999999", "999999999999.999999999999", 10_u128.pow(24) - 1),
        ] {
            let number: DecimalAmount = text.parse().unwrap();
            assert_eq!((number.units(), number.to_string().as_str()), (units, written), "{text}");
        }
        for bad in
            ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "0.0000000000001", "1000000000000", "1.2.3"]
        {
            assert_eq!(bad.parse::<DecimalAmount>(), Err(DecimalAmountError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_written_decimal_reads_back(units in 0..10_u128.pow(24)) {
            prop_assert_eq!(DecimalAmount(units).to_string().parse(), Ok(DecimalAmount(units)));
        }
    }
}
