//! A state as checkpoints hold it: the objects and numbers that everything else is rebuilt from.

use serde::{Deserialize, Serialize};
use spillway_events::{Event, Gap};

use super::{State, Stored};
use crate::kinds::Object;

/// An object of a state, with the numbers that its history left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedObject {
    /// The object, as the event that sets it.
    pub object: Event,
    /// The number of the record that last changed it.
    pub changed: u64,
    /// The number of the record that last changed what is agreed for it.
    pub agreement: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedState {
    revision: u64,
    objects: Vec<SavedObject>,
    gaps: Vec<Gap>,
}

impl State {
    /// Everything that [`State::restored`] needs, by kind, then name.
    pub fn saved_objects(&self) -> impl Iterator<Item = SavedObject> {
        self.kinds.values().flat_map(|objects| objects.values()).map(|stored| SavedObject {
            object: stored.object.clone().into_event(),
            changed: stored.changed,
            agreement: stored.agreement,
        })
    }

    /// The gaps in the log that are accepted, in order.
    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.iter()
    }

    /// The state after `revision` records, with these objects and gaps.
    #[must_use]
    pub fn restored(
        revision: u64,
        objects: impl IntoIterator<Item = SavedObject>,
        gaps: impl IntoIterator<Item = Gap>,
    ) -> Self {
        let mut state = Self { revision, gaps: gaps.into_iter().collect(), ..Self::default() };
        for saved in objects {
            if let Some(object) = Object::of_event(&saved.object) {
                let stored = Stored { object, changed: saved.changed, agreement: saved.agreement };
                state.insert(stored.object.id(), stored);
            }
        }
        state
    }
}

impl From<SavedState> for State {
    fn from(saved: SavedState) -> Self {
        Self::restored(saved.revision, saved.objects, saved.gaps)
    }
}

impl From<State> for SavedState {
    fn from(state: State) -> Self {
        Self {
            revision: state.revision,
            objects: state.saved_objects().collect(),
            gaps: state.gaps().cloned().collect(),
        }
    }
}
