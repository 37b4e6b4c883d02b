//! What a change made, and what was before it.

use std::collections::BTreeMap;

use spillway_events::{Event, ObjectKind, ProvisioningRecord};

use super::Refusal;
use crate::kinds::Object;
use crate::object::ObjectId;
use crate::state::State;

/// What has to be done so that a change is undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// The number of the record of the change.
    pub(crate) number: u64,
    /// Each object before the change and after it; none where it did not exist.
    pub(crate) changed: BTreeMap<ObjectId, (Option<Object>, Option<Object>)>,
}

impl Undo {
    /// What undoes a record; `before` is the state that it was applied to.
    ///
    /// # Errors
    /// [`Refusal::NotUndoable`] when it changed something else than objects that can be as they were.
    pub fn of(before: &State, record: &ProvisioningRecord) -> Result<Self, Refusal> {
        let number = record.number;
        let mut changed: BTreeMap<ObjectId, (Option<Object>, Option<Object>)> = BTreeMap::new();
        for event in &record.events {
            let after = Object::of_event(event);
            let id = ObjectId::deleted_by(event).or_else(|| Some(after.as_ref()?.id()));
            let Some(id) = id.filter(|id| can_be_undone(id.kind)) else {
                return Err(Refusal::NotUndoable { number, what: what(event) });
            };
            let was = before.object(&id).cloned();
            changed.entry(id).or_insert((was, None)).1 = after;
        }
        Ok(Self { number, changed })
    }
}

/// What is agreed, paid for or trusted is changed by its own commands only.
fn can_be_undone(kind: ObjectKind) -> bool {
    !matches!(kind, ObjectKind::Agreement | ObjectKind::RateCard)
}

fn what(event: &Event) -> &'static str {
    match event {
        Event::Gap(_) => "a loss that was accepted",
        Event::ClockReset(_) => "a reset of the clock",
        Event::Token(_) => "a token",
        Event::Agreement(_) => "an agreement",
        Event::RateCard(_) => "a rate card",
        _ => "something else",
    }
}
