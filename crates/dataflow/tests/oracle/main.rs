//! What the dataflow emits is a pure function of ticks and records: on any number of workers, with every batch sent
//! twice, and restored from a checkpoint onto another number of workers, it is byte for byte the same.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![allow(clippy::disallowed_types, reason = "processes of the test are connected by real sockets")]

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};

use spillway_dataflow::{
    Config, InputRecord, InputTopic, Output, PERFORMANCE_PERIOD_US, Provisioning, Restored, TickInput, start,
};
use spillway_events::{
    AggregateStatistics, CdnName, CheckpointChunk, Measurement, MeasurementBatch, Micros, Outcome,
    PartitionOffset, ProvisioningRecord, Rejected, Series, Sha256, SiteName, Snapshot, SourceName,
    StatisticsBatch, Tick, TimeMicros, Tried, decode, decode_frame, encode, topics,
};
use spillway_provisioning::{Change, Command, State, decide, parse};

mod agreements;
mod overrides;
mod reset;

const PARTITIONS: u32 = 3;
const TICKS: u64 = 400;
const INSTALLATION: &str = "0123456789abcdef0123456789abcdef";

/// Frames by tick, topic and partition.
type Frames = BTreeMap<(u64, &'static str, u32), Vec<Vec<u8>>>;

#[derive(Clone)]
struct Step {
    tick: Tick,
    provisioning: Vec<ProvisioningRecord>,
    records: Vec<InputRecord>,
}

struct Ran {
    frames: Frames,
    checkpoints: Vec<(u64, TimeMicros, Vec<CheckpointChunk>)>,
}

fn config(workers: usize) -> Config {
    Config {
        workers,
        processes: 1,
        process: 0,
        output_partitions: 4,
        performance_period_us: PERFORMANCE_PERIOD_US,
        checkpoint_period_us: Some(60_000_000),
    }
}

fn run(steps: &[Step], workers: usize, restored: Option<Restored>) -> Ran {
    run_process(config(workers), steps, restored, Vec::new())
}

/// One process of a dataflow; what it sent.
fn run_process(
    config: Config,
    steps: &[Step],
    restored: Option<Restored>,
    peers: Vec<Option<TcpStream>>,
) -> Ran {
    let steps = steps.to_vec();
    let mut provisioning = Provisioning::new(restored.as_ref());
    let (inputs, outputs, guards) = start(config, restored, peers).unwrap().into_parts();
    let feeder = std::thread::spawn(move || {
        for step in steps {
            let change = provisioning.apply(&step.provisioning);
            for (worker, input) in inputs.iter().enumerate() {
                let owned = |record: &&InputRecord| config.local_owner(record.partition) == Some(worker);
                let records = step.records.iter().filter(owned).cloned().collect();
                let (tick, provisioning) = (step.tick.clone(), change.clone());
                input.send(TickInput { tick_offset: tick.number, tick, provisioning, records }).unwrap();
            }
        }
    });
    let mut ran = Ran { frames: Frames::new(), checkpoints: Vec::new() };
    for output in outputs {
        match output {
            Output::Frame { tick, topic, partition, records } => {
                let before = ran.frames.insert((tick, topic, partition), records);
                assert_eq!(before, None, "two frames of tick {tick} for {topic}/{partition}");
            }
            Output::Checkpoint { tick, at, installation, chunks, .. } => {
                assert_eq!(installation, INSTALLATION);
                let chunks = chunks.iter().map(|chunk| decode(chunk).unwrap()).collect();
                ran.checkpoints.push((tick, at, chunks));
            }
            Output::Done { .. } => {}
        }
    }
    feeder.join().unwrap();
    guards.join().unwrap();
    ran
}

/// Three processes, connected as in production but as threads of this process. Returns everything that they sent.
fn run_processes(steps: &[Step], workers: usize, restored: Option<&Restored>) -> [Ran; 3] {
    let pair = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Some(one), Some(listener.accept().unwrap().0))
    };
    let (a, b, c) = (pair(), pair(), pair());
    let peers = [vec![None, a.0, b.0], vec![a.1, None, c.0], vec![b.1, c.1, None]];
    let running = peers.into_iter().enumerate().map(|(process, peers)| {
        let (steps, restored) = (steps.to_vec(), restored.cloned());
        let config = Config { processes: 3, process, ..config(workers) };
        std::thread::spawn(move || run_process(config, &steps, restored, peers))
    });
    let running: Vec<_> = running.collect();
    let ran: Vec<Ran> = running.into_iter().map(|process| process.join().unwrap()).collect();
    ran.try_into().unwrap_or_else(|_| unreachable!())
}

