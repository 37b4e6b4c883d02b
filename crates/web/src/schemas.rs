//! The shapes of bodies that are made in other crates, for the document. Bodies that the API makes itself are described where
//! they are made. No field may be missing here: a schema allows no others.
#![expect(dead_code, reason = "only their schemas are used")]

use serde::Serialize;
use spillway_events::ObjectKind;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// What is changed besides objects.
pub(crate) const OTHER_KINDS: [&str; 3] = ["gap", "clock", "token"];

/// A kind of provisioned objects.
#[derive(Serialize)]
pub(crate) struct Kind;

/// What is changed: a kind of objects, or something else.
#[derive(Serialize)]
pub(crate) struct ChangedKind;

impl PartialSchema for Kind {
    fn schema() -> RefOr<Schema> {
        one_of(ObjectKind::ALL.map(ObjectKind::as_str).to_vec(), "A kind of provisioned objects.")
    }
}

impl ToSchema for Kind {}

impl PartialSchema for ChangedKind {
    fn schema() -> RefOr<Schema> {
        let kinds = ObjectKind::ALL.map(ObjectKind::as_str).into_iter().chain(OTHER_KINDS);
        one_of(kinds.collect(), "What is changed: a kind of objects, or something else.")
    }
}

impl ToSchema for ChangedKind {}

fn one_of(words: Vec<&'static str>, description: &str) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words));
    text.description(Some(description)).into()
}

/// An error (RFC 9457).
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Problem {
    /// `/problems/NAME`, which never changes and has a page there.
    r#type: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// A few words on the type.
    title: String,
    /// What is wrong, and where it can be mended how.
    detail: String,
    /// The parts of the request that are wrong.
    errors: Vec<FieldError>,
}

/// A part of a request that is wrong.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldError {
    /// What is wrong.
    detail: String,
    /// Where in the body: a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pointer: Option<String>,
    /// The parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parameter: Option<String>,
    /// The header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    header: Option<String>,
}

/// What a command changed, or would have.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Applied {
    /// A line for each changed object or field.
    changes: Vec<String>,
    /// What is allowed but probably not meant.
    warnings: Vec<String>,
    /// The number of provisioning records now: `min_revision` of a read that must see the change.
    revision: u64,
    /// Whether it was only tried.
    dry_run: bool,
}

/// What a move of an agreement changed.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proposed {
    /// A line for each changed version.
    changes: Vec<String>,
    /// What is allowed but probably not meant.
    warnings: Vec<String>,
    /// The number of provisioning records now: `min_revision` of a read that must see the change.
    revision: u64,
    /// Whether it was only tried.
    dry_run: bool,
    /// The version that a proposal made, `NAME/VERSION`.
    version: Option<String>,
    /// The digest of its terms, which an acceptance names.
    terms_sha256: Option<String>,
}

/// A token that was created.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreatedToken {
    /// A line for each change.
    changes: Vec<String>,
    /// What is allowed but probably not meant.
    warnings: Vec<String>,
    /// The number of provisioning records now.
    revision: u64,
    /// Whether it was only tried.
    dry_run: bool,
    /// Its text, which is in this answer only; null for a retry and a dry run.
    #[schema(required)]
    token: Option<String>,
    /// Its id; null for a retry and a dry run.
    #[schema(required)]
    id: Option<String>,
}

/// An object.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resource {
    kind: Kind,
    /// Its name; a probe's is AGENT/NETWORK.
    name: String,
    /// The number of the record that last changed it.
    revision: u64,
    /// Its document.
    #[schema(value_type = Object)]
    spec: (),
    /// What is known of it beside its document; only of the present.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    status: Option<Status>,
}

/// What is known of an object beside its document.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Status {
    /// The number of objects that refer to it.
    users: u64,
    /// The number of the record that last changed its objectives; only of sites.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    agreement: Option<u64>,
}

/// Changes, the latest first.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangesPage {
    items: Vec<ChangeItem>,
    /// What `before` is for the next page; null if there are no more.
    #[schema(required)]
    next: Option<u64>,
}

/// What one command changed.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeItem {
    /// The number of its record.
    number: u64,
    /// When it was received.
    at: String,
    /// Who sent it.
    author: String,
    /// Its id.
    command: String,
    /// A line for each changed object or field that was asked for, at most 100.
    changes: Vec<String>,
    /// How many lines there are.
    changes_count: u64,
}

/// Why an answer was given.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explanation {
    /// The decision records that held at the time that was asked for, by network.
    #[schema(value_type = Vec<Object>)]
    decisions: (),
    /// The versions of agreements that they rest on, by the records that accepted them.
    agreed_in: std::collections::BTreeMap<String, String>,
    /// What holds now.
    #[schema(value_type = Object)]
    now: (),
}

/// What every probe has tried lately.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProbesReport {
    /// The time of the last tick, in microseconds since 1970; null before the first one.
    #[schema(required)]
    as_of_us: Option<i64>,
    /// Attempts are counted from this time on; null if all of the log is counted.
    #[schema(required)]
    from_us: Option<i64>,
    /// By agent, network, site and target.
    #[schema(value_type = Vec<Object>)]
    series: (),
    /// Provisioned probes of which there is no attempt.
    silent: Vec<ProbeName>,
    /// Whether there are more series or silent probes than an answer lists.
    is_cut: bool,
}

/// A probe.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProbeName {
    agent: String,
    network: String,
}

/// Lost records, whose loss is accepted.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gap {
    topic: String,
    partition: u32,
    /// The first offset that is lost.
    from: u64,
    /// The first offset after the lost ones.
    to: u64,
    /// Why the loss is accepted.
    #[schema(min_length = 1, max_length = 255)]
    reason: String,
}

/// What a token may do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    Operator,
    Analyst,
    ClientAdmin,
    ClientViewer,
    Cdn,
    Probe,
}
