//! The tokens of a state.

use std::fmt;
use std::ops::Bound;

use spillway_events::{AgentName, CdnName, ClientName, ObjectKind, Role, Sha256, TimeMicros, Token};

use super::State;
use crate::object::ObjectId;

/// Who calls: the holder of a token that is accepted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caller {
    /// Somebody who runs the installation.
    Operator,
    /// Somebody who looks at all clients and changes nothing.
    Analyst,
    /// Somebody who acts for a client.
    ClientAdmin(ClientName),
    /// Somebody who looks at what belongs to a client.
    ClientViewer(ClientName),
    /// The systems of a CDN.
    Cdn(CdnName),
    /// An agent with its probes.
    Probe(AgentName),
}

impl Caller {
    /// The holder of a token with this role and subject; none if the role needs another subject.
    pub(crate) fn new(role: Role, subject: Option<&str>) -> Option<Self> {
        Some(match (role, subject) {
            (Role::Operator, None) => Self::Operator,
            (Role::Analyst, None) => Self::Analyst,
            (Role::ClientAdmin, Some(client)) => Self::ClientAdmin(ClientName::new(client).ok()?),
            (Role::ClientViewer, Some(client)) => Self::ClientViewer(ClientName::new(client).ok()?),
            (Role::Cdn, Some(cdn)) => Self::Cdn(CdnName::new(cdn).ok()?),
            (Role::Probe, Some(agent)) => Self::Probe(AgentName::new(agent).ok()?),
            _ => return None,
        })
    }

    /// The client that the caller belongs to.
    #[must_use]
    pub fn client(&self) -> Option<&ClientName> {
        match self {
            Self::ClientAdmin(client) | Self::ClientViewer(client) => Some(client),
            _ => None,
        }
    }
}

/// Writes what the caller belongs to: `client acme`, `cdn edge-one`, `agent a`; the role of an operator or an analyst.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("operator"),
            Self::Analyst => f.write_str("analyst"),
            Self::ClientAdmin(client) | Self::ClientViewer(client) => write!(f, "client {client}"),
            Self::Cdn(cdn) => write!(f, "cdn {cdn}"),
            Self::Probe(agent) => write!(f, "agent {agent}"),
        }
    }
}

impl State {
    /// The token with an id, whether or not it is still accepted.
    #[must_use]
    pub fn token(&self, id: &str) -> Option<&Token> {
        self.tokens.get(id)
    }

    /// All tokens there ever were, by id.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.tokens.values()
    }

    /// How many tokens there have ever been.
    pub(crate) fn tokens_count(&self) -> usize {
        self.tokens.size()
    }

    /// Who has the token with this digest, if it is accepted at a time.
    #[must_use]
    pub fn caller(&self, digest: Sha256, now: TimeMicros) -> Option<(&Token, Caller)> {
        let token = self.tokens.get(&*token_id(digest)).filter(|token| token.sha256 == digest)?;
        let caller = Caller::new(token.role, token.subject.as_deref())?;
        (is_accepted(token, now) && self.has_subject(&caller)).then_some((token, caller))
    }

    /// Whether what the caller belongs to is provisioned.
    pub(crate) fn has_subject(&self, caller: &Caller) -> bool {
        match caller {
            Caller::Operator | Caller::Analyst => true,
            Caller::ClientAdmin(client) | Caller::ClientViewer(client) => {
                self.exists(&ObjectId::new(ObjectKind::Client, client.as_str()))
            }
            Caller::Cdn(cdn) => self.cdn(cdn).is_some(),
            Caller::Probe(agent) => self.has_agent(agent),
        }
    }
}

impl State {
    /// Whether an agent has a probe.
    fn has_agent(&self, agent: &AgentName) -> bool {
        let Some(probes) = self.kinds.get(&ObjectKind::Probe) else { return false };
        let first = format!("{agent}/");
        let mut from = probes.range::<str, _>((Bound::Included(&*first), Bound::Unbounded));
        from.next().is_some_and(|(name, _)| name.starts_with(&first))
    }
}

/// The id of the token with a digest.
#[must_use]
pub fn token_id(digest: Sha256) -> String {
    let mut id = digest.to_string();
    id.truncate(16);
    id
}

/// Whether a token is accepted at a time.
pub(crate) fn is_accepted(token: &Token, now: TimeMicros) -> bool {
    !token.revoked && token.expires_at_us.is_none_or(|end| now < end)
}
