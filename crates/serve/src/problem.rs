//! Errors as problem details (RFC 9457).

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An error to answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<String>,
    retry_after_secs: Option<u64>,
}

impl Problem {
    /// A problem with what is wrong and, where the client can mend it, how.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), retry_after_secs: None }
    }

    /// When the client may try again.
    #[must_use]
    pub fn with_retry_after(mut self, secs: u64) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// The single errors that make up the problem.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<String>) -> Self {
        self.errors = errors;
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, detail, errors, retry_after_secs } = self;
        let title = status.canonical_reason();
        let body = json!({"status": status.as_u16(), "title": title, "detail": detail, "errors": errors});
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, content_type, body.to_string()).into_response();
        if let Some(secs) = retry_after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, secs.into());
        }
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
    Problem::new(StatusCode::NOT_FOUND, format!("there is no {}", shown(&request)))
}

/// The answer for a route that does not take a method.
pub async fn wrong_method(request: Request) -> Problem {
    let detail = format!("{} does not take {}", shown(&request), request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// Turns the plain text with which axum's extractors refuse a request into a problem; other answers stay as they are.
pub(crate) async fn from_rejection(response: Response, body_bytes_max: usize) -> Response {
    const TEXT_BYTES_MAX: usize = 64 * 1024;
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    let content_type = response.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    if !is_error || !content_type.is_none_or(|text| text.starts_with(b"text/plain")) {
        return response;
    }
    let status = response.status();
    let text = to_bytes(response.into_body(), TEXT_BYTES_MAX).await.unwrap_or_default();
    let detail = if status == StatusCode::PAYLOAD_TOO_LARGE {
        format!(
            "the body has more than {body_bytes_max} bytes, the most that is accepted; split it into several requests"
        )
    } else {
        String::from_utf8_lossy(&text).into_owned()
    };
    Problem::new(status, detail).into()
}

/// The path, cut if it is long.
fn shown(request: &Request) -> String {
    const CHARACTERS_MAX: usize = 200;
    request.uri().path().chars().take(CHARACTERS_MAX).collect()
}
