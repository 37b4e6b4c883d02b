//! The wall clock.

use std::time::SystemTime;

use spillway_events::TimeMicros;

/// The time of the machine's wall clock.
pub(crate) fn now() -> TimeMicros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    TimeMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
