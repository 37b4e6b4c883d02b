//! The body of an answer: where it ends, and how many bytes it has (RFC 9112, sections 6 and 7).

use crate::attempt::AttemptError;
use crate::head::Framing;

/// The state of reading a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// The number of bytes that are still to come.
    Length(u64),
    /// In chunks.
    Chunked(Chunk),
    /// Until the connection ends.
    Close,
}

/// The next part of a chunked body.
///
/// ```text
/// Size ──▶ SizeEnd ──▶ Data ──▶ DataEnd ──▶ Size …
///             └─(0)──▶ Trailer ──(empty line)──▶ End
/// ```
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// The hexadecimal digits of a chunk's size.
    Size { size: u64, digits: u8 },
    /// Extensions up to the end of the line.
    SizeEnd { size: u64 },
    /// The number of bytes of the chunk that are still to come.
    Data { left: u64 },
    /// The line end after a chunk.
    DataEnd,
    /// Trailer fields up to an empty line.
    Trailer { line_bytes: u64 },
    /// Nothing.
    End,
}

impl Body {
    pub(crate) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunk::Size { size: 0, digits: 0 }),
            Framing::Close => Self::Close,
        }
    }

    /// Takes bytes and returns how many belong to the content; bytes after the end are not consumed.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<u64, AttemptError> {
        match self {
            Self::Length(left) => {
                let taken = (bytes.len() as u64).min(*left);
                *left -= taken;
                Ok(taken)
            }
            Self::Chunked(chunk) => chunk.take(bytes).ok_or(AttemptError::BadChunk),
            Self::Close => Ok(bytes.len() as u64),
        }
    }

    /// Whether the body is complete. This is never known of a body that ends with its connection.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::End))
    }

    /// Whether the end of the connection may be the end of the body.
    pub(crate) fn may_end(&self) -> bool {
        *self == Self::Close || self.is_complete()
    }
}

impl Chunk {
    fn take(&mut self, mut bytes: &[u8]) -> Option<u64> {
        let mut content = 0;
        while let Some((&byte, rest)) = bytes.split_first() {
            let mut after = rest;
            *self = match *self {
                Self::Size { size, digits } => match char::from(byte).to_digit(16) {
                    Some(digit) if digits < 15 => {
                        Self::Size { size: size * 16 + u64::from(digit), digits: digits + 1 }
                    }
                    _ if digits == 0 || !matches!(byte, b';' | b' ' | b'\t' | b'\r' | b'\n') => return None,
                    _ => Self::after_size(size, byte),
                },
                Self::SizeEnd { size } => Self::after_size(size, byte),
                Self::Data { left } => {
                    let taken = (bytes.len() as u64).min(left);
                    content += taken;
                    after = bytes.get(usize::try_from(taken).ok()?..)?;
                    if taken == left { Self::DataEnd } else { Self::Data { left: left - taken } }
                }
                Self::DataEnd => match byte {
                    b'\r' => Self::DataEnd,
                    b'\n' => Self::Size { size: 0, digits: 0 },
                    _ => return None,
                },
                Self::Trailer { line_bytes } => match byte {
                    b'\n' if line_bytes == 0 => Self::End,
                    b'\n' => Self::Trailer { line_bytes: 0 },
                    b'\r' => Self::Trailer { line_bytes },
                    _ => Self::Trailer { line_bytes: line_bytes + 1 },
                },
                Self::End => return Some(content),
            };
            bytes = after;
        }
        Some(content)
    }

    fn after_size(size: u64, byte: u8) -> Self {
        match (byte, size) {
            (b'\n', 0) => Self::Trailer { line_bytes: 0 },
            (b'\n', left) => Self::Data { left },
            _ => Self::SizeEnd { size },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<u64, AttemptError>, complete: bool) {
        let mut body = Body::new(Framing::Chunked);
        assert_eq!(body.take(text.as_bytes()), expected, "{text:?}");
        let mut pieces = Body::new(Framing::Chunked);
        let content: Result<Vec<u64>, _> = text.as_bytes().chunks(1).map(|byte| pieces.take(byte)).collect();
        assert_eq!(content.map(|content| content.iter().sum()), expected, "byte by byte: {text:?}");
        if expected.is_ok() {
            assert_eq!((body.is_complete(), pieces.is_complete()), (complete, complete), "{text:?}");
        }
    }

    #[test]
    fn chunks_are_counted_without_their_headers() {
        check("3\r\nabc\r\n0\r\n\r\n", Ok(3), true);
        check("3;x=\"y\"\r\n0\r\n\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\n\r\nmore", Ok(19), true);
        check("A ; x\n0123456789\n0\nTrailer: x\n\nmore", Ok(10), true);
        check("3\r\nabc\r\n", Ok(3), false);
        check("3\r\nabc\r\n0\r\n", Ok(3), false);
    }

    #[test]
    fn bad_chunks_are_refused() {
        for text in ["\r\n", "x\r\n", "1x\r\n", "1\r\nab\r\n", "1234567890abcdef0\r\n", "-1\r\n"] {
            check(text, Err(AttemptError::BadChunk), false);
        }
    }

    #[test]
    fn a_body_ends_where_it_says() {
        let mut body = Body::new(Framing::Length(3));
        assert_eq!((body.take(b"ab"), body.may_end()), (Ok(2), false));
        assert_eq!((body.take(b"cde"), body.is_complete()), (Ok(1), true));
        let mut body = Body::new(Framing::Close);
        assert_eq!((body.take(b"ab"), body.is_complete(), body.may_end()), (Ok(2), false, true));
    }
}
