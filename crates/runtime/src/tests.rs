//! The dataflow on a log that several write to and that fails: what readers find is byte for byte what one worker makes
//! of the same log. A log in between blocks or fails appends where a test says so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use spillway_control::{CommandHead, Explainer, Provisioner};
use spillway_dataflow::{Config, Output};
use spillway_eventlog::{
    Appended, Batch, EmbeddedLog, EncodedFrames, Entry, EventLog, LogError, ReadError, RecordReader,
};
use spillway_events::{
    AgentName, Decision, Gap, Manifest, Measurement, MeasurementBatch, Micros, NetworkName, Outcome,
    PartitionOffset, Series, SiteName, Snapshot, SnapshotKind, SourceName, Tick, TimeMicros, Tried, Verdict,
    decode_frame, encode, topics,
};
use spillway_provisioning::SourceFile;
use tokio_util::sync::CancellationToken;

use super::checkpoint::{Checkpoint, manifests};
use super::process::{derive, load_newest};
use super::{FrameWriter, LogTicks, OUTPUT_PARTITIONS, RuntimeError, Step, peers};

const TICKS: u64 = 300;
const START_US: i64 = 1_700_000_000_000_000;

/// A log whose appends of frames go wrong.
struct Faulty {
    log: Arc<EmbeddedLog>,
    appends: AtomicUsize,
    fault: Fault,
}

