//! Finds rows whose time is wrong: more than a day ahead of the row before, and not confirmed by the rows after.
//!
//! One such row would make all later rows late. A gap in the recording looks the same until the next rows are read, so a
//! row that jumps ahead is accepted if at least half of the rows that follow it are no more than a day earlier.

use std::collections::VecDeque;

use spillway_events::TimeMicros;

use crate::rows::Row;

const DAY_US: i64 = 86_400_000_000;
/// How many following rows are asked.
pub(crate) const WITNESSES: usize = 8;

/// Whether a row jumps ahead of the row before it, and the rows that follow do not confirm it.
pub(crate) fn is_wrong_jump(previous: Option<TimeMicros>, row: &Row, following: &VecDeque<Row>) -> bool {
    let at = row.measurement.at_us;
    if previous.is_some_and(|previous| at.0.saturating_sub(previous.0) <= DAY_US) {
        return false;
    }
    let confirms = |later: &&Row| at.0.saturating_sub(later.measurement.at_us.0) <= DAY_US;
    let asked = following.len().min(WITNESSES);
    let confirming = following.iter().take(WITNESSES).filter(confirms).count();
    // A file of one row has no witnesses and no other row to harm.
    let is_only_row = previous.is_none() && asked == 0;
    !is_only_row && (asked == 0 || 2 * confirming < asked)
}
