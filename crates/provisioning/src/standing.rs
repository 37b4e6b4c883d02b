//! What a version of an agreement is at a time.
//!
//! ```text
//!            withdraw ┌──────────▶ withdrawn
//!   draft ────────────┤
//!     │ propose       │
//!     ▼               │            counter
//!  proposed ──────────┴──────────┬─────────▶ countered (by a later version)
//!     │   │ no answer in time    │ reject
//!     │   └─────────▶ lapsed     └─────────▶ rejected
//!     │ accept
//!     ▼                      suspend
//!  accepted: scheduled ─▶ active ◀────▶ suspended
//!                          │     resume
//!                          ├─ a later version begins ─▶ superseded
//!                          ├─ terminate ──────────────▶ terminated
//!                          └─ the agreed end ─────────▶ expired
//! ```
//!
//! The moves are commands. What comes of time alone (lapsed, active, superseded, terminated, expired) is on no record: it is
//! read off against a time.

use spillway_events::{Agreement, EndedBy, Party, Stage, TimeMicros};

use crate::kinds::agreement::{ends_at, spans};

/// An acceptance, and whatever else sets or removes an end, comes at least this long before the end.
pub const MOVE_AHEAD_US: i64 = 60_000_000;

/// What a version of an agreement is at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its author still writes it.
    Draft,
    /// The other party is to answer.
    Proposed,
    /// The other party did not answer in time.
    Lapsed,
    /// The other party proposed a later version instead.
    Countered,
    /// The other party did not want it.
    Rejected,
    /// The party that proposed it no longer wanted it.
    Withdrawn,
    /// It is accepted and not yet in force.
    Scheduled,
    /// It is in force.
    Active,
    /// It is out of force for a time.
    Suspended,
    /// A later version is in force instead.
    Superseded,
    /// A party ended it.
    Terminated,
    /// Its agreed end has come.
    Expired,
}

impl Standing {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "a draft",
            Self::Proposed => "proposed",
            Self::Lapsed => "lapsed",
            Self::Countered => "countered",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Scheduled => "scheduled",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Superseded => "superseded",
            Self::Terminated => "terminated",
            Self::Expired => "expired",
        }
    }
}

/// What a version of an agreement is at a time.
#[must_use]
pub fn standing(agreement: &Agreement, at: TimeMicros) -> Standing {
    match agreement.stage {
        Stage::Draft => Standing::Draft,
        Stage::Proposed if can_be_accepted(agreement, at) => Standing::Proposed,
        Stage::Proposed => Standing::Lapsed,
        Stage::Countered => Standing::Countered,
        Stage::Rejected => Standing::Rejected,
        Stage::Withdrawn => Standing::Withdrawn,
        Stage::Accepted => accepted_standing(agreement, at),
    }
}

fn accepted_standing(agreement: &Agreement, at: TimeMicros) -> Standing {
    let from = agreement.terms.effective_from_us;
    if ends_at(agreement).is_some_and(|end| end <= at.max(from)) {
        let is_set =
            |by| agreement.end.is_some_and(|end| end.by == by && Some(end.at_us) == ends_at(agreement));
        return match () {
            () if is_set(EndedBy::LaterVersion) => Standing::Superseded,
            () if is_set(EndedBy::Termination) => Standing::Terminated,
            () => Standing::Expired,
        };
    }
    match at {
        at if at < from => Standing::Scheduled,
        at if is_in_force(agreement, at) => Standing::Active,
        _ => Standing::Suspended,
    }
}

/// Whether a proposal can still be accepted at a time.
pub(crate) fn can_be_accepted(agreement: &Agreement, at: TimeMicros) -> bool {
    at.0.saturating_add(MOVE_AHEAD_US) <= agreement.terms.effective_from_us.0
}

/// Whether an accepted version is in force at a time.
pub(crate) fn is_in_force(agreement: &Agreement, at: TimeMicros) -> bool {
    agreement.stage == Stage::Accepted
        && spans(agreement).iter().any(|(from, until)| *from <= at && until.is_none_or(|until| at < until))
}

/// What a party does with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    Propose,
    Counter,
    Accept,
    Reject,
    Withdraw,
    Suspend,
    Resume,
    Terminate,
}

impl Move {
    /// Its past participle.
    pub(crate) fn done(self) -> &'static str {
        match self {
            Self::Propose => "proposed",
            Self::Counter => "countered",
            Self::Accept => "accepted",
            Self::Reject => "rejected",
            Self::Withdraw => "withdrawn",
            Self::Suspend => "suspended",
            Self::Resume => "resumed",
            Self::Terminate => "terminated",
        }
    }

    /// The stage that it leads to; none where it is not possible.
    pub(crate) fn leads_to(self, from: Standing) -> Option<Stage> {
        use Standing::{Active, Draft, Proposed, Scheduled, Suspended};
        match (from, self) {
            (Draft, Self::Propose) => Some(Stage::Proposed),
            (Draft | Proposed, Self::Withdraw) => Some(Stage::Withdrawn),
            (Proposed, Self::Counter) => Some(Stage::Countered),
            (Proposed, Self::Accept) => Some(Stage::Accepted),
            (Proposed, Self::Reject) => Some(Stage::Rejected),
            (Scheduled | Active | Suspended, Self::Suspend | Self::Resume | Self::Terminate) => {
                Some(Stage::Accepted)
            }
            _ => None,
        }
    }

    /// The parties that may do this with a version that `author` proposed.
    pub(crate) fn is_of(self, by: Party, author: Party) -> bool {
        match self {
            Self::Propose | Self::Withdraw => by == author,
            Self::Counter | Self::Accept | Self::Reject => by == author.other(),
            Self::Suspend | Self::Resume => by == Party::Provider,
            Self::Terminate => true,
        }
    }
}
