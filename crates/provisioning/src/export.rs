//! Writes all objects as documents.

use spillway_events::{ClientName, ObjectKind};

use crate::kinds::Object;
use crate::state::State;

/// An object cannot be written as YAML.
#[derive(Debug, thiserror::Error)]
#[error("an object cannot be written as YAML")]
pub struct ExportError(#[from] serde_saphyr::ser::Error);

/// All objects as YAML documents, in the order of dependence, then of name. Reading them gives equal objects.
///
/// The text of a very large state can be longer than one file may be ([`crate::limits::FILE_BYTES_MAX`]).
///
/// # Errors
/// When an object cannot be written, which tests rule out for every kind.
pub fn export(state: &State) -> Result<String, ExportError> {
    write(state, |_| true)
}

/// As [`export`], of what belongs to a client: itself and its sites.
///
/// # Errors
/// As [`export`].
pub fn export_of_client(state: &State, client: &ClientName) -> Result<String, ExportError> {
    write(state, |object| match object {
        Object::Client(other) => other.name == *client,
        Object::Site(site) => site.client == *client,
        Object::Network(_)
        | Object::Cdn(_)
        | Object::Probe(_)
        | Object::Override(_)
        | Object::RateCard(_) => false,
    })
}

fn write(state: &State, is_shown: impl Fn(&Object) -> bool) -> Result<String, ExportError> {
    let mut out = String::new();
    let objects =
        ObjectKind::ALL.into_iter().flat_map(|kind| state.of_kind(kind)).map(|stored| &stored.object);
    for object in objects.filter(|object| is_shown(object)) {
        if !out.is_empty() {
            out.push_str("---\n");
        }
        serde_saphyr::to_fmt_writer(&mut out, &object.spec())?;
    }
    Ok(out)
}
