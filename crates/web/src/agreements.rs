//! Agreements: the parties propose, answer and end them. They are read as resources, as all that is provisioned.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use spillway_control::{Applied, CommandHead, Identity, Proposal};
use spillway_events::{Agreement, Event, ObjectKind, Party, Sha256, TimeMicros, parse_time};
use spillway_provisioning::{
    AgreementAct, Caller, Object, ObjectId, SourceFile, State as Provisioning, VersionId, parse_files,
};
use spillway_serve::{FieldError, Problem};
use utoipa::ToSchema;

use crate::answer::blocking;
use crate::api::Api;
use crate::call::{Call, is_json, json_body, read_json};
use crate::problems::{FORBIDDEN, INVALID_FIELD, NOT_FOUND, Source, provision_problem, read_problem};
use crate::resources::{is_seen, unknown};
use crate::schemas;
use crate::text::shorten;

/// What a proposal changed, and the version that it made.
#[derive(Debug, Serialize)]
pub(crate) struct Proposed {
    #[serde(flatten)]
    applied: Applied,
    /// `NAME/VERSION`; null where it was only tried.
    version: Option<String>,
    /// What an acceptance names.
    terms_sha256: Option<Sha256>,
}

/// Proposes the agreement that the body describes.
#[utoipa::path(
    post, path = "/v1/agreements", operation_id = "propose_agreement",
    request_body(content((Object = "application/json"), (String = "application/yaml"))),
    responses((status = 200, description = "What changed, and the version", body = schemas::Proposed)),
)]
pub(crate) async fn propose(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Proposed>, Problem> {
    blocking(move || propose_document(&api, &identity, &call, Proposal::New, &document(&headers, &body)?))
        .await
}

/// Keeps the agreement that the body describes as the draft of the caller's party, which the other party does not see.
#[utoipa::path(
    post, path = "/v1/agreement-drafts", operation_id = "draft_agreement",
    request_body(content((Object = "application/json"), (String = "application/yaml"))),
    responses((status = 200, description = "What changed, and the version", body = schemas::Proposed)),
)]
pub(crate) async fn draft(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Proposed>, Problem> {
    blocking(move || propose_document(&api, &identity, &call, Proposal::Draft, &document(&headers, &body)?))
        .await
}

/// Proposes the agreement that the body describes instead of a proposal of the other party.
#[utoipa::path(
    post, path = "/v1/agreements/{name}/{version}/counter", operation_id = "counter_agreement",
    params(
        ("name" = String, Path, description = "The name of the agreement"),
        ("version" = String, Path, description = "The number of the version"),
    ),
    request_body(content((Object = "application/json"), (String = "application/yaml"))),
    responses((status = 200, description = "What changed, and the version", body = schemas::Proposed)),
)]
pub(crate) async fn counter(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Path((name, version)): Path<(String, String)>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Proposed>, Problem> {
    blocking(move || {
        let state = api.provisioner.state().map_err(|error| read_problem(&error))?;
        let version = seen_version(&state, &identity.caller, &name, &version)?;
        let counter = Proposal::Counter(version);
        propose_document(&api, &identity, &call, counter, &document(&headers, &body)?)
    })
    .await
}

/// The body of a move; each takes its own part.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default)]
    terms_sha256: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    at: Option<String>,
}

