//! Applies the provisioning that ticks read, once for all workers of a process.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spillway_events::{Event, ProvisioningRecord};
use spillway_provisioning::{ObjectId, State};

use crate::checkpoint::Restored;

/// The provisioning as of the last tick.
#[derive(Debug, Default)]
pub struct Provisioning {
    state: State,
}

/// What the provisioning records of a tick change. The workers share the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisioningChange {
    /// The provisioning as of the tick.
    pub(crate) state: State,
    /// The objects that may differ from the tick before, in order.
    pub(crate) changed: Arc<[ObjectId]>,
    /// Those of them that a record deletes, in order, even if a later record creates them again: what was known of the old
    /// object does not count for the new one.
    pub(crate) deleted: Arc<[ObjectId]>,
    /// The numbers of the records that do not follow the state, each with the reason.
    pub(crate) not_applied: Vec<(u64, String)>,
    /// Whether the tick reads that a loss of records is accepted. What was emitted with them may differ from what is derived
    /// without them, so everything is emitted again from this tick on.
    pub(crate) accepts_loss: bool,
}

impl Provisioning {
    /// The provisioning as of a checkpoint, or as of the start of the log.
    #[must_use]
    pub fn new(restored: Option<&Restored>) -> Self {
        restored.map_or_else(Self::default, |restored| Self { state: restored.provisioning.clone() })
    }

    /// Applies the records that a tick reads, in offset order. Returns `None` if it reads none.
    pub fn apply(&mut self, records: &[ProvisioningRecord]) -> Option<ProvisioningChange> {
        if records.is_empty() {
            return None;
        }
        let mut changed: BTreeSet<ObjectId> = BTreeSet::new();
        let mut deleted: BTreeSet<ObjectId> = BTreeSet::new();
        let mut not_applied = Vec::new();
        for record in records {
            match self.state.apply(record) {
                Ok(objects) => {
                    changed.extend(objects);
                    deleted.extend(record.events.iter().filter_map(ObjectId::deleted_by));
                }
                Err(error) => not_applied.push((record.number, error.to_string())),
            }
        }
        let mut events = records.iter().flat_map(|record| &record.events);
        Some(ProvisioningChange {
            state: self.state.clone(),
            changed: changed.into_iter().collect(),
            not_applied,
            deleted: deleted.into_iter().collect(),
            accepts_loss: events.any(|event| matches!(event, Event::Gap(_))),
        })
    }
}

impl ProvisioningChange {
    /// The provisioning of a checkpoint, as a change of an empty state.
    pub(crate) fn of_checkpoint(restored: &Restored) -> Self {
        let state = restored.provisioning.clone();
        let changed = state.ids().collect();
        Self { state, changed, deleted: Arc::default(), not_applied: Vec::new(), accepts_loss: false }
    }
}
