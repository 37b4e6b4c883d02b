//! What is provisioned: read, apply, delete; and the commands of those who run the installation.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use spillway_control::Identity;
use spillway_events::Gap;
use spillway_provisioning::{ObjectId, SourceFile, export, export_of_client};
use spillway_serve::Problem;

use crate::answer::{CommandQuery, chain, kind_named, outcome, provision_problem, respond};
use crate::api::Api;

#[derive(Debug, Deserialize)]
pub(crate) struct ApplyQuery {
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

/// The names of YAML (RFC 9512 and its older ones).
const YAML_TYPES: [&str; 3] = ["application/yaml", "application/x-yaml", "text/yaml"];

pub(crate) async fn apply(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Query(query): Query<CommandQuery>,
    Query(apply): Query<ApplyQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    let is_json = kind.eq_ignore_ascii_case(b"application/json");
    if !is_json && !YAML_TYPES.iter().any(|yaml| kind.eq_ignore_ascii_case(yaml.as_bytes())) {
        let detail =
            format!("Content-Type: send application/json, or documents as {}", YAML_TYPES.join(", "));
        return Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).into_response();
    }
    respond(move || {
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
        outcome(query.with_head(&identity, at, |head| api.provisioner.apply(&sources, head)))
    })
    .await
}

pub(crate) async fn delete(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Path((kind, name)): Path<(String, String)>,
    Query(query): Query<CommandQuery>,
) -> Response {
    let kind = match kind_named(&kind) {
        Ok(kind) => kind,
        Err(problem) => return problem.into_response(),
    };
    respond(move || {
        let at = (api.now)();
        let object = ObjectId::new(kind, name);
        outcome(query.with_head(&identity, at, |head| api.provisioner.delete(object, head)))
    })
    .await
}

pub(crate) async fn accept_loss(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Query(query): Query<CommandQuery>,
    Json(gap): Json<Gap>,
) -> Response {
    respond(move || {
        let at = (api.now)();
        outcome(query.with_head(&identity, at, |head| api.provisioner.accept_loss(gap, head)))
    })
    .await
}

/// The body of a clock reset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClockReset {
    reason: String,
}

pub(crate) async fn reset_clock(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Query(query): Query<CommandQuery>,
    Json(ClockReset { reason }): Json<ClockReset>,
) -> Response {
    respond(move || {
        let at = (api.now)();
        outcome(query.with_head(&identity, at, |head| api.provisioner.reset_clock(&reason, head)))
    })
    .await
}

pub(crate) async fn provisioned(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
) -> Response {
    respond(move || match api.provisioner.state() {
        Ok(state) => match identity
            .caller
            .client()
            .map_or_else(|| export(&state), |client| export_of_client(&state, client))
        {
            Ok(text) => ([(header::CONTENT_TYPE, "application/yaml")], text).into_response(),
            Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, chain(&error)).into_response(),
        },
        Err(error) => provision_problem(&error),
    })
    .await
}
