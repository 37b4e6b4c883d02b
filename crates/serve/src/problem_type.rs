//! The types of problems, and those that every server of this crate has.

use axum::http::StatusCode;

/// A type of problems, by which clients tell them apart.
#[derive(Debug, PartialEq, Eq)]
pub struct ProblemType {
    /// Its name, which never changes and no other type has.
    pub name: &'static str,
    /// The status of all its problems.
    pub status: StatusCode,
    /// A few words for people.
    pub title: &'static str,
    /// What it means, and what the client can do.
    pub explanation: &'static str,
}

impl ProblemType {
    /// The URI reference that stands for it.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("/problems/{}", self.name)
    }
}

/// The path is no route.
pub static NO_SUCH_PATH: ProblemType = ProblemType {
    name: "no-such-path",
    status: StatusCode::NOT_FOUND,
    title: "No such path",
    explanation: "Nothing is served at this path. Check its spelling and version.",
};

/// The route does not take the method.
pub(crate) static METHOD_NOT_ALLOWED: ProblemType = ProblemType {
    name: "method-not-allowed",
    status: StatusCode::METHOD_NOT_ALLOWED,
    title: "Method not allowed",
    explanation: "The path exists but does not take this method. The Allow header lists those that it takes.",
};

/// The request took too long.
pub(crate) static REQUEST_TIMEOUT: ProblemType = ProblemType {
    name: "request-timeout",
    status: StatusCode::REQUEST_TIMEOUT,
    title: "The request took too long",
    explanation: "The body did not come in time, or the work took too long. A change may have been made: repeat it with the \
                  same Idempotency-Key.",
};

/// The body is longer than any that is accepted.
pub(crate) static BODY_TOO_LARGE: ProblemType = ProblemType {
    name: "body-too-large",
    status: StatusCode::PAYLOAD_TOO_LARGE,
    title: "The body is too large",
    explanation: "The body is longer than any that is accepted. Split it into several requests.",
};

/// The body is of a type that is not accepted.
pub static UNSUPPORTED_MEDIA_TYPE: ProblemType = ProblemType {
    name: "unsupported-media-type",
    status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
    title: "The body's type is not accepted",
    explanation: "The Content-Type is missing, or is none that the call takes. The detail lists those that it takes.",
};

/// The request cannot be read.
pub static BAD_REQUEST: ProblemType = ProblemType {
    name: "bad-request",
    status: StatusCode::BAD_REQUEST,
    title: "The request cannot be read",
    explanation: "The path, the query or the body breaks the rules of HTTP or of its encoding. The detail says where.",
};

/// There is no memory for the body now.
pub(crate) static NO_ROOM: ProblemType = ProblemType {
    name: "no-room",
    status: StatusCode::SERVICE_UNAVAILABLE,
    title: "No memory for the body now",
    explanation: "The bodies of other requests use the memory for bodies. Send the request again after Retry-After seconds.",
};

/// The server has a defect, or its machine failed.
pub static INTERNAL: ProblemType = ProblemType {
    name: "internal",
    status: StatusCode::INTERNAL_SERVER_ERROR,
    title: "The server failed",
    explanation: "The server has a defect, or its machine failed. Report it with the Request-Id of the answer, by which the \
                  server's log names the cause.",
};

/// The types that every server has.
pub static PROBLEM_TYPES: [&ProblemType; 8] = [
    &NO_SUCH_PATH,
    &METHOD_NOT_ALLOWED,
    &REQUEST_TIMEOUT,
    &BODY_TOO_LARGE,
    &UNSUPPORTED_MEDIA_TYPE,
    &BAD_REQUEST,
    &NO_ROOM,
    &INTERNAL,
];
