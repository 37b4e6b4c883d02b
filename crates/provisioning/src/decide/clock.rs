//! Lets the time of ticks start again.

use spillway_events::{ClockReset, Event};

use crate::command::{Refusal, check_reason};

/// The event that time starts again. Each command is a reset of its own.
pub(super) fn reset(reason: &str) -> Result<Vec<Event>, Refusal> {
    check_reason(reason)?;
    Ok(vec![Event::ClockReset(ClockReset { reason: reason.to_owned() })])
}
