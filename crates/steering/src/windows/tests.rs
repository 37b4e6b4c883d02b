//! Compares windows with lists of their samples.

use proptest::prelude::*;
use spillway_events::{Metric, Micros, PaneCount, WindowCounts};

use super::*;

const SECOND_US: i64 = 1_000_000;
const WINDOWS: usize = 4;

fn objective(window_secs: u64) -> Objective {
    Objective {
        metric: Metric::ResponseTime,
        threshold: 100,
        percentile: 75,
        window_us: Micros(window_secs * 1_000_000),
        samples_min: 2,
        probes_min: 1,
    }
}

/// Two windows of 10 s, with panes of 1 s, and two of 120 s, with panes of 2 s.
fn objective_of(index: usize) -> Objective {
    objective(if index.is_multiple_of(2) { 10 } else { 120 })
}

fn create(windows: &mut Windows, index: usize) -> WindowId {
    let objective = objective_of(index);
    let log = windows.log(&objective);
    let series = SeriesId { site: 0, probe: u32::try_from(index).unwrap(), target: 0 };
    windows.create(WindowOf { series, objective: 0 }, &objective, log)
}

/// A window, and the pane and rank of each of its samples.
type Model = (WindowId, Vec<(i64, Rank)>);

fn check(windows: &mut Windows, models: &mut [Model], now: TimeMicros) -> Result<(), TestCaseError> {
    for (index, (id, samples)) in models.iter_mut().enumerate() {
        let oldest = Panes::of(&objective_of(index)).oldest(now);
        samples.retain(|(pane, _)| *pane >= oldest);
        windows.restat(*id);
        let mut ranks: Vec<Rank> = samples.iter().map(|(_, rank)| *rank).collect();
        ranks.sort_unstable();
        let position = (75 * ranks.len()).div_ceil(100);
        prop_assert_eq!(windows.samples(*id), ranks.len() as u64);
        prop_assert_eq!(windows.stat(*id).value, (ranks.len() >= 2).then(|| ranks[position - 1]));
    }
    Ok(())
}

proptest! {
    // Samples come late, time jumps, windows are removed and their indexes used again. In the end they are saved and restored.
    #[test]
    fn windows_hold_what_lists_of_samples_hold(
        steps in prop::collection::vec((0_i64..8, 0..WINDOWS, 0_i64..130, 0_u64..2_000, 0..20), 1..300),
    ) {
        let mut windows = Windows::default();
        let mut now = TimeMicros(1_700_000_000 * SECOND_US);
        windows.set_now(now);
        let mut models: Vec<Model> = (0..WINDOWS).map(|index| (create(&mut windows, index), Vec::new())).collect();
        for (passes, index, late, number, kind) in steps {
            let secs = if kind == 0 { 500 } else { passes };
            now = TimeMicros(now.0 + secs * SECOND_US + number.cast_signed());
            windows.set_now(now);
            windows.expire();
            if kind == 1 {
                windows.remove(models[index].0);
                models[index] = (create(&mut windows, index), Vec::new());
            }
            let (id, samples) = &mut models[index];
            let objective = objective_of(index);
            let log = windows.log(&objective);
            let at = TimeMicros(now.0 - late * SECOND_US);
            let panes = Panes::of(&objective);
            let expected = Some(panes.pane(at)).filter(|pane| *pane >= panes.oldest(now));
            let pane = windows.pane(log, at);
            prop_assert_eq!(pane, expected);
            if let Some(pane) = pane {
                let rank = Rank::of(Metric::ResponseTime, number);
                windows.add(*id, pane, rank);
                samples.push((pane, rank));
            }
            check(&mut windows, &mut models, now)?;
            prop_assert!(windows.listed().1 <= 10 + 60);
        }
        let ids: Vec<WindowId> = models.iter().map(|(id, _)| *id).collect();
        let saved = |windows: &Windows, ids: &[WindowId]| -> Vec<WindowCounts> {
            let samples = windows.samples_by_window(ids);
            ids.iter().map(|id| windows.save(*id, &samples)).collect()
        };
        let before = saved(&windows, &ids);
        let mut restored = Windows::default();
        restored.set_now(now);
        for (index, counts) in before.iter().enumerate() {
            models[index].0 = create(&mut restored, index);
            prop_assert_eq!(restored.restore(models[index].0, counts), Some(()));
        }
        check(&mut restored, &mut models, now)?;
        let ids: Vec<WindowId> = models.iter().map(|(id, _)| *id).collect();
        prop_assert_eq!(saved(&restored, &ids), before);
        // Everything leaves, and nothing is listed any more.
        restored.set_now(TimeMicros(now.0 + 200 * SECOND_US));
        restored.expire();
        prop_assert_eq!(restored.listed(), (0, 0));
        windows.set_now(TimeMicros(now.0 + 200 * SECOND_US));
        windows.expire();
        prop_assert_eq!(windows.held(), WINDOWS, "removed windows can be used again");
    }
}

#[test]
fn counts_that_contradict_themselves_are_not_restored() {
    let restore = |counts: &[(i64, u32, u32)]| {
        let mut windows = Windows::default();
        windows.set_now(TimeMicros(109 * SECOND_US));
        let id = create(&mut windows, 0);
        let counts = counts.iter().map(|&(pane, rank, count)| PaneCount { pane, rank, count }).collect();
        windows.restore(id, &WindowCounts { counts }).map(|()| windows.samples(id))
    };
    assert_eq!(restore(&[(100, 5, 2), (100, 6, 1), (109, 0, 1)]), Some(4));
    assert_eq!(restore(&[(101, 5, 2), (101, 5, 1)]), None, "the same rank again");
    assert_eq!(restore(&[(102, 5, 2), (101, 6, 1)]), None, "an earlier pane");
    assert_eq!(restore(&[(101, 5, 0)]), None, "no sample");
    assert_eq!(restore(&[(101, 65_536, 1)]), None, "no rank");
    assert_eq!(restore(&[(99, 5, 1)]), None, "a pane that has left");
    assert_eq!(restore(&[(110, 5, 1)]), None, "a pane that has not begun");
}

/// A clock that is set from 1970 to the present adds no pane for the time between.
#[test]
fn a_jump_of_time_takes_no_memory() {
    let mut windows = Windows::default();
    let id = create(&mut windows, 0);
    for now in [TimeMicros(5 * SECOND_US), TimeMicros(1_700_000_000 * SECOND_US)] {
        windows.set_now(now);
        windows.expire();
        let log = windows.log(&objective_of(0));
        let pane = windows.pane(log, now).unwrap();
        windows.add(id, pane, Rank::of(Metric::ResponseTime, 1));
        assert_eq!(windows.listed(), (1, 1));
    }
}