#[derive(Clone, Copy)]
enum Fault {
    /// Waits before the append of that number until the log has this many ticks' snapshots.
    Pause { before: usize, until_snapshots: u64 },
    /// Appends only the first half of the batches, then fails for good.
    FailIn { append: usize },
    /// Fails all reads of a topic, and all appends of frames: a dataflow that starts all the same ends at its first one.
    FailReads { topic: &'static str },
}

impl EventLog for Faulty {
    fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError> {
        self.log.create_topic(topic, partitions)
    }
    fn topics(&self) -> Result<Vec<String>, LogError> {
        self.log.topics()
    }
    fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        self.log.partitions(topic)
    }
    fn append(&self, topic: &str, partition: u32, records: &[&[u8]]) -> Result<u64, LogError> {
        self.log.append(topic, partition, records)
    }
    fn append_many(&self, batches: &[Batch<'_>]) -> Result<Vec<u64>, LogError> {
        let number = self.appends.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::Pause { before, until_snapshots } if before == number => {
                while self.log.end(topics::SNAPSHOTS, 0)? < until_snapshots {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            Fault::FailIn { append } if append <= number => {
                if append == number {
                    self.log.append_many(&batches[..batches.len() / 2])?;
                }
                return Err(LogError::Stopped { reason: "the test says so".to_owned() });
            }
            Fault::FailReads { .. } => {
                return Err(LogError::Stopped { reason: "the dataflow has started".to_owned() });
            }
            _ => {}
        }
        self.log.append_many(batches)
    }
    fn append_at(&self, topic: &str, number: u64, record: &[u8]) -> Result<Appended, LogError> {
        self.log.append_at(topic, number, record)
    }
    fn read(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, LogError> {
        if matches!(self.fault, Fault::FailReads { topic: failing } if failing == topic) {
            return Err(LogError::Damaged { topic: topic.to_owned(), partition, offset: from });
        }
        self.log.read(topic, partition, from, records_max, bytes_max)
    }
    fn start(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        self.log.start(topic, partition)
    }
    fn end(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        self.log.end(topic, partition)
    }
    fn truncate_before(&self, topic: &str, partition: u32, offset: u64) -> Result<(), LogError> {
        self.log.truncate_before(topic, partition, offset)
    }
    fn wait(&self, topic: &str, partition: u32, end_seen: u64, timeout: Duration) -> Result<bool, LogError> {
        self.log.wait(topic, partition, end_seen, timeout)
    }
}

/// A log with provisioning, 300 ticks of a second, and a batch of measurements a tick; the origins of some sites are
/// slow now and then.
fn recorded() -> (tempfile::TempDir, Arc<EmbeddedLog>) {
    let (folder, log) = provisioned();
    tick(&log, 0..TICKS);
    (folder, log)
}

/// Without ticks.
fn provisioned() -> (tempfile::TempDir, Arc<EmbeddedLog>) {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::create(folder.path()).unwrap();
    super::topics::create(&log, 1).unwrap();
    let mut text = String::from(
        "kind: client\nname: acme\n---\nkind: network\nname: net\n---\nkind: probe\nagent: agent\nnetwork: net\n---\n\
         kind: cdn\nname: cdn\ntype: operated\ndns_name: cdn.example\n---\n",
    );
    for site in 0..8 {
        text += &format!(
            "kind: site\nname: s{site}\nclient: acme\nhosts: [s{site}.example]\norigin: {{name: origin}}\ncdns: [cdn]\n\
             objectives: [{{metric: response_time, threshold: 100ms, percentile: 75, window: 20s, samples_min: 3, \
             probes_min: 1}}]\n---\n"
        );
    }
    let log = Arc::new(log);
    let provisioner = Provisioner::new(Arc::<EmbeddedLog>::clone(&log));
    let file = SourceFile { name: "test", bytes: text.as_bytes() };
    provisioner.apply(&[file], CommandHead::on_log("test", TimeMicros(START_US))).unwrap();
    (folder, log)
}

/// Ticks a second apart, each with a batch of its own.
fn tick(log: &EmbeddedLog, numbers: Range<u64>) {
    tick_from(log, numbers, 0);
}

/// Ticks of times that are behind their numbers by some seconds; if by any, time starts again at the first one.
fn tick_from(log: &EmbeddedLog, numbers: Range<u64>, behind_secs: i64) {
    let first = numbers.start;
    for number in numbers {
        let at_us = TimeMicros(START_US + (i64::try_from(number).unwrap() - behind_secs) * 1_000_000);
        log.append(topics::MEASUREMENTS, 0, &[&encode(&batch(number, at_us)).unwrap()]).unwrap();
        let offset = |topic: &str, end| PartitionOffset { topic: topic.to_owned(), partition: 0, end };
        let offsets = vec![
            offset(topics::MEASUREMENTS, number + 1),
            offset(topics::PROVISIONING, log.end(topics::PROVISIONING, 0).unwrap()),
            offset(topics::STATISTICS, 0),
        ];
        let tick = Tick {
            restart: behind_secs > 0 && number == first,
            installation: String::new(),
            number,
            at_us,
            rules: 1,
            offsets,
        };
        log.append_at(topics::TICKS, number, &encode(&tick).unwrap()).unwrap();
    }
}

fn batch(number: u64, at_us: TimeMicros) -> MeasurementBatch {
    let series = |site: u64| Series {
        site: SiteName::new(format!("s{site}")).unwrap(),
        target: String::from("origin"),
        agent: AgentName::new("agent").unwrap(),
        network: NetworkName::new("net").unwrap(),
    };
    let measurement = |site: u32| Measurement {
        series: site,
        at_us,
        tried: Tried::ResponseTime,
        outcome: Outcome::Ok,
        response_time_us: Some(Micros(if (number / 17 + u64::from(site)).is_multiple_of(3) {
            300_000
        } else {
            20_000
        })),
        throughput_bps: None,
        bytes: None,
        phases: None,
        error: None,
    };
    let source = SourceName::new("agent").unwrap();
    MeasurementBatch {
        source,
        boot: 1,
        sequence: number + 1,
        series: (0..8).map(series).collect(),
        measurements: (0..8).map(measurement).collect(),
    }
}

type Frames = BTreeMap<(String, u32, u64), Vec<Vec<u8>>>;

/// What readers find, repeats removed.
fn found(log: &dyn EventLog) -> Frames {
    let mut frames = Frames::new();
    for topic in [topics::DECISIONS, topics::PERFORMANCE, topics::SNAPSHOTS, topics::RECEIPTS] {
        for partition in 0..log.partitions(topic).unwrap() {
            for frame in EncodedFrames::all(log, topic, partition).unwrap() {
                let frame = frame.unwrap();
                frames.insert((topic.to_owned(), partition, frame.tick), frame.chunks);
            }
        }
    }
    frames
}

/// What one worker makes of the log.
fn replayed(log: &dyn EventLog) -> Frames {
    let mut frames = Frames::new();
    let ticks = LogTicks::new(log, super::config(1), None).unwrap();
    super::run(super::config(1), None, Vec::new(), ticks, |step| {
        if let Step::Output(Output::Frame { tick, topic, partition, records }) = step {
            frames.insert((topic.to_owned(), partition, tick), records);
        }
        Ok::<(), RuntimeError>(())
    })
    .unwrap();
    frames
}

fn config(workers: usize) -> Config {
    Config {
        checkpoint_period_us: Some(30_000_000),
        output_partitions: OUTPUT_PARTITIONS,
        ..super::config(workers)
    }
}

fn assert_found_is_replayed(log: &dyn EventLog) {
    let (found, replayed) = (found(log), replayed(log));
    assert!(replayed.keys().filter(|(topic, ..)| topic == topics::DECISIONS).count() > 20);
    assert!(found == replayed, "{} frames found, {} replayed", found.len(), replayed.len());
}

/// Checks that the refusal names these records, and does what its command does.
fn accept_loss(log: &Arc<EmbeddedLog>, refusal: &str, from: u64, to: u64) {
    let numbers = format!("--topic measurements --partition 0 --from {from} --to {to}");
    assert!(refusal.contains(&numbers), "{refusal}");
    let (topic, reason) = (topics::MEASUREMENTS.to_owned(), String::from("lost"));
    let gap = Gap { topic, partition: 0, from, to, reason };
    let provisioner = Provisioner::new(Arc::<EmbeddedLog>::clone(log));
    provisioner.accept_loss(gap, CommandHead::on_log("gap", TimeMicros(0))).unwrap();
}

#[test]
fn missing_records_stop_the_dataflow_until_their_loss_is_accepted_and_count_as_never_sent() {
    const STOPPED_AT: usize = 140;
    const ACCEPTED_AT: u64 = 250;
    let (folder, log) = provisioned();
    tick(&log, 0..ACCEPTED_AT);
    let mut writer = FrameWriter::new(log.as_ref(), config(2));
    let ticks = LogTicks::new(log.as_ref(), config(2), None).unwrap().take(STOPPED_AT);
    super::run(config(2), None, Vec::new(), ticks, |step| match step {
        Step::Output(output) => writer.take(output),
        Step::Idle | Step::Ended => writer.flush(),
    })
    .unwrap();
    writer.flush().unwrap();
    let from = Checkpoint::newest(log.as_ref()).unwrap().unwrap().restored.tick() + 1;
    log.truncate_before(topics::MEASUREMENTS, 0, 240).unwrap();
    let refusal = derive_on(log.as_ref(), 2, &CancellationToken::new()).unwrap_err();
    let RuntimeError::MissingRecords(missing) = refusal else { panic!("{refusal}") };
    accept_loss(&log, &missing.command(), from, 240);
    tick(&log, ACCEPTED_AT..TICKS);

    drop(log);
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap()) {
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let [one, three] = [(&folder, 1), (&copy, 3)].map(|(folder, workers)| {
        let log = EmbeddedLog::open(folder.path()).unwrap();
        derive_to_the_end(&log, workers);
        found(&log)
    });
    assert!(one == three);
    // Verdicts turn unknown once the windows are empty, and come back with what was measured later.
    let decisions = |ticks: Range<u64>| -> Vec<Decision> {
        let of_topic =
            one.iter().filter(|((topic, _, tick), _)| topic == topics::DECISIONS && ticks.contains(tick));
        let mut decisions: Vec<Decision> =
            of_topic.flat_map(|(_, records)| decode_frame::<Decision>(records).unwrap()).collect();
        decisions.sort_by_key(|decision| decision.tick);
        decisions
    };
    let last = |ticks| -> BTreeMap<SiteName, Verdict> {
        decisions(ticks).into_iter().map(|decision| (decision.site, decision.verdict)).collect()
    };
    assert!(last(140..240).values().all(|verdict| *verdict == Verdict::Unknown));
    assert_eq!(last(140..240).len(), 8);
    assert!(last(240..TICKS).values().all(|verdict| *verdict != Verdict::Unknown));
    // What was emitted with the records may differ, so the tick that reads the acceptance emits everything again.
    assert_eq!(decisions(ACCEPTED_AT..ACCEPTED_AT + 1).len(), 8 * 2);
    let snapshots = &one[&(topics::SNAPSHOTS.to_owned(), 0, ACCEPTED_AT)];
    let snapshots = Snapshot::from_items(decode_frame(snapshots).unwrap()).unwrap();
    let full = snapshots.iter().find(|snapshot| snapshot.kind == SnapshotKind::Full).unwrap();
    assert_eq!((full.version, full.sites.len()), (ACCEPTED_AT, 8));
}

/// Derives with one process, from the newest checkpoint on.
fn derive_on(log: &dyn EventLog, workers: usize, stop: &CancellationToken) -> Result<(), RuntimeError> {
    derive(log, config(workers), Vec::new(), load_newest(log, &Vec::new())?, stop)
}

/// Derives until every tick has its snapshot, then stops.
fn derive_to_the_end(log: &dyn EventLog, workers: usize) {
    let stop = CancellationToken::new();
    std::thread::scope(|scope| {
        let derived = scope.spawn(|| derive_on(log, workers, &stop));
        let ticks = log.end(topics::TICKS, 0).unwrap();
        while !derived.is_finished() && found_snapshots(log) < ticks {
            std::thread::sleep(Duration::from_millis(10));
        }
        stop.cancel();
        derived.join().unwrap().unwrap();
    });
}

/// The last tick whose snapshot is there, counted from 1.
fn found_snapshots(log: &dyn EventLog) -> u64 {
    let frames = EncodedFrames::all(log, topics::SNAPSHOTS, 0).unwrap();
    frames.map(|frame| frame.unwrap().tick + 1).max().unwrap_or(0)
}

#[test]
fn two_dataflows_of_which_one_pauses_write_what_one_would() {
    let (_folder, log) = recorded();
    let fault = Fault::Pause { before: 0, until_snapshots: TICKS / 2 };
    let paused = Faulty { log: Arc::clone(&log), appends: AtomicUsize::new(0), fault };
    std::thread::scope(|scope| {
        scope.spawn(|| derive_to_the_end(&paused, 2));
        scope.spawn(|| derive_to_the_end(log.as_ref(), 1));
    });
    // The one that paused has written its own as well: repeats are really there.
    assert!(log.end(topics::SNAPSHOTS, 0).unwrap() > TICKS + 10);
    assert_found_is_replayed(log.as_ref());
}

#[test]
fn an_append_that_fails_in_mid_tick_ends_the_dataflow_and_loses_nothing() {
    for append in [0, 1, 2] {
        let (_folder, log) = recorded();
        let fault = Fault::FailIn { append };
        let failing = Faulty { log: Arc::clone(&log), appends: AtomicUsize::new(0), fault };
        let stop = CancellationToken::new();
        std::thread::scope(|scope| {
            let derived = scope.spawn(|| derive_on(&failing, 2, &stop));
            // It ends by itself.
            assert!(derived.join().unwrap().is_err());
        });
        assert!(found_snapshots(log.as_ref()) < TICKS);
        derive_to_the_end(log.as_ref(), 3);
        assert_found_is_replayed(log.as_ref());
    }
}

/// Three processes, as threads that have nothing in common but the log: they derive until every tick has its snapshot.
fn derive_with_processes(log: &dyn EventLog, workers: usize) {
    const PROCESSES: usize = 3;
    let free: Vec<TcpListener> = (0..PROCESSES).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let hosts: Vec<String> = free.iter().map(|free| free.local_addr().unwrap().to_string()).collect();
    drop(free);
    let stop = CancellationToken::new();
    std::thread::scope(|scope| {
        let processes = (0..PROCESSES).map(|process| {
            let config = Config { processes: PROCESSES, process, ..config(workers) };
            let (hosts, stop) = (&hosts, &stop);
            scope.spawn(move || {
                let peers = peers::connect(hosts, config, stop).unwrap().unwrap();
                let checkpoint = if process == 0 {
                    load_newest(log, &peers).unwrap()
                } else {
                    let start = peers::receive_start(&peers, stop).unwrap().unwrap();
                    start.map(|tick| Checkpoint::of_tick(log, tick).unwrap())
                };
                derive(log, config, peers, checkpoint, stop)
            })
        });
        let processes: Vec<_> = processes.collect();
        let ticks = log.end(topics::TICKS, 0).unwrap();
        while found_snapshots(log) < ticks {
            assert!(!processes.iter().any(|process| process.is_finished()), "a process has ended");
            std::thread::sleep(Duration::from_millis(10));
        }
        stop.cancel();
        processes.into_iter().for_each(|process| process.join().unwrap().unwrap());
    });
}

#[test]
fn processes_write_together_what_one_would_and_go_on_from_each_others_checkpoints() {
    let (_folder, log) = provisioned();
    let parts = |log: &EmbeddedLog| -> BTreeSet<(u64, u32, u32)> {
        let all = manifests(log, log.start(topics::MANIFESTS, 0).unwrap());
        all.map(|manifest| manifest.unwrap().1).map(|m| (m.tick, m.part, m.parts)).collect()
    };
    tick(&log, 0..110);
    derive_with_processes(log.as_ref(), 2);
    // Every 30 s from tick 10 on, each of three parts; at least the last two are kept.
    let last_two: BTreeSet<_> = (0..3).flat_map(|part| [(70, part, 3), (100, part, 3)]).collect();
    assert!(last_two.is_subset(&parts(&log)));
    assert_eq!(Checkpoint::newest(log.as_ref()).unwrap().unwrap().restored.tick(), 100);
    tick(&log, 110..200);
    derive_to_the_end(log.as_ref(), 2);
    let kept = parts(&log);
    assert!(kept.contains(&(190, 0, 1)) && !kept.contains(&(100, 0, 3)), "{kept:?}");
    tick(&log, 200..TICKS);
    derive_with_processes(log.as_ref(), 1);
    assert!(parts(&log).contains(&(280, 2, 3)));
    assert_found_is_replayed(log.as_ref());
}

#[test]
fn a_checkpoint_counts_once_all_its_parts_are_there() {
    let (_folder, log) = provisioned();
    tick(&log, 0..110);
    derive_with_processes(log.as_ref(), 1);
    let all = manifests(log.as_ref(), log.start(topics::MANIFESTS, 0).unwrap());
    let all: Vec<(u64, Manifest)> = all.map(|found| found.unwrap()).collect();
    assert_eq!(all.last().unwrap().1.tick, 100);
    // A log that was cut short before the last manifest.
    let copy_folder = tempfile::tempdir().unwrap();
    let copy = EmbeddedLog::create(copy_folder.path()).unwrap();
    super::topics::create(&copy, 1).unwrap();
    let start = log.start(topics::CHECKPOINTS, 0).unwrap();
    copy.append(topics::CHECKPOINTS, 0, &vec![&b"gone"[..]; usize::try_from(start).unwrap()]).unwrap();
    for entry in log.read(topics::CHECKPOINTS, 0, start, usize::MAX, usize::MAX).unwrap() {
        copy.append(topics::CHECKPOINTS, 0, &[&entry.bytes]).unwrap();
    }
    for (_, manifest) in &all[..all.len() - 1] {
        copy.append(topics::MANIFESTS, 0, &[&encode(manifest).unwrap()]).unwrap();
    }
    assert_eq!(Checkpoint::newest(&copy).unwrap().unwrap().restored.tick(), 70);
    assert!(Checkpoint::of_tick(&copy, 100).is_err());
}

/// Taken for absence, a failed read would make the dataflow derive everything again from the first tick.
#[test]
fn a_read_error_of_a_checkpoint_stops_the_start() {
    let (_folder, log) = provisioned();
    tick(&log, 0..110);
    derive_to_the_end(log.as_ref(), 2);
    let newest = Checkpoint::newest(log.as_ref()).unwrap().unwrap().restored.tick();
    let snapshots = log.end(topics::SNAPSHOTS, 0).unwrap();
    for topic in [topics::MANIFESTS, topics::CHECKPOINTS] {
        let fault = Fault::FailReads { topic };
        let failing = Faulty { log: Arc::clone(&log), appends: AtomicUsize::new(0), fault };
        for error in [
            derive_on(&failing, 1, &CancellationToken::new()).unwrap_err(),
            Checkpoint::of_tick(&failing, newest).err().unwrap(),
        ] {
            assert!(matches!(error, RuntimeError::Checkpoint(_)), "{error}");
            let (mut chain, mut next) = (error.to_string(), std::error::Error::source(&error));
            while let Some(cause) = next {
                chain = format!("{chain}: {cause}");
                next = cause.source();
            }
            assert!(chain.starts_with("the newest checkpoint cannot be read"), "{chain}");
            assert!(
                chain.contains(&format!("topic `{topic}`, partition 0: the records at offset")),
                "{chain}"
            );
        }
    }
    assert_eq!(log.end(topics::SNAPSHOTS, 0).unwrap(), snapshots, "nothing is derived");
    // A manifest that does not decode.
    log.append(topics::MANIFESTS, 0, &[b"junk"]).unwrap();
    let fault = Fault::FailReads { topic: topics::REJECTED };
    let failing = Faulty { log, appends: AtomicUsize::new(0), fault };
    let error = derive_on(&failing, 1, &CancellationToken::new()).unwrap_err();
    assert!(matches!(error, RuntimeError::Checkpoint(ReadError::Record { .. })), "{error}");
}

/// The log has a tick a second, each with a snapshot.
#[test]
fn output_that_is_missing_at_the_end_is_accepted_only_of_the_last_ten_seconds() {
    for (derived, missing) in [(TICKS, 0), (TICKS - 1, 0), (TICKS - 11, 0), (TICKS - 12, 1), (TICKS - 14, 3)]
    {
        let (_folder, log) = recorded();
        let mut writer = FrameWriter::new(log.as_ref(), super::config(1));
        let ticks = LogTicks::new(log.as_ref(), super::config(1), None).unwrap();
        let ticks = ticks.take(usize::try_from(derived).unwrap());
        super::run(super::config(1), None, Vec::new(), ticks, |step| match step {
            Step::Output(output) => writer.take(output),
            Step::Idle | Step::Ended => writer.flush(),
        })
        .unwrap();
        writer.flush().unwrap();
        let found = super::verify(log.as_ref()).unwrap();
        let snapshots = found.differences.iter().filter(|difference| difference.starts_with("snapshots/0: "));
        assert_eq!(snapshots.count(), missing, "{derived} ticks derived: {found:?}");
        assert_eq!(found.differences.is_empty(), missing == 0, "{found:?}");
        let not_yet_emitted = usize::try_from((TICKS - derived).min(11)).unwrap();
        assert!(found.frames_not_yet_emitted >= not_yet_emitted as u64, "{found:?}");
        if missing > 0 {
            let first = format!("snapshots/0: the frame of tick {derived} is missing");
            assert!(found.differences.contains(&first), "{found:?}");
        }
    }
}

#[test]
fn a_reset_of_the_clock_is_replayed_to_the_byte_from_the_start_and_from_a_checkpoint() {
    let (_folder, log) = provisioned();
    tick(&log, 0..150);
    derive_to_the_end(log.as_ref(), 2);
    let provisioner = Provisioner::new(Arc::<EmbeddedLog>::clone(&log));
    provisioner.reset_clock("2 minutes ahead", CommandHead::on_log("reset", TimeMicros(0))).unwrap();
    tick_from(&log, 150..200, 120);
    derive_to_the_end(log.as_ref(), 3);
    // A second reset.
    tick_from(&log, 200..TICKS, 100);
    derive_to_the_end(log.as_ref(), 1);
    assert_found_is_replayed(log.as_ref());
    let verified = super::verify(log.as_ref()).unwrap();
    assert!(verified.differences.is_empty() && verified.frames_not_yet_emitted == 0, "{verified:?}");
    // Of two decisions before a time, the later one counts, even if its time is lower.
    let explainer = Explainer::new(Arc::<EmbeddedLog>::clone(&log));
    let state = provisioner.state().unwrap();
    for site in 0..8 {
        let site = SiteName::new(format!("s{site}")).unwrap();
        let at = Some(TimeMicros(START_US + 90_000_000));
        let found = explainer.explain(&state, &site, None, at).unwrap();
        assert!(found.iter().all(|decision| (150..200).contains(&decision.tick)), "{found:?}");
    }
    // Checkpoints go on in the time that was there before.
    let checkpoint = Checkpoint::newest(log.as_ref()).unwrap().unwrap();
    assert!(checkpoint.restored.tick() > 150);
}

#[test]
fn a_tick_that_is_not_later_and_not_marked_stops_the_dataflow() {
    for (from_checkpoint, back_secs) in [(false, 0), (false, 100), (true, 1)] {
        let (_folder, log) = provisioned();
        tick(&log, 0..100);
        if from_checkpoint {
            derive_to_the_end(log.as_ref(), 1);
        }
        let last = RecordReader::<Tick>::new(log.as_ref(), topics::TICKS, 0, 99).next().unwrap().unwrap().1;
        let tick = Tick { number: 100, at_us: TimeMicros(last.at_us.0 - back_secs * 1_000_000), ..last };
        log.append_at(topics::TICKS, 100, &encode(&tick).unwrap()).unwrap();
        let error = derive_on(log.as_ref(), 2, &CancellationToken::new()).unwrap_err();
        assert!(matches!(error, RuntimeError::TimeNotRising { tick: 100 }), "{error}");
    }
}
