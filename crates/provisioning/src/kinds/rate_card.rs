//! Rate cards: what is paid for which quantity. A version of a card never changes and is never deleted.
//!
//! The sites and targets that an item covers are names, not references: one card can be agreed with many clients, each of whom
//! has sites of its own, and it stays what it is when a site is deleted. A name that a client does not have covers nothing there.

mod item;
mod model;

use serde::{Deserialize, Serialize};
use spillway_events::{LineName, RateCard, RateCardName, RateCommitment, RateItem, TaxCode, folded_name};

use super::kind::Kind;
use crate::field_path::FieldPath;
use crate::fields::{Field, List, Rules, list, optional};
use crate::limits::{RATE_CARD_VERSIONS_MAX, RATE_COMMITMENTS_PER_CARD_MAX, RATE_ITEMS_PER_CARD_MAX};
use crate::object::{Claim, ObjectId, Reference};
use crate::values::{DecimalText, Integer, Title};
use item::{ItemSpec, read_item};

/// The fields of a rate card.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RateCardSpec {
    name: Field<RateCardName>,
    version: Field<Integer<1, RATE_CARD_VERSIONS_MAX>>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    title: Field<Title>,
    items: List<ItemSpec>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    commitments: List<CommitmentSpec>,
}

/// The fields of a commitment.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, expecting = "a mapping")]
struct CommitmentSpec {
    name: Field<LineName>,
    items: List<LineName>,
    amount: Field<DecimalText>,
    tax_code: Field<TaxCode>,
}

pub(super) fn read(spec: RateCardSpec, rules: &mut Rules) -> Option<RateCard> {
    let name = rules.required("name", spec.name);
    let version = rules.required("version", spec.version);
    let title = rules.optional("title", spec.title);
    let items = read_items(spec.items, rules);
    let commitments = read_commitments(spec.commitments, items.as_deref(), rules);
    Some(RateCard {
        name: name?,
        version: version?.0,
        title: title?.map(String::from),
        items: items?,
        commitments: commitments?,
    })
}

fn read_items(field: List<ItemSpec>, rules: &mut Rules) -> Option<Vec<RateItem>> {
    let items = rules.each("items", field, RATE_ITEMS_PER_CARD_MAX, read_item)?;
    if items.is_empty() {
        rules.broken("items", "is missing: a rate card has at least one item");
    }
    rules.distinct("items", items.iter().map(|item| &item.name), |name| format!("item {name}"))?;
    Some(items)
}

fn read_commitments(
    field: List<CommitmentSpec>,
    items: Option<&[RateItem]>,
    rules: &mut Rules,
) -> Option<Vec<RateCommitment>> {
    let read = |rules: &mut Rules, spec| read_commitment(spec, items, rules);
    let commitments = rules.each("commitments", field, RATE_COMMITMENTS_PER_CARD_MAX, read)?;
    let names = commitments.iter().map(|commitment| &commitment.name);
    rules.distinct("commitments", names, |name| format!("commitment {name}"))?;
    Some(commitments)
}

/// `items` are those of the card; none if they cannot be read, so that nothing is said of them twice.
fn read_commitment(
    spec: CommitmentSpec,
    items: Option<&[RateItem]>,
    rules: &mut Rules,
) -> Option<RateCommitment> {
    let name = rules.required("name", spec.name);
    let of = rules.list("items", spec.items, RATE_ITEMS_PER_CARD_MAX);
    let amount = rules.required("amount", spec.amount);
    let tax_code = rules.required("tax_code", spec.tax_code);
    let of = of?;
    if of.is_empty() {
        rules.broken("items", "is missing: a commitment is to items of the card");
    }
    rules.distinct("items", &of, |name| format!("item {name}"))?;
    for (index, name) in of.iter().enumerate() {
        if items.is_some_and(|items| !items.iter().any(|item| item.name == *name)) {
            rules.item_broken("items", index, format!("the card has no item {name}"));
        }
    }
    Some(RateCommitment { name: name?, items: of, amount: amount?.0, tax_code: tax_code? })
}

impl From<&RateCard> for RateCardSpec {
    fn from(card: &RateCard) -> Self {
        let RateCard { name, version, title, items, commitments } = card.clone();
        Self {
            name: name.into(),
            version: Integer(version).into(),
            title: optional(title, Title),
            items: list(items, ItemSpec::from),
            commitments: match commitments.is_empty() {
                true => Field::Absent,
                false => list(commitments, CommitmentSpec::from),
            },
        }
    }
}

impl From<RateCommitment> for CommitmentSpec {
    fn from(RateCommitment { name, items, amount, tax_code }: RateCommitment) -> Self {
        let items = list(items, |name| name);
        Self { name: name.into(), items, amount: DecimalText(amount).into(), tax_code: tax_code.into() }
    }
}

impl Kind for RateCard {
    fn id(&self) -> ObjectId {
        ObjectId::of_rate_card(self)
    }

    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    fn claims(&self) -> Vec<(FieldPath, Claim)> {
        vec![(FieldPath::of("name"), Claim::RateCard(folded_name(self.name.as_str()).into()))]
    }
}
