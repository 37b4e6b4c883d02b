//! Measures installations on one real Kafka broker: how fast a dataflow of one worker, of two, and of two processes works
//! off measurements that wait, beside a reader that only decodes them; how long two processes take to go on when one is
//! killed; then how long a changed answer takes while 10,000 measurements a second come in.
//!
//! The last line holds the figures as `key=value` pairs. `scripts/bench/kafka` runs it. With `--quick` it measures a dataflow
//! of one worker, and a few changed answers.
//!
//! `cargo run --release -p spillway-tests --example kafka_bench [--quick]`
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark may stop, and prints ratios"
)]

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use spillway_eventlog::{EventLog, KafkaLog};
use spillway_events::{
    AgentName, FrameHead, Measurement, MeasurementBatch, Micros, NetworkName, Outcome, Series, SiteName,
    SourceName, Tick, TimeMicros, Tried, decode, encode, partition_of,
};
use spillway_tests::installation::{Installation, Role, free_address};

const SITES: usize = 1_000;
const BATCH_RECORDS: usize = 500;
const SERIES_A_BATCH: usize = 250;
const PARTITIONS: u32 = 4;
const AGENTS: usize = 8;

fn main() {
    let is_quick = std::env::args().nth(1).is_some_and(|argument| argument == "--quick");
    let (measurements, flips) = if is_quick { (500_000, 5) } else { (5_000_000, 100) };
    let shapes: &[(usize, usize)] = if is_quick { &[(1, 1)] } else { &[(1, 1), (1, 2), (2, 1)] };
    let mut plain = None;
    let mut figures = String::new();
    for (processes, workers) in shapes.iter().copied() {
        let at = Installation::new(&format!("bench-{processes}-{workers}"), 1);
        let web = at.role("web");
        at.apply(&documents());
        let waiting = append_waiting(&at, measurements);
        let plain = *plain.get_or_insert_with(|| decode_alone(&at, waiting));
        figures += &throughput(&at, waiting, processes, workers, plain);
        drop(web);
    }
    let at = Installation::new("bench-latency", 1);
    let web = at.role("web");
    at.apply(&documents());
    if !is_quick {
        figures += &restart(&at);
    }
    figures += &latency(&at, flips);
    drop(web);
    println!("{}", figures.trim_end());
}

fn documents() -> String {
    let mut text = String::from(
        "kind: client\nname: acme\n---\nkind: network\nname: net\nprefixes: [127.0.0.0/8]\n---\n\
         kind: cdn\nname: cdn\ntype: operated\ndns_name: flipped.example\n---\n\
         kind: probe\nagent: flipper\nnetwork: net\n---\n",
    );
    for agent in 0..AGENTS {
        text += &format!("kind: probe\nagent: a{agent}\nnetwork: net\n---\n");
    }
    let site = |name: &str, window: &str| {
        format!(
            "kind: site\nname: {name}\nclient: acme\nhosts: [{name}.example]\nttl_secs: 1\n\
             origin: {{addresses: [192.0.2.1]}}\ncdns: [cdn]\nobjectives: [{{metric: response_time, threshold: 100ms, \
             percentile: 95, window: {window}, samples_min: 1, probes_min: 1}}]\n---\n"
        )
    };
    text += &site("flip", "1s");
    (0..SITES).for_each(|number| text += &site(&format!("s{number}"), "60s"));
    text
}

fn now() -> TimeMicros {
    TimeMicros(i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap())
}

fn batch(agent: &str, boot: u64, sequence: u64, sites: &[String], time_us: impl Fn(usize) -> u64) -> Vec<u8> {
    let at_us = now();
    let series = sites.iter().map(|site| Series {
        site: SiteName::new(site.clone()).unwrap(),
        target: "origin".to_owned(),
        agent: AgentName::new(agent).unwrap(),
        network: NetworkName::new("net").unwrap(),
    });
    let measurement = |place: usize| Measurement {
        series: u32::try_from(place % sites.len()).unwrap(),
        at_us,
        tried: Tried::ResponseTime,
        outcome: Outcome::Ok,
        response_time_us: Some(Micros(time_us(place))),
        throughput_bps: None,
        bytes: None,
        phases: None,
        error: None,
    };
    let count = if sites.len() == 1 { 1 } else { BATCH_RECORDS };
    let source = SourceName::new(agent).unwrap();
    let measurements = (0..count).map(measurement).collect();
    encode(&MeasurementBatch { source, boot, sequence, series: series.collect(), measurements }).unwrap()
}

