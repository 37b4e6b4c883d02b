//! What comes with every call that changes something.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use spillway_control::{Applied, CommandHead, Identity, ProvisionError};
use spillway_events::TimeMicros;
use spillway_provisioning::limits::COMMAND_TEXT_BYTES_MAX;
use spillway_provisioning::{ObjectId, Precondition};
use spillway_serve::{FieldError, Problem, UNSUPPORTED_MEDIA_TYPE};

use crate::api::Api;
use crate::in_flight::{Held, InFlight};
use crate::parameters::Parameters;
use crate::problems::{BAD_HEADER, IN_FLIGHT, MALFORMED_BODY, PRECONDITION_REQUIRED};
use crate::text::shorten;

/// Whether a call is only tried, and the id of its command.
#[derive(Debug)]
pub(crate) struct Call {
    dry_run: bool,
    /// A retry with the same id returns the first result. Ids of different authors are different.
    id: Option<String>,
    /// What mistakes call the body, if it is one file of documents.
    file: Option<String>,
    /// Keeps other requests with the same id out until this call has ended.
    _held: Option<Held>,
}

/// From the query `?dry_run=true&id=ID` and the header `Idempotency-Key`, which is the id as well.
impl FromRequestParts<Api> for Call {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Response> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, api).await;
        let Query(query) = query.map_err(IntoResponse::into_response)?;
        let mut call = Self::read(query, &parts.headers).map_err(IntoResponse::into_response)?;
        let Some(key) = &call.id else { return Ok(call) };
        let author = parts.extensions.get().map_or("", |identity: &Identity| &identity.author);
        match InFlight::hold(&api.in_flight, author, key) {
            Some(held) => {
                call._held = Some(held);
                Ok(call)
            }
            None => {
                let detail =
                    "a request with this Idempotency-Key is not answered yet; send this one again later";
                Err(Problem::new(&IN_FLIGHT, detail).with_retry_after(RETRY_AFTER_SECS).into_response())
            }
        }
    }
}

/// When a client whose command is in flight may try again.
const RETRY_AFTER_SECS: u64 = 1;

/// The id of a command: the header `Idempotency-Key`, or the parameter `id`.
fn key_of(headers: &HeaderMap, id: Option<String>) -> Result<Option<String>, Problem> {
    let bad = |rule: &str| bad_header("Idempotency-Key", rule);
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else { return Ok(id) };
    if keys.next().is_some() || id.is_some() {
        return Err(bad("the id of the command is given twice: send one key, and no parameter `id`"));
    }
    let is_key = |key: &&str| {
        (1..=COMMAND_TEXT_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let rule = format!("must be 1 to {COMMAND_TEXT_BYTES_MAX} characters of ASCII without spaces");
    let key = key.to_str().ok().filter(is_key).ok_or_else(|| bad(&rule))?;
    Ok(Some(key.to_owned()))
}

impl Call {
    fn read(query: Vec<(String, String)>, headers: &HeaderMap) -> Result<Self, Problem> {
        let parameters = Parameters::read(query, &["dry_run", "id", "file"])?;
        let dry_run = parameters.value("dry_run", |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!("`{}` is neither true nor false", shorten(other))),
        })?;
        let text = |key| parameters.value(key, |text| Ok(text.to_owned()));
        let (id, file) = (key_of(headers, text("id")?)?, text("file")?);
        Ok(Self { dry_run: dry_run.unwrap_or(false), id, file, _held: None })
    }

    /// What mistakes call the body, if it is one file of documents.
    pub(crate) fn file(&self) -> &str {
        self.file.as_deref().unwrap_or("documents")
    }

    /// Runs a command of a caller.
    pub(crate) fn run(
        &self,
        identity: &Identity,
        at: TimeMicros,
        precondition: Option<&Precondition>,
        command: impl FnOnce(CommandHead<'_>) -> Result<Applied, ProvisionError>,
    ) -> Result<Applied, ProvisionError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let new = || format!("api-{}-{}-{}", at.0, std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let id = self.id.clone().unwrap_or_else(new);
        command(CommandHead { id: &id, author: &identity.author, at, precondition, dry_run: self.dry_run })
    }
}

/// What a request says of the version that its sender has seen (RFC 9110, sections 13.1.1 and 13.1.2): `If-None-Match: *` to
/// create, `If-Match` with the ETag to change, `If-Match: *` to change whatever version.
///
/// # Errors
/// 428 where it says nothing (RFC 6585), 400 where it says something else.
pub(crate) fn precondition(headers: &HeaderMap, object: &ObjectId) -> Result<Precondition, Problem> {
    let one = |name| {
        let mut values = headers.get_all(name).iter();
        let first = values.next().map(|value| value.to_str().unwrap_or("?").trim());
        (first, values.next().is_some())
    };
    let ((matched, several), (unmatched, others)) = (one(header::IF_MATCH), one(header::IF_NONE_MATCH));
    if several || others {
        return Err(bad_header("If-Match", "send one If-Match or one If-None-Match"));
    }
    match (matched, unmatched) {
        (None, None) => Err(Problem::new(
            &PRECONDITION_REQUIRED,
            "send `If-None-Match: *` to create, or `If-Match` with the ETag that was read, or `*`, to change",
        )),
        (None, Some("*")) => Ok(Precondition::Absent(object.clone())),
        (Some("*"), None) => Ok(Precondition::Present(object.clone())),
        (Some(tag), None) => {
            let digits = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let number = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            match number.and_then(|digits| digits.parse().ok()) {
                Some(number) => Ok(Precondition::LastChange(object.clone(), number)),
                None => Err(bad_header("If-Match", "send one ETag as it was read, such as \"12\", or *")),
            }
        }
        (None, Some(_)) => Err(bad_header("If-None-Match", "only * can be sent with a change")),
        (Some(_), Some(_)) => Err(bad_header("If-Match", "send one of If-Match and If-None-Match")),
    }
}

fn bad_header(name: &'static str, rule: &str) -> Problem {
    let errors = vec![FieldError::of_header(name, rule)];
    Problem::new(&BAD_HEADER, format!("{name}: {rule}")).with_errors(errors)
}

/// The names of YAML (RFC 9512 and its older ones).
const YAML_TYPES: [&str; 3] = ["application/yaml", "application/x-yaml", "text/yaml"];

/// Whether documents come as JSON, not as YAML.
///
/// # Errors
/// 415 where they come as anything else, or nothing says as what: a page of another site cannot send these types.
pub(crate) fn is_json(headers: &HeaderMap) -> Result<bool, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if kind.eq_ignore_ascii_case(b"application/json") {
        return Ok(true);
    }
    if YAML_TYPES.iter().any(|yaml| kind.eq_ignore_ascii_case(yaml.as_bytes())) {
        return Ok(false);
    }
    let detail = format!("Content-Type: send application/json, or documents as {}", YAML_TYPES.join(", "));
    Err(Problem::new(&UNSUPPORTED_MEDIA_TYPE, detail))
}

/// A body that must be JSON of this type.
///
/// # Errors
/// 415 where it comes as anything else, 400 where it is none.
pub(crate) fn json_body<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    if !matches!(is_json(headers), Ok(true)) {
        return Err(Problem::new(&UNSUPPORTED_MEDIA_TYPE, "Content-Type: send application/json"));
    }
    read_json(body)
}

/// Reads JSON.
pub(crate) fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let detail = format!("the body: {error}");
        let errors = vec![FieldError::at_pointer("", error.to_string())];
        Problem::new(&MALFORMED_BODY, detail).with_errors(errors)
    })
}
