//! What is provisioned, as of one record.
//!
//! A state shares its structure with its clones: a clone costs nothing, and applying a record costs what it changes.

mod agreements;
mod index;
mod lookup;
mod saved;
mod tokens;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};
use serde::{Deserialize, Serialize};
use spillway_events::{
    ClientName, Deleted, Event, Gap, NetworkName, ObjectKind, ProvisioningRecord, SiteName, Token,
};

use crate::kinds::Object;
use crate::object::{Claim, ObjectId};
pub use agreements::{InForce, boundaries};
use index::Index;
pub use lookup::ProvisionedSite;
pub(crate) use lookup::override_of;
pub use saved::SavedObject;
pub(crate) use tokens::is_accepted;
pub use tokens::{Caller, token_id};

/// All provisioned objects. The network `everywhere` always exists and is not among them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "saved::SavedState", into = "saved::SavedState")]
pub struct State {
    revision: u64,
    /// The objects of each kind that has any, by name.
    kinds: BTreeMap<ObjectKind, RedBlackTreeMapSync<Arc<str>, Stored>>,
    index: Index,
    gaps: RedBlackTreeSetSync<Gap>,
    /// By id. They are not saved, because no state that is saved is asked who may call.
    tokens: RedBlackTreeMapSync<String, Token>,
    former_owners: FormerOwners,
}

/// The clients of the sites that were deleted. Commands are decided on them, but they are no part of what is provisioned: no
/// checkpoint holds them, and states are equal without them.
#[derive(Debug, Clone, Default)]
struct FormerOwners(RedBlackTreeMapSync<SiteName, ClientName>);

impl PartialEq for FormerOwners {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for FormerOwners {}

/// An object, and when it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) object: Object,
    /// The number of the record that last changed it.
    pub(crate) changed: u64,
    /// The number of the record that last changed what is agreed for it.
    pub(crate) agreement: u64,
}

/// Why a record does not follow the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Records are numbered from 0 without gaps.
    #[error("provisioning record {found} was read where record {expected} is the next")]
    Gap {
        /// The number of the next record.
        expected: u64,
        /// The record's number.
        found: u64,
    },
}

impl State {
    /// Applies the next record, and returns the objects that it changed, created or deleted.
    ///
    /// # Errors
    /// When the record's number is not [`State::revision`]. The state is then unchanged.
    pub fn apply(&mut self, record: &ProvisioningRecord) -> Result<Vec<ObjectId>, ApplyError> {
        if record.number != self.revision {
            return Err(ApplyError::Gap { expected: self.revision, found: record.number });
        }
        let changed =
            record.events.iter().filter_map(|event| self.apply_event(record.number, event)).collect();
        self.revision += 1;
        Ok(changed)
    }

    /// Applies one event of the record of this number without counting the record, and returns the object that it changed.
    ///
    /// The deletion of an object that does not exist changes nothing.
    pub fn apply_event(&mut self, number: u64, event: &Event) -> Option<ObjectId> {
        match event {
            Event::Deleted(Deleted { object, name }) => {
                let id = ObjectId::new(*object, name.as_str());
                if let Some(found) = self.site_of(&id) {
                    let (site, owner) = (found.site.name.clone(), found.site.client.clone());
                    self.former_owners.0.insert_mut(site, owner);
                }
                self.remove(&id).then_some(id)
            }
            Event::Gap(gap) => {
                self.gaps.insert_mut(gap.clone());
                None
            }
            // It is about ticks, not about what is provisioned.
            Event::ClockReset(_) => None,
            Event::Token(token) => {
                self.tokens.insert_mut(token.id.clone(), token.clone());
                None
            }
            event => Object::of_event(event).map(|object| self.put(number, object)),
        }
    }

    /// Creates or replaces an object.
    pub(crate) fn put(&mut self, number: u64, object: Object) -> ObjectId {
        let id = object.id();
        let before = self.stored(id.kind, &id.name);
        let kept = before.filter(|before| object.keeps_agreement_of(&before.object));
        let agreement = kept.map_or(number, |before| before.agreement);
        self.insert(id.clone(), Stored { object, changed: number, agreement });
        id
    }

    fn insert(&mut self, id: ObjectId, stored: Stored) {
        let objects = self.kinds.entry(id.kind).or_default();
        if let Some(before) = objects.get(&id.name) {
            self.index.remove(&id, &before.object);
        }
        self.index.insert(&id, &stored.object);
        objects.insert_mut(id.name, stored);
    }

