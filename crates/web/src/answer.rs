//! How calls run.

use spillway_events::ObjectKind;
use spillway_serve::{INTERNAL, Problem};

use crate::problems::NOT_FOUND;
use crate::text::shorten;

/// The kind that a path names.
pub(crate) fn kind_named(text: &str) -> Result<ObjectKind, Problem> {
    ObjectKind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
        let kinds = ObjectKind::ALL.map(ObjectKind::as_str).join(", ");
        Problem::new(&NOT_FOUND, format!("`{}` is none of the kinds {kinds}", shorten(text)))
    })
}

/// Runs a call that may block on the disk, outside the threads that serve sockets.
pub(crate) async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let ran = tokio::task::spawn_blocking(run).await;
    ran.unwrap_or_else(|_| Err(Problem::new(&INTERNAL, "the call ended with a panic")))
}
