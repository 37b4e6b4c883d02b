//! Agreements: the parties propose, answer and end them. They are read as resources, as all that is provisioned.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use spillway_control::{Applied, CommandHead, Identity, Proposal};
use spillway_events::{AgreementName, Event, Party, Sha256, Stage, TimeMicros, parse_time};
use spillway_provisioning::{
    AgreementAct, Caller, ObjectId, SourceFile, State as Provisioning, VersionId, parse_files,
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProposeQuery {
    #[serde(default)]
    draft: bool,
    /// These two are read elsewhere.
    #[serde(default, rename = "dry_run")]
    _dry_run: bool,
    #[serde(default, rename = "id")]
    _id: Option<String>,
}

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

/// Proposes the agreement that the body describes, or keeps it as a draft of the caller's party.
#[utoipa::path(
    post, path = "/v1/agreements", operation_id = "propose_agreement",
    params(("draft" = Option<bool>, Query, description = "Only keep it as a draft, which the other party does not see")),
    request_body(content((Object = "application/json"), (String = "application/yaml"))),
    responses((status = 200, description = "What changed, and the version", body = schemas::Proposed)),
)]
pub(crate) async fn propose(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Query(query): Query<ProposeQuery>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Proposed>, Problem> {
    let proposal = if query.draft { Proposal::Draft } else { Proposal::New };
    blocking(move || made(&api, &identity, &call, proposal, &document(&headers, &body)?)).await
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
        ("act" = String, Path, description = "`propose` a draft, `counter` a proposal with the document in the body, `accept`, `reject`, `withdraw`, `suspend`, `resume` or `terminate`"),
    ),
    request_body(content((Answer = "application/json"), (String = "application/yaml"))),
    responses((status = 200, description = "What changed", body = schemas::Proposed)),
)]
pub(crate) async fn act(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Path((name, version, act)): Path<(String, String, String)>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Proposed>, Problem> {
    blocking(move || {
        let state = api.provisioner.state().map_err(|error| read_problem(&error))?;
        let version = seen_version(&state, &identity.caller, &name, &version)?;
        if act == "counter" {
            let counter = Proposal::Counter(version);
            return made(&api, &identity, &call, counter, &document(&headers, &body)?);
        }
        let answer: Answer = if body.is_empty() { Answer::default() } else { json_body(&headers, &body)? };
        let act = read_act(&act, version, answer)?;
        let by = party(&identity.caller)?;
        let applied = call.run(&identity, (api.now)(), None, |head| api.provisioner.agree(by, act, head));
        let applied = applied.map_err(|error| read_problem(&error))?;
        Ok(Json(Proposed { applied, version: None, terms_sha256: None }))
    })
    .await
}

/// What the path and the body ask for.
fn read_act(act: &str, version: VersionId, answer: Answer) -> Result<AgreementAct, Problem> {
    let missing = |field: &str| wrong(field, "is missing");
    let reason = |answer: &Answer| answer.reason.clone().ok_or_else(|| missing("reason"));
    let at = |answer: &Answer| -> Result<TimeMicros, Problem> {
        let text = answer.at.as_deref().ok_or_else(|| missing("at"))?;
        parse_time(text).map_err(|error| wrong("at", &error.to_string()))
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
        return Err(wrong(field, "has no meaning here"));
    }
    Ok(match act {
        "propose" => AgreementAct::ProposeDraft(version),
        "accept" => {
            let text = answer.terms_sha256.as_deref().ok_or_else(|| missing("terms_sha256"))?;
            let digest = text.parse().map_err(|error| wrong("terms_sha256", &format!("{error}")))?;
            AgreementAct::Accept(version, digest)
        }
        "reject" => AgreementAct::Reject(version, reason(&answer)?),
        "withdraw" => AgreementAct::Withdraw(version, reason(&answer)?),
        "suspend" => AgreementAct::Suspend(version, at(&answer)?, reason(&answer)?),
        "resume" => AgreementAct::Resume(version, at(&answer)?, reason(&answer)?),
        "terminate" => AgreementAct::Terminate(version, at(&answer)?, reason(&answer)?),
        _ => {
            let detail = format!(
                "an agreement has no `{}`: propose, counter, accept, reject, withdraw, suspend, resume or terminate it",
                shorten(act)
            );
            return Err(Problem::new(&NOT_FOUND, detail));
        }
    })
}

fn wrong(field: &str, rule: &str) -> Problem {
    let errors = vec![FieldError::at_pointer(format!("/{field}"), rule)];
    Problem::new(&INVALID_FIELD, format!("{field}: {rule}")).with_errors(errors)
}

/// Proposes a document for the caller's party.
fn made(
    api: &Api,
    identity: &Identity,
    call: &Call,
    proposal: Proposal,
    document: &[u8],
) -> Result<Json<Proposed>, Problem> {
    let by = party(&identity.caller)?;
    let document = SourceFile { name: "body", bytes: document };
    let name = check_client(&document, &identity.caller)?;
    let propose = |head: CommandHead<'_>| api.provisioner.propose(by, proposal, &document, head);
    let applied = call.run(identity, (api.now)(), None, propose);
    let applied = applied.map_err(|error| provision_problem(&error, &Source::Object))?;
    let state = api.provisioner.state().map_err(|error| read_problem(&error))?;
    let number = applied.revision.checked_sub(1).filter(|_| !applied.dry_run);
    let mut versions = name.iter().flat_map(|name| state.versions(name));
    let made = versions.find(|version| {
        let id = ObjectId::of_agreement(&version.name, version.version);
        number.is_some()
            && state.changed(&id) == number
            && matches!(version.stage, Stage::Draft | Stage::Proposed)
    });
    let version = made.map(|version| format!("{}/{}", version.name, version.version));
    Ok(Json(Proposed { applied, version, terms_sha256: made.map(|version| version.terms_sha256) }))
}

/// The name of the agreement that a document describes, which must be with the caller's client. What is wrong with the
/// document is found when it is decided on.
fn check_client(document: &SourceFile<'_>, caller: &Caller) -> Result<Option<AgreementName>, Problem> {
    let Ok(parsed) = parse_files(&[*document]) else { return Ok(None) };
    let events = parsed.objects.into_iter().map(spillway_provisioning::Object::into_event);
    let mut agreements = events.filter_map(|event| match event {
        Event::Agreement(agreement) => Some(agreement),
        _ => None,
    });
    let Some(agreement) = agreements.next() else { return Ok(None) };
    match caller.client().filter(|client| **client != agreement.client) {
        None => Ok(Some(agreement.name)),
        Some(client) => {
            let detail = format!("a token of client {client} proposes agreements with that client only");
            Err(Problem::new(&FORBIDDEN, detail))
        }
    }
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
    let id = ObjectId::new(spillway_events::ObjectKind::Agreement, format!("{name}/{version}"));
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