    /// Removes an object; false where there is none.
    pub(crate) fn remove(&mut self, id: &ObjectId) -> bool {
        let Some(objects) = self.kinds.get_mut(&id.kind) else { return false };
        let Some(before) = objects.get(&id.name) else { return false };
        self.index.remove(id, &before.object);
        objects.remove_mut(&id.name);
        if objects.is_empty() {
            self.kinds.remove(&id.kind);
        }
        true
    }

    /// The number of applied records, which is the number of the next one.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// An object.
    #[must_use]
    pub fn object(&self, id: &ObjectId) -> Option<&Object> {
        self.stored(id.kind, &id.name).map(|stored| &stored.object)
    }

    /// The number of the record that last changed an object.
    #[must_use]
    pub fn changed(&self, id: &ObjectId) -> Option<u64> {
        self.stored(id.kind, &id.name).map(|stored| stored.changed)
    }

    /// The kind and name of every object, in that order.
    pub fn ids(&self) -> impl Iterator<Item = ObjectId> {
        let of_kind = |(kind, objects): (&ObjectKind, _)| (*kind, RedBlackTreeMapSync::keys(objects));
        let by_kind = self.kinds.iter().map(of_kind);
        by_kind.flat_map(|(kind, names)| names.map(move |name| ObjectId::new(kind, Arc::clone(name))))
    }

    /// The names of the objects of a kind that come after a name, in order. The name itself need not exist.
    pub fn names_after(&self, kind: ObjectKind, name: &str) -> impl Iterator<Item = &Arc<str>> {
        let after = (Bound::Excluded(name), Bound::Unbounded);
        let objects = self.kinds.get(&kind).into_iter();
        objects.flat_map(move |objects| objects.range::<str, _>(after).map(|(name, _)| name))
    }

    /// The number of objects of a kind.
    #[must_use]
    pub fn count(&self, kind: ObjectKind) -> usize {
        self.kinds.get(&kind).map_or(0, RedBlackTreeMapSync::size)
    }

    /// The objects that refer to an object, by kind, then name. A change of an object can affect only itself and these.
    pub fn users(&self, id: &ObjectId) -> impl Iterator<Item = &ObjectId> {
        self.index.users(id)
    }

    /// The objects of a kind that refer to an object and come after a name, in the order of their names.
    pub fn users_after(
        &self,
        id: &ObjectId,
        kind: ObjectKind,
        name: &str,
    ) -> impl Iterator<Item = &ObjectId> {
        self.index.users_after(id, ObjectId::new(kind, name)).take_while(move |user| user.kind == kind)
    }

    /// The end of the range of offsets from `from` on whose loss is accepted for a partition; none if `from` is not lost.
    #[must_use]
    pub fn accepted_gap_end(&self, topic: &str, partition: u32, from: u64) -> Option<u64> {
        let of_partition = |gap: &&Gap| gap.topic == topic && gap.partition == partition;
        let over = self.gaps.iter().filter(of_partition).filter(|gap| (gap.from..gap.to).contains(&from));
        over.map(|gap| gap.to).max()
    }

    /// The client of a site that was deleted.
    pub(crate) fn former_owner(&self, site: &SiteName) -> Option<&ClientName> {
        self.former_owners.0.get(site)
    }

    /// The number of gaps in the log that are accepted.
    pub(crate) fn gaps_count(&self) -> usize {
        self.gaps.size()
    }

    /// Whether an object exists. The network `everywhere` does.
    pub(crate) fn exists(&self, id: &ObjectId) -> bool {
        id.is_root_network() || self.stored(id.kind, &id.name).is_some()
    }

    /// An object that makes it impossible for `id` to have what it claims.
    pub(crate) fn owner_besides(&self, claim: &Claim, id: &ObjectId) -> Option<&ObjectId> {
        self.index.owner_besides(claim, id)
    }

    pub(crate) fn stored(&self, kind: ObjectKind, name: &str) -> Option<&Stored> {
        self.kinds.get(&kind)?.get(name)
    }

    /// The objects of a kind, by name.
    pub(crate) fn of_kind(&self, kind: ObjectKind) -> impl Iterator<Item = &Stored> {
        self.kinds.get(&kind).into_iter().flat_map(RedBlackTreeMapSync::values)
    }

    /// All networks, `everywhere` included, by name.
    #[must_use]
    pub fn networks_in_order(&self) -> Vec<NetworkName> {
        let mut names: Vec<NetworkName> = self.networks().map(|network| network.name.clone()).collect();
        let everywhere = NetworkName::everywhere();
        if let Err(index) = names.binary_search(&everywhere) {
            names.insert(index, everywhere);
        }
        names
    }
}
