//! Billing: what was counted for whom, how the agreed level was kept, and what was sealed.
//!
//! The records that name a client form a chain. The last field of each, `chain`, is the SHA-256 of the chain before it and of
//! the record's own single-object encoding up to that field; of the first record, 32 zero bytes stand for the chain before it.

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_avro_fast::Schema;

use crate::codec::{DecodeError, encode_serialized, parse_branch_schema, record};
use crate::{CdnName, ClientName, LineName, Meter, NetworkName, Sha256, SiteName, TargetName, TaxCode};

/// One record of the topic `billing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
pub enum BillingItem {
    /// What was counted for a client.
    Increment(Increment),
    /// What was counted of a property that no site is mapped to.
    UnmappedIncrement(UnmappedIncrement),
    /// How the agreed level was kept.
    ServiceLevel(ServiceLevel),
    /// What cannot be computed.
    BillingFault(BillingFault),
    /// A statement is sealed.
    Sealed(Sealed),
    /// A statement is not sealed.
    SealRefused(SealRefused),
}

/// What was counted for a client in one slot of 300 s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Increment {
    /// The client.
    pub client: ClientName,
    /// What is metered.
    pub meter: Meter,
    /// The version of the meter.
    pub meter_version: u32,
    /// The site.
    pub site: SiteName,
    /// The target; absent where the meter has none.
    pub target: Option<TargetName>,
    /// Where the slot begins, in ms since 1970, a multiple of 300 s.
    pub slot_ms: i64,
    /// How much, in the meter's unit; less than 0 where more was counted before.
    pub quantity: i64,
    /// The agreement in force where the slot begins.
    pub agreement: Option<String>,
    /// Its version.
    pub agreement_version: Option<u32>,
    /// The tick that emits it.
    pub tick: u64,
    /// The client's chain up to this record.
    pub chain: Sha256,
}

/// What was counted in one slot of a property that no site is mapped to. It is part of no client's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct UnmappedIncrement {
    /// The CDN.
    pub cdn: CdnName,
    /// The property, as the CDN calls it.
    pub property: String,
    /// What is metered.
    pub meter: Meter,
    /// The version of the meter.
    pub meter_version: u32,
    /// Where the slot begins, in ms since 1970, a multiple of 300 s.
    pub slot_ms: i64,
    /// How much, in the meter's unit; less than 0 where the property was mapped, or more was counted before.
    pub quantity: i64,
    /// The tick that emits it.
    pub tick: u64,
}

/// How the agreed level was kept in one slot of 300 s: minutes, each counted once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct ServiceLevel {
    /// The client.
    pub client: ClientName,
    /// The site.
    pub site: SiteName,
    /// The access network.
    pub network: NetworkName,
    /// Where the slot begins, in ms since 1970, a multiple of 300 s.
    pub slot_ms: i64,
    /// Minutes within the level.
    pub met: u32,
    /// Minutes at or above it.
    pub missed: u32,
    /// Minutes without evidence.
    pub unknown: u32,
    /// Minutes that do not count, because the route was pinned.
    pub excluded_pinned: u32,
    /// Minutes that do not count, because a target was drained.
    pub excluded_drained: u32,
    /// Minutes that do not count, because of agreed maintenance.
    pub excluded_maintenance: u32,
    /// The agreement in force where the slot begins.
    pub agreement: Option<String>,
    /// Its version.
    pub agreement_version: Option<u32>,
    /// The tick that emits it.
    pub tick: u64,
    /// The client's chain up to this record.
    pub chain: Sha256,
}

/// What cannot be computed for a client. It blocks sealing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct BillingFault {
    /// The client.
    pub client: ClientName,
    /// Where the slot or the period begins, in ms since 1970.
    pub from_ms: i64,
    /// Where it ends.
    pub to_ms: i64,
    /// What, and why.
    pub why: String,
    /// The tick that emits it.
    pub tick: u64,
    /// The client's chain up to this record.
    pub chain: Sha256,
}

/// A statement is sealed: what was asked for is what was computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// The client.
    pub client: ClientName,
    /// The statement's id.
    pub statement: String,
    /// Where the period begins, in ms since 1970.
    pub begin_ms: i64,
    /// Where it ends.
    pub end_ms: i64,
    /// The tick up to whose records everything counts.
    pub cut: u64,
    /// The client's chain at the cut.
    pub head: Sha256,
    /// SHA-256 over the single-object encodings of the lines, in the order of their ids.
    pub lines_sha256: Sha256,
    /// How many lines there are.
    pub lines: u64,
    /// The sum of the lines, in the currency's minor unit.
    pub total_minor: i64,
    /// The tick that emits it.
    pub tick: u64,
    /// The client's chain up to this record.
    pub chain: Sha256,
}

/// A statement is not sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct SealRefused {
    /// The client.
    pub client: ClientName,
    /// The statement's id.
    pub statement: String,
    /// Where the period begins, in ms since 1970.
    pub begin_ms: i64,
    /// Where it ends.
    pub end_ms: i64,
    /// The tick up to whose records everything was to count.
    pub cut: u64,
    /// Why.
    pub why: String,
    /// The tick that emits it.
    pub tick: u64,
    /// The client's chain up to this record.
    pub chain: Sha256,
}

