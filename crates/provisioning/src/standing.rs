//! What a version of an agreement is at a time.
//!
//! ```text
//!   draft ─── withdraw ───────────▶ discarded (the other party never knows of it)
//!     │ propose
//!     ▼                          ┌─ counter ──▶ countered (by another version)
//!  proposed ─────────────────────┼─ reject ───▶ rejected
//!     │   │ no answer in time    └─ withdraw ─▶ withdrawn
//!     │   └─────────▶ lapsed
//!     │ accept
//!     ▼                      suspend
//!  accepted: scheduled ─▶ active ◀────▶ suspended
//!                          │     resume
//!                │         │                │
//!                └─────────┼────────────────┘
//!                          ├─ a later version begins ─▶ superseded
//!                          ├─ terminate ──────────────▶ terminated
//!                          └─ the agreed end ─────────▶ expired
//! ```
//!
//! The moves are commands. When a version has lapsed, is active, suspended, superseded, terminated or expired is on no record: it is
//! read off against a time. Every accepted version can be suspended, terminated and followed by another, begun or not.

use spillway_events::{Agreement, EndedBy, Party, Stage, Suspension, TimeMicros};

/// Every command that names a time at which a version begins or ends, or accepts one, comes at least this long before that time.
pub const MOVE_AHEAD_US: i64 = 60_000_000;
/// Versions begin and end where slots of billing do.
const SLOT_US: i64 = 300_000_000;
/// The rule of such a time.
pub(crate) const NO_BOUNDARY: &str = "must be a whole multiple of five minutes of UTC";

/// Whether a version can begin or end at a time.
pub(crate) fn is_boundary(at: TimeMicros) -> bool {
    at.0.rem_euclid(SLOT_US) == 0
}

/// What a version of an agreement is at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its author still writes it.
    Draft,
    /// Its author no longer writes it, and never proposed it.
    Discarded,
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
            Self::Discarded => "discarded",
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
        Stage::Discarded => Standing::Discarded,
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
        // What was set counts only where it comes before the agreed end.
        let set = agreement.end.filter(|end| Some(end.at_us) == ends_at(agreement));
        return match set.map(|end| end.by) {
            Some(EndedBy::LaterVersion) => Standing::Superseded,
            Some(EndedBy::Termination) => Standing::Terminated,
            None => Standing::Expired,
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

/// Whether a version is in force at a time.
pub(crate) fn is_in_force(agreement: &Agreement, at: TimeMicros) -> bool {
    spans(agreement).iter().any(|(from, until)| *from <= at && until.is_none_or(|until| at < until))
}

/// The spans of time in which a version is in force, in order; none unless it is accepted.
pub(crate) fn spans(agreement: &Agreement) -> Vec<(TimeMicros, Option<TimeMicros>)> {
    if agreement.stage != Stage::Accepted {
        return Vec::new();
    }
    let until = ends_at(agreement);
    let mut spans = Vec::new();
    let mut from = Some(agreement.terms.effective_from_us);
    for Suspension { from_us, until_us } in &agreement.suspensions {
        if let Some(begun) = from {
            spans.push((begun, Some(until.map_or(*from_us, |until| until.min(*from_us)))));
        }
        from = *until_us;
    }
    spans.extend(from.map(|begun| (begun, until)));
    spans.retain(|(from, until)| until.is_none_or(|until| *from < until));
    spans
}

/// Whether an accepted version has begun by a time, suspended or not.
pub(crate) fn has_begun_by(agreement: &Agreement, at: TimeMicros) -> bool {
    let from = agreement.terms.effective_from_us;
    agreement.stage == Stage::Accepted && from <= at && !has_ended_by(agreement, from)
}

/// Whether an accepted version has ended by a time.
pub(crate) fn has_ended_by(agreement: &Agreement, at: TimeMicros) -> bool {
    ends_at(agreement).is_some_and(|end| end <= at)
}

/// When an accepted version ends, if that is known.
pub(crate) fn ends_at(agreement: &Agreement) -> Option<TimeMicros> {
    let set = agreement.end.map(|end| end.at_us);
    set.into_iter().chain(agreement.terms.until_us).min()
}

/// Whether only the party that wrote a version knows of it: it was never proposed.
#[must_use]
pub fn is_private(agreement: &Agreement) -> bool {
    matches!(agreement.stage, Stage::Draft | Stage::Discarded)
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
    pub(crate) fn past_participle(self) -> &'static str {
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

    /// Whether it is possible with a version that is this.
    pub(crate) fn is_allowed(self, from: Standing) -> bool {
        use Standing::{Active, Draft, Proposed, Scheduled, Suspended};
        match self {
            Self::Propose => from == Draft,
            Self::Withdraw => matches!(from, Draft | Proposed),
            Self::Counter | Self::Accept | Self::Reject => from == Proposed,
            Self::Suspend | Self::Resume | Self::Terminate => matches!(from, Scheduled | Active | Suspended),
        }
    }

    /// Whether a party may do this with a version that `author` proposed.
    pub(crate) fn may_be_made_by(self, by: Party, author: Party) -> bool {
        match self {
            Self::Propose | Self::Withdraw => by == author,
            Self::Counter | Self::Accept | Self::Reject => by == author.other(),
            Self::Suspend | Self::Resume => by == Party::Provider,
            Self::Terminate => true,
        }
    }
}
