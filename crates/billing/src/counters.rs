//! From counters to quantities.
//!
//! A counter is (source, what it counts for, boot, name); what it counts for is a property and a node, which is empty in aggregate
//! statistics. A boot is that of the *counters*: it changes exactly when they fall to 0. A report gives the totals of counters of one
//! source, property and node at its event time *t*.
//!
//! The reports of a tick are taken in the order (event time, source, boot, sequence, place in the batch). An event time up to 5 minutes
//! ahead of the tick counts as the tick's. A report is rejected, and leaves everything as it was, if its event time is further ahead or
//! more than 30 days before the tick's, or if one of its totals is less than the one before it of the same counter.
//!
//! Kept for each counter are its last total *m* and that one's time *t₀*. A total *c* at *t* > *t₀* adds *c − m* over [*t₀*, *t*): each
//! slot gets ⌊(*c − m*) × overlap ÷ (*t − t₀*)⌋, in µs, the last one the rest. At *t* ≤ *t₀* it says nothing.
//!
//! The first total of a counter adds nothing, with two exceptions. It adds *c* over [`started_at`, *t*) if its batch is the first one that is
//! heard of its boot, and `started_at` is given, at or after the last report heard of the source before that batch, before *t*, and not more
//! than 30 days before the tick's time. And of a source whose batches name all that they count, such as an edge node, it adds *c* over
//! [time of the boot's report before, *t*).
//!
//! What is known of a counter, a boot and a source is forgotten 30 days of tick time after its last report. So no interval begins more than
//! 60 days before its tick: what is known was reported in the last 30, with an event time of at most 30 days before.

use std::collections::BTreeMap;

use spillway_events::SourceName;

use crate::period::{SLOT_MS, slot_of};

const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 24 * 60 * MINUTE_US;
/// How far ahead of the tick an event time can be, in µs.
const AHEAD_US_MAX: i64 = 5 * MINUTE_US;
/// How old an event time can be, and after how long counters are forgotten, in µs.
const AGE_US_MAX: i64 = 30 * DAY_US;

/// The totals of counters of one source, property and node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The source.
    pub source: SourceName,
    /// The boot of the counters.
    pub boot: u64,
    /// The number of the batch.
    pub sequence: u64,
    /// The place in the batch.
    pub place: u32,
    /// The property.
    pub property: String,
    /// The node; empty in aggregate statistics.
    pub node: String,
    /// The event time in µs since 1970.
    pub at_us: i64,
    /// When the counters were 0, in µs since 1970, if that is known.
    pub started_at_us: Option<i64>,
    /// Whether batches of this source name all that they count.
    pub names_all: bool,
    /// The name and the total of each counter; no name is repeated.
    pub totals: Vec<(String, u64)>,
}

/// What a slot gets of a counter; 0 too, because then a report touches the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotShare {
    /// The source.
    pub source: SourceName,
    /// The property.
    pub property: String,
    /// The node.
    pub node: String,
    /// The name of the counter.
    pub counter: String,
    /// Where the slot begins, in ms.
    pub slot_ms: i64,
    /// What it gets.
    pub quantity: u64,
}

/// Why a report is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Its event time is ahead of the tick.
    #[error("the event time is more than 5 minutes ahead")]
    Ahead,
    /// Its event time is too old.
    #[error("the event time is more than 30 days old")]
    Old,
    /// A total fell.
    #[error("the total of {counter} fell from {from} to {to} without a new boot")]
    Fall {
        /// The counter.
        counter: String,
        /// The total before.
        from: u64,
        /// The total now.
        to: u64,
    },
}

/// What the reports of a tick give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// What slots get.
    pub shares: Vec<SlotShare>,
    /// The reports that are rejected.
    pub rejected: Vec<(Report, Rejection)>,
}

/// The counters of all sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    sources: BTreeMap<SourceName, Heard>,
    boots: BTreeMap<(SourceName, u64), Boot>,
    counters: BTreeMap<CounterKey, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct CounterKey {
    source: SourceName,
    boot: u64,
    property: String,
    node: String,
    name: String,
}

