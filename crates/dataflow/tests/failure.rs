//! A worker that fails ends all workers: its error is returned, and no thread is left.
//!
//! The test causes failures from outside: a tick whose number Avro cannot hold cannot be encoded, and a tick that goes back
//! in time makes timely panic. The threads of the process are counted, so this is one test: other tests would start and end
//! threads.

#![allow(clippy::disallowed_types, reason = "the type of connections to peers, of which there are none")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use spillway_dataflow::Restored;
use spillway_dataflow::{Config, DataflowError, Output, PERFORMANCE_PERIOD_US, Running, TickInput, start};
use spillway_events::{
    CheckpointChunk, Client, ClientName, Event, Fact, HeldRoute, NetworkName, Revision, SiteName, SiteRoutes,
    StateItem, TableVersion, Tick, TimeMicros, Verdict,
};

fn config(workers: usize) -> Config {
    Config {
        workers,
        processes: 1,
        process: 0,
        output_partitions: 4,
        performance_period_us: PERFORMANCE_PERIOD_US,
        checkpoint_period_us: None,
    }
}

fn begin(workers: usize, restored: Option<Restored>) -> Result<Running, DataflowError> {
    start::<std::net::TcpStream>(config(workers), restored, Vec::new())
}

fn tick(number: u64) -> TickInput {
    // Each tick is in another second, so that it has a heartbeat.
    let at_us = TimeMicros(1_000_000 * number.min(100).cast_signed());
    let tick =
        Tick { restart: false, installation: String::new(), number, at_us, rules: 1, offsets: Vec::new() };
    TickInput { tick, tick_offset: 0, provisioning: None, records: Vec::new() }
}

#[expect(clippy::disallowed_methods, reason = "the test counts the threads of its process")]
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Waits until this process has so many threads: the kernel lists a thread a little longer than it takes to join it.
#[expect(clippy::disallowed_methods, reason = "the test waits for the kernel")]
fn until_threads(wanted: usize, context: &str) {
    for _ in 0..500 {
        if threads() == wanted {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{} threads, not {wanted}: {context}", threads());
}

/// Gives every worker two ticks, and then these to one of them. Returns the error of the dataflow. `inputs` are held until
/// the workers have ended, so they do not end because no more ticks come.
fn failure(workers: usize, of: usize, last: &[TickInput], others: &[TickInput]) -> DataflowError {
    let before = threads();
    let (inputs, outputs, running) = begin(workers, None).unwrap().into_parts();
    assert_eq!(threads(), before + workers);
    for (worker, input) in inputs.iter().enumerate() {
        input.send(tick(0)).unwrap();
        input.send(tick(1)).unwrap();
        for tick in if worker == of { last } else { others } {
            // The first of them may have failed by now.
            let _ = input.send(tick.clone());
        }
    }
    let done = outputs.iter().filter(|output| matches!(output, Output::Done { tick: 0, .. })).count();
    assert!(done <= workers);
    let error = running.join().unwrap_err();
    until_threads(before, &error.to_string());
    assert!(inputs[of].send(tick(9)).is_err());
    error
}

fn a_frame_that_cannot_be_encoded_ends_all_workers() {
    for workers in [1, 3] {
        let last = [tick(1 << 63)];
        let error = failure(workers, 0, &last, &last);
        assert!(
            matches!(error, DataflowError::Encode { part: "a frame for topic snapshots", .. }),
            "{error}"
        );
    }
}

fn a_worker_that_panics_ends_all_workers() {
    for (workers, of) in [(1, 0), (3, 0), (3, 2)] {
        let error = failure(workers, of, &[tick(7), tick(3)], &[]);
        let DataflowError::Panicked { worker, message } = error else { panic!("{error}") };
        assert_eq!(worker, of);
        assert!(!message.is_empty());
    }
}

fn table(digit: &str) -> TableVersion {
    TableVersion { version: 5, digest: digit.repeat(32), full_bytes: 0, delta_bytes: 0 }
}

/// A checkpoint with a route of a site that is not provisioned.
fn a_checkpoint_that_contradicts_itself_is_not_started_from() {
    let client = Event::Client(Client { name: ClientName::new("acme").unwrap(), title: None });
    let held = HeldRoute {
        network: NetworkName::everywhere(),
        cdn: None,
        verdict: Verdict::Below,
        reason: None,
        known: true,
        decided_tick: 5,
        left_origin_at_us: None,
        unknown_since_us: None,
    };
    let good = vec![
        StateItem::Revision(Revision { revision: 1, greatest_at_us: TimeMicros(0) }),
        StateItem::Fact(Fact { changed: 0, agreement: 0, event: client }),
        StateItem::TableVersion(table("0")),
    ];
    let restored = |items: Vec<StateItem>| {
        Restored::new(
            String::new(),
            6,
            TimeMicros(1),
            [CheckpointChunk { tick: 6, shard: 0, chunk: 0, items }],
        )
    };
    let bad = |item: StateItem| [good.clone(), vec![item]].concat();
    let unknown = StateItem::SiteRoutes(SiteRoutes {
        site: SiteName::new("s").unwrap(),
        everywhere: held,
        others: Vec::new(),
    });
    let other = StateItem::TableVersion(table("1"));
    let before = threads();
    for workers in [1, 3] {
        for (item, expected) in [(unknown.clone(), "site"), (other.clone(), "the routing table")] {
            let error = begin(workers, Some(restored(bad(item)).unwrap())).err().unwrap();
            let DataflowError::Restore { tick: 6, part, .. } = error else { panic!("{error}") };
            assert!(part.contains(expected) || part == "the routing table", "{part}");
            until_threads(before, "refused");
        }
        let (inputs, outputs, running) =
            begin(workers, Some(restored(good.clone()).unwrap())).unwrap().into_parts();
        drop(inputs);
        assert_eq!(outputs.iter().count(), 0);
        running.join().unwrap();
        until_threads(before, "ended");
    }
    for missing in 0..3 {
        let mut items = good.clone();
        items.remove(missing);
        // A fact may be missing: nothing says how many there are.
        assert_eq!(restored(items).is_err(), missing != 1);
    }
}

#[test]
fn a_failure_ends_all_workers() {
    a_frame_that_cannot_be_encoded_ends_all_workers();
    a_worker_that_panics_ends_all_workers();
    a_checkpoint_that_contradicts_itself_is_not_started_from();
}
