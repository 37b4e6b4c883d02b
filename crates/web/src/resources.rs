//! What is provisioned as resources: the objects of a kind in pages, or one, which is read, set and deleted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use spillway_control::{Applied, CommandHead, Identity, Moment, ProvisionError, nearest};
use spillway_events::{ClientName, ObjectKind, Party, Stage, TimeMicros, parse_time};
use spillway_provisioning::{ObjectId, Refusal, Resource, SourceFile, State as Provisioning, is_private};
use spillway_serve::{INTERNAL, Problem};
use utoipa::ToSchema;

use crate::answer::{blocking, kind_named};
use crate::api::Api;
use crate::call::{Call, is_json, precondition, read_json};
use crate::parameters::{NUMBER_MAX, Parameters, whole_number};
use crate::problems::{NOT_FOUND, REVISION_NOT_REACHED, Source, provision_problem, read_problem};
use crate::schemas;
use crate::text::{from_hexadecimal, shorten, to_hexadecimal};

const ITEMS_DEFAULT: u64 = 100;
const ITEMS_MAX: u64 = 1_000;
/// How long a read waits for the revision that it needs.
const REVISION_TIMEOUT: Duration = Duration::from_secs(5);
/// When a client whose revision did not come may try again.
const RETRY_AFTER_SECS: u64 = 1;

/// Objects of a kind, by name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// The number of provisioning records that the page is as of.
    revision: u64,
    #[schema(value_type = Vec<schemas::Resource>)]
    items: Vec<Resource>,
    /// The cursor of the next page; null if there are no more objects.
    #[schema(required)]
    next: Option<String>,
}

