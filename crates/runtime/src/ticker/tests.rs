//! The ticker on an embedded log, with a wall clock that the tests set.

use std::cell::Cell;
use std::sync::Arc;

use spillway_control::{CommandHead, Provisioner};
use spillway_eventlog::EmbeddedLog;
use spillway_provisioning::SourceFile;
use tempfile::TempDir;

use super::*;

const START_US: i64 = 1_700_000_000_000_000;
const HOUR_US: i64 = 3_600_000_000;

thread_local! {
    /// Each test runs on a thread of its own.
    static WALL: Cell<i64> = const { Cell::new(START_US) };
}

fn wall() -> TimeMicros {
    TimeMicros(WALL.get())
}

fn new_log() -> (TempDir, Arc<EmbeddedLog>) {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::create(folder.path()).unwrap();
    crate::topics::create(&log, 1).unwrap();
    (folder, Arc::new(log))
}

fn reset(log: &Arc<EmbeddedLog>, id: &str) {
    let provisioner = Provisioner::new(Arc::<EmbeddedLog>::clone(log));
    provisioner.reset_clock("2 hours ahead", CommandHead::on_log(id, wall())).unwrap();
}

fn ticker(log: &EmbeddedLog, has_inboxes: bool) -> Ticker<'_> {
    Ticker::new(log, has_inboxes, wall, ClockStatus::default()).unwrap()
}

/// Cuts and appends the next tick.
fn next(ticker: &mut Ticker<'_>, last: Option<&Tick>) -> Tick {
    let tick = ticker.cut(last).unwrap();
    assert!(matches!(ticker.append(&tick).unwrap(), Appended::Won(_)));
    tick
}

/// Starts a process of its own after what is on the log: it wins the next tick.
fn take_over(log: &EmbeddedLog) -> Tick {
    let cancel = CancellationToken::new();
    ticker(log, false).take_over(Duration::ZERO, &cancel, || Ok(())).unwrap().unwrap()
}

#[test]
fn the_tick_that_reads_a_reset_takes_the_wall_clock_and_all_others_rise() {
    for has_inboxes in [false, true] {
        let (_folder, log) = new_log();
        WALL.set(START_US + 2 * HOUR_US);
        let mut ticker = ticker(&log, has_inboxes);
        let first = next(&mut ticker, None);
        WALL.set(START_US);
        let second = next(&mut ticker, Some(&first));
        assert!(
            second.at_us > first.at_us && !first.restart && !second.restart,
            "the clock does not go back"
        );
        reset(&log, "one");
        let third = next(&mut ticker, Some(&second));
        assert_eq!((third.restart, third.at_us), (true, TimeMicros(START_US)));
        let fourth = next(&mut ticker, Some(&third));
        assert!(!fourth.restart && fourth.at_us > third.at_us);
        assert!(fourth.at_us.0 < START_US + HOUR_US, "the ticker's own clock has started again too");
        reset(&log, "two");
        reset(&log, "three");
        WALL.set(START_US + HOUR_US);
        let fifth = next(&mut ticker, Some(&fourth));
        assert_eq!((fifth.restart, fifth.at_us), (true, TimeMicros(START_US + HOUR_US)), "one tick for both");
        assert!(!next(&mut ticker, Some(&fifth)).restart);
    }
}

#[test]
fn a_new_process_finds_in_the_log_which_resets_ticks_have_read() {
    let (_folder, log) = new_log();
    WALL.set(START_US + 2 * HOUR_US);
    let first = take_over(&log);
    WALL.set(START_US);
    let second = take_over(&log);
    assert!(second.at_us > first.at_us && !second.restart);
    // The process that ticked has ended before it could read the reset.
    reset(&log, "one");
    let third = take_over(&log);
    assert_eq!((third.number, third.restart, third.at_us), (2, true, TimeMicros(START_US)));
    // The process that ticked has ended right after it.
    WALL.set(START_US - HOUR_US);
    let fourth = take_over(&log);
    assert!(!fourth.restart && fourth.at_us > third.at_us);
}

#[test]
fn tick_0_names_the_installation_and_no_other_tick_does() {
    let [one, two] = [(), ()].map(|()| {
        let (_folder, log) = new_log();
        let mut ticker = ticker(&log, false);
        let first = next(&mut ticker, None);
        assert_eq!(next(&mut ticker, Some(&first)).installation, "");
        assert_eq!(take_over(&log).installation, "");
        first.installation
    });
    let is_id = |id: &str| id.len() == 32 && id.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
    assert!(is_id(&one) && is_id(&two) && one != two, "{one} {two}");
}

/// A topic of the inbox's name exists already, but with two partitions.
#[test]
fn an_inbox_that_cannot_be_created_does_not_stop_the_ticks() {
    let (_folder, log) = new_log();
    log.create_topic("inbox.bad", 2).unwrap();
    let provisioner = Provisioner::new(Arc::<EmbeddedLog>::clone(&log));
    let cdn = |name: &str| format!("kind: cdn\nname: {name}\ntype: partner\ndns_name: {name}.example\n");
    let text = format!("{}---\n{}", cdn("bad"), cdn("good"));
    let file = SourceFile { name: "test", bytes: text.as_bytes() };
    provisioner.apply(&[file], CommandHead::on_log("one", wall())).unwrap();
    let mut ticker = ticker(&log, true);
    let mut last = None;
    for _ in 0..3 {
        let tick = next(&mut ticker, last.as_ref());
        let inboxes = tick.offsets.iter().filter(|offset| offset.topic.starts_with("inbox."));
        assert_eq!(inboxes.map(|offset| offset.topic.as_str()).collect::<Vec<_>>(), ["inbox.good"]);
        last = Some(tick);
    }
}

#[test]
fn clocks_that_are_apart_are_shown_while_the_process_ticks() {
    let (_folder, log) = new_log();
    let status = ClockStatus::default();
    let mut ticker = Ticker::new(log.as_ref(), false, wall, status.clone()).unwrap();
    WALL.set(START_US + HOUR_US);
    let first = next(&mut ticker, None);
    assert_eq!(status.apart_us(), None);
    WALL.set(START_US);
    let second = next(&mut ticker, Some(&first));
    let apart_us = status.apart_us().unwrap();
    assert!((-HOUR_US - 60_000_000..-HOUR_US + 60_000_000).contains(&apart_us), "{apart_us}");
    drop(ticker);
    assert_eq!(status.apart_us(), None);
    // A process that starts behind the last tick shows it at once.
    let mut ticker = Ticker::new(log.as_ref(), false, wall, status.clone()).unwrap();
    next(&mut ticker, Some(&second));
    assert!(status.apart_us().is_some());
}
