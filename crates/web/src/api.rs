//! The routes of the API and the mapping of errors to statuses.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use spillway_eventlog::{EventLog, LogError};
use spillway_events::{Gap, NetworkName, SiteName, TimeMicros, parse_time};
use spillway_provisioning::export;

use crate::explain::{ExplainError, explain};
use crate::provisioner::{ProvisionError, Provisioner};

/// The longest body, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What the API works on.
#[derive(Clone)]
pub struct Api {
    log: Arc<dyn EventLog>,
    provisioner: Arc<Provisioner>,
    now: fn() -> TimeMicros,
}

impl Api {
    /// The API of a log.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, provisioner: Arc<Provisioner>, now: fn() -> TimeMicros) -> Self {
        Self { log, provisioner, now }
    }
}

/// All routes.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/provisioning", get(provisioned).post(apply))
        .route("/v1/gaps", post(give_up))
        .route("/v1/explain/{site}", get(explained))
        .route("/ready", get(|| async { "ready\n" }))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(api)
}

#[derive(Debug, Deserialize)]
struct ApplyQuery {
    #[serde(default)]
    dry_run: bool,
    /// The name that mistakes are reported under.
    #[serde(default)]
    file: Option<String>,
    /// The command's id: a retry with the same id changes nothing more.
    #[serde(default)]
    id: Option<String>,
}

async fn apply(State(api): State<Api>, Query(query): Query<ApplyQuery>, text: String) -> Response {
    blocking(move || {
        let at = (api.now)();
        let file = query.file.as_deref().unwrap_or("documents");
        let id = query.id.clone().unwrap_or_else(|| format!("api-{}", at.0));
        match api.provisioner.apply(file, &text, &id, at, query.dry_run) {
            Ok(applied) => Json(applied).into_response(),
            Err(error) => provision_problem(&error),
        }
    })
    .await
}

async fn give_up(State(api): State<Api>, Query(query): Query<ApplyQuery>, Json(gap): Json<Gap>) -> Response {
    blocking(move || {
        let at = (api.now)();
        let id = query.id.clone().unwrap_or_else(|| format!("api-{}", at.0));
        match api.provisioner.give_up(gap, &id, at, query.dry_run) {
            Ok(applied) => Json(applied).into_response(),
            Err(error) => provision_problem(&error),
        }
    })
    .await
}

async fn provisioned(State(api): State<Api>) -> Response {
    blocking(move || match api.provisioner.state() {
        Ok(state) => match export(&state) {
            Ok(text) => ([(header::CONTENT_TYPE, "application/yaml")], text).into_response(),
            Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &chain(&error), &[]),
        },
        Err(error) => provision_problem(&error),
    })
    .await
}

#[derive(Debug, Deserialize)]
struct ExplainQuery {
    network: Option<String>,
    at: Option<String>,
}

async fn explained(
    State(api): State<Api>,
    Path(site): Path<String>,
    Query(query): Query<ExplainQuery>,
) -> Response {
    blocking(move || {
        let bad = |what: &str| problem(StatusCode::BAD_REQUEST, what, &[]);
        let Ok(site) = SiteName::new(site) else { return bad("the site's name is no name") };
        let Ok(network) = query.network.map(NetworkName::new).transpose() else {
            return bad("network: is no name");
        };
        let at = match query.at.map(|at| parse_time(&at)).transpose() {
            Ok(at) => at,
            Err(error) => return bad(&format!("at: {error}")),
        };
        match explain(api.log.as_ref(), &site, network.as_ref(), at) {
            Ok(decisions) => Json(decisions).into_response(),
            Err(error @ ExplainError::Unknown(_)) => problem(StatusCode::NOT_FOUND, &error.to_string(), &[]),
            Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &chain(&error), &[]),
        }
    })
    .await
}

/// Calls that wait for the disk run beside the tasks that serve sockets.
async fn blocking(run: impl FnOnce() -> Response + Send + 'static) -> Response {
    let ran = tokio::task::spawn_blocking(run).await;
    ran.unwrap_or_else(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "the call did not end", &[]))
}

fn provision_problem(error: &ProvisionError) -> Response {
    match error {
        ProvisionError::Mistakes(mistakes) => {
            let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            problem(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string(), &mistakes)
        }
        ProvisionError::Refused(_) => problem(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string(), &[]),
        ProvisionError::Log(LogError::NoTopic { .. } | LogError::NoPartition { .. }) => {
            problem(StatusCode::NOT_FOUND, &chain(error), &[])
        }
        ProvisionError::Busy => problem(StatusCode::CONFLICT, &error.to_string(), &[]),
        ProvisionError::Log(_) => problem(StatusCode::SERVICE_UNAVAILABLE, &chain(error), &[]),
        _ => problem(StatusCode::INTERNAL_SERVER_ERROR, &chain(error), &[]),
    }
}

/// Problem details (RFC 9457).
fn problem(status: StatusCode, detail: &str, mistakes: &[String]) -> Response {
    let body = json!({"status": status.as_u16(), "title": status.canonical_reason(), "detail": detail, "mistakes": mistakes});
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
