//! Moves of agreements.
//!
//! A version has its number and its terms for ever. At most one version of all agreements is in force for a site at any instant:
//! an acceptance ends the versions of its agreement that it follows, and is refused where another agreement is in force.

mod accept;
mod end;
mod fit;
mod propose;

use std::sync::Arc;

use spillway_events::{Agreement, Event, Party, Stage, TimeMicros, format_time};

use crate::command::{AgreementAct, AgreementCommand, Refusal, VersionId, check_reason};
use crate::fault::{Fault, ObjectFault};
use crate::kinds::Object;
use crate::object::ObjectId;
use crate::standing::{MOVE_AHEAD_US, Move, NO_BOUNDARY, is_boundary, is_private, standing};
use crate::state::State;

/// The events of a command about an agreement.
pub(super) fn decide(
    state: &State,
    command: &AgreementCommand,
    now: TimeMicros,
) -> Result<Vec<Event>, Refusal> {
    let found = |id: &VersionId, wanted| find(state, id, (wanted, command.by), now);
    match &command.act {
        AgreementAct::Draft(document) => propose::draft(state, document, command.by, now),
        AgreementAct::Propose(document) => propose::propose(state, document, command.by, None, now),
        AgreementAct::ProposeDraft(id) => {
            let draft = found(id, Move::Propose)?;
            propose::propose(state, &Object::Agreement(Arc::clone(draft)), command.by, None, now)
        }
        AgreementAct::Counter(id, document) => {
            let countered = found(id, Move::Counter)?;
            propose::propose(state, document, command.by, Some(countered), now)
        }
        AgreementAct::Accept(id, digest) => accept::accept(state, found(id, Move::Accept)?, *digest),
        AgreementAct::Reject(id, reason) => closed(found(id, Move::Reject)?, Stage::Rejected, reason),
        AgreementAct::Withdraw(id, reason) => closed(found(id, Move::Withdraw)?, Stage::Withdrawn, reason),
        AgreementAct::Suspend(id, from, reason) => {
            end::suspend(found(id, Move::Suspend)?, boundary(*from, now)?, reason)
        }
        AgreementAct::Resume(id, from, reason) => {
            end::resume(state, found(id, Move::Resume)?, boundary(*from, now)?, reason)
        }
        AgreementAct::Terminate(id, at, reason) => {
            end::terminate(found(id, Move::Terminate)?, (boundary(*at, now)?, now), reason)
        }
    }
}

/// The version that a party may move like this now.
fn find<'a>(
    state: &'a State,
    id: &VersionId,
    (wanted, by): (Move, Party),
    now: TimeMicros,
) -> Result<&'a Arc<Agreement>, Refusal> {
    let object = id.object();
    let Some(agreement) = state.agreement(&object) else { return Err(Refusal::NotFound(object)) };
    // The other party does not know of a draft.
    if is_private(agreement) && agreement.proposed_by != by {
        return Err(Refusal::NotFound(object));
    }
    let standing = standing(agreement, now);
    let (version, done) = (id.to_string(), wanted.past_participle());
    if !wanted.is_allowed(standing) {
        return Err(Refusal::NoSuchMove { version, standing, done });
    }
    let author = agreement.proposed_by;
    if !wanted.may_be_made_by(by, author) {
        return Err(Refusal::OtherParty { version, author, by, done });
    }
    Ok(agreement)
}

/// A proposal or draft that is closed without an acceptance.
fn closed(agreement: &Agreement, stage: Stage, reason: &str) -> Result<Vec<Event>, Refusal> {
    check_reason(reason)?;
    let stage = if agreement.stage == Stage::Draft { Stage::Discarded } else { stage };
    let reason = Some(reason.to_owned());
    Ok(vec![event(Agreement { stage, reason, ..agreement.clone() })])
}

/// A time at which a version may begin or end, if a command may still name it.
fn boundary(at: TimeMicros, now: TimeMicros) -> Result<TimeMicros, Refusal> {
    let refuse = |rule: String| Err(Refusal::BadAgreement { field: "at", rule });
    if !is_boundary(at) {
        return refuse(NO_BOUNDARY.to_owned());
    }
    if at.0 < now.0.saturating_add(MOVE_AHEAD_US) {
        let (at, now) = (format_time(at), format_time(now));
        return refuse(format!("must be at least a minute ahead; {at} is not, at {now}"));
    }
    Ok(at)
}

/// The refusal of an agreement with these faults.
fn refused_faults(object: &ObjectId, faults: Vec<Fault>) -> Refusal {
    let of = |fault| ObjectFault { index: 0, object: object.clone(), fault, other: None };
    Refusal::Faults { faults: faults.into_iter().map(of).collect(), unlisted: 0 }
}

/// The event that a version is like this from now on.
fn event(version: Agreement) -> Event {
    Event::Agreement(Box::new(version))
}
