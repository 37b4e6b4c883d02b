//! Undoes a change: the objects are as they were before it, as long as each is still as it left them.

use spillway_events::{Event, TimeMicros};

use super::{apply, delete};
use crate::command::{Refusal, Undo};
use crate::kinds::Object;
use crate::object::ObjectId;
use crate::state::State;

/// The events that make everything as it was before the change.
pub(super) fn undo(state: &State, undo: &Undo, now: TimeMicros) -> Result<Vec<Event>, Refusal> {
    for (id, (_, left)) in &undo.changed {
        if state.object(id) != left.as_ref() {
            let (number, object, by) = (undo.number, id.clone(), state.changed(id));
            return Err(Refusal::ChangedSince { number, object, by });
        }
    }
    let restored: Vec<Object> = undo.changed.values().filter_map(|(was, _)| was.clone()).collect();
    // What the same change created and deleted is gone already.
    let created = undo.changed.iter().filter(|(_, (was, left))| was.is_none() && left.is_some());
    let created: Vec<ObjectId> = created.map(|(id, _)| id.clone()).collect();
    let sets = apply::apply(state, &restored, &created, now)?;
    let mut after = state.clone();
    for object in restored {
        after.put(state.revision(), object);
    }
    let mut events = delete::delete(&after, &created, now)?;
    events.extend(sets);
    Ok(events)
}