/// A batch of one of the agents that make the load.
fn load(boot: u64, number: usize) -> (u32, Vec<u8>) {
    let agent = format!("a{}", number % AGENTS);
    let first = number / AGENTS * SERIES_A_BATCH;
    let sites: Vec<String> =
        (first..first + SERIES_A_BATCH).map(|site| format!("s{}", site % SITES)).collect();
    let sequence = (number / AGENTS) as u64 + 1;
    let bytes = batch(&agent, boot, sequence, &sites, |place| 20_000 + (place as u64 * 7_919) % 60_000);
    (partition_of(&agent, PARTITIONS), bytes)
}

/// Appends batches that wait; how many measurements they have.
fn append_waiting(at: &Installation, measurements: usize) -> usize {
    let log = at.log();
    let batches = measurements / BATCH_RECORDS;
    let mut waiting: Vec<Vec<Vec<u8>>> = vec![Vec::new(); PARTITIONS as usize];
    for number in 0..batches {
        let (partition, bytes) = load(1, number);
        waiting[partition as usize].push(bytes);
    }
    let mut bytes = 0;
    for (partition, records) in (0..).zip(&waiting) {
        for group in records.chunks(500) {
            bytes += group.iter().map(Vec::len).sum::<usize>();
            let group: Vec<&[u8]> = group.iter().map(Vec::as_slice).collect();
            log.append("measurements", partition, &group).unwrap();
        }
    }
    println!("{} measurements wait, {BATCH_RECORDS} a batch, {} MiB", batches * BATCH_RECORDS, bytes >> 20);
    batches * BATCH_RECORDS
}

/// What reading and decoding alone take, in µs of CPU a measurement.
fn decode_alone(at: &Installation, waiting: usize) -> f64 {
    let reader = at.log();
    let (started, used) = (Instant::now(), used(std::process::id()));
    let mut decoded = 0;
    for partition in 0..PARTITIONS {
        let (mut next, end) = (0, reader.end("measurements", partition).unwrap());
        while next < end {
            for entry in reader.read("measurements", partition, next, 4_096, 16 << 20).unwrap() {
                decoded += decode::<MeasurementBatch>(&entry.bytes).unwrap().measurements.len();
                next = entry.offset + 1;
            }
        }
    }
    assert_eq!(decoded, waiting);
    let used = self::used(std::process::id()) - used;
    report("reading and decoding alone", decoded, started.elapsed(), used).1
}

/// Starts all processes of a dataflow.
fn dataflow(at: &Installation, processes: usize, workers: usize) -> Vec<Role> {
    let hosts: Vec<String> = (0..processes).map(|_| free_address()).collect();
    let (hosts, workers) = (hosts.join(","), workers.to_string());
    let process = |number: usize| {
        let number = number.to_string();
        at.role_with("dataflow", &["--workers", &workers, "--hosts", &hosts, "--process", &number])
    };
    (0..processes).map(process).collect()
}

/// How fast a dataflow works off what waits; the figures.
fn throughput(at: &Installation, waiting: usize, processes: usize, workers: usize, plain: f64) -> String {
    let log = at.log();
    let started = Instant::now();
    let dataflow = dataflow(at, processes, workers);
    let end: u64 = (0..PARTITIONS).map(|partition| log.end("measurements", partition).unwrap()).sum();
    let number = wait_for_tick(&log, end);
    wait_for_snapshot(&log, number);
    let used = dataflow.iter().map(|process| used(process.id())).sum();
    let what = format!("through the dataflow, processes × workers = {processes} × {workers}");
    let (rate, through) = report(&what, waiting, started.elapsed(), used);
    let ratio = through / plain;
    println!("ratio of CPU: {ratio:.2}");
    let shape = format!("{processes}x{workers}");
    format!("rate_{shape}={rate:.0} cpu_us_{shape}={through:.3} cpu_ratio_{shape}={ratio:.2} ")
}

