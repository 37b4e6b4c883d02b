//! Suspensions and terminations.

use spillway_events::{
    Agreement, AgreementEnd, EndedBy, Event, Suspension, TimeMicros, format_duration, format_time,
};

use super::accept::check_alone;
use super::event;
use crate::command::{Refusal, check_reason};
use crate::limits::SUSPENSIONS_MAX;
use crate::standing::ends_at;
use crate::state::State;

/// Puts a version out of force from a time on.
pub(super) fn suspend(agreement: &Agreement, from: TimeMicros, reason: &str) -> Result<Vec<Event>, Refusal> {
    check_reason(reason)?;
    let last = agreement.suspensions.last();
    if let Some(open) = last.filter(|last| last.until_us.is_none()) {
        return refuse(format!("it is suspended from {} on already", format_time(open.from_us)));
    }
    let begin = last.and_then(|last| last.until_us).unwrap_or(agreement.terms.effective_from_us);
    if from < begin {
        return refuse(format!("must not be before {}, when it is in force", format_time(begin)));
    }
    check_before_end(agreement, from)?;
    if agreement.suspensions.len() >= SUSPENSIONS_MAX {
        return refuse(format!("it was suspended {SUSPENSIONS_MAX} times, the most that are allowed"));
    }
    let mut changed = with_reason(agreement, reason);
    changed.suspensions.push(Suspension { from_us: from, until_us: None });
    Ok(vec![event(changed)])
}

/// Puts a suspended version into force again from a time on.
pub(super) fn resume(
    state: &State,
    agreement: &Agreement,
    from: TimeMicros,
    reason: &str,
) -> Result<Vec<Event>, Refusal> {
    check_reason(reason)?;
    let mut changed = with_reason(agreement, reason);
    if changed.suspensions.pop_if(|last| last.until_us.is_none() && from <= last.from_us).is_some() {
        // The suspension has not begun, and never will.
        check_alone(state, &changed, agreement.terms.effective_from_us)?;
        return Ok(vec![event(changed)]);
    }
    let Some(open) = changed.suspensions.last_mut().filter(|last| last.until_us.is_none()) else {
        return refuse(String::from("it is not suspended"));
    };
    open.until_us = Some(from);
    check_before_end(agreement, from)?;
    check_alone(state, &changed, from)?;
    Ok(vec![event(changed)])
}

/// Ends a version at a time.
pub(super) fn terminate(
    agreement: &Agreement,
    (at, now): (TimeMicros, TimeMicros),
    reason: &str,
) -> Result<Vec<Event>, Refusal> {
    check_reason(reason)?;
    let notice = agreement.terms.notice_us;
    if at.0.saturating_sub(now.0) < i64::try_from(notice.0).unwrap_or(i64::MAX) {
        return refuse(format!("must be at least {} ahead, as agreed", format_duration(notice)));
    }
    check_before_end(agreement, at)?;
    let at_us = at.max(agreement.terms.effective_from_us);
    let end = Some(AgreementEnd { at_us, by: EndedBy::Termination });
    Ok(vec![event(Agreement { end, ..with_reason(agreement, reason) })])
}

fn with_reason(agreement: &Agreement, reason: &str) -> Agreement {
    Agreement { reason: Some(reason.to_owned()), ..agreement.clone() }
}

fn check_before_end(agreement: &Agreement, at: TimeMicros) -> Result<(), Refusal> {
    match ends_at(agreement).filter(|end| *end <= at) {
        None => Ok(()),
        Some(end) => refuse(format!("must be before {}, when it ends", format_time(end))),
    }
}

fn refuse<T>(rule: String) -> Result<T, Refusal> {
    Err(Refusal::BadAgreement { field: "at", rule })
}
