//! What the dataflow emits on a real Kafka broker is a pure function of the log: with every batch sent twice, and when a
//! delivery fails in mid-tick, it is byte for byte the same.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use spillway_eventlog::{Appended, EventLog};
use spillway_events::{FrameHead, PartitionOffset, Sha256, Tick, TimeMicros, encode};
use spillway_provisioning::{Change, Command, State, decide, parse};
use spillway_tests::installation::{Installation, until};
use spillway_tests::load::Load;

const LOAD: Load = Load { sites: 40, partitions: 4, boot: 1 };
const TICKS: u64 = 200;
const START_US: i64 = 1_700_000_000_000_000;

/// Writes provisioning, batches and ticks of a second each; every batch so many times.
fn script(log: &dyn EventLog, copies: u64) {
    let at_us = TimeMicros(START_US);
    let change = Change::Apply(parse("load", LOAD.documents()).unwrap().objects);
    let (id, author, body_sha256) = (String::from("first"), String::from("test"), Sha256::of(&[]));
    let command = Command { id, body_sha256, author, at_us, precondition: None, change };
    let events = decide(&State::default(), &command).unwrap();
    let record = command.into_record(0, events);
    log.append_at("provisioning", 0, &encode(&record).unwrap()).unwrap();
    let mut ends = [0; 4];
    for number in 0..TICKS {
        let at_us = TimeMicros(START_US + i64::try_from(number).unwrap() * 1_000_000);
        for of_tick in 0..4 {
            let batch = usize::try_from(number * 4 + of_tick).unwrap();
            let (partition, bytes) = LOAD.batch_at(batch, at_us);
            for _ in 0..copies {
                log.append("measurements", partition, &[&bytes]).unwrap();
            }
            ends[partition as usize] += copies;
        }
        let offset =
            |topic: &str, partition, end| PartitionOffset { topic: topic.to_owned(), partition, end };
        let mut offsets = vec![offset("provisioning", 0, 1)];
        for (partition, end) in (0..).zip(ends) {
            offsets.push(offset("measurements", partition, end));
            offsets.push(offset("statistics", partition, 0));
        }
        offsets.sort();
        let tick = Tick { restart: false, installation: String::new(), number, at_us, rules: 1, offsets };
        let appended = log.append_at("ticks", number, &encode(&tick).unwrap()).unwrap();
        assert!(matches!(appended, Appended::Won(_)));
    }
}

/// What the binary derives of the ticks that were written, repeats removed.
fn derived(at: &Installation, workers: &str) -> BTreeMap<(&'static str, u32, u64), Vec<Vec<u8>>> {
    let log = at.log();
    let mut dataflow = at.role_with("dataflow", &["--workers", workers]);
    // It ticks on once nobody else does.
    until("ticks", || log.end("ticks", 0).unwrap() > TICKS);
    at.until_it_ticks();
    dataflow.signal("-TERM");
    assert_eq!(dataflow.ended(), Some(0));
    let mut frames = BTreeMap::new();
    for (topic, partitions) in [("decisions", 4), ("performance", 4), ("snapshots", 1)] {
        for partition in 0..partitions {
            for entry in log.read(topic, partition, 0, usize::MAX, usize::MAX).unwrap() {
                let FrameHead { tick, chunk, .. } = FrameHead::of(&entry.bytes).unwrap();
                if tick < TICKS {
                    let frame: &mut Vec<Vec<u8>> = frames.entry((topic, partition, tick)).or_default();
                    assert_eq!(frame.len(), chunk as usize, "{topic}/{partition}: no repeats here");
                    frame.push(entry.bytes);
                }
            }
        }
    }
    frames
}

#[test]
fn every_batch_sent_twice_counts_once() {
    let [once, twice] = [(1, "1"), (2, "3")].map(|(copies, workers)| {
        let at = Installation::new(&format!("oracle-{copies}"), 1);
        script(&at.log(), copies);
        let frames = derived(&at, workers);
        at.verify();
        frames
    });
    assert!(once.keys().filter(|(topic, ..)| *topic == "decisions").count() > 20);
    let differing: Vec<_> =
        once.keys().chain(twice.keys()).filter(|key| once.get(*key) != twice.get(*key)).collect();
    assert_eq!(differing, [] as [&(&str, u32, u64); 0]);
}

/// The broker refuses what the dataflow sends to one topic, and takes what the same ticks send to others.
#[test]
fn a_delivery_that_fails_in_mid_tick_loses_nothing() {
    let at = Installation::new("oracle-refused", 1);
    let web = at.role("web");
    at.apply(&LOAD.documents());
    let log = at.log();
    let decided = || (0..4).map(|partition| log.end("decisions", partition).unwrap()).sum::<u64>();
    let mut refused = at.role_with("dataflow", &["--workers", "2"]);
    until("the first decisions", || decided() > 0);
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &at.cluster.bootstrap).create().unwrap();
    let take_bytes_max = |bytes: &str| {
        // As `topics create` makes it, but for one setting.
        let settings = AlterConfig::new(ResourceSpecifier::Topic("decisions"))
            .set("retention.ms", "-1")
            .set("message.timestamp.type", "LogAppendTime")
            .set("max.message.bytes", bytes);
        let changed = pollster::block_on(admin.alter_configs([&settings], &AdminOptions::new())).unwrap();
        assert!(changed.iter().all(Result::is_ok), "{changed:?}");
        // Brokers learn of it a moment later.
        std::thread::sleep(Duration::from_secs(1));
    };
    take_bytes_max("100");
    let (before, snapshots) = (decided(), log.end("snapshots", 0).unwrap());
    for number in 0..400 {
        let (partition, bytes) = LOAD.batch(number);
        log.append("measurements", partition, &[&bytes]).unwrap();
        if !refused.is_running() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(refused.ended(), Some(2));
    let said = refused.said();
    assert!(said.contains("appending: ") && said.contains("too large"), "{said}");
    assert_eq!(decided(), before);
    assert!(log.end("snapshots", 0).unwrap() > snapshots);
    take_bytes_max("17825792");
    let mut again = at.role("dataflow");
    at.until_it_ticks();
    again.signal("-TERM");
    assert_eq!(again.ended(), Some(0));
    assert!(decided() > before);
    at.verify();
    drop(web);
}
