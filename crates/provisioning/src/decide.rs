//! Decides commands.

mod agreement;
mod apply;
mod clock;
mod delete;
mod gap;
mod rate_card;
mod token;
mod undo;

use spillway_events::{Event, ProvisioningRecord, RECORD_BYTES_MAX, encode};

use crate::command::{Change, Command, Precondition, Refusal, is_command_text};
use crate::state::State;

/// Decides what a command changes: the events of its record, or why it is refused.
///
/// Events come in the order of dependence (clients, networks with parents first, CDNs, probes, sites, rate cards, agreements,
/// overrides; deletions in reverse), then of name, whatever the order in the command. If there are no events, the state is already as requested, and no
/// record is to be written.
///
/// The cost is that of what the command changes, whatever the size of the state.
///
/// # Errors
/// When objects contradict each other or the state, when an object to delete does not exist or is in use, or when a limit
/// would be exceeded.
pub fn decide(state: &State, command: &Command) -> Result<Vec<Event>, Refusal> {
    if !is_command_text(&command.id) {
        return Err(Refusal::BadCommand("id"));
    }
    if !is_command_text(&command.author) {
        return Err(Refusal::BadCommand("author"));
    }
    check_precondition(state, command.precondition.as_ref())?;
    let events = match &command.change {
        Change::Apply(objects) => apply::apply(state, objects, &[], command.at_us)?,
        Change::Delete(ids) => delete::delete(state, ids, command.at_us)?,
        Change::AcceptLoss { gap, log_starts_at } => gap::accept_loss(state, gap, *log_starts_at)?,
        Change::CreateToken(new) => token::create(state, new, command.at_us)?,
        Change::CreateFirstToken(new) => token::create_first(state, new, command.at_us)?,
        Change::RevokeToken(id) => token::revoke(state, id, command.at_us)?,
        Change::Agreement(of) => agreement::decide(state, of, command.at_us)?,
        Change::Undo(of) => undo::undo(state, of, command.at_us)?,
        Change::ResetClock { reason } => clock::reset(reason)?,
    };
    check_length(command, events)
}

fn check_precondition(state: &State, precondition: Option<&Precondition>) -> Result<(), Refusal> {
    let Some(precondition) = precondition else { return Ok(()) };
    let (Precondition::Absent(object) | Precondition::Present(object) | Precondition::LastChange(object, _)) =
        precondition;
    let last_change = state.changed(object);
    let is_met = match precondition {
        Precondition::Absent(_) => last_change.is_none(),
        Precondition::Present(_) => last_change.is_some(),
        Precondition::LastChange(_, number) => last_change == Some(*number),
    };
    if is_met { Ok(()) } else { Err(Refusal::Stale { object: object.clone(), last_change }) }
}

/// Passes events on whose record the log can hold.
fn check_length(command: &Command, events: Vec<Event>) -> Result<Vec<Event>, Refusal> {
    // The greatest number that can be encoded, so that the length is an upper bound for every number.
    let number = i64::MAX.unsigned_abs();
    let record = ProvisioningRecord {
        number,
        command: command.id.clone(),
        body_sha256: command.body_sha256,
        author: command.author.clone(),
        at_us: command.at_us,
        events,
    };
    let bytes = encode(&record).map_err(|error| Refusal::Record(error.to_string()))?.len();
    if bytes > RECORD_BYTES_MAX {
        return Err(Refusal::TooLong { events: record.events.len(), bytes });
    }
    Ok(record.events)
}
