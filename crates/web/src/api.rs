//! The routes of the API and the mapping of errors to statuses.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use spillway_control::{ExplainError, Explainer, ProvisionError, Provisioner};
use spillway_eventlog::{EventLog, LogError};
use spillway_events::{Gap, NetworkName, SiteName, TimeMicros, parse_time};
use spillway_provisioning::export;
use spillway_serve::{Problem, not_found, wrong_method};

/// What the API works on.
#[derive(Clone)]
pub struct Api {
    explainer: Arc<Explainer>,
    provisioner: Arc<Provisioner>,
    now: fn() -> TimeMicros,
}

impl Api {
    /// The API of a log.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, provisioner: Arc<Provisioner>, now: fn() -> TimeMicros) -> Self {
        Self { explainer: Arc::new(Explainer::new(log)), provisioner, now }
    }
}

/// All routes.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/provisioning", get(provisioned).post(apply))
        .route("/v1/gaps", post(give_up))
        .route("/v1/explain/{site}", get(explained))
        .route("/ready", get(|| async { "ready\n" }))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
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
        Ok(state) => ([(header::CONTENT_TYPE, "application/yaml")], export(&state)).into_response(),
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
        let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, detail).into_response();
        let Ok(site) = SiteName::new(site) else { return bad("the site's name is no name") };
        let Ok(network) = query.network.map(NetworkName::new).transpose() else {
            return bad("network: is no name");
        };
        let at = match query.at.map(|at| parse_time(&at)).transpose() {
            Ok(at) => at,
            Err(error) => return bad(&format!("at: {error}")),
        };
        let state = match api.provisioner.state() {
            Ok(state) => state,
            Err(error) => return provision_problem(&error),
        };
        match api.explainer.explain(&state, &site, network.as_ref(), at) {
            Ok(decisions) => Json(decisions).into_response(),
            Err(error) => explain_problem(&error),
        }
    })
    .await
}

/// Calls that wait for the disk run beside the tasks that serve sockets.
async fn blocking(run: impl FnOnce() -> Response + Send + 'static) -> Response {
    let ran = tokio::task::spawn_blocking(run).await;
    ran.unwrap_or_else(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the call ended with a panic").into_response()
    })
}

fn provision_problem(error: &ProvisionError) -> Response {
    let status = match error {
        ProvisionError::Mistakes(_) | ProvisionError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
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

fn explain_problem(error: &ExplainError) -> Response {
    let status = if error.is_not_found() { StatusCode::NOT_FOUND } else { StatusCode::SERVICE_UNAVAILABLE };
    Problem::new(status, chain(error)).into_response()
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
