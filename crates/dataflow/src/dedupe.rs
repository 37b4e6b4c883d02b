//! Deduplication: a batch that is sent again counts once.

use std::collections::BTreeMap;

use spillway_events::{ByteString, TimeMicros};
use spillway_provisioning::limits::WINDOW_US_MAX;

/// How far a batch's sequence number may be behind the highest one of its boot.
pub(crate) const SEQUENCES: u64 = 1_024;
/// How many boots of a source are remembered.
pub(crate) const BOOTS_MAX: usize = 1_024;
/// A boot is forgotten when its last counted batch is as old as this, in microseconds of tick time: 30 days.
pub(crate) const FORGET_AFTER_US: i64 = 30 * 24 * 3_600 * 1_000_000;
/// With [`BOOTS_MAX`] boots a new one replaces the one that was heard least recently, if that was longer ago than this, in
/// microseconds of tick time: 6 hours, the longest window.
pub(crate) const REPLACE_AFTER_US: i64 = 6 * 3_600 * 1_000_000;
// Batches that a replaced boot sends again are older than every window.
const _: () = assert!(WINDOW_US_MAX.0 <= REPLACE_AFTER_US.unsigned_abs());

const BYTES: usize = 128;
const _: () = assert!(BYTES as u64 * 8 == SEQUENCES);

/// Which batches of one source have been counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    boots: BTreeMap<u64, BootSeen>,
}

/// Which batches of one boot have been counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BootSeen {
    pub(crate) highest: u64,
    /// Bit `sequence % SEQUENCES` is set if that sequence number was counted, for the last `SEQUENCES` up to the highest.
    bitmap: [u8; BYTES],
    /// The tick of the last batch that was counted.
    pub(crate) last_tick: u64,
    /// That tick's time.
    pub(crate) last_at: TimeMicros,
}

/// How a batch is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    New,
    Repeat,
    /// More than [`SEQUENCES`] behind the boot's highest sequence: it is not known whether it is a repeat.
    TooOld,
    /// The boot is new, and [`BOOTS_MAX`] others were heard recently.
    TooManyBoots,
}

impl Seen {
    /// Judges a batch that a tick reads, and counts it if it is new.
    pub(crate) fn judge(&mut self, boot: u64, sequence: u64, tick: u64, now: TimeMicros) -> Judgement {
        self.boots.retain(|_, seen| age_us(seen, now) < FORGET_AFTER_US);
        if !self.boots.contains_key(&boot) && self.boots.len() >= BOOTS_MAX && !self.forget_one(now) {
            return Judgement::TooManyBoots;
        }
        let unheard = BootSeen { highest: 0, bitmap: [0; BYTES], last_tick: tick, last_at: now };
        let seen = self.boots.entry(boot).or_insert(unheard);
        let judgement = seen.judge(sequence);
        if judgement == Judgement::New {
            (seen.last_tick, seen.last_at) = (tick, now);
        }
        judgement
    }

    /// Time starts again: no boot was last heard later than now, so that its age counts from now on.
    pub(crate) fn restart_time(&mut self, now: TimeMicros) {
        self.boots.values_mut().for_each(|seen| seen.last_at = seen.last_at.min(now));
    }

    /// Forgets the boot that was heard least recently, if that was long enough ago.
    fn forget_one(&mut self, now: TimeMicros) -> bool {
        let oldest = self.boots.iter().min_by_key(|(boot, seen)| (seen.last_tick, **boot));
        let Some((&boot, _)) = oldest.filter(|(_, seen)| age_us(seen, now) > REPLACE_AFTER_US) else {
            return false;
        };
        self.boots.remove(&boot);
        true
    }

    pub(crate) fn boots(&self) -> impl Iterator<Item = (u64, &BootSeen)> {
        self.boots.iter().map(|(boot, seen)| (*boot, seen))
    }

    pub(crate) fn insert(&mut self, boot: u64, seen: BootSeen) {
        self.boots.insert(boot, seen);
    }
}

fn age_us(seen: &BootSeen, now: TimeMicros) -> i64 {
    now.0.saturating_sub(seen.last_at.0)
}

impl BootSeen {
    /// From a checkpoint; `None` if the bitmap does not have the right length.
    pub(crate) fn new(
        highest: u64,
        bitmap: &ByteString,
        last_tick: u64,
        last_at: TimeMicros,
    ) -> Option<Self> {
        let bitmap = bitmap.0.as_slice().try_into().ok()?;
        Some(Self { highest, bitmap, last_tick, last_at })
    }

    pub(crate) fn bitmap(&self) -> ByteString {
        ByteString(self.bitmap.to_vec())
    }

    fn judge(&mut self, sequence: u64) -> Judgement {
        if sequence > self.highest {
            let passed = self.highest + 1..sequence;
            if sequence - self.highest >= SEQUENCES {
                self.bitmap = [0; BYTES];
            } else {
                passed.for_each(|passed| self.set(passed, false));
            }
            self.highest = sequence;
            self.set(sequence, true);
            return Judgement::New;
        }
        if self.highest - sequence >= SEQUENCES {
            return Judgement::TooOld;
        }
        let (byte, bit) = index(sequence);
        if self.bitmap[byte] & bit != 0 {
            return Judgement::Repeat;
        }
        self.set(sequence, true);
        Judgement::New
    }

    fn set(&mut self, sequence: u64, counted: bool) {
        let (byte, bit) = index(sequence);
        if counted {
            self.bitmap[byte] |= bit;
        } else {
            self.bitmap[byte] &= !bit;
        }
    }
}

/// The byte of a sequence's bit, and the bit in it.
fn index(sequence: u64) -> (usize, u8) {
    let index = sequence % SEQUENCES;
    (usize::try_from(index / 8).unwrap_or(0), 1 << (index % 8))
}

#[cfg(test)]
mod tests;