/// Everything that several processes sent.
fn together(ran: [Ran; 3]) -> (Frames, Vec<(u64, TimeMicros, Vec<CheckpointChunk>)>) {
    let (mut frames, mut checkpoints) = (Frames::new(), BTreeMap::new());
    for Ran { frames: of_process, checkpoints: parts } in ran {
        for (key, records) in of_process {
            assert_eq!(frames.insert(key, records), None, "{key:?} was sent by two processes");
        }
        for (tick, at, chunks) in parts {
            let whole: &mut (u64, TimeMicros, Vec<CheckpointChunk>) =
                checkpoints.entry(tick).or_insert_with(|| (tick, at, Vec::new()));
            whole.2.extend(chunks);
        }
    }
    (frames, checkpoints.into_values().collect())
}

fn provisioning(state: &mut State, number: u64, text: &str) -> ProvisioningRecord {
    assert_eq!(state.revision(), number);
    decided(state, Change::Apply(parse("test", text).unwrap().objects))
}

/// The record of a change, which is applied.
fn decided(state: &mut State, change: Change) -> ProvisioningRecord {
    let number = state.revision();
    let command = Command {
        id: format!("command {number}"),
        body_sha256: Sha256::of(&number.to_le_bytes()),
        author: String::from("test"),
        at_us: TimeMicros(0),
        precondition: None,
        change,
    };
    let events = decide(state, &command).unwrap();
    let record = command.into_record(number, events);
    state.apply(&record).unwrap();
    record
}

fn site(name: &str, threshold: &str) -> String {
    format!(
        "kind: site\nname: {name}\nclient: acme\nhosts: [{name}.example]\norigin: {{name: origin, addresses: [192.0.2.1]}}\n\
         cdns: [one, two]\nobjectives: [{{metric: response_time, threshold: {threshold}, percentile: 75, window: 30s, \
         samples_min: 3, probes_min: 2}}]\n---\n"
    )
}

fn first_documents() -> String {
    let mut text = String::from(
        "kind: client\nname: acme\n---\nkind: network\nname: region\n---\n\
         kind: cdn\nname: one\ntype: operated\ndns_name: one.example\n---\n\
         kind: cdn\nname: two\ntype: partner\ndns_name: two.example\n---\n",
    );
    for number in 0..4 {
        let parent = if number < 2 { "region" } else { "everywhere" };
        text += &format!(
            "kind: network\nname: n{number}\nparent: {parent}\nprefixes: [10.{number}.0.0/16]\n---\n"
        );
        text += &format!("kind: probe\nagent: a{number}\nnetwork: n{number}\n---\n");
    }
    for number in 0..12 {
        text += &site(&format!("site{number:02}"), "100ms");
    }
    text
}

/// Pseudo-random numbers, the same on every run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A tick a second; every agent sends a batch to its partition; CDN one becomes unhealthy and recovers; sites change. If all
/// is sent twice, the second batch of an agent comes in the last partition, which another worker may own, and says something
/// else, so that it matters which of them counts.
fn steps(twice: bool) -> Vec<Step> {
    let (mut draws, mut other_draws) = (Draws(7), Draws(8));
    let mut copies: Vec<Vec<u8>> = Vec::new();
    let mut state = State::default();
    let mut ends: BTreeMap<(InputTopic, u32), u64> = BTreeMap::new();
    let mut steps = Vec::new();
    for number in 0..TICKS {
        let at = TimeMicros(1_700_000_000_000_000 + i64::try_from(number).unwrap() * 1_000_000);
        let mut records = Vec::new();
        let mut send = |topic: InputTopic, partition: u32, bytes: &[u8]| {
            let end = ends.entry((topic.clone(), partition)).or_default();
            records.push(InputRecord { topic, partition, offset: *end, bytes: bytes.to_vec() });
            *end += 1;
        };
        for agent in 0..4 {
            let bytes = encode(&batch(&mut draws, agent, number, at)).unwrap();
            send(InputTopic::Measurements, u32::try_from(agent).unwrap() % PARTITIONS, &bytes);
            if twice {
                copies.push(encode(&batch(&mut other_draws, agent, number, at)).unwrap());
            }
        }
        // Those of every third tick wait for the next one.
        if number % 3 != 0 {
            for bytes in copies.drain(..) {
                send(InputTopic::Measurements, PARTITIONS - 1, &bytes);
            }
        }
        for _ in 0..if twice { 2 } else { 1 } {
            if number % 90 == 45 {
                send(InputTopic::Statistics, 0, &encode(&statistics(number, at)).unwrap());
            }
            if number == 33 {
                send(InputTopic::Measurements, 1, b"neither Avro nor JSON");
            }
        }
        let provisioning = match number {
            0 => vec![provisioning(&mut state, 0, &first_documents())],
            150 => vec![provisioning(&mut state, 1, &(site("site03", "50ms") + &site("site99", "80ms")))],
            _ => Vec::new(),
        };
        let offsets = ends.iter().map(|((topic, partition), end)| PartitionOffset {
            topic: topic.name(),
            partition: *partition,
            end: *end,
        });
        let tick = Tick {
            number,
            at_us: at,
            rules: 1,
            restart: false,
            installation: if number == 0 { INSTALLATION.to_owned() } else { String::new() },
            offsets: offsets.collect(),
        };
        steps.push(Step { tick, provisioning, records });
    }
    steps
}

