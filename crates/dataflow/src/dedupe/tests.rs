//! Deduplication against a plain model, and its rules on boots at their exact bounds.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const HOUR_US: i64 = 3_600 * 1_000_000;

/// A plain model of the rules: by boot, all sequence numbers that were counted, and when the last one was.
#[derive(Default)]
struct Model(BTreeMap<u64, (Vec<u64>, u64, i64)>);

impl Model {
    fn judge(&mut self, boots_max: usize, boot: u64, sequence: u64, tick: u64, now: i64) -> Judgement {
        let gone: Vec<u64> = self
            .0
            .iter()
            .filter(|(_, (.., at))| now - at >= 30 * 24 * HOUR_US)
            .map(|(boot, _)| *boot)
            .collect();
        gone.iter().for_each(|boot| drop(self.0.remove(boot)));
        if !self.0.contains_key(&boot) && self.0.len() >= boots_max {
            let (tick, oldest) = self.0.iter().map(|(boot, (_, tick, _))| (*tick, *boot)).min().unwrap();
            assert!(tick < u64::MAX);
            if now - self.0[&oldest].2 <= 6 * HOUR_US {
                return Judgement::TooManyBoots;
            }
            self.0.remove(&oldest);
        }
        let (counted, last_tick, last_at) = self.0.entry(boot).or_insert((Vec::new(), tick, now));
        let highest = counted.iter().max().copied().unwrap_or(0);
        if sequence + 1_024 <= highest {
            return Judgement::TooOld;
        }
        if counted.contains(&sequence) {
            return Judgement::Repeat;
        }
        counted.push(sequence);
        (*last_tick, *last_at) = (tick, now);
        Judgement::New
    }
}

proptest! {
    // Time passes in steps of up to 4 days; a few boots, so that they are forgotten and heard again.
    #[test]
    fn a_batch_is_judged_as_by_the_model(
        steps in prop::collection::vec((1_u64..5, 1_u64..3_000, 0_i64..100), 1..300),
    ) {
        let (mut seen, mut model, mut now) = (Seen::default(), Model::default(), 0);
        for (tick, (boot, sequence, hours)) in (0..).zip(steps) {
            now += hours * HOUR_US;
            let expected = model.judge(BOOTS_MAX, boot, sequence, tick, now);
            prop_assert_eq!(seen.judge(boot, sequence, tick, TimeMicros(now)), expected);
        }
    }

    // Starts with the maximum number of boots, and many more follow.
    #[test]
    fn boots_are_replaced_as_by_the_model(
        steps in prop::collection::vec((1_u64..2_100, 1_u64..3, 0_i64..3), 1..100),
    ) {
        let (mut seen, mut model, mut now) = (Seen::default(), Model::default(), 0);
        let first = (1..=1_024).map(|boot| (boot, 1, 0));
        for (tick, (boot, sequence, hours)) in (0..).zip(first.chain(steps)) {
            now += hours * HOUR_US;
            let expected = model.judge(1_024, boot, sequence, tick, now);
            prop_assert_eq!(seen.judge(boot, sequence, tick, TimeMicros(now)), expected);
        }
    }
}

/// Each start has a smaller number than the one before, as from a clock that was set back.
#[test]
fn a_boot_with_any_number_is_heard() {
    let mut seen = Seen::default();
    for (tick, boot) in (0..).zip((1..=20).rev()) {
        assert_eq!(seen.judge(boot, 1, tick, TimeMicros(0)), Judgement::New, "boot {boot}");
        assert_eq!(seen.judge(boot, 1, tick, TimeMicros(0)), Judgement::Repeat, "boot {boot}");
    }
    assert_eq!(seen.judge(20, 1, 20, TimeMicros(0)), Judgement::Repeat);
}

#[test]
fn a_boot_is_forgotten_30_days_after_its_last_counted_batch() {
    let mut seen = Seen::default();
    let at = |us| TimeMicros(us);
    assert_eq!(seen.judge(7, 1, 1, at(0)), Judgement::New);
    assert_eq!(seen.judge(7, 1, 2, at(FORGET_AFTER_US - 1)), Judgement::Repeat, "which does not refresh");
    assert_eq!(seen.judge(7, 1, 3, at(FORGET_AFTER_US)), Judgement::New);
    assert_eq!(seen.judge(7, 2, 4, at(FORGET_AFTER_US + 5)), Judgement::New, "which refreshes");
    assert_eq!(seen.judge(7, 1, 5, at(2 * FORGET_AFTER_US + 4)), Judgement::Repeat);
    assert_eq!(
        seen.judge(8, 1, 6, at(2 * FORGET_AFTER_US + 5)),
        Judgement::New,
        "a batch of any boot forgets"
    );
    assert_eq!(seen.boots().map(|(boot, _)| boot).collect::<Vec<_>>(), [8]);
}

#[test]
fn with_1024_boots_a_new_one_replaces_the_least_recent_after_6_hours() {
    let mut seen = Seen::default();
    // Two boots share the least tick: the lower number is the older one.
    for boot in 0..1_024 {
        assert_eq!(seen.judge(boot, 1, if boot < 2 { 1 } else { 2 }, TimeMicros(0)), Judgement::New);
    }
    let at = |us| TimeMicros(us);
    assert_eq!(seen.judge(5_000, 1, 3, at(REPLACE_AFTER_US)), Judgement::TooManyBoots);
    assert_eq!(seen.judge(1_023, 2, 3, at(REPLACE_AFTER_US)), Judgement::New, "known boots are heard");
    assert_eq!(seen.judge(5_000, 1, 4, at(REPLACE_AFTER_US + 1)), Judgement::New);
    assert_eq!(seen.judge(1, 1, 4, at(REPLACE_AFTER_US + 1)), Judgement::Repeat, "boot 0 was forgotten");
    assert_eq!(seen.judge(0, 1, 4, at(REPLACE_AFTER_US + 1)), Judgement::New, "in place of boot 1");
    assert_eq!(seen.judge(1, 1, 4, at(REPLACE_AFTER_US + 1)), Judgement::New, "in place of boot 2");
    assert_eq!(seen.boots().count(), 1_024);
}

#[test]
fn a_checkpoint_restores_what_was_seen() {
    let mut seen = Seen::default();
    for sequence in [1, 5, 900, 2_000, 1_500] {
        seen.judge(3, sequence, sequence, TimeMicros(9));
    }
    let mut restored = Seen::default();
    for (boot, of_boot) in seen.boots() {
        let BootSeen { highest, last_tick, last_at, .. } = *of_boot;
        restored.insert(boot, BootSeen::new(highest, &of_boot.bitmap(), last_tick, last_at).unwrap());
    }
    assert_eq!(restored, seen);
    assert_eq!(BootSeen::new(1, &ByteString(vec![0; 127]), 0, TimeMicros(0)), None);
}

#[test]
fn after_time_started_again_no_boot_was_heard_in_the_future() {
    let mut seen = Seen::default();
    let a_year_ahead = TimeMicros(365 * 24 * HOUR_US);
    for boot in 0..1_024 {
        assert_eq!(seen.judge(boot, 1, 1, a_year_ahead), Judgement::New);
    }
    let at = |hours: i64| TimeMicros(hours * HOUR_US);
    seen.restart_time(at(24));
    assert_eq!(seen.judge(5_000, 1, 2, at(30)), Judgement::TooManyBoots);
    assert_eq!(seen.judge(5_000, 1, 3, TimeMicros(at(30).0 + 1)), Judgement::New);
    // An earlier time stays.
    seen.restart_time(at(48));
    assert_eq!(seen.judge(6_000, 1, 4, at(31)), Judgement::New);
}
