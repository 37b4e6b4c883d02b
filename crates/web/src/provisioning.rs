//! All of what is provisioned: read, and changed by documents; and the commands of those who run the installation.

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use spillway_control::Identity;
use spillway_events::Gap;
use spillway_provisioning::{SourceFile, export, export_of_client};
use spillway_serve::Problem;

use crate::answer::{chain, outcome, provision_problem, respond};
use crate::api::Api;
use crate::call::{Call, is_json};

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

pub(crate) async fn apply(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    call: Call,
    Query(apply): Query<ApplyQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let is_json = match is_json(&headers) {
        Ok(is_json) => is_json,
        Err(problem) => return problem.into_response(),
    };
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
        outcome(call.run(&identity, at, None, |head| api.provisioner.apply(&sources, head)))
    })
    .await
}

pub(crate) async fn accept_loss(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    call: Call,
    Json(gap): Json<Gap>,
) -> Response {
    respond(move || {
        let at = (api.now)();
        outcome(call.run(&identity, at, None, |head| api.provisioner.accept_loss(gap, head)))
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
    call: Call,
    Json(ClockReset { reason }): Json<ClockReset>,
) -> Response {
    respond(move || {
        let at = (api.now)();
        outcome(call.run(&identity, at, None, |head| api.provisioner.reset_clock(&reason, head)))
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
