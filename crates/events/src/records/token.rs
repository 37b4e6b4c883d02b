//! Tokens: who may call the API.

use serde::{Deserialize, Serialize};

use crate::{Sha256, TimeMicros};

/// A token as it is from now on: who may call the API with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The first 16 hexadecimal digits of the digest; never used again.
    pub id: String,
    /// The digest of the token's text, which only its holder has.
    pub sha256: Sha256,
    /// What the holder may do.
    pub role: Role,
    /// The client, the CDN or the probe's agent that the role is limited to; none for an operator and an analyst.
    pub subject: Option<String>,
    /// Whom or what it is for, for people.
    pub note: String,
    /// From when on it is not accepted.
    pub expires_at_us: Option<TimeMicros>,
    /// Whether it is not accepted any more.
    pub revoked: bool,
}

/// What the holder of a token is, and so what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Somebody who runs the installation.
    Operator,
    /// Somebody who looks at all clients and changes nothing.
    Analyst,
    /// Somebody who acts for a client.
    ClientAdmin,
    /// Somebody who looks at what belongs to a client.
    ClientViewer,
    /// The systems of a CDN.
    Cdn,
    /// An agent with its probes.
    Probe,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] =
        [Self::Operator, Self::Analyst, Self::ClientAdmin, Self::ClientViewer, Self::Cdn, Self::Probe];

    /// The role as written on the command line and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Analyst => "analyst",
            Self::ClientAdmin => "client_admin",
            Self::ClientViewer => "client_viewer",
            Self::Cdn => "cdn",
            Self::Probe => "probe",
        }
    }
}
