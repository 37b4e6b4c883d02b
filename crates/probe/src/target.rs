//! The target of measurements: a URL, optional addresses, and the site's host name.

use std::net::{IpAddr, Ipv6Addr};

use crate::limits::URL_BYTES_MAX;

/// The target of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `http://host[:port]/path`.
    pub url: String,
    /// The addresses to connect to; if empty, the URL's host is resolved.
    pub addresses: Vec<IpAddr>,
    /// The site's own host name, which is sent in the request.
    pub host_header: String,
}

/// Why a target cannot be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The URL begins with `https://`.
    #[error("https is not yet supported")]
    Https,
    /// The URL is too long, or not `http://host[:port]/path` in visible ASCII characters.
    #[error("the URL is not http://host[:port]/path")]
    Url,
    /// The host header is empty, too long, or not a host name.
    #[error("the host header is not a host name")]
    HostHeader,
}

/// A target's URL in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// Without the brackets of an IPv6 address.
    pub host: &'a str,
    pub port: u16,
    /// Path and query. Begins with `/` or `?`, or is empty.
    pub path: &'a str,
}

impl Target {
    /// The parts of the URL, or why the target cannot be measured.
    pub(crate) fn parts(&self) -> Result<Parts<'_>, TargetError> {
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
        let header = self.host_header.as_bytes();
        if header.is_empty() || header.len() > 255 || !header.iter().all(|byte| is_host(*byte)) {
            return Err(TargetError::HostHeader);
        }
        if self.url.len() > URL_BYTES_MAX || !self.url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TargetError::Url);
        }
        if self.url.starts_with("https://") {
            return Err(TargetError::Https);
        }
        let rest = self.url.strip_prefix("http://").ok_or(TargetError::Url)?;
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(TargetError::Url)?;
        let (host, port) = split_authority(authority).ok_or(TargetError::Url)?;
        Ok(Parts { host, port, path })
    }

    /// The request; every character of it was checked.
    pub(crate) fn request(&self, parts: Parts<'_>) -> String {
        let slash = if parts.path.starts_with('/') { "" } else { "/" };
        format!(
            "GET {slash}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: spillway-probe\r\nSpillway-Probe: 1\r\n\
             Accept: */*\r\nConnection: close\r\n\r\n",
            parts.path, self.host_header
        )
    }
}

fn split_authority(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
    } else {
        let (host, port) =
            authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if host.is_empty() || host.len() > 254 || !host.bytes().all(is_host) {
            return None;
        }
        (host, port)
    };
    let port = match port {
        None => 80,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
        Some(_) => return None,
    };
    (port > 0).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, host_header: &str) -> Target {
        Target { url: String::from(url), addresses: Vec::new(), host_header: String::from(host_header) }
    }

    #[test]
    fn urls_are_split() {
        let cases = [
            ("http://a.example", ("a.example", 80, "")),
            ("http://a.example:8080/x?y=1#z", ("a.example", 8080, "/x?y=1")),
            ("http://a.example?y", ("a.example", 80, "?y")),
            ("http://[2001:db8::1]:81/", ("2001:db8::1", 81, "/")),
        ];
        for (url, (host, port, path)) in cases {
            assert_eq!(target(url, "s.example").parts(), Ok(Parts { host, port, path }), "{url}");
        }
        assert!(
            target(cases[2].0, "s").request(target(cases[2].0, "s").parts().unwrap()).starts_with("GET /?y ")
        );
    }

    #[test]
    fn targets_that_cannot_be_asked_are_refused() {
        assert_eq!(target("https://a.example/", "s.example").parts(), Err(TargetError::Https));
        let long = format!("http://a.example/{}", "x".repeat(URL_BYTES_MAX));
        let urls = [
            "",
            "a.example",
            "ftp://a.example/",
            "http://",
            "http://:80/",
            "http://user@a.example/",
            "http://a:0/",
            "http://a:65536/",
            "http://a:+8/",
            "http://a:/",
            "http://[::1/",
            "http://[::1]x/",
            "http://a/ b",
            "http://a/\r\nX: y",
            "http://a.example/ü",
            &long,
        ];
        for url in urls {
            assert_eq!(target(url, "s.example").parts(), Err(TargetError::Url), "{url}");
        }
        for header in ["", "a b", "a\r\nX: y", "ü.example", "a/b"] {
            assert_eq!(target("http://a/", header).parts(), Err(TargetError::HostHeader), "{header}");
        }
    }
}
