//! What calls have in common: how they run, and what they answer.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use spillway_control::{Applied, ProvisionError};
use spillway_eventlog::LogError;
use spillway_events::ObjectKind;
use spillway_provisioning::Refusal;
use spillway_serve::Problem;

pub(crate) fn outcome(outcome: Result<Applied, ProvisionError>) -> Response {
    match outcome {
        Ok(applied) => Json(applied).into_response(),
        Err(error) => provision_problem(&error),
    }
}

/// The kind that a path names.
pub(crate) fn kind_named(text: &str) -> Result<ObjectKind, Problem> {
    ObjectKind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
        let kinds = ObjectKind::ALL.map(ObjectKind::as_str).join(", ");
        Problem::new(StatusCode::NOT_FOUND, format!("`{}` is none of the kinds {kinds}", shorten(text)))
    })
}

/// Cuts foreign text for a message.
pub(crate) fn shorten(text: &str) -> String {
    const CHARACTERS_MAX: usize = 100;
    text.chars().take(CHARACTERS_MAX).collect()
}

/// Runs a call that may block on the disk, outside the threads that serve sockets.
pub(crate) async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let ran = tokio::task::spawn_blocking(run).await;
    let panicked = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the call ended with a panic");
    ran.unwrap_or_else(|_| Err(refused(panicked())))
}

/// The answer to a request that is refused; boxed, because it is large.
pub(crate) type Refused = Box<Response>;

pub(crate) fn refused(answer: impl IntoResponse) -> Refused {
    Box::new(answer.into_response())
}

/// As [`blocking`], for a call that always has an answer.
pub(crate) async fn respond(run: impl FnOnce() -> Response + Send + 'static) -> Response {
    blocking(move || Ok(run())).await.unwrap_or_else(|refused| *refused)
}

pub(crate) fn provision_problem(error: &ProvisionError) -> Response {
    let status = match error {
        ProvisionError::Refused(Refusal::NotFound(_) | Refusal::NoToken(_)) => StatusCode::NOT_FOUND,
        ProvisionError::Refused(Refusal::Stale { .. }) => StatusCode::PRECONDITION_FAILED,
        ProvisionError::Mistakes(_)
        | ProvisionError::Refused(_)
        | ProvisionError::OtherObject { .. }
        | ProvisionError::IdReused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        ProvisionError::Log(LogError::NoTopic { .. } | LogError::NoPartition { .. }) => StatusCode::NOT_FOUND,
        ProvisionError::Busy => StatusCode::CONFLICT,
        ProvisionError::Log(_) | ProvisionError::Read(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mistakes = match error {
        ProvisionError::Mistakes(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    Problem::new(status, chain(error)).with_errors(mistakes).into_response()
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