/// The last report of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Heard {
    /// The greatest event time.
    at_us: i64,
    tick_us: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Boot {
    /// The first batch that was heard of it.
    first_sequence: u64,
    /// The last report heard of the source before that batch.
    heard_before_us: Option<i64>,
    /// The greatest event time of its reports.
    at_us: i64,
    tick_us: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counter {
    total: u64,
    at_us: i64,
    tick_us: i64,
}

/// What a total adds, over which time.
struct Addition {
    quantity: u64,
    from_us: i64,
}

impl Counters {
    /// Takes the reports of a tick, in whatever order they are given.
    pub fn take(&mut self, tick_us: i64, mut reports: Vec<Report>) -> Taken {
        let mut taken = Taken::default();
        for report in &mut reports {
            if report.at_us > tick_us && report.at_us.saturating_sub(tick_us) <= AHEAD_US_MAX {
                report.at_us = tick_us;
            }
        }
        reports.sort_by(|one, other| order(one).cmp(&order(other)));
        for report in reports {
            match self.take_one(tick_us, &report) {
                Ok(mut shares) => taken.shares.append(&mut shares),
                Err(rejection) => taken.rejected.push((report, rejection)),
            }
        }
        taken
    }

    /// Forgets what has had no report for 30 days.
    pub fn forget(&mut self, tick_us: i64) {
        self.sources.retain(|_, heard| is_known(heard.tick_us, tick_us));
        self.boots.retain(|_, boot| is_known(boot.tick_us, tick_us));
        self.counters.retain(|_, counter| is_known(counter.tick_us, tick_us));
    }

    fn take_one(&mut self, tick_us: i64, report: &Report) -> Result<Vec<SlotShare>, Rejection> {
        if report.at_us > tick_us {
            return Err(Rejection::Ahead);
        }
        if tick_us.saturating_sub(report.at_us) > AGE_US_MAX {
            return Err(Rejection::Old);
        }
        let heard =
            self.sources.get(&report.source).filter(|heard| is_known(heard.tick_us, tick_us)).copied();
        let key = (report.source.clone(), report.boot);
        let boot = self.boots.get(&key).filter(|boot| is_known(boot.tick_us, tick_us)).copied();
        let mut shares = Vec::new();
        let mut changed = Vec::new();
        for (name, total) in &report.totals {
            let key = CounterKey {
                source: report.source.clone(),
                boot: report.boot,
                property: report.property.clone(),
                node: report.node.clone(),
                name: name.clone(),
            };
            let counter = self.counters.get(&key).filter(|counter| is_known(counter.tick_us, tick_us));
            let is_late = counter.is_some_and(|counter| report.at_us <= counter.at_us);
            if !is_late {
                let addition = match counter {
                    Some(counter) => Some(grown(counter, name, *total)?),
                    None => first(tick_us, report, *total, boot, heard),
                };
                if let Some(addition) = addition {
                    spread(&addition, report, name, &mut shares);
                }
            }
            // A counter that a late report of its boot names first is left to the next one, which counts from the report before.
            let is_left = report.names_all && boot.is_some_and(|boot| report.at_us <= boot.at_us);
            match counter {
                Some(counter) if is_late => changed.push((key, Counter { tick_us, ..*counter })),
                None if is_left => {}
                _ => changed.push((key, Counter { total: *total, at_us: report.at_us, tick_us })),
            }
        }
        self.counters.extend(changed);
        self.hear(tick_us, report, boot, heard);
        Ok(shares)
    }

    /// Remembers a report that is taken.
    fn hear(&mut self, tick_us: i64, report: &Report, boot: Option<Boot>, heard: Option<Heard>) {
        let boot = boot.unwrap_or_else(|| Boot {
            first_sequence: report.sequence,
            heard_before_us: heard.map(|heard| heard.at_us),
            at_us: report.at_us,
            tick_us,
        });
        let boot = Boot { at_us: boot.at_us.max(report.at_us), tick_us, ..boot };
        self.boots.insert((report.source.clone(), report.boot), boot);
        let at_us = heard.map_or(report.at_us, |heard| heard.at_us.max(report.at_us));
        self.sources.insert(report.source.clone(), Heard { at_us, tick_us });
    }
}

fn order(report: &Report) -> (i64, &SourceName, u64, u64, u32) {
    (report.at_us, &report.source, report.boot, report.sequence, report.place)
}

fn is_known(last_tick_us: i64, tick_us: i64) -> bool {
    tick_us.saturating_sub(last_tick_us) <= AGE_US_MAX
}

/// What a total adds to the one before it.
fn grown(before: &Counter, name: &str, total: u64) -> Result<Addition, Rejection> {
    match total.checked_sub(before.total) {
        Some(quantity) => Ok(Addition { quantity, from_us: before.at_us }),
        None => Err(Rejection::Fall { counter: name.to_owned(), from: before.total, to: total }),
    }
}

/// What the first total of a counter adds.
fn first(
    tick_us: i64,
    report: &Report,
    total: u64,
    boot: Option<Boot>,
    heard: Option<Heard>,
) -> Option<Addition> {
    let is_first_batch = boot.is_none_or(|boot| boot.first_sequence == report.sequence);
    let heard_before_us = boot.map_or_else(|| heard.map(|heard| heard.at_us), |boot| boot.heard_before_us);
    let since_start = report.started_at_us.filter(|started_at_us| {
        is_first_batch
            && heard_before_us.is_none_or(|heard| heard <= *started_at_us)
            && *started_at_us < report.at_us
            && tick_us.saturating_sub(*started_at_us) <= AGE_US_MAX
    });
    let since_report = boot.map(|boot| boot.at_us).filter(|at_us| report.names_all && *at_us < report.at_us);
    since_start.or(since_report).map(|from_us| Addition { quantity: total, from_us })
}

/// Spreads an addition over the slots from its beginning to the report.
fn spread(addition: &Addition, report: &Report, counter: &str, shares: &mut Vec<SlotShare>) {
    let Addition { quantity, from_us } = *addition;
    let to_us = report.at_us;
    let length = u128::from(to_us.abs_diff(from_us));
    let mut left = quantity;
    let mut slot_ms = slot_of(from_us.div_euclid(1_000));
    while slot_ms * 1_000 < to_us {
        let end_us = (slot_ms + SLOT_MS) * 1_000;
        let overlap = u128::from(end_us.min(to_us).abs_diff(from_us.max(slot_ms * 1_000)));
        let share = u128::from(quantity) * overlap / length;
        let share = if end_us >= to_us { left } else { u64::try_from(share).unwrap_or(left) };
        left -= share;
        shares.push(SlotShare {
            source: report.source.clone(),
            property: report.property.clone(),
            node: report.node.clone(),
            counter: counter.to_owned(),
            slot_ms,
            quantity: share,
        });
        slot_ms += SLOT_MS;
    }
}
