//! Writes all objects as documents.

use spillway_events::ObjectKind;

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
    let mut out = String::new();
    for stored in ObjectKind::ALL.into_iter().flat_map(|kind| state.of_kind(kind)) {
        if !out.is_empty() {
            out.push_str("---\n");
        }
        serde_saphyr::to_fmt_writer(&mut out, &stored.object.spec())?;
    }
    Ok(out)
}
