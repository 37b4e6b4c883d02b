//! Problems of the API: every type with its page, and the one place where errors and refusals become problems.

mod types;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use spillway_control::ProvisionError;
use spillway_eventlog::LogError;
use spillway_provisioning::{Mistake, Refusal};
use spillway_serve::{FieldError, INTERNAL, PROBLEM_TYPES, Problem, ProblemType};

use crate::schemas;
use crate::text::{chain, shorten};
pub(crate) use types::{
    BAD_HEADER, BAD_PARAMETER, BUSY, CROSS_SITE, FORBIDDEN, IN_FLIGHT, IN_USE, INVALID_FIELD, KEY_REUSED,
    LOG_UNAVAILABLE, MALFORMED_BODY, MISTAKES, NO_SUCH_MOVE, NOT_FOUND, OTHER_OBJECT, OTHER_PARTY,
    OVER_LIMIT, PRECONDITION_REQUIRED, RATE_LIMITED, REFUSED, REVISION_NOT_REACHED, STALE, TOKEN_MISSING,
    TOKEN_REFUSED, UNKNOWN_HOST,
};

/// The types of the API besides those that every server has.
static OWN_TYPES: [&ProblemType; 25] = [
    &TOKEN_MISSING,
    &TOKEN_REFUSED,
    &FORBIDDEN,
    &CROSS_SITE,
    &UNKNOWN_HOST,
    &BAD_PARAMETER,
    &BAD_HEADER,
    &MALFORMED_BODY,
    &NOT_FOUND,
    &IN_FLIGHT,
    &BUSY,
    &STALE,
    &PRECONDITION_REQUIRED,
    &MISTAKES,
    &INVALID_FIELD,
    &OTHER_OBJECT,
    &NO_SUCH_MOVE,
    &OTHER_PARTY,
    &IN_USE,
    &OVER_LIMIT,
    &REFUSED,
    &KEY_REUSED,
    &RATE_LIMITED,
    &LOG_UNAVAILABLE,
    &REVISION_NOT_REACHED,
];

/// Every type of problem that the API answers with.
pub fn problem_types() -> impl Iterator<Item = &'static ProblemType> {
    PROBLEM_TYPES.into_iter().chain(OWN_TYPES)
}

/// What a type of problem means.
#[utoipa::path(
    get, path = "/problems/{name}", operation_id = "problem",
    params(("name" = String, Path, description = "The last segment of the problem's type")),
    responses(
        (status = 200, description = "For people", body = String, content_type = "text/plain"),
        (status = 404, description = "not-found", body = schemas::Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn page(Path(name): Path<String>) -> Result<Response, Problem> {
    let found = problem_types().find(|kind| kind.name == name).ok_or_else(|| {
        let detail = format!("there is no type of problem {}", shorten(&name));
        Problem::new(&NOT_FOUND, detail)
    })?;
    let ProblemType { status, title, explanation, .. } = found;
    let text = format!("{title} ({status})\n\n{explanation}\n");
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// How the documents of a command came, which says where in the body a mistake is.
pub(crate) enum Source<'a> {
    /// As one object: the body is its document.
    Object,
    /// As a file of documents, into which no JSON pointer leads; or the command has none.
    Documents,
    /// As `{"files": [{"name", "text"}]}`, with these names.
    Files(&'a [&'a str]),
}

impl Source<'_> {
    fn error(&self, mistake: &Mistake) -> FieldError {
        match self {
            Self::Object => FieldError::at_pointer(mistake.field.pointer(), &mistake.reason),
            Self::Documents => FieldError::new(mistake.to_string()),
            Self::Files(names) => {
                let mut of_name = (0..).zip(*names).filter(|(_, name)| **name == mistake.file);
                match (of_name.next(), of_name.next()) {
                    (Some((index, _)), None) => {
                        FieldError::at_pointer(format!("/files/{index}/text"), mistake.to_string())
                    }
                    // Several files have this name.
                    _ => FieldError::new(mistake.to_string()),
                }
            }
        }
    }
}

/// The problem of a command that changed nothing, or of provisioning that cannot be read.
pub(crate) fn provision_problem(error: &ProvisionError, source: &Source<'_>) -> Problem {
    let detail = chain(error);
    match error {
        ProvisionError::Mistakes(mistakes) => {
            let errors = mistakes.iter().map(|mistake| source.error(mistake)).collect();
            Problem::new(&MISTAKES, detail).with_errors(errors)
        }
        ProvisionError::Refused(refusal) => refusal_problem(refusal, detail),
        ProvisionError::OtherObject { .. } | ProvisionError::NotOneDocument { .. } => {
            let errors = vec![FieldError::at_pointer("", &detail)];
            Problem::new(&OTHER_OBJECT, detail).with_errors(errors)
        }
        ProvisionError::IdReused { .. } => Problem::new(&KEY_REUSED, detail),
        ProvisionError::Busy => Problem::new(&BUSY, detail).with_retry_after(1),
        ProvisionError::Log(LogError::NoTopic { .. } | LogError::NoPartition { .. }) => {
            Problem::new(&NOT_FOUND, detail)
        }
        ProvisionError::Log(_) | ProvisionError::Read(_) => Problem::new(&LOG_UNAVAILABLE, detail),
        ProvisionError::Record { .. } | ProvisionError::Gap(_) => Problem::new(&INTERNAL, detail),
    }
}

/// The problem of provisioning that cannot be read.
pub(crate) fn read_problem(error: &ProvisionError) -> Problem {
    provision_problem(error, &Source::Documents)
}

/// Every refusal has its type here, and no other place chooses one.
fn refusal_problem(refusal: &Refusal, detail: String) -> Problem {
    let of_field = |field: &str, rule: &str| {
        let errors = vec![FieldError::at_pointer(format!("/{field}"), rule)];
        Problem::new(&INVALID_FIELD, &detail).with_errors(errors)
    };
    match refusal {
        Refusal::NotFound(_) | Refusal::NoToken(_) | Refusal::NoRecord(_) => Problem::new(&NOT_FOUND, detail),
        Refusal::Stale { .. } => Problem::new(&STALE, detail),
        Refusal::Faults { faults, .. } => {
            let errors = faults.iter().map(|fault| FieldError::new(fault.to_string())).collect();
            Problem::new(&MISTAKES, detail).with_errors(errors)
        }
        Refusal::BadCommand(_) => Problem::new(&INVALID_FIELD, detail),
        Refusal::BadReasonLength | Refusal::BadReasonText => of_field("reason", &refusal.to_string()),
        Refusal::BadToken { field, rule } | Refusal::BadAgreement { field, rule } => of_field(field, rule),
        Refusal::NoSuchMove { .. } | Refusal::OpenProposal { .. } => Problem::new(&NO_SUCH_MOVE, detail),
        Refusal::OtherParty { .. } => Problem::new(&OTHER_PARTY, detail),
        Refusal::InUse { .. } | Refusal::HasToken { .. } => Problem::new(&IN_USE, detail),
        Refusal::TooManyInCommand(_)
        | Refusal::TooManyOfKind { .. }
        | Refusal::TooLong { .. }
        | Refusal::TooManyTokens
        | Refusal::TooManyAgreementsOf(_)
        | Refusal::TooManyTokensOf(_) => Problem::new(&OVER_LIMIT, detail),
        Refusal::Root
        | Refusal::Permanent { .. }
        | Refusal::NotUndoable { .. }
        | Refusal::ChangedSince { .. }
        | Refusal::BadGap(_)
        | Refusal::NotFirstToken
        | Refusal::LastOperatorToken(_)
        | Refusal::Record(_) => Problem::new(&REFUSED, detail),
    }
}
