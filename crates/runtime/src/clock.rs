//! The clock that ticks take their time from.
//!
//! While a ticker runs, the clock follows the machine's monotonic clock and is steered towards the wall clock, so that a wall
//! clock that jumps does not move it:
//!
//! - it runs at most 10 % faster or slower than the monotonic clock;
//! - if the wall clock has been more than 5 s ahead for 60 s without a break (the machine slept), the clock takes its time in
//!   one step;
//! - it never steps back.
//!
//! At a start it is the wall clock or, if that is behind the last tick, the time of the last tick running on. An operator can let
//! it start again from the wall clock (`spillway clock reset`).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use spillway_events::TimeMicros;

/// How far apart the clocks may be before that is trouble.
const APART_MAX_US: i64 = 5_000_000;
/// How long the wall clock must be ahead before its time is taken.
const AHEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The clock runs at most this part of the elapsed time faster or slower.
const STEERING_DIVISOR: i64 = 10;

/// How far the wall clock is from the clock of the ticks, for those who show it.
#[derive(Debug, Clone, Default)]
pub struct ClockStatus(Arc<AtomicI64>);

impl ClockStatus {
    /// How many microseconds the wall clock is ahead of the clock of the ticks, if they are more than 5 s apart; negative if it
    /// is behind. Nothing while this process does not tick.
    #[must_use]
    pub fn apart_us(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|apart_us| *apart_us != 0)
    }

    pub(crate) fn set(&self, apart_us: Option<i64>) {
        self.0.store(apart_us.unwrap_or(0), Ordering::Relaxed);
    }
}

/// A clock for ticks. Times are passed in, so that it can be tested without waiting.
#[derive(Debug)]
pub(crate) struct TickClock {
    now: TimeMicros,
    read_at: Duration,
    /// Since when the wall clock has been ahead by more than the bound, on the monotonic clock.
    ahead_since: Option<Duration>,
    /// How far the wall clock is ahead, if the clocks are apart by more than the bound.
    apart_us: Option<i64>,
}

impl TickClock {
    /// Starts at the wall clock, or after the last tick if that is later. `monotonic` is the time since any fixed start.
    pub(crate) fn new(wall: TimeMicros, monotonic: Duration, last_tick: Option<TimeMicros>) -> Self {
        let now = last_tick.map_or(wall, |last| wall.max(last));
        Self { now, read_at: monotonic, ahead_since: None, apart_us: None }
    }

    /// The time now.
    pub(crate) fn read(&mut self, wall: TimeMicros, monotonic: Duration) -> TimeMicros {
        let elapsed = monotonic.saturating_sub(self.read_at);
        self.read_at = monotonic;
        let elapsed_us = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
        let unsteered = self.now.0.saturating_add(elapsed_us);
        let apart_us = wall.0.saturating_sub(unsteered);
        self.now = TimeMicros(if self.has_been_ahead(apart_us, monotonic) {
            wall.0
        } else {
            let most = elapsed_us / STEERING_DIVISOR;
            unsteered.saturating_add(apart_us.clamp(-most, most))
        });
        self.note_apart(wall);
        self.now
    }

    /// How far the wall clock was ahead at the last reading, if the clocks were apart by more than the bound.
    pub(crate) fn apart_us(&self) -> Option<i64> {
        self.apart_us
    }

    /// Whether the wall clock has been ahead for so long that its time is taken.
    fn has_been_ahead(&mut self, apart_us: i64, monotonic: Duration) -> bool {
        if apart_us <= APART_MAX_US {
            self.ahead_since = None;
            return false;
        }
        let since = *self.ahead_since.get_or_insert(monotonic);
        let is_due = monotonic.saturating_sub(since) >= AHEAD_TIMEOUT;
        if is_due {
            self.ahead_since = None;
        }
        is_due
    }

    /// Logs when the clocks come apart, and when they are together again.
    fn note_apart(&mut self, wall: TimeMicros) {
        let apart_us = wall.0.saturating_sub(self.now.0);
        let is_apart = apart_us.saturating_abs() > APART_MAX_US;
        let before = std::mem::replace(&mut self.apart_us, is_apart.then_some(apart_us));
        if is_apart != before.is_some() {
            let apart_s = apart_us / 1_000_000;
            if is_apart {
                tracing::warn!(
                    apart_s,
                    "the wall clock and the clock of the ticks are more than 5 s apart; check the machine's clock. \
                     If it is right now and the ticks are ahead, `spillway clock reset` lets them take its time"
                );
            } else {
                tracing::warn!(apart_s, "the wall clock and the clock of the ticks agree again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000_000_000;

    fn secs(secs: i64) -> TimeMicros {
        TimeMicros(START + secs * 1_000_000)
    }

    fn clock(last_tick: Option<TimeMicros>) -> TickClock {
        TickClock::new(secs(0), Duration::ZERO, last_tick)
    }

    /// Reads once a second from `from` up to `to`, with a wall clock that is `ahead` seconds ahead; returns the last time.
    fn run(clock: &mut TickClock, from: u64, to: u64, ahead: i64) -> TimeMicros {
        let read = |at: u64| clock.read(secs(i64::try_from(at).unwrap() + ahead), Duration::from_secs(at));
        (from + 1..=to).map(read).last().unwrap()
    }

    #[test]
    fn it_follows_a_wall_clock_that_is_right() {
        assert_eq!(run(&mut clock(None), 0, 100, 0), secs(100));
    }

    #[test]
    fn a_jump_of_two_hours_for_three_seconds_moves_it_by_the_steering_alone() {
        let mut clock = clock(None);
        run(&mut clock, 0, 10, 0);
        assert_eq!(clock.apart_us(), None);
        assert_eq!(run(&mut clock, 10, 13, 7_200), TimeMicros(secs(13).0 + 300_000));
        assert_eq!(clock.apart_us(), Some(7_200_000_000 - 300_000));
        assert_eq!(run(&mut clock, 13, 20, 0), secs(20));
        assert_eq!(clock.apart_us(), None);
    }

    #[test]
    fn a_wall_clock_that_stays_ahead_is_taken_after_a_minute() {
        let mut clock = clock(None);
        let before = run(&mut clock, 0, 60, 7_200);
        assert!(before < secs(70), "{before:?}");
        assert_eq!(run(&mut clock, 60, 61, 7_200), secs(61 + 7_200));
    }

    #[test]
    fn a_break_starts_the_minute_again() {
        let mut clock = clock(None);
        run(&mut clock, 0, 50, 7_200);
        run(&mut clock, 50, 80, 0);
        assert!(run(&mut clock, 80, 139, 7_200) < secs(160));
    }

    #[test]
    fn a_wall_clock_behind_slows_it_by_a_tenth_and_never_steps_it_back() {
        let mut clock = clock(None);
        assert_eq!(run(&mut clock, 0, 100, -3_600), TimeMicros(secs(100).0 - 10_000_000));
    }

    #[test]
    fn it_starts_at_the_last_tick_if_the_wall_clock_is_behind() {
        assert_eq!(run(&mut clock(Some(secs(600))), 0, 10, 0), TimeMicros(secs(610).0 - 1_000_000));
    }
}
