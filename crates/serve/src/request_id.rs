//! Names requests, so that an answer can be found in the log.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use axum::http::{HeaderMap, HeaderValue};

/// The header, of requests and answers.
pub(crate) const REQUEST_ID: &str = "request-id";
/// The longest id that is taken from a caller.
const ID_BYTES_MAX: usize = 64;

/// The id of a request: the caller's if it has one that does no harm in logs and headers, a new one otherwise.
pub(crate) fn id_of(headers: &HeaderMap) -> String {
    let mut given = headers.get_all(REQUEST_ID).iter();
    let first = given.next().and_then(|value| value.to_str().ok()).filter(|id| is_harmless(id));
    match (first, given.next()) {
        (Some(id), None) => id.to_owned(),
        _ => new_id(),
    }
}

pub(crate) fn header_value(id: &str) -> HeaderValue {
    HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

fn is_harmless(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(is_allowed)
}

/// 128 bits that no two requests share. They need not be secret: the random keys of hash maps are good enough.
fn new_id() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}
