//! Names of provisioned objects: one type for each kind, so that they cannot be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text has no characters.
    #[error("a name must not be empty")]
    Empty,
    /// The text is longer than [`NAME_BYTES_MAX`].
    #[error("a name has at most {NAME_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// The text holds a character that no name may hold.
    #[error("a name consists of the characters A-Z a-z 0-9 . _ - and cannot contain {0:?}")]
    Character(char),
    /// The text starts with `.`, `_` or `-`.
    #[error("a name starts with a letter or a digit, not with {0:?}")]
    Start(char),
}

/// Checks a text against the rule of names: 1 to 63 of the characters `A-Z a-z 0-9 . _ -`, the first a letter or a digit.
///
/// The rule makes every name a legal topic name, file name and segment of a URL.
pub(crate) fn check(text: &str) -> Result<(), NameError> {
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong(text.len()));
    }
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !text.as_bytes().iter().all(is_allowed) {
        let other = text.chars().find(|c| !u8::try_from(*c).is_ok_and(|byte| is_allowed(&byte)));
        return Err(other.map_or(NameError::Empty, NameError::Character));
    }
    match text.chars().next() {
        None => Err(NameError::Empty),
        Some(first) if !first.is_ascii_alphanumeric() => Err(NameError::Start(first)),
        Some(_) => Ok(()),
    }
}

/// The name in lower case, with `_` in place of `.`. Two names of one kind must differ in this form.
///
/// Kafka does not distinguish `.` from `_` in the names of its metrics, and some file systems do not distinguish upper case
/// from lower case.
#[must_use]
pub fn folded_name(name: &str) -> String {
    name.to_ascii_lowercase().replace('.', "_")
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
        #[serde(try_from = "String")]
        pub struct $name(String);

        // Derived, it would make a copy of the text.
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $name {
            /// Makes a name of a text that keeps the rule of names.
            ///
            /// # Errors
            /// When the text is empty or too long, holds a character other than `A-Z a-z 0-9 . _ -`, or does not start
            /// with a letter or a digit.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

names! {
    /// A client: the provider's customer.
    ClientName
    /// A web site of a client.
    SiteName
    /// A content distribution network.
    CdnName
    /// An access network, or a region of them.
    NetworkName
    /// A probe agent.
    AgentName
    /// An agreement.
    AgreementName
    /// An override by an operator.
    OverrideName
    /// The source of a batch: an agent, a CDN or an edge node.
    SourceName
}

impl NetworkName {
    /// The root of the tree of networks, `everywhere`.
    #[must_use]
    pub fn everywhere() -> Self {
        Self(String::from("everywhere"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_legal_topic_name_file_name_and_url_segment() {
        for good in ["a", "0", "Edge-One_2.example", &"x".repeat(63)] {
            assert_eq!(CdnName::new(good).map(String::from).as_deref(), Ok(good));
        }
        let error = |text: &str| CdnName::new(text).unwrap_err();
        assert_eq!(error(""), NameError::Empty);
        assert_eq!(error(&"x".repeat(64)), NameError::TooLong(64));
        assert_eq!(error("Edge One"), NameError::Character(' '));
        for bad in ["a/b", "é", "a\u{0}", "a:b", "a\nb"] {
            assert!(matches!(error(bad), NameError::Character(_)), "{bad:?}");
        }
        for bad in [".", "..", "-a", "_a", ".a"] {
            assert!(matches!(error(bad), NameError::Start(_)), "{bad:?}");
        }
    }

    #[test]
    fn names_that_differ_only_in_case_dots_or_underscores_fold_to_one() {
        assert_eq!(folded_name("Edge.One_2-b"), "edge_one_2-b");
        assert_eq!(folded_name("edge_one.2-B"), "edge_one_2-b");
        assert_ne!(folded_name("edge-one"), folded_name("edge_one"));
    }
}
