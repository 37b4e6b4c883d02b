//! The types of problems of the API.

use axum::http::StatusCode;
use spillway_serve::ProblemType;

/// The request has no token.
pub(crate) static TOKEN_MISSING: ProblemType = ProblemType {
    name: "token-missing",
    status: StatusCode::UNAUTHORIZED,
    title: "A token is needed",
    explanation: "The call needs a token, sent once as `Authorization: Bearer TOKEN`.",
};

/// The token is none, or is not accepted.
pub(crate) static TOKEN_REFUSED: ProblemType = ProblemType {
    name: "token-refused",
    status: StatusCode::UNAUTHORIZED,
    title: "The token is not accepted",
    explanation: "The token is cut, mistyped or unknown, has expired or was revoked. Take another one.",
};

/// The role of the token does not allow the call.
pub(crate) static FORBIDDEN: ProblemType = ProblemType {
    name: "forbidden",
    status: StatusCode::FORBIDDEN,
    title: "The token does not allow this",
    explanation: "The role of the token does not allow this call. Use a token of another role.",
};

/// A page of another site made a browser send the request.
pub(crate) static CROSS_SITE: ProblemType = ProblemType {
    name: "cross-site",
    status: StatusCode::FORBIDDEN,
    title: "Pages of other sites may not call",
    explanation: "A page of another site made the browser send this request. Only pages of the API's own origin may.",
};

/// The Host header is none of the names of the API.
pub(crate) static UNKNOWN_HOST: ProblemType = ProblemType {
    name: "unknown-host",
    status: StatusCode::MISDIRECTED_REQUEST,
    title: "Not a name of this API",
    explanation: "The Host header is neither an address, nor localhost, nor a name that the server was started with \
                  (--api-name).",
};

/// A query parameter is wrong.
pub(crate) static BAD_PARAMETER: ProblemType = ProblemType {
    name: "bad-parameter",
    status: StatusCode::BAD_REQUEST,
    title: "A parameter is wrong",
    explanation: "A parameter of the query or the path is unknown, given twice, or has a value that is not allowed. `errors` \
                  names it.",
};

/// A header is wrong.
pub(crate) static BAD_HEADER: ProblemType = ProblemType {
    name: "bad-header",
    status: StatusCode::BAD_REQUEST,
    title: "A header is wrong",
    explanation: "A header has a value that is not allowed. `errors` names it.",
};

/// The body is not what the call takes.
pub(crate) static MALFORMED_BODY: ProblemType = ProblemType {
    name: "malformed-body",
    status: StatusCode::BAD_REQUEST,
    title: "The body cannot be read",
    explanation: "The body is not JSON, or lacks a field, or has one that is unknown or of another type.",
};

/// What is asked for does not exist.
pub(crate) static NOT_FOUND: ProblemType = ProblemType {
    name: "not-found",
    status: StatusCode::NOT_FOUND,
    title: "It does not exist",
    explanation: "What the request names does not exist, or is another client's.",
};

/// The same command is being done.
pub(crate) static IN_FLIGHT: ProblemType = ProblemType {
    name: "in-flight",
    status: StatusCode::CONFLICT,
    title: "The same command is in flight",
    explanation: "A request with the same Idempotency-Key is not answered yet. Send this one again after Retry-After seconds: \
                  it then returns the result of the first one.",
};

/// Others made changes at the same time, again and again.
pub(crate) static BUSY: ProblemType = ProblemType {
    name: "busy",
    status: StatusCode::CONFLICT,
    title: "Others made changes at the same time",
    explanation: "Other changes were made each time this one was tried. Nothing was changed; send the request again.",
};

/// The object is of another version than the sender has seen.
pub(crate) static STALE: ProblemType = ProblemType {
    name: "stale",
    status: StatusCode::PRECONDITION_FAILED,
    title: "The object has changed since it was read",
    explanation: "If-Match or If-None-Match does not hold: somebody else created, changed or deleted the object. Read it \
                  again, and decide again.",
};

