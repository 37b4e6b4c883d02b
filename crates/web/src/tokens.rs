//! Tokens: list, create, revoke.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use spillway_control::{Applied, Identity, digest_of, new_token};
use spillway_events::{Role, TimeMicros, Token, format_time, parse_time};
use spillway_provisioning::{Caller, NewToken};
use spillway_serve::{FieldError, INTERNAL, Problem};
use utoipa::ToSchema;

use crate::answer::blocking;
use crate::api::Api;
use crate::call::{Call, json_body};
use crate::problems::{FORBIDDEN, INVALID_FIELD, NOT_FOUND, read_problem};
use crate::schemas;
use crate::text::shorten;

/// The body that creates a token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    #[schema(value_type = schemas::Role)]
    role: Role,
    /// The client, the CDN or the agent that the role is limited to.
    #[serde(default)]
    subject: Option<String>,
    /// Whom or what it is for.
    #[schema(min_length = 1, max_length = 255)]
    note: String,
    /// From when on it is not accepted; for ever if it is not given.
    #[serde(default)]
    expires_at: Option<String>,
}

/// All tokens.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Tokens<'a> {
    tokens: Vec<Listed<'a>>,
}

/// A token as it is listed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed<'a> {
    id: &'a str,
    #[schema(value_type = schemas::Role)]
    role: Role,
    #[schema(required)]
    subject: Option<&'a str>,
    note: &'a str,
    #[schema(required)]
    expires_at: Option<String>,
    /// `accepted`, `expired` or `revoked`.
    status: &'static str,
}

/// The tokens, without their texts.
#[utoipa::path(
    get, path = "/v1/tokens", operation_id = "tokens",
    responses((status = 200, description = "All of them", body = Tokens<'_>)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<Value>, Problem> {
    blocking(move || {
        let now = (api.now)();
        let state = api.provisioner.state().map_err(|error| read_problem(&error))?;
        let seen =
            state.tokens().filter(|token| is_of(&identity.caller, token.role, token.subject.as_deref()));
        let tokens: Vec<Listed<'_>> = seen.map(|token| listed(token, now)).collect();
        Ok(Json(serde_json::json!(Tokens { tokens })))
    })
    .await
}

fn listed(token: &Token, now: TimeMicros) -> Listed<'_> {
    let has_expired = token.expires_at_us.is_some_and(|end| end <= now);
    Listed {
        id: &token.id,
        role: token.role,
        subject: token.subject.as_deref(),
        note: &token.note,
        expires_at: token.expires_at_us.map(format_time),
        status: match (token.revoked, has_expired) {
            (true, _) => "revoked",
            (false, true) => "expired",
            (false, false) => "accepted",
        },
    }
}

/// Creates a token.
///
/// The text of the token is in the answer to its creation only: a repeated command is answered without it.
#[utoipa::path(
    post, path = "/v1/tokens", operation_id = "create_token", request_body = Wanted,
    responses((status = 200, description = "The token", body = schemas::CreatedToken)),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let Wanted { role, subject, note, expires_at } = json_body(&headers, &body)?;
    blocking(move || {
        if !is_of(&identity.caller, role, subject.as_deref()) {
            let detail = format!("the token of {} may create tokens of its own client only", identity.author);
            return Err(Problem::new(&FORBIDDEN, detail));
        }
        let expires_at = expires_at.as_deref().map(parse_time).transpose();
        let expires_at_us = expires_at.map_err(|error| {
            let errors = vec![FieldError::at_pointer("/expires_at", error.to_string())];
            Problem::new(&INVALID_FIELD, format!("expires_at: {error}")).with_errors(errors)
        })?;
        let failed = |detail: String| Problem::new(&INTERNAL, detail);
        let text =
            new_token().map_err(|error| failed(format!("the system has no random numbers: {error}")))?;
        let sha256 = digest_of(&text).ok_or_else(|| failed(String::from("the new token is none")))?;
        let new = NewToken { sha256, role, subject, note, expires_at_us };
        let at = (api.now)();
        let applied = call
            .run(&identity, at, None, |head| api.provisioner.create_token(new, &body, head))
            .map_err(|error| read_problem(&error))?;
        let is_shown = !applied.is_repeated && !applied.dry_run;
        let token = is_shown.then_some(text);
        let mut answer = serde_json::json!(applied);
        answer["token"] = serde_json::json!(token);
        answer["id"] = serde_json::json!(is_shown.then(|| spillway_provisioning::token_id(sha256)));
        Ok(Json(answer))
    })
    .await
}

/// Revokes a token.
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", operation_id = "revoke_token",
    params(("id" = String, Path, description = "The id of the token")),
    responses((status = 200, description = "What changed", body = schemas::Applied)),
)]
pub(crate) async fn revoke(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Json<Applied>, Problem> {
    blocking(move || {
        let state = api.provisioner.state().map_err(|error| read_problem(&error))?;
        let token = state.token(&id);
        if !token.is_some_and(|token| is_of(&identity.caller, token.role, token.subject.as_deref())) {
            let detail = format!("there is no token {}", shorten(&id));
            return Err(Problem::new(&NOT_FOUND, detail));
        }
        let at = (api.now)();
        let revoked = call.run(&identity, at, None, |head| api.provisioner.revoke_token(&id, head));
        revoked.map(Json).map_err(|error| read_problem(&error))
    })
    .await
}

/// Whether a token of this role and subject is the caller's to see, create and revoke.
fn is_of(caller: &Caller, role: Role, subject: Option<&str>) -> bool {
    match caller {
        Caller::Operator => true,
        Caller::ClientAdmin(client) => {
            matches!(role, Role::ClientAdmin | Role::ClientViewer) && subject == Some(client.as_str())
        }
        _ => false,
    }
}