/// Answers a proposal, or changes when a version is in force.
#[utoipa::path(
    post, path = "/v1/agreements/{name}/{version}/{act}", operation_id = "move_agreement",
    params(
        ("name" = String, Path, description = "The name of the agreement"),
        ("version" = String, Path, description = "The number of the version"),
        ("act" = String, Path, description = "`propose` (a draft), `accept`, `reject`, `withdraw`, `suspend`, `resume` or `terminate`"),
    ),
    request_body = Answer,
    responses((status = 200, description = "What changed", body = schemas::Applied)),
)]
pub(crate) async fn act(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Path((name, version, act)): Path<(String, String, String)>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Applied>, Problem> {
    blocking(move || {
        let state = api.provisioner.state().map_err(|error| read_problem(&error))?;
        let version = seen_version(&state, &identity.caller, &name, &version)?;
        let answer: Answer = if body.is_empty() { Answer::default() } else { json_body(&headers, &body)? };
        let act = read_act(&act, version, &answer)?;
        let by = party(&identity.caller)?;
        let applied =
            call.run(&identity, (api.now)(), None, |head| api.provisioner.move_agreement(by, act, head));
        applied.map(Json).map_err(|error| read_problem(&error))
    })
    .await
}

/// What the path and the body ask for.
fn read_act(act: &str, version: VersionId, answer: &Answer) -> Result<AgreementAct, Problem> {
    let missing = |field: &str| invalid_field(field, "is missing");
    let reason = |answer: &Answer| answer.reason.clone().ok_or_else(|| missing("reason"));
    let at = |answer: &Answer| -> Result<TimeMicros, Problem> {
        let text = answer.at.as_deref().ok_or_else(|| missing("at"))?;
        parse_time(text).map_err(|error| invalid_field("at", &error.to_string()))
    };
    let (has_digest, has_reason, has_at) =
        (answer.terms_sha256.is_some(), answer.reason.is_some(), answer.at.is_some());
    let (takes_digest, takes_reason, takes_at) = match act {
        "accept" => (true, false, false),
        "propose" => (false, false, false),
        "reject" | "withdraw" => (false, true, false),
        _ => (false, true, true),
    };
    let given = [
        ("terms_sha256", has_digest, takes_digest),
        ("reason", has_reason, takes_reason),
        ("at", has_at, takes_at),
    ];
    if let Some((field, ..)) = given.into_iter().find(|(_, has, takes)| *has && !takes) {
        return Err(invalid_field(field, "has no meaning here"));
    }
    Ok(match act {
        "propose" => AgreementAct::ProposeDraft(version),
        "accept" => {
            let text = answer.terms_sha256.as_deref().ok_or_else(|| missing("terms_sha256"))?;
            let digest = text.parse().map_err(|error| invalid_field("terms_sha256", &format!("{error}")))?;
            AgreementAct::Accept(version, digest)
        }
        "reject" => AgreementAct::Reject(version, reason(answer)?),
        "withdraw" => AgreementAct::Withdraw(version, reason(answer)?),
        "suspend" => AgreementAct::Suspend(version, at(answer)?, reason(answer)?),
        "resume" => AgreementAct::Resume(version, at(answer)?, reason(answer)?),
        "terminate" => AgreementAct::Terminate(version, at(answer)?, reason(answer)?),
        _ => {
            let detail = format!(
                "an agreement has no `{}`: propose, accept, reject, withdraw, suspend, resume or terminate it",
                shorten(act)
            );
            return Err(Problem::new(&NOT_FOUND, detail));
        }
    })
}

fn invalid_field(field: &str, rule: &str) -> Problem {
    let errors = vec![FieldError::at_pointer(format!("/{field}"), rule)];
    Problem::new(&INVALID_FIELD, format!("{field}: {rule}")).with_errors(errors)
}

/// Proposes a document for the caller's party.
fn propose_document(
    api: &Api,
    identity: &Identity,
    call: &Call,
    proposal: Proposal,
    document: &[u8],
) -> Result<Json<Proposed>, Problem> {
    let by = party(&identity.caller)?;
    let document = SourceFile { name: "body", bytes: document };
    let wanted = described(&document);
    if let (Some(wanted), Some(client)) = (&wanted, identity.caller.client())
        && wanted.client != *client
    {
        let detail = format!("a token of client {client} proposes agreements with that client only");
        return Err(Problem::new(&FORBIDDEN, detail));
    }
    let propose = |head: CommandHead<'_>| api.provisioner.propose(by, proposal, &document, head);
    let applied = call.run(identity, (api.now)(), None, propose);
    let applied = applied.map_err(|error| provision_problem(&error, &Source::Object))?;
    let state = api.provisioner.state().map_err(|error| read_problem(&error))?;
    // A retry finds it too, whatever has become of it.
    let made = wanted.filter(|_| !applied.dry_run).and_then(|wanted| {
        let same = |of: &&Arc<Agreement>| of.terms_sha256 == wanted.terms_sha256 && of.proposed_by == by;
        state.versions(&wanted.name).filter(same).max_by_key(|of| of.version)
    });
    let version = made.map(|version| format!("{}/{}", version.name, version.version));
    Ok(Json(Proposed { applied, version, terms_sha256: made.map(|version| version.terms_sha256) }))
}

/// The agreement that a document describes. What is wrong with it is found when it is decided on.
fn described(document: &SourceFile<'_>) -> Option<Agreement> {
    let objects = parse_files(&[*document]).ok()?.objects;
    objects.into_iter().map(Object::into_event).find_map(|event| match event {
        Event::Agreement(agreement) => Some(*agreement),
        _ => None,
    })
}

/// The party that a caller acts for.
fn party(caller: &Caller) -> Result<Party, Problem> {
    match caller {
        Caller::Operator => Ok(Party::Provider),
        Caller::ClientAdmin(_) => Ok(Party::Client),
        _ => Err(Problem::new(&FORBIDDEN, "only operators and admins of clients act for a party")),
    }
}

/// A version that the caller may see.
fn seen_version(
    state: &Provisioning,
    caller: &Caller,
    name: &str,
    version: &str,
) -> Result<VersionId, Problem> {
    let id = ObjectId::new(ObjectKind::Agreement, format!("{name}/{version}"));
    let found = state.agreement(&id).filter(|_| is_seen(state, caller.client(), &id));
    found
        .map(|found| VersionId { name: found.name.clone(), version: found.version })
        .ok_or_else(|| unknown(state, caller.client(), &id))
}

/// The document of an agreement, which needs no `kind` here.
fn document(headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, Problem> {
    if !is_json(headers)? {
        return Ok(body.to_vec());
    }
    let mut document: serde_json::Map<String, serde_json::Value> = read_json(body)?;
    document.entry("kind").or_insert_with(|| "agreement".into());
    serde_json::to_vec(&document)
        .map_err(|error| Problem::new(&crate::problems::MALFORMED_BODY, format!("the body: {error}")))
}
