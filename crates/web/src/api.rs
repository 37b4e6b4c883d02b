//! The routes of the API and the mapping of errors to statuses.

mod parameters;
mod resources;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use spillway_control::{
    Applied, ExplainError, Explainer, Explanation, History, ProvisionError, Provisioner, Recent,
};
use spillway_eventlog::{EventLog, LogError};
use spillway_events::{Gap, NetworkName, ObjectKind, SiteName, TimeMicros, parse_time};
use spillway_provisioning::{ObjectId, SourceFile, export};
use spillway_serve::{Problem, not_found, wrong_method};

/// Makes the body of `GET /ready`.
pub type ReadyBody = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// The parts that the API uses.
#[derive(Clone)]
pub struct Api {
    explainer: Arc<Explainer>,
    history: Arc<History>,
    provisioner: Arc<Provisioner>,
    recent: Arc<Recent>,
    ready: ReadyBody,
    now: fn() -> TimeMicros,
}

impl Api {
    /// The API of a log. `ready` says how the process is.
    #[must_use]
    pub fn new(
        log: Arc<dyn EventLog>,
        provisioner: Arc<Provisioner>,
        ready: ReadyBody,
        now: fn() -> TimeMicros,
    ) -> Self {
        let history = Arc::new(History::new(Arc::clone(&log)));
        let (explainer, recent) = (Explainer::new(Arc::clone(&log)), Recent::new(log));
        Self { explainer: Arc::new(explainer), history, provisioner, recent: Arc::new(recent), ready, now }
    }
}

/// All routes.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/provisioning", get(provisioned).post(apply))
        .route("/v1/{kind}", get(resources::list))
        // A probe's name, AGENT/NETWORK, may be written with its slash or with `%2F`.
        .route("/v1/{kind}/{*name}", get(resources::one).delete(delete))
        .route("/v1/gaps", post(accept_loss))
        .route("/v1/clock-resets", post(reset_clock))
        .route("/v1/explain/{site}", get(explained))
        .route("/v1/probes", get(probes))
        .route("/ready", get(ready))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .with_state(api)
}

async fn ready(State(api): State<Api>) -> Json<serde_json::Value> {
    Json((api.ready)())
}

#[derive(Debug, Deserialize)]
struct CommandQuery {
    #[serde(default)]
    dry_run: bool,
    /// The command's id: a retry with the same id returns the first result.
    #[serde(default)]
    id: Option<String>,
}

impl CommandQuery {
    /// The given id, or a new one.
    fn id(&self, at: TimeMicros) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let new = || format!("api-{}-{}-{}", at.0, std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.id.clone().unwrap_or_else(new)
    }
}

#[derive(Debug, Deserialize)]
struct ApplyQuery {
    /// The name that mistakes in the body are reported under, if the body is one file.
    #[serde(default)]
    file: Option<String>,
}

/// Several files of documents, as a body of type `application/json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Files {
    files: Vec<NamedText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedText {
    name: String,
    text: String,
}

async fn apply(
    State(api): State<Api>,
    Query(query): Query<CommandQuery>,
    Query(apply): Query<ApplyQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_json = kind.is_some_and(|kind| kind.starts_with(b"application/json"));
    blocking(move || {
        let files: Result<Files, _> =
            if is_json { serde_json::from_slice(&body) } else { Ok(Files { files: Vec::new() }) };
        let files = match files {
            Ok(files) => files.files,
            Err(error) => {
                return Problem::new(StatusCode::BAD_REQUEST, format!("the body: {error}")).into_response();
            }
        };
        let mut sources: Vec<SourceFile<'_>> =
            files.iter().map(|file| SourceFile { name: &file.name, bytes: file.text.as_bytes() }).collect();
        if !is_json {
            sources.push(SourceFile { name: apply.file.as_deref().unwrap_or("documents"), bytes: &body });
        }
        let at = (api.now)();
        outcome(api.provisioner.apply(&sources, &query.id(at), at, query.dry_run))
    })
    .await
}

