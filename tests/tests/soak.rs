//! Kills, pauses and brokers that go away at random moments while measurements come in: at the end everything derived is,
//! byte for byte, what one worker makes of the log. A few of each kind; all of them where `SPILLWAY_SOAK` is set, which is
//! what `scripts/soak` does.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use rdkafka::ClientConfig;
use rdkafka::error::KafkaResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use spillway_eventlog::EventLog;
use spillway_events::{MeasurementBatch, decode};
use spillway_tests::installation::{Installation, Role, free_address, until};
use spillway_tests::load::{BATCH_RECORDS, Load};

/// One number for every day, one for the long run.
fn count<T>(few: T, all: T) -> T {
    if std::env::var_os("SPILLWAY_SOAK").is_some() { all } else { few }
}

/// Numbers that look drawn; the seed is printed.
struct Draws(u64);

impl Draws {
    fn new(test: &str) -> Self {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let seed = u64::from(since.subsec_nanos()) ^ since.as_secs();
        println!("{test}: seed {seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn sleep_below(&mut self, milliseconds: u64) {
        std::thread::sleep(Duration::from_millis(self.below(milliseconds)));
    }
}

const LOAD: Load = Load { sites: 200, partitions: 4, boot: 1 };

/// Sends so many batches, a pause after each, while trouble is made; the rest at once when that is over.
fn under_load(at: &Installation, batches: usize, pause: Duration, make_trouble: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let log = at.log();
            for number in 0..batches {
                let (partition, bytes) = LOAD.batch(number);
                log.append("measurements", partition, &[&bytes]).unwrap();
                if !is_over.load(Ordering::Acquire) {
                    std::thread::sleep(pause);
                }
            }
        });
        let _over = SetAtTheEnd(&is_over);
        make_trouble();
    });
    let found = sequences(at);
    assert_eq!(found.values().map(Vec::len).sum::<usize>(), batches);
    assert_contiguous(&found);
}

/// Sets a flag when it is dropped, also when a test fails: what others wait for comes.
struct SetAtTheEnd<'a>(&'a AtomicBool);

impl Drop for SetAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The sequences of all batches in `measurements`, by source and boot.
fn sequences(at: &Installation) -> BTreeMap<(String, u64), Vec<u64>> {
    let log = at.log();
    let mut found: BTreeMap<(String, u64), Vec<u64>> = BTreeMap::new();
    for partition in 0..4 {
        let (mut next, end) = (0, log.end("measurements", partition).unwrap());
        while next < end {
            let entries = log.read("measurements", partition, next, 4_096, 16 << 20).unwrap();
            next = entries.last().map_or(end, |last| last.offset + 1);
            for entry in entries {
                let batch: MeasurementBatch = decode(&entry.bytes).unwrap();
                found.entry((batch.source.to_string(), batch.boot)).or_default().push(batch.sequence);
            }
        }
    }
    found
}

/// Nothing is missing, and nothing is there twice.
fn assert_contiguous(found: &BTreeMap<(String, u64), Vec<u64>>) {
    for (source, sequences) in found {
        assert!(sequences.iter().copied().eq(1..=sequences.len() as u64), "{source:?}: {sequences:?}");
    }
}

/// Ends a dataflow that has worked off everything, and holds what it wrote against a replay.
fn end_and_verify(at: &Installation, test: &str, dataflows: &mut [Role]) {
    at.until_it_ticks();
    dataflows.iter().for_each(|dataflow| dataflow.signal("-TERM"));
    dataflows.iter_mut().for_each(|dataflow| assert_eq!(dataflow.ended(), Some(0)));
    println!("{test}: {}", at.verify());
}