/// One line of a statement, rounded once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct StatementLine {
    /// Its id: the first 16 bytes of the SHA-256 of what it is for, in hexadecimal.
    pub id: LineId,
    /// Whether it is of the statement's own period.
    pub class: LineClass,
    /// The client.
    pub client: ClientName,
    /// The agreement.
    pub agreement: String,
    /// Its version.
    pub agreement_version: u32,
    /// The item or the commitment of the rate card; `credit` or `tax`.
    pub item: LineName,
    /// The site, where the item keeps it.
    pub site: Option<SiteName>,
    /// The target, where the item keeps it.
    pub target: Option<TargetName>,
    /// What the line is.
    pub kind: LineKind,
    /// The lower bound of the tier; of a credit its tax code, of a tax CODE/PPM.
    pub tier: String,
    /// Where the period begins, in ms since 1970.
    pub begin_ms: i64,
    /// Where it ends.
    pub end_ms: i64,
    /// How much, in the meter's unit; 0 where the amount is of no quantity.
    pub quantity: i64,
    /// The amount, in the currency's minor unit.
    pub amount_minor: i64,
    /// The tax code; absent for a tax.
    pub tax_code: Option<TaxCode>,
    /// The line's share of the tax, in the currency's minor unit.
    pub tax_minor: i64,
}

/// Whether a line is of its statement's own period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum LineClass {
    /// It is.
    Regular,
    /// It says what became of a line of an earlier period; it has that line's id.
    Correction,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// A price for the time.
    Flat,
    /// A quantity at one price.
    Unit,
    /// The quantity within a tier.
    Graduated,
    /// A quantity at the price of its tier.
    Volume,
    /// Packages.
    Package,
    /// What is paid of a 95th percentile in any case.
    Commitment,
    /// What exceeds that.
    Overage,
    /// What probes caused, and is not paid.
    Probe,
    /// A discount.
    Discount,
    /// What an item lacks to its minimum.
    Minimum,
    /// What an item has beyond its maximum.
    Maximum,
    /// What the items of a commitment lack.
    TrueUp,
    /// For a level that was not kept.
    Credit,
    /// A tax.
    Tax,
}

impl LineKind {
    /// The kind as written in records and ids.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Unit => "unit",
            Self::Graduated => "graduated",
            Self::Volume => "volume",
            Self::Package => "package",
            Self::Commitment => "commitment",
            Self::Overage => "overage",
            Self::Probe => "probe",
            Self::Discount => "discount",
            Self::Minimum => "minimum",
            Self::Maximum => "maximum",
            Self::TrueUp => "true_up",
            Self::Credit => "credit",
            Self::Tax => "tax",
        }
    }
}

/// The id of a line: 16 bytes, in records 32 hexadecimal digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LineId([u8; 16]);

/// The text is not the id of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id of a line is written as 32 hexadecimal digits in lower case")]
pub struct LineIdError;

impl LineId {
    /// The id of a line whose key has this digest.
    #[must_use]
    pub fn of(digest: Sha256) -> Self {
        let mut id = [0; 16];
        id.iter_mut().zip(digest.as_bytes()).for_each(|(byte, of)| *byte = *of);
        Self(id)
    }
}

impl TryFrom<String> for LineId {
    type Error = LineIdError;
    fn try_from(text: String) -> Result<Self, LineIdError> {
        // A digest that begins with the id.
        let digest = format!("{text}{}", "0".repeat(32));
        let is_id = text.len() == 32;
        digest.parse().ok().filter(|_| is_id).map(Self::of).ok_or(LineIdError)
    }
}

