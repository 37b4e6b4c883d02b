//! Commands about agreements.

use std::fmt;

use spillway_events::{AgreementName, Party, Sha256, TimeMicros};

use crate::kinds::Object;
use crate::object::ObjectId;

/// One version of an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionId {
    /// The agreement.
    pub name: AgreementName,
    /// The version.
    pub version: u32,
}

impl VersionId {
    pub(crate) fn object(&self) -> ObjectId {
        ObjectId::of_agreement(&self.name, self.version)
    }
}

/// Writes `NAME/VERSION`.
impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

/// What a party wants to do with an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementCommand {
    /// The party that the author acts for.
    pub by: Party,
    /// What it wants to do.
    pub act: AgreementAct,
}

/// What is to be done with an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgreementAct {
    /// Keep a document as the party's draft of its next version.
    Draft(Object),
    /// Propose a document as the next version.
    Propose(Object),
    /// Propose the draft with this number.
    ProposeDraft(VersionId),
    /// Propose a document instead of the other party's proposal.
    Counter(VersionId, Object),
    /// Accept the terms that have this digest.
    Accept(VersionId, Sha256),
    /// Refuse a proposal of the other party.
    Reject(VersionId, String),
    /// Take back a proposal or a draft.
    Withdraw(VersionId, String),
    /// Put a version out of force from a time on.
    Suspend(VersionId, TimeMicros, String),
    /// Put a suspended version into force again from a time on.
    Resume(VersionId, TimeMicros, String),
    /// End a version at a time.
    Terminate(VersionId, TimeMicros, String),
}
