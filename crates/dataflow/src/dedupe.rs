//! Repeats: a batch that is sent again counts once.

use serde::{Deserialize, Serialize};

/// How many sequence numbers back a source's batch may come late.
pub(crate) const SEQUENCES: u64 = 1_024;
/// How many boots of a source are remembered.
const BOOTS_MAX: usize = 8;
const WORDS: usize = 16;
const _: () = assert!(WORDS as u64 * 64 == SEQUENCES);

/// What of one source's batches has been read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// By boot, rising.
    boots: Vec<(u64, BootSeen)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct BootSeen {
    highest: u64,
    /// Bit `sequence % SEQUENCES` says that it was read, for the last `SEQUENCES` up to the highest.
    bits: [u64; WORDS],
}

/// What a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    New,
    Repeat,
    /// Too old to tell.
    TooOld,
}

impl Seen {
    pub(crate) fn judge(&mut self, boot: u64, sequence: u64) -> Judgement {
        let place = match self.boots.binary_search_by_key(&boot, |(boot, _)| *boot) {
            Ok(place) => place,
            Err(0) if self.boots.len() >= BOOTS_MAX => return Judgement::TooOld,
            Err(place) => {
                self.boots.insert(place, (boot, BootSeen::default()));
                if self.boots.len() > BOOTS_MAX {
                    self.boots.remove(0);
                    place - 1
                } else {
                    place
                }
            }
        };
        self.boots[place].1.judge(sequence)
    }
}

impl BootSeen {
    fn judge(&mut self, sequence: u64) -> Judgement {
        if sequence > self.highest {
            let from = self.highest + 1;
            if sequence - self.highest >= SEQUENCES {
                self.bits = [0; WORDS];
            } else {
                (from..sequence).for_each(|passed| self.set(passed, false));
            }
            self.highest = sequence;
            self.set(sequence, true);
            return Judgement::New;
        }
        if self.highest - sequence >= SEQUENCES {
            return Judgement::TooOld;
        }
        let (word, bit) = place(sequence);
        if self.bits[word] & bit != 0 {
            return Judgement::Repeat;
        }
        self.set(sequence, true);
        Judgement::New
    }

    fn set(&mut self, sequence: u64, read: bool) {
        let (word, bit) = place(sequence);
        if read {
            self.bits[word] |= bit;
        } else {
            self.bits[word] &= !bit;
        }
    }
}

fn place(sequence: u64) -> (usize, u64) {
    let place = sequence % SEQUENCES;
    (usize::try_from(place / 64).unwrap_or(0), 1 << (place % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        // Against a set of everything ever read.
        #[test]
        fn a_batch_counts_once(steps in prop::collection::vec((1_u64..3, 1_u64..3_000), 1..400)) {
            let mut seen = Seen::default();
            let mut all: BTreeSet<(u64, u64)> = BTreeSet::new();
            for (boot, sequence) in steps {
                let highest = all.iter().filter(|(b, _)| *b == boot).map(|(_, s)| *s).max().unwrap_or(0);
                let expected = if sequence + SEQUENCES <= highest {
                    Judgement::TooOld
                } else if all.contains(&(boot, sequence)) {
                    Judgement::Repeat
                } else {
                    Judgement::New
                };
                prop_assert_eq!(seen.judge(boot, sequence), expected);
                if expected == Judgement::New {
                    all.insert((boot, sequence));
                }
            }
        }
    }

    #[test]
    fn only_the_latest_boots_are_remembered() {
        let mut seen = Seen::default();
        for boot in 1..=9 {
            assert_eq!(seen.judge(boot, 1), Judgement::New);
        }
        assert_eq!(seen.judge(1, 1), Judgement::TooOld);
        assert_eq!(seen.judge(9, 1), Judgement::Repeat);
        assert_eq!(seen.judge(2, 1), Judgement::Repeat);
    }
}
