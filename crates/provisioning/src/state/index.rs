//! Who refers to an object, and who has what only one object can have.

use std::ops::{Bound, RangeInclusive};

use rpds::RedBlackTreeSetSync;
use spillway_events::ObjectKind;

use crate::kinds::Object;
use crate::object::{Claim, ObjectId};

/// Pairs, in order, so that those with the same first part are found without a walk over the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// An object, and one that refers to it.
    users: RedBlackTreeSetSync<(ObjectId, ObjectId)>,
    /// What is claimed, and the object that claims it. Only while a command is decided can there be several.
    owners: RedBlackTreeSetSync<(Claim, ObjectId)>,
}

impl Index {
    pub(super) fn insert(&mut self, id: &ObjectId, object: &Object) {
        let object = object.as_kind();
        for reference in object.references() {
            self.users.insert_mut((reference.target, id.clone()));
        }
        for (_, claim) in object.claims() {
            self.owners.insert_mut((claim, id.clone()));
        }
    }

    pub(super) fn remove(&mut self, id: &ObjectId, object: &Object) {
        let object = object.as_kind();
        for reference in object.references() {
            self.users.remove_mut(&(reference.target, id.clone()));
        }
        for (_, claim) in object.claims() {
            self.owners.remove_mut(&(claim, id.clone()));
        }
    }

    pub(super) fn users(&self, id: &ObjectId) -> impl Iterator<Item = &ObjectId> {
        self.users.range(pairs_of(id)).map(|(_, user)| user)
    }

    /// The users of an object that come after one, which need not be a user.
    pub(super) fn users_after(&self, id: &ObjectId, after: ObjectId) -> impl Iterator<Item = &ObjectId> {
        let from = Bound::Excluded((id.clone(), after));
        let pairs = self.users.range((from, Bound::Unbounded));
        pairs.take_while(move |(used, _)| used == id).map(|(_, user)| user)
    }

    /// An owner of a claim that `id` cannot share it with.
    ///
    /// Owners are in the order of their names, and so are agents. If there is such an owner, the first or the last is one.
    pub(super) fn owner_besides(&self, claim: &Claim, id: &ObjectId) -> Option<&ObjectId> {
        let mut owners = self.owners.range(pairs_of(claim)).map(|(_, owner)| owner);
        let first = owners.next();
        let last = owners.next_back();
        first.into_iter().chain(last).find(|owner| claim.excludes(id, owner))
    }
}

/// The range of all pairs whose first part is `first`.
fn pairs_of<T: Clone>(first: &T) -> RangeInclusive<(T, ObjectId)> {
    // No name is less than the empty text, and none is greater than the greatest character.
    let least = ObjectId::new(ObjectKind::ALL[0], "");
    let greatest = ObjectId::new(ObjectKind::ALL[ObjectKind::ALL.len() - 1], "\u{10FFFF}");
    (first.clone(), least)..=(first.clone(), greatest)
}
