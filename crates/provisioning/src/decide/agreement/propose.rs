//! Drafts and proposals.

use std::sync::Arc;

use spillway_events::{Agreement, Event, ObjectKind, Party, Stage, TimeMicros, format_time};

use super::{event, fit, refused_faults};
use crate::command::Refusal;
use crate::fault::Fault;
use crate::field_path::FieldPath;
use crate::kinds::Object;
use crate::limits::{AGREEMENTS_PER_CLIENT_MAX, OBJECTS_PER_KIND_MAX, VERSIONS_PER_AGREEMENT_MAX};
use crate::object::ObjectId;
use crate::standing::{Standing, can_be_accepted, standing};
use crate::state::State;

/// Keeps a document as a party's draft, in place of the draft that it has.
pub(super) fn draft(
    state: &State,
    document: &Object,
    by: Party,
    now: TimeMicros,
) -> Result<Vec<Event>, Refusal> {
    let new = numbered(state, document, by, Stage::Draft, now)?;
    Ok(vec![event(new)])
}

/// Proposes a document, in place of the party's draft and of the other party's proposal.
pub(super) fn propose(
    state: &State,
    document: &Object,
    by: Party,
    countered: Option<&Arc<Agreement>>,
    now: TimeMicros,
) -> Result<Vec<Event>, Refusal> {
    let new = numbered(state, document, by, Stage::Proposed, now)?;
    let versions = state.versions(&new.name);
    let mut others = versions.filter(|other| standing(other, now) == Standing::Proposed);
    if let Some(open) =
        others.find(|open| countered.is_none_or(|countered| countered.version != open.version))
    {
        let version = format!("{}/{}", open.name, open.version);
        return Err(Refusal::OpenProposal { version, author: open.proposed_by });
    }
    let countered = countered.map(|countered| {
        if countered.name != new.name {
            let rule = format!("must be {}, as the countered proposal is", countered.name);
            return Err(refused_faults(&document.id(), vec![Fault { field: FieldPath::of("name"), rule }]));
        }
        let reason = Some(format!("version {} was proposed instead", new.version));
        Ok(event(Agreement { stage: Stage::Countered, reason, ..(**countered).clone() }))
    });
    let mut events: Vec<Event> = countered.transpose()?.into_iter().collect();
    events.push(event(new));
    Ok(events)
}

/// The document as the next version, or as the draft that the party has.
fn numbered(
    state: &State,
    document: &Object,
    by: Party,
    stage: Stage,
    now: TimeMicros,
) -> Result<Agreement, Refusal> {
    let Object::Agreement(wanted) = document else {
        let rule = format!("must be an agreement, not a {}", document.id().kind.as_str());
        return Err(refused_faults(&document.id(), vec![Fault { field: FieldPath::of("kind"), rule }]));
    };
    let mut faults = fit::faults(state, wanted);
    if !can_be_accepted(wanted, now) {
        let now = format_time(now);
        let rule = format!("must be at least a minute ahead, so that it can be accepted; it is {now}");
        faults.push(Fault { field: FieldPath::of("effective_from"), rule });
    }
    if !faults.is_empty() {
        return Err(refused_faults(&document.id(), faults));
    }
    // A draft is written again in its place, or proposed as it is; all else is the next version.
    let is_own_draft = |of: &&Arc<Agreement>| {
        of.stage == Stage::Draft
            && of.proposed_by == by
            && (stage == Stage::Draft || of.version == wanted.version)
    };
    let own_draft = state.versions(&wanted.name).find(is_own_draft).map(|draft| draft.version);
    check_counts(state, wanted, own_draft.is_some())?;
    let last = state.versions(&wanted.name).map(|of| of.version).max().unwrap_or(0);
    let version = own_draft.unwrap_or_else(|| last.saturating_add(1));
    if version > VERSIONS_PER_AGREEMENT_MAX {
        let rule = format!("has had {VERSIONS_PER_AGREEMENT_MAX} versions, the most that are allowed");
        return Err(refused_faults(&document.id(), vec![Fault { field: FieldPath::of("name"), rule }]));
    }
    Ok(Agreement { version, stage, proposed_by: by, ..(**wanted).clone() })
}

/// Refuses a new version where there are too many.
fn check_counts(state: &State, wanted: &Agreement, is_old: bool) -> Result<(), Refusal> {
    if is_old {
        return Ok(());
    }
    let kind = ObjectKind::Agreement;
    let count = state.count(kind) + 1;
    if count > OBJECTS_PER_KIND_MAX {
        return Err(Refusal::TooManyOfKind { kind, count });
    }
    let client = ObjectId::new(ObjectKind::Client, wanted.client.as_str());
    if state.users_after(&client, kind, "").count() >= AGREEMENTS_PER_CLIENT_MAX {
        return Err(Refusal::TooManyAgreementsOf(wanted.client.to_string()));
    }
    Ok(())
}
