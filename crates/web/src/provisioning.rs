//! All of what is provisioned: read, and changed by documents; and the commands of those who run the installation.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use spillway_control::{Applied, Identity};
use spillway_events::Gap;
use spillway_provisioning::{SourceFile, export, export_of_client};
use spillway_serve::{INTERNAL, Problem};
use utoipa::ToSchema;

use crate::answer::blocking;
use crate::api::Api;
use crate::call::{Call, is_json, json_body, read_json};
use crate::problems::{Source, provision_problem, read_problem};
use crate::schemas;
use crate::text::chain;

/// Several files of documents.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Files {
    files: Vec<NamedText>,
}

/// A file of documents in YAML.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NamedText {
    name: String,
    text: String,
}

/// Applies documents together, or none of them.
#[utoipa::path(
    post, path = "/v1/provisioning", operation_id = "apply",
    params(("file" = Option<String>, Query, description = "What mistakes call a body of YAML")),
    request_body(content((String = "application/yaml"), (Files = "application/json"))),
    responses((status = 200, description = "What changed", body = schemas::Applied)),
)]
pub(crate) async fn apply(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Applied>, Problem> {
    let is_json = is_json(&headers)?;
    blocking(move || {
        let at = (api.now)();
        if !is_json {
            let sources = [SourceFile { name: call.file(), bytes: &body }];
            let applied = call.run(&identity, at, None, |head| api.provisioner.apply(&sources, head));
            return applied.map(Json).map_err(|error| provision_problem(&error, &Source::Documents));
        }
        let Files { files } = read_json(&body)?;
        let sources: Vec<SourceFile<'_>> =
            files.iter().map(|file| SourceFile { name: &file.name, bytes: file.text.as_bytes() }).collect();
        let applied = call.run(&identity, at, None, |head| api.provisioner.apply(&sources, head));
        applied.map(Json).map_err(|error| {
            let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
            provision_problem(&error, &Source::Files(&names))
        })
    })
    .await
}

/// Accepts the loss of records.
#[utoipa::path(
    post, path = "/v1/gaps", operation_id = "accept_loss", request_body = schemas::Gap,
    responses((status = 200, description = "What changed", body = schemas::Applied)),
)]
pub(crate) async fn accept_loss(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Applied>, Problem> {
    let gap: Gap = json_body(&headers, &body)?;
    blocking(move || {
        let at = (api.now)();
        let applied = call.run(&identity, at, None, |head| api.provisioner.accept_loss(gap, head));
        applied.map(Json).map_err(|error| read_problem(&error))
    })
    .await
}

/// The body of a clock reset.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClockReset {
    /// Why.
    #[schema(min_length = 1, max_length = 255)]
    reason: String,
}

/// Lets the time of ticks start again from the wall clock.
#[utoipa::path(
    post, path = "/v1/clock-resets", operation_id = "reset_clock", request_body = ClockReset,
    responses((status = 200, description = "What changed", body = schemas::Applied)),
)]
pub(crate) async fn reset_clock(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Applied>, Problem> {
    let ClockReset { reason } = json_body(&headers, &body)?;
    blocking(move || {
        let at = (api.now)();
        let applied = call.run(&identity, at, None, |head| api.provisioner.reset_clock(&reason, head));
        applied.map(Json).map_err(|error| read_problem(&error))
    })
    .await
}

/// Everything provisioned, as documents.
#[utoipa::path(
    get, path = "/v1/provisioning", operation_id = "provisioned",
    responses((status = 200, description = "Documents in YAML", body = String, content_type = "application/yaml")),
)]
pub(crate) async fn provisioned(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
) -> Result<Response, Problem> {
    blocking(move || {
        let state = api.provisioner.state().map_err(|error| read_problem(&error))?;
        let client = identity.caller.client();
        let text = client.map_or_else(|| export(&state), |client| export_of_client(&state, client));
        let text = text.map_err(|error| Problem::new(&INTERNAL, chain(&error)))?;
        Ok(([(header::CONTENT_TYPE, "application/yaml")], text).into_response())
    })
    .await
}