/// The request does not say which version it changes.
pub(crate) static PRECONDITION_REQUIRED: ProblemType = ProblemType {
    name: "precondition-required",
    status: StatusCode::PRECONDITION_REQUIRED,
    title: "Say which version is changed",
    explanation: "PUT and DELETE of an object need `If-None-Match: *` to create it, or `If-Match` with the ETag that was read, \
                  or with `*`, to change it.",
};

/// Documents have mistakes.
pub(crate) static MISTAKES: ProblemType = ProblemType {
    name: "mistakes",
    status: StatusCode::UNPROCESSABLE_ENTITY,
    title: "The documents have mistakes",
    explanation: "Fields of the documents break rules. `errors` has all of them. Nothing was changed.",
};

/// A field of the body breaks a rule.
pub(crate) static INVALID_FIELD: ProblemType = ProblemType {
    name: "invalid-field",
    status: StatusCode::UNPROCESSABLE_ENTITY,
    title: "A field breaks a rule",
    explanation: "A field of the request breaks a rule. `errors` names it. Nothing was changed.",
};

/// The document is of another object than the path.
pub(crate) static OTHER_OBJECT: ProblemType = ProblemType {
    name: "other-object",
    status: StatusCode::UNPROCESSABLE_ENTITY,
    title: "The document is of another object",
    explanation: "The body describes another object than the path names, or several.",
};

/// Others refer to the object.
pub(crate) static IN_USE: ProblemType = ProblemType {
    name: "in-use",
    status: StatusCode::UNPROCESSABLE_ENTITY,
    title: "The object is in use",
    explanation: "Other objects refer to the object, or tokens belong to it. Delete or change these, or revoke the tokens, \
                  first.",
};

/// The command would exceed a bound.
pub(crate) static OVER_LIMIT: ProblemType = ProblemType {
    name: "over-limit",
    status: StatusCode::UNPROCESSABLE_ENTITY,
    title: "More than is allowed",
    explanation: "The command is too large, or there would be more objects or tokens than are allowed. Split the command, or \
                  delete what is not needed.",
};

/// A rule forbids the change.
pub(crate) static REFUSED: ProblemType = ProblemType {
    name: "refused",
    status: StatusCode::UNPROCESSABLE_ENTITY,
    title: "A rule forbids the change",
    explanation: "A rule forbids the change; the detail says which one. Nothing was changed.",
};

/// The key belongs to another command.
pub(crate) static KEY_REUSED: ProblemType = ProblemType {
    name: "key-reused",
    status: StatusCode::UNPROCESSABLE_ENTITY,
    title: "The key belongs to another command",
    explanation: "An earlier command of the same token, with another body, has this Idempotency-Key. Take a new key for each \
                  command.",
};

/// The caller has sent too many requests.
pub(crate) static RATE_LIMITED: ProblemType = ProblemType {
    name: "rate-limited",
    status: StatusCode::TOO_MANY_REQUESTS,
    title: "Too many requests",
    explanation: "The token, or the address where there is no valid token, has sent more requests than it may. Send the request \
                  again after Retry-After seconds. RateLimit says how many are left.",
};

/// The log does not answer.
pub(crate) static LOG_UNAVAILABLE: ProblemType = ProblemType {
    name: "log-unavailable",
    status: StatusCode::SERVICE_UNAVAILABLE,
    title: "The log does not answer",
    explanation: "The event log cannot be read or written now. Repeat a change with the same Idempotency-Key: whether it was \
                  made is not known.",
};

/// The revision is not there yet.
pub(crate) static REVISION_NOT_REACHED: ProblemType = ProblemType {
    name: "revision-not-reached",
    status: StatusCode::SERVICE_UNAVAILABLE,
    title: "The revision is not there yet",
    explanation: "The provisioning has not reached `min_revision` in 5 s. Send the request again after Retry-After seconds.",
};
