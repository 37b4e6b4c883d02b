//! SHA-256 digests, written as text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest;

/// A SHA-256 digest (FIPS 180-4); its text is 64 hexadecimal digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

/// The text is not 64 hexadecimal digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 digest is written as 64 hexadecimal digits in lower case")]
pub struct Sha256Error;

impl Sha256 {
    /// 32 zero bytes, which stand where there is no digest yet.
    pub const ZERO: Self = Self([0; 32]);

    /// The digest's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest of the bytes of several parts, one after the other.
    #[must_use]
    pub fn of_parts<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> Self {
        let mut digest = sha2::Sha256::new();
        parts.into_iter().for_each(|part| digest.update(part));
        Self(digest.finalize().into())
    }

    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl FromStr for Sha256 {
    type Err = Sha256Error;
    fn from_str(text: &str) -> Result<Self, Sha256Error> {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 64 || !text.as_bytes().iter().all(is_digit) {
            return Err(Sha256Error);
        }
        let mut digest = [0; 32];
        for (byte, digits) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| Sha256Error)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| Sha256Error)?;
        }
        Ok(Self(digest))
    }
}

impl TryFrom<String> for Sha256 {
    type Error = Sha256Error;
    fn try_from(text: String) -> Result<Self, Sha256Error> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
impl serde_avro_derive::BuildSchema for Sha256 {
    fn append_schema(builder: &mut serde_avro_derive::SchemaBuilder) {
        <String as serde_avro_derive::BuildSchema>::append_schema(builder);
    }
    type TypeLookup = String;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digests of the empty text and of `abc` are those of FIPS 180-4's examples.
    #[test]
    fn a_digest_is_written_in_hexadecimal_and_read_back() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for (bytes, text) in [(&b""[..], empty), (b"abc", abc)] {
            assert_eq!(Sha256::of(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(Sha256::of(bytes)));
        }
        for bad in ["", &abc[1..], &abc.to_uppercase(), &abc.replace('b', "g"), &"é".repeat(32)] {
            assert_eq!(bad.parse::<Sha256>(), Err(Sha256Error), "{bad}");
        }
    }
}