/// The dataflow and the broker are killed, and a stranger writes to the input topics in transactions that it leaves open
/// and then aborts.
#[test]
fn killed_at_random_moments() {
    let test = "kills";
    let (kills, broker_kills, batches) = (count(3, 50), count(1, 5), count(100, 2_000));
    let at = Installation::new("soak-kills", 1);
    let (web, dns) = (at.role("web"), at.role("dns"));
    at.apply(&LOAD.documents());
    let (mut draws, mut broker_draws) = (Draws::new(test), Draws::new(test));
    let (is_over, aborted, answered) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let first = at.role("dataflow");
    until("a DNS node with a table", || at.answers_with("s0.example", "s0"));
    drop(first);
    let mut last = None;
    under_load(&at, batches, Duration::from_millis(140), || {
        std::thread::scope(|scope| {
            let over = SetAtTheEnd(&is_over);
            let strange = scope.spawn(|| {
                while !is_over.load(Ordering::Acquire) {
                    // A broker that goes away takes the transaction with it.
                    if let Err(error) = abort_some(&at.cluster.bootstrap, &is_over, &aborted) {
                        println!("{test}: the stranger starts again: {error}");
                    }
                }
            });
            let breaking = scope.spawn(|| {
                for _ in 0..broker_kills {
                    broker_draws.sleep_below(kills * 5_000 / broker_kills);
                    at.cluster.kill(1);
                    broker_draws.sleep_below(2_000);
                    at.cluster.restart();
                }
            });
            let log = at.log();
            for kill in 0..kills {
                let workers = (1 + draws.below(4)).to_string();
                let start = || at.role_with("dataflow", &["--workers", &workers]);
                let mut dataflow = start();
                if kill % 4 > 0 {
                    // At work; any other moment is one of its start, as it waits three seconds before it ticks.
                    let ticks = log.end("ticks", 0).unwrap();
                    until("a tick", || {
                        if !dataflow.is_running() {
                            // It found no broker when it started.
                            dataflow = start();
                        }
                        log.end("ticks", 0).unwrap() > ticks
                    });
                }
                draws.sleep_below(3_000);
                drop(dataflow);
                let is_answered = (0..5).any(|_| at.answers_with("s0.example", "s0"));
                answered.fetch_add(usize::from(is_answered), Ordering::AcqRel);
            }
            breaking.join().unwrap();
            drop(over);
            strange.join().unwrap();
        });
        last = Some(at.role("dataflow"));
    });
    end_and_verify(&at, test, &mut [last.unwrap()]);
    let (aborted, answered) = (aborted.into_inner(), answered.into_inner());
    assert!(aborted > 0 && answered == usize::try_from(kills).unwrap(), "{aborted}, {answered}");
    println!(
        "{test}: {kills} of the dataflow and {broker_kills} of the broker during {} measurements; {} transactions \
         aborted; the DNS node answered {} times",
        batches * BATCH_RECORDS,
        aborted,
        answered
    );
    drop((web, dns));
}

/// A transaction of a few records, which is left open for a while.
fn abort_some(bootstrap: &str, is_over: &AtomicBool, aborted: &AtomicUsize) -> KafkaResult<()> {
    const REQUEST: Duration = Duration::from_secs(20);
    let stranger: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("transactional.id", "stranger")
        .set("transaction.timeout.ms", "10000")
        .create()?;
    stranger.init_transactions(REQUEST)?;
    while !is_over.load(Ordering::Acquire) {
        stranger.begin_transaction()?;
        for partition in 0..4 {
            let record = BaseRecord::<(), _>::to("measurements").partition(partition).payload("never said");
            stranger.send(record).map_err(|(error, _)| error)?;
        }
        stranger.flush(REQUEST)?;
        std::thread::sleep(Duration::from_secs(1));
        stranger.abort_transaction(REQUEST)?;
        aborted.fetch_add(1, Ordering::AcqRel);
    }
    Ok(())
}

/// The broker is away: DNS answers on, probes keep what they measure, and nothing is missing or doubled afterwards.
#[test]
fn the_broker_is_away() {
    let test = "away";
    let away = Duration::from_secs(count(8, 120));
    let at = Installation::new("soak-away", 1);
    let (web, dns) = (at.role("web"), at.role("dns"));
    let (mut probe, mut dataflow) = (at.role("probe"), [at.role("dataflow")]);
    at.apply(
        "kind: client\nname: acme\n---\nkind: network\nname: net\nprefixes: [127.0.0.0/8]\n---\n\
         kind: probe\nagent: agent\nnetwork: net\n---\nkind: cdn\nname: cdn\ntype: operated\ndns_name: edge.example\n\
         probe_url: http://127.0.0.1:1/\n---\nkind: site\nname: shop\nclient: acme\nhosts: [www.acme.example]\n\
         probe_interval_ms: 100\norigin: {addresses: [127.0.0.1], probe_url: 'http://127.0.0.1:1/'}\ncdns: [cdn]\n\
         objectives: [{metric: response_time, threshold: 100ms, percentile: 75, window: 10s, samples_min: 3, \
         probes_min: 1}]\n",
    );
    until("the CDN's name", || at.answers_with("www.acme.example", "edge"));
    let memory_before = probe.memory_bytes();
    at.cluster.stop();
    for _ in 0..away.as_millis() / 100 {
        assert!(at.answers_with("www.acme.example", "edge"));
        std::thread::sleep(Duration::from_millis(100));
    }
    let memory_after = probe.memory_bytes();
    at.cluster.restart();
    at.until_it_ticks();
    probe.signal("-TERM");
    assert_eq!(probe.ended(), Some(0));
    let found = sequences(&at);
    assert_contiguous(&found);
    end_and_verify(&at, test, &mut dataflow);
    println!(
        "{test}: {} s; the probe held {} KiB before and {} KiB at its end; {} batches in order",
        away.as_secs(),
        memory_before >> 10,
        memory_after >> 10,
        found.values().map(Vec::len).sum::<usize>()
    );
    // Some megabytes more than its queue can hold would be a leak.
    assert!(memory_after < memory_before + (64 << 20));
    drop((web, dns));
}