async fn delete(
    State(api): State<Api>,
    Path((kind, name)): Path<(String, String)>,
    Query(query): Query<CommandQuery>,
) -> Response {
    let kind = match kind_named(&kind) {
        Ok(kind) => kind,
        Err(problem) => return problem.into_response(),
    };
    blocking(move || {
        let at = (api.now)();
        outcome(api.provisioner.delete(ObjectId::new(kind, name), &query.id(at), at, query.dry_run))
    })
    .await
}

/// The kind that a path names.
fn kind_named(text: &str) -> Result<ObjectKind, Problem> {
    ObjectKind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
        let kinds = ObjectKind::ALL.map(ObjectKind::as_str).join(", ");
        Problem::new(StatusCode::NOT_FOUND, format!("`{}` is none of the kinds {kinds}", shorten(text)))
    })
}

async fn accept_loss(
    State(api): State<Api>,
    Query(query): Query<CommandQuery>,
    Json(gap): Json<Gap>,
) -> Response {
    blocking(move || {
        let at = (api.now)();
        outcome(api.provisioner.accept_loss(gap, &query.id(at), at, query.dry_run))
    })
    .await
}

/// The body of a clock reset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockReset {
    reason: String,
}

async fn reset_clock(
    State(api): State<Api>,
    Query(query): Query<CommandQuery>,
    Json(ClockReset { reason }): Json<ClockReset>,
) -> Response {
    blocking(move || {
        let at = (api.now)();
        outcome(api.provisioner.reset_clock(&reason, &query.id(at), at, query.dry_run))
    })
    .await
}

fn outcome(outcome: Result<Applied, ProvisionError>) -> Response {
    match outcome {
        Ok(applied) => Json(applied).into_response(),
        Err(error) => provision_problem(&error),
    }
}

/// Cuts foreign text for a message.
fn shorten(text: &str) -> String {
    const CHARACTERS_MAX: usize = 100;
    text.chars().take(CHARACTERS_MAX).collect()
}

async fn provisioned(State(api): State<Api>) -> Response {
    blocking(move || match api.provisioner.state() {
        Ok(state) => match export(&state) {
            Ok(text) => ([(header::CONTENT_TYPE, "application/yaml")], text).into_response(),
            Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, chain(&error)).into_response(),
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
        let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, detail).into_response();
        let Ok(site) = SiteName::new(site) else { return bad("the site's name is not a valid name") };
        let Ok(network) = query.network.map(NetworkName::new).transpose() else {
            return bad("network: is not a valid name");
        };
        let at = match query.at.map(|at| parse_time(&at)).transpose() {
            Ok(at) => at,
            Err(error) => return bad(&format!("at: {error}")),
        };
        let state = match api.provisioner.state() {
            Ok(state) => state,
            Err(error) => return provision_problem(&error),
        };
        let explained = api.explainer.explain(&state, &site, network.as_ref(), at).and_then(|decisions| {
            let now = api.recent.site(&state, &site, network.as_ref())?;
            Ok(Explanation { decisions, now })
        });
        match explained {
            Ok(explanation) => Json(explanation).into_response(),
            Err(error) => explain_problem(&error),
        }
    })
    .await
}

async fn probes(State(api): State<Api>) -> Response {
    blocking(move || {
        let state = match api.provisioner.state() {
            Ok(state) => state,
            Err(error) => return provision_problem(&error),
        };
        match api.recent.probes(&state) {
            Ok(report) => Json(report).into_response(),
            Err(error) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, chain(&error)).into_response(),
        }
    })
    .await
}

/// Runs a call that may block on the disk, outside the threads that serve sockets.
async fn blocking(run: impl FnOnce() -> Response + Send + 'static) -> Response {
    let ran = tokio::task::spawn_blocking(run).await;
    ran.unwrap_or_else(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the call ended with a panic").into_response()
    })
}

fn provision_problem(error: &ProvisionError) -> Response {
    let status = match error {
        ProvisionError::Mistakes(_) | ProvisionError::Refused(_) | ProvisionError::IdReused { .. } => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
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