/// Kills one of two processes once there is a checkpoint, and starts both again; the figures.
fn restart(at: &Installation) -> String {
    let log = at.log();
    let mut processes = dataflow(at, 2, 1);
    for number in 0.. {
        let (partition, bytes) = load(3, number);
        log.append("measurements", partition, &[&bytes]).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        if log.end("manifests", 0).unwrap() >= 2 {
            break;
        }
    }
    let killed_at = Instant::now();
    drop(processes.pop());
    processes[0].ended();
    let ended = killed_at.elapsed();
    let before = log.end("snapshots", 0).unwrap();
    let _processes = dataflow(at, 2, 1);
    while log.end("snapshots", 0).unwrap() == before {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (ended_ms, restarted_ms) = (ended.as_millis(), killed_at.elapsed().as_millis());
    println!(
        "one process of two killed: the other ended after {ended_ms} ms; both started again at once, and the first snapshot \
         came {restarted_ms} ms after the kill"
    );
    format!("peer_ended_ms={ended_ms} restarted_ms={restarted_ms} ")
}

/// Prints, and returns, how many measurements a second and how many microseconds of CPU a measurement.
fn report(what: &str, measurements: usize, took: Duration, used: Duration) -> (f64, f64) {
    let each = used.as_secs_f64() * 1e6 / measurements as f64;
    let rate = measurements as f64 / took.as_secs_f64();
    println!("{what}: {:.2} M/s, {each:.3} µs of CPU a measurement", rate / 1e6);
    (rate, each)
}

/// The first tick that reads so many records of `measurements`.
fn wait_for_tick(log: &KafkaLog, records: u64) -> u64 {
    let mut next = 0;
    loop {
        log.wait("ticks", 0, next, Duration::from_secs(60)).unwrap();
        for entry in log.read("ticks", 0, next, 4_096, 16 << 20).unwrap() {
            next = entry.offset + 1;
            let tick: Tick = decode(&entry.bytes).unwrap();
            let read = tick.offsets.iter().filter(|offset| offset.topic == "measurements");
            if read.map(|offset| offset.end).sum::<u64>() >= records {
                return tick.number;
            }
        }
    }
}

/// A frame of that tick or a later one in `snapshots`.
fn wait_for_snapshot(log: &KafkaLog, number: u64) {
    let mut next = 0;
    loop {
        log.wait("snapshots", 0, next, Duration::from_secs(60)).unwrap();
        for entry in log.read("snapshots", 0, next, 4_096, 16 << 20).unwrap() {
            next = entry.offset + 1;
            if FrameHead::of(&entry.bytes).is_some_and(|head| head.tick >= number) {
                return;
            }
        }
    }
}

/// How long a changed answer takes while measurements come in; the figures.
fn latency(at: &Installation, flips: usize) -> String {
    const BATCHES_A_SECOND: u32 = 20;
    let (_dataflow, _dns) = (at.role("dataflow"), at.role("dns"));
    let stop = AtomicBool::new(false);
    let took = std::thread::scope(|scope| {
        scope.spawn(|| {
            let (log, started) = (at.log(), Instant::now());
            for number in 0.. {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                let (partition, bytes) = load(2, number);
                log.append("measurements", partition, &[&bytes]).unwrap();
                let due = Duration::from_secs(1) * u32::try_from(number).unwrap() / BATCHES_A_SECOND;
                std::thread::sleep(due.saturating_sub(started.elapsed()));
            }
        });
        let took = flip(at, flips);
        stop.store(true, Ordering::Release);
        took
    });
    let percentile = |percent: usize| took[(took.len() * percent).div_ceil(100) - 1].as_millis();
    let (p50_ms, p99_ms) = (percentile(50), percentile(99));
    println!(
        "measurement appended to changed answer, at {} measurements/s, {flips} times: p50 {p50_ms} ms, p99 {p99_ms} ms",
        BATCHES_A_SECOND as usize * BATCH_RECORDS
    );
    format!("answer_p50_ms={p50_ms} answer_p99_ms={p99_ms}")
}

/// Sends measurements that turn the answer, one in each window; how long each took, sorted.
fn flip(at: &Installation, flips: usize) -> Vec<Duration> {
    let log = at.log();
    let partition = partition_of("flipper", PARTITIONS);
    let mut sequence = 0;
    // Early in a second, which is the window, so that the tick that reads it is of the same one.
    let mut send = |is_slow: bool| {
        let into_second = u64::try_from(now().0.rem_euclid(1_000_000)).unwrap();
        std::thread::sleep(Duration::from_micros(1_050_000 - into_second));
        sequence += 1;
        let time_us = if is_slow { 300_000 } else { 20_000 };
        let bytes = batch("flipper", 1, sequence, &["flip".to_owned()], |_| time_us);
        let started = Instant::now();
        log.append("measurements", partition, &[&bytes]).unwrap();
        started
    };
    // Until the roles are there and have worked off what waits.
    for _ in 0..60 {
        if answer_is_cname(at) == Some(true) {
            break;
        }
        send(true);
        std::thread::sleep(Duration::from_millis(500));
    }
    let mut took = Vec::new();
    let mut is_slow = true;
    for _ in 0..flips {
        is_slow = !is_slow;
        let started = send(is_slow);
        while answer_is_cname(at) != Some(is_slow) && started.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(1));
        }
        took.push(started.elapsed());
    }
    took.sort_unstable();
    took
}

fn answer_is_cname(at: &Installation) -> Option<bool> {
    let query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x04flip\x07example\0\0\x01\0\x01";
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket.send_to(query, &at.dns).unwrap();
    let mut reply = [0; 512];
    let length = socket.recv(&mut reply).ok()?;
    // An answer at all, and the CDN's name in it.
    (reply[7] > 0).then(|| reply[..length].windows(7).any(|bytes| bytes == b"flipped"))
}

/// User and system time of a process, from Linux's /proc, in steps of 10 ms.
fn used(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let jiffies: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(jiffies * 10)
}