/// The objects of a kind, by name.
#[utoipa::path(
    get, path = "/v1/{kind}", operation_id = "list",
    params(
        ("kind" = schemas::Kind, Path, description = "The kind"),
        ("limit" = Option<u64>, Query, description = "How many", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("client" = Option<String>, Query, description = "Only the sites of this client", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"),
        ("at" = Option<String>, Query, description = "As of the record of this number, or of this time"),
        ("min_revision" = Option<u64>, Query, description = "Wait for this revision, at most 5 s", minimum = 0),
    ),
    responses((status = 200, description = "A page", body = Page)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Path(kind): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Page>, Problem> {
    blocking(move || page(&api, identity.caller.client(), &kind, query).map(Json)).await
}

/// An object.
#[utoipa::path(
    get, path = "/v1/{kind}/{*name}", operation_id = "read",
    params(
        ("kind" = schemas::Kind, Path, description = "The kind"),
        ("name" = String, Path, description = "The name; a probe's is AGENT/NETWORK", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(/[A-Za-z0-9][A-Za-z0-9._-]{0,62})?$"),
        ("at" = Option<String>, Query, description = "As of the record of this number, or of this time"),
        ("min_revision" = Option<u64>, Query, description = "Wait for this revision, at most 5 s", minimum = 0),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of the version that the client has"),
    ),
    responses(
        (status = 200, description = "The object; its ETag is its revision", body = schemas::Resource),
        (status = 304, description = "The client has this version"),
    ),
)]
pub(crate) async fn one(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Path((kind, name)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    blocking(move || {
        let resource = resource(&api, identity.caller.client(), &kind, &name, query)?;
        let tag = format!("\"{}\"", resource.revision());
        if is_known(&headers, &tag) {
            return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
        }
        Ok(([(header::ETAG, tag)], Json(resource)).into_response())
    })
    .await
}

/// Creates or replaces the object that the body describes.
#[utoipa::path(
    put, path = "/v1/{kind}/{*name}", operation_id = "put",
    params(
        ("kind" = schemas::Kind, Path, description = "The kind"),
        ("name" = String, Path, description = "The name; a probe's is AGENT/NETWORK", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(/[A-Za-z0-9][A-Za-z0-9._-]{0,62})?$"),
        ("If-Match" = Option<String>, Header, description = "To change: the ETag that was read, or *", pattern = r#"^(\*|"[0-9]{1,15}")$"#),
        ("If-None-Match" = Option<String>, Header, description = "To create: *", pattern = r"^\*$"),
    ),
    request_body(content((Object = "application/json"), (String = "application/yaml"))),
    responses(
        (status = 200, description = "It was changed", body = schemas::Applied),
        (status = 201, description = "It was created", body = schemas::Applied),
    ),
)]
pub(crate) async fn put(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Path((kind, name)): Path<(String, String)>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    blocking(move || {
        let id = ObjectId::new(kind_named(&kind)?, name);
        let document = if is_json(&headers)? { with_identity(&body, &id)? } else { body.to_vec() };
        let precondition = precondition(&headers, &id)?;
        let document = SourceFile { name: "body", bytes: &document };
        let put = |head: CommandHead<'_>| api.provisioner.put(&id, &document, head);
        let applied = call.run(&identity, (api.now)(), Some(&precondition), put);
        let applied = applied.map_err(|error| provision_problem(&error, &Source::Object))?;
        let is_new =
            applied.changes.first().is_some_and(|change| change.starts_with('+')) && !applied.dry_run;
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = (status, Json(&applied)).into_response();
        if let Some(tag) = tag_after(&api, &id, &applied) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        Ok(response)
    })
    .await
}

/// The ETag of an object after a command, if it is known: it may have changed again.
fn tag_after(api: &Api, id: &ObjectId, applied: &Applied) -> Option<HeaderValue> {
    let number = if applied.changes.is_empty() || applied.dry_run {
        let state = api.provisioner.state().ok()?;
        state.changed(id).filter(|number| *number < applied.revision)?
    } else {
        applied.revision.checked_sub(1)?
    };
    HeaderValue::try_from(format!("\"{number}\"")).ok()
}

/// A JSON document with the kind and the name of its path, which it may leave out.
fn with_identity(body: &[u8], id: &ObjectId) -> Result<Vec<u8>, Problem> {
    let mut document: serde_json::Map<String, serde_json::Value> = read_json(body)?;
    let mut set = |field: &str, text: &str| _ = document.entry(field).or_insert_with(|| text.into());
    set("kind", id.kind.as_str());
    match id.name.split_once('/').filter(|_| id.kind == ObjectKind::Probe) {
        Some((agent, network)) => {
            set("agent", agent);
            set("network", network);
        }
        None => set("name", &id.name),
    }
    serde_json::to_vec(&document)
        .map_err(|error| Problem::new(&INTERNAL, format!("the body cannot be written: {error}")))
}

/// Deletes an object that is not in use.
#[utoipa::path(
    delete, path = "/v1/{kind}/{*name}", operation_id = "delete",
    params(
        ("kind" = schemas::Kind, Path, description = "The kind"),
        ("name" = String, Path, description = "The name; a probe's is AGENT/NETWORK", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(/[A-Za-z0-9][A-Za-z0-9._-]{0,62})?$"),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read, or *", pattern = r#"^(\*|"[0-9]{1,15}")$"#),
    ),
    responses((status = 200, description = "What changed", body = schemas::Applied)),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    Extension(identity): Extension<Identity>,
    Path((kind, name)): Path<(String, String)>,
    call: Call,
    headers: HeaderMap,
) -> Result<Json<Applied>, Problem> {
    blocking(move || {
        let id = ObjectId::new(kind_named(&kind)?, name);
        let precondition = precondition(&headers, &id)?;
        let delete = |head: CommandHead<'_>| api.provisioner.delete(id.clone(), head);
        let deleted = call.run(&identity, (api.now)(), Some(&precondition), delete);
        if let Err(ProvisionError::Refused(Refusal::Stale { last_change: None, .. })) = deleted {
            let state = api.provisioner.state().map_err(|error| read_problem(&error))?;
            return Err(unknown(&state, identity.caller.client(), &id));
        }
        deleted.map(Json).map_err(|error| read_problem(&error))
    })
    .await
}

/// A page of the objects that a client's people may see, or anybody without a client.
fn page(
    api: &Api,
    viewer: Option<&ClientName>,
    kind: &str,
    query: Vec<(String, String)>,
) -> Result<Page, Problem> {
    let kind = kind_named(kind)?;
    let known = ["limit", "cursor", "client", "at", "min_revision"];
    let parameters = Parameters::read(query, &known)?;
    let limit = parameters.number("limit", 1..=ITEMS_MAX)?.unwrap_or(ITEMS_DEFAULT);
    let after = parameters.value("cursor", |text| Cursor::read(text, kind))?;
    let client = parameters.value("client", |text| client_named(text, kind))?;
    let view = View::of(api, &parameters)?;
    let provisioning = &view.provisioning;
    if let Some(client) = client.as_ref().filter(|client| !is_seen(provisioning, viewer, client)) {
        return Err(unknown(provisioning, viewer, client));
    }
    // Of sites and agreements a client's people see only these, and they are found without a walk over the others.
    let is_of_clients = matches!(kind, ObjectKind::Site | ObjectKind::Agreement);
    let client = client.or_else(|| viewer.filter(|_| is_of_clients).map(client_id));
    let after = after.map_or_else(String::new, |Cursor { name }| name);
    let cards = viewer.filter(|_| kind == ObjectKind::RateCard).map(|viewer| cards_of(provisioning, viewer));
    let mut names: Box<dyn Iterator<Item = &Arc<str>>> = match &client {
        _ if cards.is_some() => Box::new(cards.iter().flatten().filter(|name| ***name > *after)),
        Some(client) => {
            let of_client = provisioning.users_after(client, kind, &after);
            Box::new(of_client.filter(|id| is_seen(provisioning, viewer, id)).map(|id| &id.name))
        }
        None => Box::new(
            provisioning
                .names_after(kind, &after)
                .filter(|name| is_seen(provisioning, viewer, &ObjectId::new(kind, Arc::clone(name)))),
        ),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let listed = names.by_ref().take(limit).map(|name| ObjectId::new(kind, Arc::clone(name)));
    let listed: Vec<ObjectId> = listed.collect();
    let is_last = names.next().is_none();
    let next = listed.last().filter(|_| !is_last).map(Cursor::write);
    let items = listed.iter().filter_map(|id| Some(view.resource(id)?.without_times())).collect();
    Ok(Page { revision: provisioning.revision(), items, next })
}

fn resource(
    api: &Api,
    viewer: Option<&ClientName>,
    kind: &str,
    name: &str,
    query: Vec<(String, String)>,
) -> Result<Resource, Problem> {
    let kind = kind_named(kind)?;
    let parameters = Parameters::read(query, &["at", "min_revision"])?;
    let view = View::of(api, &parameters)?;
    let id = ObjectId::new(kind, name);
    let seen = is_seen(&view.provisioning, viewer, &id).then(|| view.resource(&id)).flatten();
    seen.ok_or_else(|| unknown(&view.provisioning, viewer, &id))
}

/// What is provisioned, now or at a moment of the past.
struct View {
    provisioning: Provisioning,
    is_past: bool,
    now: TimeMicros,
}

impl View {
    /// What `at` and `min_revision` ask for.
    fn of(api: &Api, parameters: &Parameters) -> Result<Self, Problem> {
        let revision = parameters.number("min_revision", 0..=NUMBER_MAX)?;
        let at = parameters.value("at", moment)?;
        let present = state_from(api, revision.unwrap_or(0))?;
        let now = (api.now)();
        let Some(at) = at else { return Ok(Self { provisioning: present, is_past: false, now }) };
        let past = api.history.state(at).map_err(|error| read_problem(&error))?;
        Ok(Self { provisioning: past, is_past: true, now })
    }

    fn resource(&self, id: &ObjectId) -> Option<Resource> {
        let resource = self.provisioning.resource(id, self.now)?;
        Some(if self.is_past { resource.without_status() } else { resource })
    }
}

/// The provisioning of the present, once it has this revision.
fn state_from(api: &Api, revision: u64) -> Result<Provisioning, Problem> {
    let failed = |error| read_problem(&error);
    let since = Instant::now();
    let mut state = api.provisioner.state().map_err(failed)?;
    while state.revision() < revision {
        let left = REVISION_TIMEOUT.saturating_sub(since.elapsed());
        if left.is_zero() {
            let has = state.revision();
            let detail = format!("min_revision: the revision is {has}, not yet {revision}; try again later");
            let problem = Problem::new(&REVISION_NOT_REACHED, detail);
            return Err(problem.with_retry_after(RETRY_AFTER_SECS));
        }
        state = api.provisioner.wait_for_change(state.revision(), left).map_err(failed)?;
    }
    Ok(state)
}

/// Reads a record's number or a time. A number of 9 to 11 digits is seconds since 1970, as in every time.
fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(time) = parse_time(text) {
        return Ok(Moment::Time(time));
    }
    whole_number(text).map(Moment::Number).ok_or_else(|| {
        format!(
            "`{}` is neither the number of a provisioning record nor a time such as 2026-05-01T12:00:00Z",
            shorten(text)
        )
    })
}

fn client_named(text: &str, kind: ObjectKind) -> Result<ObjectId, String> {
    if kind != ObjectKind::Site {
        return Err(format!("only sites have a client, {} have none", kind.plural()));
    }
    Ok(client_id(&ClientName::new(text).map_err(|error| error.to_string())?))
}

fn client_id(name: &ClientName) -> ObjectId {
    ObjectId::new(ObjectKind::Client, name.as_str())
}

/// Whether an object exists for the viewer: a client's people see the client, its sites and its agreements.
pub(crate) fn is_seen(provisioning: &Provisioning, viewer: Option<&ClientName>, id: &ObjectId) -> bool {
    // What was never proposed is of the party that wrote it alone.
    let is_private_of = |party| {
        let version = provisioning.agreement(id).filter(|version| is_private(version));
        version.is_some_and(|version| version.proposed_by == party)
    };
    let Some(viewer) = viewer else {
        return provisioning.object(id).is_some() && !is_private_of(Party::Client);
    };
    match id.kind {
        ObjectKind::Client => *id.name == *viewer.as_str() && provisioning.object(id).is_some(),
        ObjectKind::Site => provisioning.site_of(id).is_some_and(|found| found.site.client == *viewer),
        ObjectKind::Agreement => {
            let version = provisioning.agreement(id);
            version.is_some_and(|version| version.client == *viewer) && !is_private_of(Party::Provider)
        }
        ObjectKind::RateCard => cards_of(provisioning, viewer).contains(&id.name),
        ObjectKind::Network | ObjectKind::Cdn | ObjectKind::Probe | ObjectKind::Override => false,
    }
}

/// The rate cards that a client's people see: those that the provider has proposed to the client or agreed with it on. That the
/// client itself names one does not count, or it could read every card.
fn cards_of(provisioning: &Provisioning, client: &ClientName) -> BTreeSet<Arc<str>> {
    let client = client_id(client);
    let versions = provisioning.users_after(&client, ObjectKind::Agreement, "");
    let versions = versions.filter_map(|id| provisioning.agreement(id)).filter(|version| {
        version.stage == Stage::Accepted || version.proposed_by == Party::Provider && !is_private(version)
    });
    let billing = versions.filter_map(|version| version.terms.billing.as_ref());
    billing.map(|of| format!("{}/{}", of.rate_card, of.rate_card_version).into()).collect()
}

/// The answer that an object does not exist, with the name that may be meant, if the viewer may see all names.
pub(crate) fn unknown(provisioning: &Provisioning, viewer: Option<&ClientName>, id: &ObjectId) -> Problem {
    let is_hint = |name: &&str| is_seen(provisioning, viewer, &ObjectId::new(id.kind, *name));
    let names = provisioning.names_after(id.kind, "").map(|name| &**name).filter(|_| viewer.is_none());
    let names = names.filter(is_hint);
    // The foreign text is cut, which bounds the comparisons too.
    let wanted = shorten(&id.name);
    let hint = nearest(&wanted, names).map_or_else(String::new, |name| format!("; did you mean {name}?"));
    let detail = format!("there is no {} {wanted}{hint}", id.kind.as_str());
    Problem::new(&NOT_FOUND, detail)
}

/// Whether the client has the version of this tag already (RFC 9110, section 13.1.2: the comparison is weak).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// Where a page ends: at the object of this name. As objects are in the order of their names, one that exists all the time is
/// on one page, whatever is created or deleted meanwhile.
struct Cursor {
    name: String,
}

impl Cursor {
    /// The cursor after an object: its kind and name in hexadecimal, because clients must not depend on what is in it.
    fn write(ObjectId { kind, name }: &ObjectId) -> String {
        to_hexadecimal(&format!("{}:{name}", kind.as_str()))
    }

    fn read(text: &str, kind: ObjectKind) -> Result<Self, String> {
        let decoded = from_hexadecimal(text);
        let name = decoded.as_deref().and_then(|text| {
            let (of, name) = text.split_once(':')?;
            (of == kind.as_str()).then(|| name.to_owned())
        });
        let wrong = || format!("`{}` is not the `next` of a page of {}", shorten(text), kind.plural());
        Ok(Self { name: name.ok_or_else(wrong)? })
    }
}
