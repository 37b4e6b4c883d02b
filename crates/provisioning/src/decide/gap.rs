//! Accepts the loss of records that the log no longer holds.

use spillway_events::{Event, Gap, topics};

use crate::command::{Refusal, check_reason};
use crate::fault::shorten_name;
use crate::limits::GAPS_MAX;
use crate::state::State;

/// The event that the loss of records is accepted; none if it was accepted before.
///
/// Only records that the log has deleted qualify: everything that was derived without them is then what every replay derives.
pub(super) fn accept_loss(state: &State, gap: &Gap, log_starts_at: u64) -> Result<Vec<Event>, Refusal> {
    let refuse = |why: String| Err(Refusal::BadGap(why));
    let Gap { topic, partition, from, to, reason } = gap;
    if !topics::bears_input(topic) {
        return refuse(format!("topic {} has no input partitions", shorten_name(topic)));
    }
    if from >= to {
        return refuse(format!("the offset range {from}..{to} is empty"));
    }
    if *to > log_starts_at {
        return refuse(format!(
            "the log holds {topic}/{partition} from offset {log_starts_at} on; only the loss of records before that can be \
             accepted, not of {from}..{to}"
        ));
    }
    check_reason(reason)?;
    if state.accepted_gap_end(topic, *partition, *from).is_some_and(|end| end >= *to) {
        return Ok(Vec::new());
    }
    if state.gaps_count() >= GAPS_MAX {
        return refuse(format!("{GAPS_MAX} gaps are accepted already, which is the limit"));
    }
    Ok(vec![Event::Gap(gap.clone())])
}