impl From<LineId> for String {
    fn from(id: LineId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
impl serde_avro_derive::BuildSchema for LineId {
    fn append_schema(builder: &mut serde_avro_derive::SchemaBuilder) {
        <String as serde_avro_derive::BuildSchema>::append_schema(builder);
    }
    type TypeLookup = String;
}

record!(StatementLine, "statement_line.v1.avsc");

/// The encoded bytes of a `chain`: a length of 64 in two bytes, and the digits.
const CHAIN_BYTES: usize = 66;

const FRAME: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/billing_frame.v1.avsc"));

/// The schemas of the kinds of items, each by itself.
macro_rules! branches {
    ($($kind:ident),+) => {
        impl BillingItem {
            /// The item's own single-object encoding up to its last field, the chain; none for one that is part of no chain.
            ///
            /// # Errors
            /// If a number does not fit its schema.
            pub fn chained_bytes(&self) -> Result<Option<Vec<u8>>, DecodeError> {
                match self {
                    Self::UnmappedIncrement(_) => Ok(None),
                    $(Self::$kind(item) => {
                        static SCHEMA: LazyLock<Schema> =
                            LazyLock::new(|| parse_branch_schema(FRAME, stringify!($kind)));
                        let mut bytes = encode_serialized(item, &SCHEMA)?;
                        bytes.truncate(bytes.len().saturating_sub(CHAIN_BYTES));
                        Ok(Some(bytes))
                    })+
                }
            }

            /// The client whose chain the item is part of, and the chain up to it.
            #[must_use]
            pub fn chained(&self) -> Option<(&ClientName, Sha256)> {
                match self {
                    Self::UnmappedIncrement(_) => None,
                    $(Self::$kind(item) => Some((&item.client, item.chain)),)+
                }
            }

            /// Sets the chain up to the item, if it is part of one.
            pub fn set_chain(&mut self, chain: Sha256) {
                match self {
                    Self::UnmappedIncrement(_) => {}
                    $(Self::$kind(item) => item.chain = chain,)+
                }
            }

            /// The tick that emits the item.
            #[must_use]
            pub fn tick(&self) -> u64 {
                match self {
                    Self::UnmappedIncrement(item) => item.tick,
                    $(Self::$kind(item) => item.tick,)+
                }
            }
        }
    };
}

branches!(Increment, ServiceLevel, BillingFault, Sealed, SealRefused);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    fn increment(chain: Sha256) -> BillingItem {
        BillingItem::Increment(Increment {
            client: ClientName::new("acme").unwrap(),
            meter: Meter::Bytes,
            meter_version: 1,
            site: SiteName::new("shop").unwrap(),
            target: None,
            slot_ms: 300_000,
            quantity: -5,
            agreement: None,
            agreement_version: None,
            tick: 7,
            chain,
        })
    }

    /// The datum by hand, from the rules of Avro: a text is its length and its bytes, numbers are zigzag varints, the index of a
    /// branch of a union stands before its value.
    #[test]
    fn the_chained_bytes_are_the_item_without_its_chain() {
        let item = increment(Sha256::ZERO);
        let bytes = item.chained_bytes().unwrap().unwrap();
        let datum = b"\x08acme\x00\x02\x08shop\x00\xC0\xCF\x24\x09\x00\x00\x0E";
        assert_eq!((&bytes[..2], &bytes[10..]), (&[0xC3, 0x01][..], &datum[..]));
        assert_eq!(increment(Sha256::of(b"other")).chained_bytes(), Ok(Some(bytes)));
    }

    #[test]
    fn every_kind_with_a_client_is_chained() {
        let chain = Sha256::of(b"chain");
        let mut item = increment(Sha256::ZERO);
        item.set_chain(chain);
        assert_eq!(item.chained(), Some((&ClientName::new("acme").unwrap(), chain)));
        assert_eq!(item.tick(), 7);
        let other = |item: BillingItem| {
            let mut item = item;
            item.set_chain(chain);
            let bytes = item.chained_bytes().unwrap().unwrap();
            let without = bytes.len();
            // What is cut off is the chain and nothing else.
            item.set_chain(Sha256::ZERO);
            assert_eq!(item.chained_bytes().unwrap().unwrap().len(), without);
            bytes
        };
        let (client, statement, why) =
            (ClientName::new("acme").unwrap(), String::from("s"), String::from("w"));
        let refused = BillingItem::SealRefused(SealRefused {
            client: client.clone(),
            statement,
            begin_ms: 0,
            end_ms: 1,
            cut: 2,
            why: why.clone(),
            tick: 3,
            chain,
        });
        assert!(other(refused).ends_with(b"\x02s\x00\x02\x04\x02w\x06"));
        let fault =
            BillingItem::BillingFault(BillingFault { client, from_ms: 0, to_ms: 1, why, tick: 3, chain });
        assert!(other(fault).ends_with(b"\x08acme\x00\x02\x02w\x06"));
    }

    #[test]
    fn the_id_of_a_line_is_32_digits() {
        let id = LineId::of(Sha256::of(b"abc"));
        assert_eq!(id.to_string(), "ba7816bf8f01cfea414140de5dae2223");
        assert_eq!(LineId::try_from(id.to_string()), Ok(id));
        for bad in ["", "ba", "BA7816BF8F01CFEA414140DE5DAE2223", "ba7816bf8f01cfea414140de5dae222g"] {
            assert_eq!(LineId::try_from(bad.to_owned()), Err(LineIdError), "{bad}");
        }
        let long = format!("{id}{id}");
        assert_eq!(LineId::try_from(long), Err(LineIdError));
    }

    #[test]
    fn a_line_reads_back() {
        let line = StatementLine {
            id: LineId::of(Sha256::of(b"key")),
            class: LineClass::Regular,
            client: ClientName::new("acme").unwrap(),
            agreement: String::from("acme-1"),
            agreement_version: 2,
            item: LineName::new("base").unwrap(),
            site: None,
            target: Some(TargetName::new("edge-one").unwrap()),
            kind: LineKind::Flat,
            tier: String::new(),
            begin_ms: 0,
            end_ms: 1,
            quantity: 1,
            amount_minor: -3,
            tax_code: None,
            tax_minor: 0,
        };
        assert_eq!(decode(&encode(&line).unwrap()), Ok(line));
    }
}
