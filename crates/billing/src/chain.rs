//! The chain of a client's billing records.
//!
//! All records of `billing` that name a client, in the order (tick; within a tick increments by slot, meter, site and target, then
//! service-level records by slot, site and network, then the others by their bytes), form h(n) = SHA-256(h(n−1) ‖ record n), h(0) = 32
//! zero bytes. A record's bytes are its single-object encoding, marker and fingerprint included, up to its last field, which is h(n).
//! Names are in the order of their bytes, meters by their names; no target stands before every target.

use std::collections::BTreeMap;

use spillway_events::{BillingItem, ClientName, DecodeError, Sha256};

/// The heads of the chains, by client: h(n) after the last record. A client without records has none.
pub type Heads = BTreeMap<ClientName, Sha256>;

/// Why records are not the chains that they say they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A record does not follow the ones before it.
    #[error(
        "record {index} of the chain of client {client}: the chain is {found}, by the records before it and this one it is {expected}"
    )]
    Broken {
        /// The client.
        client: ClientName,
        /// The index of the record in the client's chain, from 0.
        index: u64,
        /// The chain in the record.
        found: Sha256,
        /// The chain by the records.
        expected: Sha256,
    },
    /// A record stands before one that it should follow.
    #[error("record {index} of the chain of client {client} should stand before the one before it")]
    Order {
        /// The client.
        client: ClientName,
        /// The index of the record in the client's chain, from 0.
        index: u64,
    },
    /// The chain does not end where it should.
    #[error(
        "the chain of client {client} does not end at {expected}: records are missing at its end, or there are more"
    )]
    Head {
        /// The client.
        client: ClientName,
        /// The head that was to be reached.
        expected: Sha256,
    },
    /// A record cannot be encoded.
    #[error("a billing record cannot be encoded")]
    Record(#[from] DecodeError),
}

/// Puts the records of one tick in their order, each with the chain up to it, and moves the heads on. Records of no chain are first.
///
/// # Errors
/// When a record cannot be encoded.
pub fn chain_tick(items: Vec<BillingItem>, heads: &mut Heads) -> Result<Vec<BillingItem>, DecodeError> {
    let mut keyed = Vec::new();
    for item in items {
        keyed.push((item.chained().map(|(client, _)| client.clone()), Key::of(&item)?, item));
    }
    keyed.sort_by(|(one, key, _), (other, other_key, _)| (one, key).cmp(&(other, other_key)));
    let mut chained = Vec::new();
    for (client, _, mut item) in keyed {
        if let Some(client) = client {
            let head = heads.entry(client).or_insert(Sha256::ZERO);
            *head = link(*head, &item)?;
            item.set_chain(*head);
        }
        chained.push(item);
    }
    Ok(chained)
}

/// The chain behind a record; `before` is the chain before it.
///
/// # Errors
/// When the record cannot be encoded.
pub fn link(before: Sha256, item: &BillingItem) -> Result<Sha256, DecodeError> {
    let bytes = item.chained_bytes()?.unwrap_or_default();
    Ok(Sha256::of_parts([&before.as_bytes()[..], &bytes]))
}

/// Checks the chains of records in the order of the log, and returns their heads.
///
/// Records that are missing at the end are found by `expected`, the heads that statements or another copy name.
///
/// # Errors
/// With the first record that was changed, or stands in another place than where it was written.
pub fn verify<'a>(
    items: impl IntoIterator<Item = &'a BillingItem>,
    expected: &Heads,
) -> Result<Heads, ChainError> {
    let mut heads = Heads::new();
    let mut last: BTreeMap<&ClientName, (u64, Key, u64)> = BTreeMap::new();
    for item in items {
        let Some((client, found)) = item.chained() else { continue };
        let key = Key::of(item)?;
        let index = last.get(client).map_or(0, |(.., index)| index + 1);
        if last.get(client).is_some_and(|(tick, before, _)| (*tick, before) > (item.tick(), &key)) {
            return Err(ChainError::Order { client: client.clone(), index });
        }
        let head = heads.entry(client.clone()).or_insert(Sha256::ZERO);
        *head = link(*head, item)?;
        if *head != found {
            return Err(ChainError::Broken { client: client.clone(), index, found, expected: *head });
        }
        last.insert(client, (item.tick(), key, index));
    }
    match expected.iter().find(|(client, head)| heads.get(*client) != Some(*head)) {
        Some((client, head)) => Err(ChainError::Head { client: client.clone(), expected: *head }),
        None => Ok(heads),
    }
}

/// The place of a record among those of its client and tick.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Increment(i64, &'static str, String, Option<String>),
    ServiceLevel(i64, String, String),
    Other(Vec<u8>),
}

impl Key {
    fn of(item: &BillingItem) -> Result<Self, DecodeError> {
        Ok(match item {
            BillingItem::Increment(of) => Self::Increment(
                of.slot_ms,
                of.meter.as_str(),
                of.site.to_string(),
                of.target.as_ref().map(ToString::to_string),
            ),
            BillingItem::UnmappedIncrement(of) => {
                Self::Increment(of.slot_ms, of.meter.as_str(), of.cdn.to_string(), Some(of.property.clone()))
            }
            BillingItem::ServiceLevel(of) => {
                Self::ServiceLevel(of.slot_ms, of.site.to_string(), of.network.to_string())
            }
            BillingItem::BillingFault(_) | BillingItem::Sealed(_) | BillingItem::SealRefused(_) => {
                Self::Other(item.chained_bytes()?.unwrap_or_default())
            }
        })
    }
}
