//! Host names and the URLs that probes ask for.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::limits::{HOST_BYTES_MAX, LABEL_BYTES_MAX, URL_BYTES_MAX};
use crate::mistake::shorten;

/// Why a text is not a host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostError {
    #[error("a host name must not be empty")]
    Empty,
    #[error("a host name has at most {HOST_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    #[error("`{0}` has an empty label: two points in a row, or one in front")]
    EmptyLabel(String),
    #[error("the label `{label}` has {bytes} bytes, at most {LABEL_BYTES_MAX} are allowed")]
    LabelTooLong { label: String, bytes: usize },
    #[error("the label `{0}` begins or ends with a hyphen")]
    Hyphen(String),
    #[error("`{0}` has characters other than letters, digits, hyphens and underscores; write it as xn--…")]
    NotAscii(String),
    #[error("`{text}` has the character {character:?}; letters, digits, hyphens and underscores are allowed")]
    Character { text: String, character: char },
    #[error("`{0}` is an address or ends in a number, not a host name")]
    Number(String),
}

/// Reads a host name: lower case, without the final point (RFC 1123, section 2.1; underscores allowed as well).
pub(crate) fn host_name(text: &str) -> Result<String, HostError> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err(HostError::Empty);
    }
    if name.len() > HOST_BYTES_MAX {
        return Err(HostError::TooLong(name.len()));
    }
    if !name.is_ascii() {
        return Err(HostError::NotAscii(shorten(name)));
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(HostError::EmptyLabel(shorten(name)));
        }
        if label.len() > LABEL_BYTES_MAX {
            return Err(HostError::LabelTooLong { label: shorten(label), bytes: label.len() });
        }
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if let Some(character) = label.chars().find(|c| !is_allowed(*c)) {
            return Err(HostError::Character { text: shorten(name), character });
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(HostError::Hyphen(shorten(label)));
        }
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostError::Number(shorten(name)));
    }
    Ok(name.to_ascii_lowercase())
}

/// Why a text is not a URL that probes can ask for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("a URL has at most {URL_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    #[error("`{0}` must begin with http:// or https://")]
    Scheme(String),
    #[error("`{0}` has spaces, control or non-ASCII characters; write them as %XX")]
    Character(String),
    #[error("`{0}` must not carry a user or password")]
    User(String),
    #[error("`{text}` has no usable host: {reason}")]
    Host { text: String, reason: String },
    #[error("`{0}` has no usable port; one from 1 to 65535 is")]
    Port(String),
}

/// Checks a URL with a host (RFC 3986, section 3.2); it is kept as written.
pub(crate) fn probe_url(text: &str) -> Result<String, UrlError> {
    if text.len() > URL_BYTES_MAX {
        return Err(UrlError::TooLong(text.len()));
    }
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let rest = rest.ok_or_else(|| UrlError::Scheme(shorten(text)))?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UrlError::Character(shorten(text)));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.contains('@') {
        return Err(UrlError::User(shorten(text)));
    }
    let (host, port) = split_port(authority);
    check_host(host).map_err(|reason| UrlError::Host { text: shorten(text), reason })?;
    let is_port =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0);
    if port.is_some_and(|port| !is_port(port)) {
        return Err(UrlError::Port(shorten(text)));
    }
    Ok(text.to_owned())
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    let end = authority.rfind(']').map_or(0, |at| at + 1);
    match authority.get(end..).and_then(|rest| rest.find(':')) {
        Some(at) => (authority.get(..end + at).unwrap_or(""), authority.get(end + at + 1..)),
        None => (authority, None),
    }
}

fn check_host(host: &str) -> Result<(), String> {
    if let Some(v6) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return v6.parse::<Ipv6Addr>().map(|_| ()).map_err(|error| error.to_string());
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        return Ok(());
    }
    host_name(host).map(|_| ()).map_err(|error| error.to_string())
}
