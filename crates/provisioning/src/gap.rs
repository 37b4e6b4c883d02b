//! Giving up records that the log has no more.

use spillway_events::{Event, Gap, topics};

use crate::command::Refusal;
use crate::limits::{COMMAND_TEXT_BYTES_MAX, GAPS_MAX};
use crate::state::State;

/// The event that records are given up; nothing where that has been said before. Only what is gone for good can be given
/// up: what was derived without it is then what every replay derives.
pub(crate) fn give_up(state: &State, gap: Gap, log_starts_at: u64) -> Result<Option<Event>, Refusal> {
    let refuse = |why: String| Err(Refusal::BadGap(why));
    if !topics::bears_input(&gap.topic) {
        return refuse(format!("topic {} bears no input by partition", gap.topic));
    }
    if gap.from >= gap.to {
        return refuse(format!("offsets {} to {} are none", gap.from, gap.to));
    }
    if gap.to > log_starts_at {
        return refuse(format!(
            "the log has {}/{} from offset {log_starts_at} on; only what is before can be given up, not {} to {}",
            gap.topic, gap.partition, gap.from, gap.to
        ));
    }
    if gap.reason.is_empty() || gap.reason.len() > COMMAND_TEXT_BYTES_MAX {
        return refuse(format!("the reason must have 1 to {COMMAND_TEXT_BYTES_MAX} bytes"));
    }
    if state.given_up(&gap.topic, gap.partition, gap.from).is_some_and(|to| to >= gap.to) {
        return Ok(None);
    }
    if state.gaps.len() >= GAPS_MAX {
        return refuse(format!("there are {GAPS_MAX} gaps already"));
    }
    Ok(Some(Event::Gap(gap)))
}
