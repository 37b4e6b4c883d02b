//! Computes when each assignment is due.
//!
//! Slot k of an assignment lies at `phase + k × interval + jitter(k)` after the agent's start. Phase and jitter are
//! hashes of the seed and the series, so that an assignment keeps its slots when others are added or removed, and agents
//! with different seeds measure at different times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use spillway_events::Series;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::assignment::Assignment;
use crate::limits::{INTERVAL_MAX, INTERVAL_MIN, JITTER_PART};

/// All future slots, the next one first.
pub(crate) struct Schedule {
    start: Instant,
    seed: u64,
    assignments: Vec<(Arc<Assignment>, Slots)>,
    /// The time, the assignment, and the number of the slot.
    due: BinaryHeap<Reverse<(Instant, usize, u64)>>,
}

/// An assignment that is due.
pub(crate) struct Due {
    pub assignment: Arc<Assignment>,
    /// The number of its slots that were skipped since.
    pub missed: u64,
}

impl Schedule {
    pub(crate) fn new(start: Instant, seed: u64) -> Self {
        Self { start, seed, assignments: Vec::new(), due: BinaryHeap::new() }
    }

    /// Replaces the assignments; slots before `now` are past.
    pub(crate) fn adopt(&mut self, assignments: impl Iterator<Item = Assignment>, now: Instant) {
        let seed = self.seed;
        let with_slots = |assignment: Assignment| {
            let slots = Slots::new(seed, &assignment.series, assignment.interval);
            (Arc::new(assignment), slots)
        };
        self.assignments = assignments.map(with_slots).collect();
        let next = self.assignments.iter().enumerate().map(|(at, (_, slots))| {
            let slot = slots.after(now - self.start);
            Reverse((self.start + slots.at(slot), at, slot))
        });
        self.due = next.collect();
    }

    /// When the next assignment is due.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes the assignment that is due and sets its next slot.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Due> {
        let mut first = self.due.peek_mut().filter(|first| first.0.0 <= now)?;
        let Reverse((_, at, slot)) = *first;
        let (assignment, slots) = self.assignments.get(at)?;
        let next = slots.after(now - self.start);
        *first = Reverse((self.start + slots.at(next), at, next));
        Some(Due { assignment: Arc::clone(assignment), missed: next.saturating_sub(slot + 1) })
    }
}

/// The slots of one assignment, in microseconds since the agent's start.
#[derive(Debug, Clone, Copy)]
struct Slots {
    hash: u64,
    interval_us: u64,
}

impl Slots {
    fn new(seed: u64, series: &Series, interval: Duration) -> Self {
        let interval = interval.clamp(INTERVAL_MIN, INTERVAL_MAX);
        // Names have no control characters, so the separator is not part of a name.
        let Series { site, target, agent, network } = series;
        let text = format!("{site}\0{target}\0{agent}\0{network}");
        Self {
            hash: xxh3_64_with_seed(text.as_bytes(), seed),
            interval_us: u64::try_from(interval.as_micros()).unwrap_or(u64::MAX),
        }
    }

    fn at(self, slot: u64) -> Duration {
        let phase = self.hash % self.interval_us;
        let jitter = xxh3_64_with_seed(&slot.to_le_bytes(), self.hash) % (self.interval_us / JITTER_PART);
        Duration::from_micros(
            slot.saturating_mul(self.interval_us).saturating_add(phase).saturating_add(jitter),
        )
    }

    /// The first slot later than a time.
    fn after(self, time: Duration) -> u64 {
        let time_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        // The slot two intervals back is always past, because phase and jitter together are less than two intervals.
        let mut slot = (time_us / self.interval_us).saturating_sub(2);
        while self.at(slot) <= time {
            slot += 1;
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use spillway_events::{AgentName, NetworkName, SiteName};

    use super::*;
    use crate::target::Target;

    fn assignment(target: &str, interval_ms: u64) -> Assignment {
        let series = Series {
            site: SiteName::new("shop").unwrap(),
            target: String::from(target),
            agent: AgentName::new("a1").unwrap(),
            network: NetworkName::new("n1").unwrap(),
        };
        let target = Target { url: String::new(), addresses: Vec::new(), host_header: String::new() };
        Assignment { series, target, interval: Duration::from_millis(interval_ms) }
    }

    /// The first slots of one assignment, as the schedule returns them if it is asked on time.
    fn slots(seed: u64, names: &[&str], wanted: &str, count: usize) -> Vec<Duration> {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, seed);
        schedule.adopt(names.iter().map(|name| assignment(name, 1_000)), start);
        let mut found = Vec::new();
        while found.len() < count {
            let at = schedule.next_at().unwrap();
            let due = schedule.take(at).unwrap();
            assert_eq!(due.missed, 0);
            if due.assignment.series.target == wanted {
                found.push(at - start);
            }
        }
        found
    }

    #[test]
    fn slots_depend_on_the_seed_and_the_series_only() {
        assert_eq!(slots(7, &["a"], "a", 20), slots(7, &["c", "b", "a"], "a", 20));
        assert_ne!(slots(7, &["a"], "a", 20), slots(8, &["a"], "a", 20));
        assert_ne!(slots(7, &["a"], "a", 20), slots(7, &["b"], "b", 20));
    }

    #[test]
    fn slots_keep_to_their_interval() {
        for pair in slots(7, &["a"], "a", 1_000).windows(2) {
            let gap = pair[1] - pair[0];
            assert!(gap > Duration::from_millis(900) && gap < Duration::from_millis(1_100), "{gap:?}");
        }
    }

    #[test]
    fn a_schedule_asked_late_returns_one_slot_and_counts_the_others() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 7);
        schedule.adopt([assignment("a", 1_000)].into_iter(), start);
        let first = schedule.next_at().unwrap();
        let late = first + Duration::from_secs(10);
        let due = schedule.take(late).unwrap();
        assert!((9..=11).contains(&due.missed), "{}", due.missed);
        assert!(schedule.next_at().unwrap() > late);
        assert!(schedule.take(late).is_none());
    }

    #[test]
    fn no_interval_is_shorter_than_the_shortest() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 7);
        schedule.adopt([assignment("a", 0)].into_iter(), start);
        let first = schedule.next_at().unwrap();
        schedule.take(first).unwrap();
        assert!(schedule.next_at().unwrap() - first >= INTERVAL_MIN * 9 / 10);
    }
}
