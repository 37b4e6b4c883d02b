//! Writes all objects as documents.

use spillway_events::{ClientName, ObjectKind};

use crate::kinds::site::SiteSpec;
use crate::kinds::{Object, Spec};
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
        | Object::RateCard(_)
        | Object::Agreement(_)
        | Object::Override(_) => false,
    })
}

fn write(state: &State, is_shown: impl Fn(&Object) -> bool) -> Result<String, ExportError> {
    let mut out = String::new();
    let objects =
        ObjectKind::ALL.into_iter().flat_map(|kind| state.of_kind(kind)).map(|stored| &stored.object);
    // Agreements are not applied, and objectives that are agreed are theirs.
    let is_document = |object: &&Object| object.id().kind != ObjectKind::Agreement && is_shown(object);
    for object in objects.filter(is_document) {
        if !out.is_empty() {
            out.push_str("---\n");
        }
        let agreed = object.as_site().filter(|site| state.replaced_by(&site.name).is_some());
        let spec =
            agreed.map_or_else(|| object.spec(), |site| Spec::Site(SiteSpec::without_objectives(site)));
        serde_saphyr::to_fmt_writer(&mut out, &spec)?;
    }
    Ok(out)
}
