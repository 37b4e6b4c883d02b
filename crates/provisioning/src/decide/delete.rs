//! Deletes objects that no other object uses.

use std::collections::BTreeSet;

use spillway_events::{Deleted, Event, ObjectKind, Stage, TimeMicros};

use crate::command::Refusal;
use crate::limits::{OBJECTS_PER_COMMAND_MAX, USERS_LISTED_MAX};
use crate::object::ObjectId;
use crate::standing::has_ended_by;
use crate::state::{Caller, State, is_accepted};
use crate::tree;

/// The events that these objects are deleted: users before what they use.
pub(super) fn delete(state: &State, ids: &[ObjectId], now: TimeMicros) -> Result<Vec<Event>, Refusal> {
    if ids.len() > OBJECTS_PER_COMMAND_MAX {
        return Err(Refusal::TooManyInCommand(ids.len()));
    }
    let deleted: BTreeSet<&ObjectId> = ids.iter().collect();
    let mut order = Vec::new();
    for id in &deleted {
        if id.is_root_network() {
            return Err(Refusal::Root);
        }
        if matches!(id.kind, ObjectKind::Agreement | ObjectKind::RateCard) && state.exists(id) {
            return Err(Refusal::Permanent { object: (*id).clone() });
        }
        let Some(object) = state.object(id) else { return Err(Refusal::NotFound((*id).clone())) };
        check_unused(state, id, &deleted, now)?;
        order.push((id.kind, tree::depth(object, state), *id));
    }
    check_tokens(state, &deleted, now)?;
    order.sort_unstable();
    let event =
        |(.., id): &(_, _, &ObjectId)| Event::Deleted(Deleted { object: id.kind, name: id.name.to_string() });
    Ok(order.iter().rev().map(event).collect())
}

/// Refuses a deletion that leaves a token without the client, the CDN or the agent that it belongs to.
fn check_tokens(state: &State, deleted: &BTreeSet<&ObjectId>, now: TimeMicros) -> Result<(), Refusal> {
    if !deleted.iter().any(|id| matches!(id.kind, ObjectKind::Client | ObjectKind::Cdn | ObjectKind::Probe)) {
        return Ok(());
    }
    let mut after = state.clone();
    deleted.iter().for_each(|id| _ = after.remove(id));
    let orphan = state.tokens().filter(|token| is_accepted(token, now)).find_map(|token| {
        let caller = Caller::new(token.role, token.subject.as_deref())?;
        (state.has_subject(&caller) && !after.has_subject(&caller)).then_some((token, caller))
    });
    match orphan {
        None => Ok(()),
        Some((token, caller)) => {
            Err(Refusal::HasToken { object: caller.to_string(), token: token.id.clone() })
        }
    }
}

fn check_unused(
    state: &State,
    id: &ObjectId,
    deleted: &BTreeSet<&ObjectId>,
    now: TimeMicros,
) -> Result<(), Refusal> {
    // What is not in force stays on record, and needs nothing.
    let has_ended = |user: &ObjectId| {
        let version = state.agreement(user);
        version.is_some_and(|of| of.stage != Stage::Accepted || has_ended_by(of, now))
    };
    let mut users = state.users(id).filter(|user| !deleted.contains(user) && !has_ended(user));
    let by: Vec<ObjectId> = users.by_ref().take(USERS_LISTED_MAX).cloned().collect();
    if by.is_empty() {
        return Ok(());
    }
    Err(Refusal::InUse { object: id.clone(), by, unlisted: users.count() })
}
