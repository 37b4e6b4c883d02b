//! Tokens: list, create, revoke.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use spillway_control::{Identity, digest_of, new_token};
use spillway_events::{Role, TimeMicros, Token, format_time, parse_time};
use spillway_provisioning::{Caller, NewToken};
use spillway_serve::Problem;

use crate::answer::{blocking, outcome, provision_problem, refused, shorten};
use crate::api::Api;
use crate::call::Call;

/// The body that creates a token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    role: Role,
    #[serde(default)]
    subject: Option<String>,
    note: String,
    #[serde(default)]
    expires_at: Option<String>,
}

/// A token as it is listed.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    id: &'a str,
    role: Role,
    subject: Option<&'a str>,
    note: &'a str,
    expires_at: Option<String>,
    /// `accepted`, `expired` or `revoked`.
    status: &'static str,
}

pub(crate) async fn list(State(api): State<Api>, Extension(identity): Extension<Identity>) -> Response {
    let listed = blocking(move || {
        let now = (api.now)();
        let state = api.provisioner.state().map_err(|error| refused(provision_problem(&error)))?;
        let seen =
            state.tokens().filter(|token| is_of(&identity.caller, token.role, token.subject.as_deref()));
        let tokens: Vec<Listed<'_>> = seen.map(|token| listed(token, now)).collect();
        Ok(Json(serde_json::json!({ "tokens": tokens })).into_response())
    });
    listed.await.unwrap_or_else(|refused| *refused)
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

/// The text of the token is in the answer to its creation only: a repeated command is answered without it.
pub(crate) async fn create(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    call: Call,
    body: Bytes,
) -> Response {
    let created = blocking(move || {
        let bad = |detail: String| refused(Problem::new(StatusCode::BAD_REQUEST, detail));
        let wanted: Wanted =
            serde_json::from_slice(&body).map_err(|error| bad(format!("the body: {error}")))?;
        let Wanted { role, subject, note, expires_at } = wanted;
        if !is_of(&identity.caller, role, subject.as_deref()) {
            let detail = format!("the token of {} may create tokens of its own client only", identity.author);
            return Err(refused(Problem::new(StatusCode::FORBIDDEN, detail)));
        }
        let expires_at = expires_at.as_deref().map(parse_time).transpose();
        let expires_at_us = expires_at.map_err(|error| bad(format!("expires_at: {error}")))?;
        let no_random = |error| {
            let detail = format!("the system has no random numbers: {error}");
            refused(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail))
        };
        let text = new_token().map_err(no_random)?;
        let Some(sha256) = digest_of(&text) else { return Err(bad(String::from("the new token is none"))) };
        let new = NewToken { sha256, role, subject, note, expires_at_us };
        let at = (api.now)();
        let applied = call
            .run(&identity, at, None, |head| api.provisioner.create_token(new, &body, head))
            .map_err(|error| refused(provision_problem(&error)))?;
        let is_shown = !applied.is_repeated && !applied.dry_run;
        let token = is_shown.then_some(text);
        let mut answer = serde_json::json!(applied);
        answer["token"] = serde_json::json!(token);
        answer["id"] = serde_json::json!(is_shown.then(|| spillway_provisioning::token_id(sha256)));
        Ok(Json(answer).into_response())
    });
    created.await.unwrap_or_else(|refused| *refused)
}

pub(crate) async fn revoke(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    call: Call,
) -> Response {
    let revoked = blocking(move || {
        let state = api.provisioner.state().map_err(|error| refused(provision_problem(&error)))?;
        let token = state.token(&id);
        if !token.is_some_and(|token| is_of(&identity.caller, token.role, token.subject.as_deref())) {
            let detail = format!("there is no token {}", shorten(&id));
            return Err(refused(Problem::new(StatusCode::NOT_FOUND, detail)));
        }
        let at = (api.now)();
        Ok(outcome(call.run(&identity, at, None, |head| api.provisioner.revoke_token(&id, head))))
    });
    revoked.await.unwrap_or_else(|refused| *refused)
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