fn batch(draws: &mut Draws, agent: u64, number: u64, at: TimeMicros) -> MeasurementBatch {
    let mut series = Vec::new();
    let mut measurements = Vec::new();
    for site in 0..12 {
        for target in ["origin", "one", "two"] {
            let bad = (number / 40 + site + agent / 3).is_multiple_of(4) && target == "origin";
            let ok = draws.below(20) > 0;
            let time = draws.below(if bad { 300_000 } else { 90_000 });
            measurements.push(Measurement {
                series: u32::try_from(series.len()).unwrap(),
                at_us: TimeMicros(at.0 - i64::try_from(draws.below(3_000_000)).unwrap()),
                tried: Tried::ResponseTime,
                outcome: if ok { Outcome::Ok } else { Outcome::Failed },
                response_time_us: ok.then_some(Micros(time)),
                throughput_bps: None,
                bytes: None,
                phases: None,
                error: None,
            });
            series.push(Series {
                site: SiteName::new(format!("site{site:02}")).unwrap(),
                target: target.to_owned(),
                agent: spillway_events::AgentName::new(format!("a{agent}")).unwrap(),
                network: spillway_events::NetworkName::new(format!("n{agent}")).unwrap(),
            });
        }
    }
    let source = SourceName::new(format!("a{agent}")).unwrap();
    MeasurementBatch { source, boot: 1, sequence: number + 1, series, measurements }
}

fn statistics(number: u64, at: TimeMicros) -> StatisticsBatch {
    StatisticsBatch {
        source: SourceName::new("one").unwrap(),
        boot: 1,
        sequence: number,
        aggregates: vec![AggregateStatistics { healthy: Some(number % 180 != 45), ..ill(at) }],
    }
}

/// CDN one reports that it is unhealthy.
fn ill(at_us: TimeMicros) -> AggregateStatistics {
    AggregateStatistics {
        cdn: CdnName::new("one").unwrap(),
        at_us,
        healthy: Some(false),
        accepting: None,
        egress_bps: None,
        capacity_bps: None,
    }
}

fn count(frames: &Frames, topic: &str) -> usize {
    frames.keys().filter(|(_, of, _)| *of == topic).count()
}

/// Compares byte by byte, and names the first difference instead of printing all frames.
fn assert_same(one: &Frames, other: &Frames, what: &str) {
    let all: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let different: Vec<_> = all.into_iter().filter(|key| one.get(*key) != other.get(*key)).collect();
    assert!(
        different.is_empty(),
        "{what}: {} frames differ, first {:?}",
        different.len(),
        &different[..different.len().min(5)]
    );
}

/// What one worker sends, after a check that others send the same, and that three do from any checkpoint on.
fn same_whoever_decides(steps: &[Step]) -> Ran {
    let one = run(steps, 1, None);
    for workers in [2, 4] {
        let many = run(steps, workers, None);
        assert_same(&many.frames, &one.frames, &format!("{workers} workers"));
        assert_eq!(many.checkpoints, one.checkpoints, "{workers} workers");
    }
    for (tick, at, chunks) in &one.checkpoints {
        let restored = Restored::new(INSTALLATION.to_owned(), *tick, *at, chunks.clone()).unwrap();
        let rest: Vec<Step> = steps.iter().filter(|step| step.tick.number > *tick).cloned().collect();
        let expected: Frames =
            one.frames.iter().filter(|((of, ..), _)| of > tick).map(|(k, v)| (*k, v.clone())).collect();
        let resumed = run(&rest, 3, Some(restored));
        assert_same(&resumed.frames, &expected, &format!("from the checkpoint of tick {tick}"));
    }
    one
}

