//! A worker that fails ends the dataflow that is fed: the caller gets the worker's error, and no thread is left.
//!
//! A tick whose number Avro cannot hold cannot be encoded, and a tick that goes back in time makes timely panic. The threads
//! of the process are counted, so this is one test: the threads of other tests would come and go.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use spillway_dataflow::{DataflowError, Output, TickInput};
use spillway_events::{Tick, TimeMicros};
use spillway_runtime::{RuntimeError, Step, config, run};

/// Longer than any run here takes: a run that does not end fails the test instead of blocking it.
const TEST_TIMEOUT: Duration = Duration::from_secs(30);

fn tick(number: u64) -> TickInput {
    // In a second of its own, so that it has a heartbeat.
    let at_us = TimeMicros(1_000_000 * number.min(100).cast_signed());
    let tick =
        Tick { restart: false, installation: String::new(), number, at_us, rules: 1, offsets: Vec::new() };
    TickInput { tick, tick_offset: 0, provisioning: None, records: Vec::new() }
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Runs on these ticks, and waits for more until the workers have ended, as the ticks of a log do. Returns the error, and how
/// many workers were done with tick 0.
fn failure(workers: usize, numbers: &[u64]) -> (RuntimeError, usize) {
    let before = threads();
    let (more, waits) = channel::<()>();
    let mut more = Some(more);
    let waited = Mutex::new(None);
    let end_of_wait = &waited;
    let wait_for_the_end = std::iter::once_with(move || {
        *end_of_wait.lock().unwrap() = Some(waits.recv_timeout(TEST_TIMEOUT));
        None
    });
    let ticks = numbers.iter().map(|number| Some(Ok(tick(*number)))).chain(wait_for_the_end).flatten();
    let mut done = 0;
    let outcome = run(config(workers), None, Vec::new(), ticks, |step| {
        match step {
            Step::Output(Output::Done { tick: 0, .. }) => done += 1,
            Step::Ended => more = None,
            Step::Output(_) | Step::Idle => {}
        }
        Ok::<(), RuntimeError>(())
    });
    let error = outcome.unwrap_err();
    let waited = waited.into_inner().unwrap();
    assert!(waited != Some(Err(RecvTimeoutError::Timeout)), "the run goes on after a worker failed");
    // The kernel lists a thread a little longer than it takes to join it.
    let listed = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        threads() == before
    });
    assert!(listed, "{} threads, not {before}: {error}", threads());
    (error, done)
}

#[test]
fn a_worker_that_fails_ends_the_run_with_its_error() {
    for workers in [1, 3] {
        let (error, done) = failure(workers, &[0, 1, 1 << 63]);
        let RuntimeError::Dataflow(DataflowError::Encode { part, .. }) = error else { panic!("{error}") };
        assert_eq!(part, "a frame for topic snapshots");
        assert!(done <= workers);
        let (error, _) = failure(workers, &[0, 7, 3]);
        let RuntimeError::Dataflow(DataflowError::Panicked { message, .. }) = error else {
            panic!("{error}")
        };
        assert!(!message.is_empty());
    }
}
