//! Rate limits for log lines whose cause is outside this process.

use std::time::{Duration, Instant};

/// At most one line per place and interval.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Lets one event pass per interval, and counts the others.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogLimit {
    /// Whether to log an event. If so, returns how many events were suppressed since the last logged one.
    pub(crate) fn pass(&mut self) -> Option<u64> {
        let now = Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) < LOG_INTERVAL) {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}