#[test]
fn the_number_of_workers_changes_no_output() {
    let steps = steps(false);
    let one = run(&steps, 1, None);
    assert!(count(&one.frames, topics::DECISIONS) > 100);
    assert!(count(&one.frames, topics::PERFORMANCE) >= 40);
    assert!(count(&one.frames, topics::RECEIPTS) >= 6);
    assert_eq!(count(&one.frames, topics::REJECTED), 1);
    assert_eq!(count(&one.frames, topics::SNAPSHOTS), usize::try_from(TICKS).unwrap());
    for workers in [2, 4] {
        let many = run(&steps, workers, None);
        assert_same(&many.frames, &one.frames, &format!("{workers} workers"));
        assert_eq!(many.checkpoints, one.checkpoints, "{workers} workers");
    }
}

#[test]
fn several_processes_send_together_what_one_worker_sends() {
    let steps = steps(false);
    let one = run(&steps, 1, None);
    let processes = run_processes(&steps, 2, None);
    assert!(processes.iter().all(|process| count(&process.frames, topics::PERFORMANCE) > 0));
    let (frames, checkpoints) = together(processes);
    assert_same(&frames, &one.frames, "three processes");

    // Their checkpoints together are complete, and restore onto one process; one's restores onto several.
    for ((tick, at, chunks), of_one) in checkpoints.iter().zip(&one.checkpoints).step_by(3) {
        let rest: Vec<Step> = steps.iter().filter(|step| step.tick.number > *tick).cloned().collect();
        let expected: Frames =
            one.frames.iter().filter(|((of, ..), _)| of > tick).map(|(k, v)| (*k, v.clone())).collect();
        let restored = Restored::new(INSTALLATION.to_owned(), *tick, *at, chunks.clone()).unwrap();
        assert_same(&run(&rest, 2, Some(restored)).frames, &expected, "on one process again");
        let restored = Restored::new(INSTALLATION.to_owned(), *tick, *at, of_one.2.clone()).unwrap();
        let (frames, _) = together(run_processes(&rest, 1, Some(&restored)));
        assert_same(&frames, &expected, "from one process to three");
    }
}

#[test]
fn every_batch_sent_twice_counts_once() {
    let derived = |ran: Ran| -> Frames {
        // Receipts count what was read, repeats included; of what was rejected, each copy is one.
        let own = [topics::RECEIPTS, topics::REJECTED];
        ran.frames.into_iter().filter(|((_, topic, _), _)| !own.contains(topic)).collect()
    };
    let once = derived(run(&steps(false), 1, None));
    for workers in [1, 2, 3] {
        assert_same(&derived(run(&steps(true), workers, None)), &once, "sent twice");
    }
}

#[test]
fn a_checkpoint_restores_onto_another_number_of_workers() {
    // What was sent before a checkpoint comes again behind it.
    let steps = steps(true);
    let whole = run(&steps, 1, None);
    assert!(whole.checkpoints.len() >= 6);
    for (place, (tick, at, chunks)) in whole.checkpoints.iter().enumerate() {
        let restored = Restored::new(INSTALLATION.to_owned(), *tick, *at, chunks.clone()).unwrap();
        let rest: Vec<Step> = steps.iter().filter(|step| step.tick.number > *tick).cloned().collect();
        let resumed = run(&rest, [2, 4, 1, 3][place % 4], Some(restored));
        let expected: Frames =
            whole.frames.iter().filter(|((of, ..), _)| of > tick).map(|(k, v)| (*k, v.clone())).collect();
        assert_same(&resumed.frames, &expected, &format!("from the checkpoint of tick {tick}"));
    }
}

/// What CDN one writes to its inbox of CDN two is rejected and changes nothing; what two writes about itself counts.
#[test]
fn an_inbox_counts_only_for_its_own_cdn() {
    let with = |inbox: &str| {
        let mut steps = steps(false);
        let said = AggregateStatistics { cdn: CdnName::new("two").unwrap(), ..ill(steps[100].tick.at_us) };
        let source = SourceName::new(inbox).unwrap();
        let batch = StatisticsBatch { source, boot: 1, sequence: 1, aggregates: vec![said] };
        // As a plain client writes it.
        let bytes = serde_json::to_vec(&batch).unwrap();
        let topic = InputTopic::of(&format!("inbox.{inbox}")).unwrap();
        steps[100].records.push(InputRecord { topic, partition: 0, offset: 0, bytes });
        run(&steps, 2, None).frames
    };
    let decisions = |frames: &Frames| -> Frames {
        let of = frames.iter().filter(|((_, topic, _), _)| *topic == topics::DECISIONS);
        of.map(|(key, records)| (*key, records.clone())).collect()
    };
    let (without, lied, honest) = (run(&steps(false), 1, None).frames, with("one"), with("two"));
    assert_same(&decisions(&lied), &decisions(&without), "a lie");
    assert_eq!(count(&lied, topics::REJECTED), count(&without, topics::REJECTED) + 1);
    assert!(decisions(&honest) != decisions(&without));
    assert_eq!(count(&honest, topics::REJECTED), count(&without, topics::REJECTED));
}