/// A dataflow stops for ten seconds and goes on when another one has taken its place.
#[test]
fn stopped_and_continued() {
    let test = "pauses";
    let pauses = count(1, 5);
    let at = Installation::new("soak-pauses", 1);
    let web = at.role("web");
    at.apply(&LOAD.documents());
    let mut draws = Draws::new(test);
    let mut ticking = at.role("dataflow");
    under_load(&at, pauses * 100, Duration::from_millis(140), || {
        for _ in 0..pauses {
            at.until_it_ticks();
            let standby = at.role("dataflow");
            draws.sleep_below(3_000);
            let mut paused = std::mem::replace(&mut ticking, standby);
            paused.signal("-STOP");
            std::thread::sleep(Duration::from_secs(10));
            at.until_it_ticks();
            paused.signal("-CONT");
            assert_eq!(paused.ended(), Some(2), "it lost its number");
        }
    });
    end_and_verify(&at, test, &mut [ticking]);
    println!("{test}: {pauses}");
    drop(web);
}

/// One of two processes that make one dataflow is killed: the other ends, and both are started again.
#[test]
fn one_process_of_two_is_killed() {
    let test = "processes";
    let kills = count(2, 20);
    let at = Installation::new("soak-processes", 1);
    let web = at.role("web");
    at.apply(&LOAD.documents());
    let mut draws = Draws::new(test);
    let hosts = [free_address(), free_address()].join(",");
    let start = || {
        let process = |number: &str| {
            at.role_with("dataflow", &["--workers", "2", "--hosts", &hosts, "--process", number])
        };
        [process("0"), process("1")]
    };
    let mut processes = start();
    let mut others = [0; 2];
    under_load(&at, kills * 40, Duration::from_millis(140), || {
        for kill in 0..kills {
            if kill % 4 > 0 {
                // At work, both of them; any other moment is one of their start.
                at.until_it_ticks();
            }
            draws.sleep_below(3_000);
            let killed = usize::try_from(draws.below(2)).unwrap();
            processes[killed].signal("-KILL");
            let other = 1 - killed;
            if kill % 4 == 0 {
                std::thread::sleep(Duration::from_millis(500));
            }
            if kill % 4 == 0 && processes[other].is_running() {
                // It waits for the other one to connect, or is about to end.
                processes[other].signal("-KILL");
            } else {
                assert_eq!(processes[other].ended(), Some(2));
                others[other] += 1;
            }
            for process in &mut processes {
                process.ended();
            }
            processes = start();
        }
    });
    end_and_verify(&at, test, &mut processes);
    println!("{test}: {kills} kills; {others:?} times the other one of the two had to end");
    drop(web);
}

/// Three brokers: one is killed under load, another one once the first is back.
#[test]
fn brokers_of_three_are_killed() {
    let test = "three brokers";
    let rounds: u32 = count(1, 5);
    let at = Installation::new("soak-three", 3);
    let (web, mut dataflow) = (at.role("web"), [at.role("dataflow")]);
    at.apply(&LOAD.documents());
    under_load(&at, rounds as usize * 200, Duration::from_millis(140), || {
        for round in 0..rounds {
            for broker in [round % 3 + 1, (round + 1) % 3 + 1] {
                at.until_it_ticks();
                at.cluster.kill(broker);
                // It ticks on with two.
                at.until_it_ticks();
                at.cluster.revive(broker);
            }
        }
    });
    end_and_verify(&at, test, &mut dataflow);
    println!("{test}: {} kills", 2 * rounds);
    drop(web);
}
