//! The head of an answer (RFC 9112, sections 4 to 6).

use crate::attempt::AttemptError;
use crate::limits::HEAD_BYTES_MAX;

/// The head of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub status: u16,
    pub framing: Framing,
}

/// How the end of a body is found (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By its length in bytes.
    Length(u64),
    /// By its last chunk.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// Collects an answer's head from the received bytes.
#[derive(Debug, Default)]
pub(crate) struct HeadReader {
    bytes: Vec<u8>,
    /// The index up to which the end of the head has been searched, so that bytes that arrive one by one are not searched
    /// again.
    searched: usize,
    /// Bytes of interim answers, which count towards the maximum.
    interim: usize,
}

impl HeadReader {
    /// Takes bytes; once the final answer's head is complete, returns it and the bytes of the body that came with it.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Option<(Head, Vec<u8>)>, AttemptError> {
        self.bytes.extend_from_slice(bytes);
        loop {
            let start = self.bytes.get(..5).unwrap_or(&self.bytes);
            if !b"HTTP/".starts_with(start) {
                return Err(AttemptError::NotHttp);
            }
            let end = self.find_end();
            if self.interim + end.unwrap_or(self.bytes.len()) > HEAD_BYTES_MAX {
                return Err(AttemptError::HeadTooLong);
            }
            let Some(end) = end else { return Ok(None) };
            let rest = self.bytes.split_off(end);
            let head = parse(&self.bytes).ok_or(AttemptError::NotHttp)?;
            if head.status >= 200 {
                return Ok(Some((head, rest)));
            }
            // An interim answer (RFC 9110, section 15.2): the final one follows.
            self.interim += end;
            self.bytes = rest;
            self.searched = 0;
        }
    }

    /// Where the body begins: after a line end and an empty line.
    fn find_end(&mut self) -> Option<usize> {
        let from = self.searched.saturating_sub(2);
        self.searched = self.bytes.len();
        let tail = self.bytes.get(from..)?;
        (0..tail.len()).find_map(|at| {
            let rest = tail.get(at..)?;
            let length = [&b"\n\r\n"[..], b"\n\n"].iter().find(|end| rest.starts_with(end))?.len();
            Some(from + at + length)
        })
    }
}

fn parse(bytes: &[u8]) -> Option<Head> {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status = parse_status(lines.next()?)?;
    let (mut length, mut encoding) = (None, None);
    for line in lines.take_while(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        let value = value.get(1..)?.trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            let number = parse_length(value)?;
            // Two lengths that differ leave the end of the body open.
            if length.is_some_and(|length| length != number) {
                return None;
            }
            length = Some(number);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let last = value.rsplit(|byte| *byte == b',').next().unwrap_or(value);
            encoding = Some(last.trim_ascii().eq_ignore_ascii_case(b"chunked"));
        }
    }
    let framing = match (status, encoding, length) {
        (204 | 304, ..) => Framing::Length(0),
        (_, Some(true), _) => Framing::Chunked,
        (_, None, Some(length)) => Framing::Length(length),
        (_, Some(false), _) | (_, None, None) => Framing::Close,
    };
    Some(Head { status, framing })
}

/// Reads `HTTP/1.1 200 OK`; the reason may be missing.
fn parse_status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.").filter(|rest| rest.first().is_some_and(u8::is_ascii_digit))?;
    let rest = rest.get(1..)?.strip_prefix(b" ")?;
    let (digits, reason) = rest.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) || !(reason.is_empty() || reason.starts_with(b" ")) {
        return None;
    }
    let status = digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    // A server may switch protocols only if the client asked for it.
    (100..=599).contains(&status).then_some(status).filter(|status| *status != 101)
}

fn parse_length(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds an answer at once, and then byte by byte; both must give the same result.
    fn check(answer: &str, expected: Result<Option<(Head, &str)>, AttemptError>) {
        let text = |taken: Option<(Head, Vec<u8>)>| {
            taken.map(|(head, rest)| (head, String::from_utf8(rest).unwrap()))
        };
        let expected = expected.map(|taken| taken.map(|(head, rest)| (head, String::from(rest))));
        assert_eq!(HeadReader::default().take(answer.as_bytes()).map(text), expected, "{answer:?}");
        let mut reader = HeadReader::default();
        let mut last = Ok(None);
        for (at, byte) in answer.bytes().enumerate() {
            last = reader.take(&[byte]);
            match &mut last {
                Ok(None) => {}
                Ok(Some((_, rest))) => {
                    rest.extend_from_slice(&answer.as_bytes()[at + 1..]);
                    break;
                }
                Err(_) => break,
            }
        }
        assert_eq!(last.map(text), expected, "byte by byte: {answer:?}");
    }

    #[test]
    fn heads_are_read_at_once_and_in_pieces() {
        let head = |status, framing| Head { status, framing };
        let length = |length| head(200, Framing::Length(length));
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Ok(Some((length(3), "abc"))));
        check("HTTP/1.0 200\ncontent-length:0\n\n", Ok(Some((length(0), ""))));
        check("HTTP/1.1 500 \r\n\r\nx", Ok(Some((head(500, Framing::Close), "x"))));
        check(
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            Ok(Some((head(304, Framing::Length(0)), ""))),
        );
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 9\r\n\r\n";
        check(chunked, Ok(Some((head(200, Framing::Chunked), ""))));
        check(
            "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny",
            Ok(Some((length(1), "y"))),
        );
        check("HTTP/1.1 200 OK\r\nServer: x\r\n", Ok(None));
    }

    #[test]
    fn an_invalid_head_is_refused() {
        let heads = [
            "SSH-2.0-x\r\n",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 20\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 600 X\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 101 Switching\r\n\r\n",
        ];
        for head in heads {
            check(head, Err(AttemptError::NotHttp));
        }
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
        check(&long, Err(AttemptError::HeadTooLong));
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(HEAD_BYTES_MAX / 25 + 1);
        check(&interim, Err(AttemptError::HeadTooLong));
    }
}
