//! Deletes objects that no other object uses.

use std::collections::BTreeSet;

use spillway_events::{Deleted, Event};

use crate::command::Refusal;
use crate::limits::{OBJECTS_PER_COMMAND_MAX, USERS_LISTED_MAX};
use crate::object::ObjectId;
use crate::state::State;
use crate::tree;

/// The events that these objects are deleted: users before what they use.
pub(super) fn delete(state: &State, ids: &[ObjectId]) -> Result<Vec<Event>, Refusal> {
    if ids.len() > OBJECTS_PER_COMMAND_MAX {
        return Err(Refusal::TooManyInCommand(ids.len()));
    }
    let deleted: BTreeSet<&ObjectId> = ids.iter().collect();
    let mut order = Vec::new();
    for id in &deleted {
        if id.is_root_network() {
            return Err(Refusal::Root);
        }
        let Some(object) = state.object(id) else { return Err(Refusal::NotFound((*id).clone())) };
        check_unused(state, id, &deleted)?;
        order.push((id.kind, tree::depth(object, state), *id));
    }
    order.sort_unstable();
    let event =
        |(.., id): &(_, _, &ObjectId)| Event::Deleted(Deleted { object: id.kind, name: id.name.to_string() });
    Ok(order.iter().rev().map(event).collect())
}

fn check_unused(state: &State, id: &ObjectId, deleted: &BTreeSet<&ObjectId>) -> Result<(), Refusal> {
    let mut users = state.users(id).filter(|user| !deleted.contains(user));
    let by: Vec<ObjectId> = users.by_ref().take(USERS_LISTED_MAX).cloned().collect();
    if by.is_empty() {
        return Ok(());
    }
    Err(Refusal::InUse { object: id.clone(), by, unlisted: users.count() })
}
