//! Objects as they are read: what was provisioned, and what is known of them beside it.

use std::sync::Arc;

use serde::Serialize;
use spillway_events::ObjectKind;

use crate::kinds::Spec;
use crate::object::ObjectId;
use crate::state::State;

/// An object of a [`State`]. Serialized, its `spec` is the object's document.
#[derive(Debug, Serialize)]
pub struct Resource {
    kind: ObjectKind,
    name: Arc<str>,
    revision: u64,
    spec: Spec,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

/// What is known of an object beside its fields.
#[derive(Debug, Serialize)]
struct Status {
    /// The number of objects that refer to it. It cannot be deleted while there are any.
    users: usize,
    /// The number of the record that last changed its objectives; only sites have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<u64>,
}

impl Resource {
    /// The number of the record that last changed the object.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The same without its status, which is that of the present.
    #[must_use]
    pub fn without_status(self) -> Self {
        Self { status: None, ..self }
    }
}

impl State {
    /// An object as it is read.
    #[must_use]
    pub fn resource(&self, id: &ObjectId) -> Option<Resource> {
        let stored = self.stored(id.kind, &id.name)?;
        let agreement = (id.kind == ObjectKind::Site).then_some(stored.agreement);
        let status = Status { users: self.users(id).count(), agreement };
        Some(Resource {
            kind: id.kind,
            name: Arc::clone(&id.name),
            revision: stored.changed,
            spec: stored.object.spec(),
            status: Some(status),
        })
    }
}