/// What a source sends that is not provisioned is rejected with its count, and changes nothing else.
#[test]
fn an_unknown_source_is_rejected() {
    let with = |rename: bool| {
        let mut steps = steps(false);
        let mut draws = Draws(3);
        let at = steps[100].tick.at_us;
        let mut of_stranger = batch(&mut draws, 0, 100, at);
        of_stranger.source = SourceName::new("stranger").unwrap();
        let mut of_cdn = statistics(100, at);
        of_cdn.source = SourceName::new("a0").unwrap();
        if rename {
            let measurements = InputRecord {
                topic: InputTopic::Measurements,
                partition: 2,
                offset: 1_000,
                bytes: encode(&of_stranger).unwrap(),
            };
            let bytes = encode(&of_cdn).unwrap();
            let statistics =
                InputRecord { topic: InputTopic::Statistics, partition: 2, offset: 1_000, bytes };
            steps[100].records.extend([measurements, statistics]);
        }
        run(&steps, 2, None).frames
    };
    let (without, with) = (with(false), with(true));
    let but_rejected = |frames: &Frames| -> Frames {
        let own = [topics::REJECTED, topics::RECEIPTS];
        let rest = frames.iter().filter(|((_, topic, _), _)| !own.contains(topic));
        rest.map(|(key, records)| (*key, records.clone())).collect()
    };
    assert_same(&but_rejected(&with), &but_rejected(&without), "a stranger");
    let rejected = decode_frame::<Rejected>(&with[&(100, topics::REJECTED, 0)]).unwrap();
    let counts: Vec<(&str, u64)> =
        rejected.iter().map(|rejected| (rejected.topic.as_str(), rejected.measurements)).collect();
    assert_eq!(counts, [(topics::MEASUREMENTS, 36), (topics::STATISTICS, 1)]);
    assert!(rejected.iter().all(|rejected| rejected.why.starts_with("unknown source: ")));
}

/// Each agent starts anew every 25 ticks, with a smaller boot each time, and counts from 1 again: nothing is lost.
#[test]
fn agents_that_start_often_with_any_boot_are_heard() {
    let restarted = |from: u64| -> Vec<Step> {
        let mut steps = steps(false);
        for step in &mut steps {
            for record in step.records.iter_mut().filter(|record| record.topic == InputTopic::Measurements) {
                let Ok(mut batch) = decode::<MeasurementBatch>(&record.bytes) else { continue };
                let start = step.tick.number / from;
                (batch.boot, batch.sequence) = (1_000_000 - start, step.tick.number % from + 1);
                record.bytes = encode(&batch).unwrap();
            }
        }
        steps
    };
    let derived = |steps: &[Step]| -> Frames {
        let frames = run(steps, 2, None).frames.into_iter();
        frames.filter(|((_, topic, _), _)| *topic != topics::RECEIPTS).collect()
    };
    assert_same(&derived(&restarted(25)), &derived(&steps(false)), "started often");
}

/// Every snapshot has the id of tick 0, also after a restart from a checkpoint.
#[test]
fn every_snapshot_names_the_installation() {
    let steps = steps(false);
    let whole = run(&steps, 2, None);
    let (tick, at, chunks) = whole.checkpoints[2].clone();
    let restored = Restored::new(INSTALLATION.to_owned(), tick, at, chunks).unwrap();
    let rest: Vec<Step> = steps.iter().filter(|step| step.tick.number > tick).cloned().collect();
    for frames in [whole.frames, run(&rest, 1, Some(restored)).frames] {
        let records = frames.iter().filter(|((_, topic, _), _)| *topic == topics::SNAPSHOTS);
        for (key, records) in records {
            let snapshots = Snapshot::from_items(decode_frame(records).unwrap()).unwrap();
            assert!(snapshots.iter().all(|snapshot| snapshot.installation == INSTALLATION), "{key:?}");
        }
    }
}
