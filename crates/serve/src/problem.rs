//! Errors as problem details (RFC 9457).

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::problem_type::{
    BAD_REQUEST, BODY_TOO_LARGE, INTERNAL, METHOD_NOT_ALLOWED, NO_SUCH_PATH, ProblemType,
    UNSUPPORTED_MEDIA_TYPE,
};

/// An error to answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: &'static ProblemType,
    detail: String,
    errors: Vec<FieldError>,
    retry_after_secs: Option<u64>,
}

/// One of the errors that make up a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    detail: String,
    at: Option<At>,
}

/// The part of a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    /// A JSON pointer into the body (RFC 6901); empty for all of it.
    Pointer(String),
    Parameter(String),
    Header(&'static str),
}

impl FieldError {
    /// An error that no part of the request can be named for.
    #[must_use]
    pub fn new(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), at: None }
    }

    /// An error at a JSON pointer into the body (RFC 6901); an empty one is the whole body.
    #[must_use]
    pub fn at_pointer(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), at: Some(At::Pointer(pointer.into())) }
    }

    /// An error of a query parameter.
    #[must_use]
    pub fn of_parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), at: Some(At::Parameter(name.into())) }
    }

    /// An error of a header.
    #[must_use]
    pub fn of_header(name: &'static str, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), at: Some(At::Header(name)) }
    }

    fn json(&self) -> Value {
        let detail = &self.detail;
        match &self.at {
            None => json!({ "detail": detail }),
            Some(At::Pointer(pointer)) => json!({"detail": detail, "pointer": pointer}),
            Some(At::Parameter(name)) => json!({"detail": detail, "parameter": name}),
            Some(At::Header(name)) => json!({"detail": detail, "header": name}),
        }
    }
}

impl Problem {
    /// A problem with what is wrong and, where the client can mend it, how.
    #[must_use]
    pub fn new(kind: &'static ProblemType, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), retry_after_secs: None }
    }

    /// When the client may try again.
    #[must_use]
    pub fn with_retry_after(mut self, secs: u64) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// The single errors that make up the problem.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// The status that it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.status
    }
}

/// The detail of the problem that a response is, for the log.
#[derive(Debug, Clone)]
pub(crate) struct Detail(pub(crate) String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { kind, detail, errors, retry_after_secs } = self;
        let errors: Vec<Value> = errors.iter().map(FieldError::json).collect();
        let body = json!({
            "type": kind.uri(), "status": kind.status.as_u16(), "title": kind.title, "detail": detail, "errors": errors,
        });
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (kind.status, content_type, body.to_string()).into_response();
        if let Some(secs) = retry_after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, secs.into());
        }
        response.extensions_mut().insert(Detail(detail));
        response
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        problem.into_response()
    }
}

/// The answer for a path that is no route.
pub async fn not_found(request: Request) -> Problem {
    Problem::new(&NO_SUCH_PATH, format!("there is no {}", shown(&request)))
}

/// The answer for a route that does not take a method.
pub async fn wrong_method(request: Request) -> Problem {
    let detail = format!("{} does not take {}", shown(&request), request.method());
    Problem::new(&METHOD_NOT_ALLOWED, detail)
}

/// Turns the plain text with which axum's extractors refuse a request into a problem; other answers stay as they are.
pub(crate) async fn from_rejection(response: Response, body_bytes_max: usize) -> Response {
    const TEXT_BYTES_MAX: usize = 64 * 1024;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let content_type = response.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    if !is_error || !content_type.is_none_or(|text| text.starts_with(b"text/plain")) {
        return response;
    }
    let text = to_bytes(response.into_body(), TEXT_BYTES_MAX).await.unwrap_or_default();
    let detail = String::from_utf8_lossy(&text).into_owned();
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!(
                "the body has more than {body_bytes_max} bytes, the most that is accepted; split it into several requests"
            );
            Problem::new(&BODY_TOO_LARGE, detail).into()
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(&UNSUPPORTED_MEDIA_TYPE, detail).into(),
        _ if status.is_client_error() => Problem::new(&BAD_REQUEST, detail).into(),
        _ => Problem::new(&INTERNAL, detail).into(),
    }
}

/// The path, cut if it is long.
pub(crate) fn shown(request: &Request) -> String {
    const CHARACTERS_MAX: usize = 200;
    request.uri().path().chars().take(CHARACTERS_MAX).collect()
}
