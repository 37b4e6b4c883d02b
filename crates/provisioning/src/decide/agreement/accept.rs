//! Acceptances.

use std::sync::Arc;

use spillway_events::{Agreement, AgreementEnd, EndedBy, Event, Sha256, Stage, TimeMicros, format_time};

use super::{event, fit, refused_faults};
use crate::command::Refusal;
use crate::kinds::Kind;
use crate::standing::{ends_at, spans};
use crate::state::State;

/// The acceptance of a proposal, and the ends of the versions that it follows.
pub(super) fn accept(
    state: &State,
    proposal: &Arc<Agreement>,
    digest: Sha256,
) -> Result<Vec<Event>, Refusal> {
    if digest != proposal.terms_sha256 {
        let rule = format!("the terms have the digest {}: read them again", proposal.terms_sha256);
        return Err(Refusal::BadAgreement { field: "terms_sha256", rule });
    }
    let faults = fit::faults(state, proposal);
    if !faults.is_empty() {
        return Err(refused_faults(&proposal.id(), faults));
    }
    let from = proposal.terms.effective_from_us;
    check_alone(state, proposal, from)?;
    let ended = state.versions(&proposal.name).filter_map(|of| superseded(of, proposal.version, from));
    let mut events: Vec<Event> = ended.map(event).collect();
    events.push(event(Agreement { stage: Stage::Accepted, ..(**proposal).clone() }));
    Ok(events)
}

/// An accepted version as it is once another one follows it; none if it has ended by then.
fn superseded(version: &Agreement, follower: u32, from: TimeMicros) -> Option<Agreement> {
    let end = from.max(version.terms.effective_from_us);
    let goes_on = version.stage == Stage::Accepted && ends_at(version).is_none_or(|at| end < at);
    goes_on.then(|| Agreement {
        end: Some(AgreementEnd { at_us: end, by: EndedBy::LaterVersion }),
        reason: Some(format!("version {follower} was accepted")),
        ..version.clone()
    })
}

/// Refuses a time in which another agreement is in force for one of the sites.
pub(super) fn check_alone(state: &State, agreement: &Agreement, from: TimeMicros) -> Result<(), Refusal> {
    let until = ends_at(agreement);
    for site in &agreement.terms.sites {
        let others = state.accepted_versions(site).filter(|other| other.name != agreement.name);
        for other in others {
            let overlaps = |(begin, end): &(TimeMicros, Option<TimeMicros>)| {
                until.is_none_or(|until| *begin < until) && end.is_none_or(|end| from < end)
            };
            if let Some((_, end)) = spans(other).into_iter().find(overlaps) {
                let end = end.map_or_else(
                    || String::from("without an end"),
                    |end| format!("until {}", format_time(end)),
                );
                let rule = format!("site {site} is in agreement {}/{} {end}", other.name, other.version);
                return Err(Refusal::BadAgreement { field: "sites", rule });
            }
        }
    }
    Ok(())
}
