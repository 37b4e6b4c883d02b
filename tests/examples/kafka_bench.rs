//! Measures an installation on one real Kafka broker: how fast the dataflow works off measurements that wait, beside a
//! reader that only decodes them; then how long a changed answer takes while 10,000 measurements a second come in.
//!
//! `cargo build --release && cargo run --release -p spillway-tests --example kafka_bench [MEASUREMENTS [FLIPS]]`
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark may stop, and prints ratios"
)]

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use spillway_eventlog::cluster::Cluster;
use spillway_eventlog::{EventLog, KafkaLog, KafkaSettings};
use spillway_events::{
    AgentName, Measurement, MeasurementBatch, Micros, NetworkName, Series, SiteName, SourceName, Tick,
    TimeMicros, Tried, decode, encode, partition_of,
};

const SITES: usize = 1_000;
const BATCH_RECORDS: usize = 500;
const SERIES_A_BATCH: usize = 250;
const PARTITIONS: u32 = 4;
const AGENTS: usize = 8;
const DNS: &str = "127.0.0.1:5399";
const API: &str = "127.0.0.1:5398";

/// A process that is killed at the end.
struct Role(Child);

impl Drop for Role {
    fn drop(&mut self) {
        // One that has ended needs no killing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>().unwrap());
    let measurements = arguments.next().unwrap_or(5_000_000);
    let flips = arguments.next().unwrap_or(100);
    let cluster = Cluster::start(1);
    let folder = std::env::temp_dir().join(format!("spillway-kafka-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    run(&["topics", "create", "--kafka", &cluster.bootstrap]);
    let web = role("web", &cluster, &folder);
    provision(&folder);
    throughput(&cluster, &folder, measurements);
    latency(&cluster, &folder, flips);
    drop(web);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The binary beside this example.
fn binary() -> PathBuf {
    let example = std::env::current_exe().unwrap();
    example.parent().and_then(Path::parent).unwrap().join("spillway")
}

fn run(arguments: &[&str]) -> bool {
    let status = Command::new(binary()).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.unwrap().success()
}

fn role(name: &str, cluster: &Cluster, folder: &Path) -> Role {
    let child = Command::new(binary())
        .args([name, "--kafka", &cluster.bootstrap, "--dns", DNS, "--api", API])
        .args([Path::new("--data"), folder])
        .stderr(Stdio::null())
        .spawn();
    Role(child.unwrap())
}

fn connect(cluster: &Cluster) -> KafkaLog {
    KafkaLog::connect(KafkaSettings::plain(&cluster.bootstrap), std::sync::Arc::default()).unwrap()
}

fn provision(folder: &Path) {
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
    let file = folder.join("bench.yaml");
    std::fs::write(&file, text).unwrap();
    while !run(&["apply", "-f", file.to_str().unwrap(), "--api", API]) {
        std::thread::sleep(Duration::from_millis(200));
    }
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
        ok: true,
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

fn throughput(cluster: &Cluster, folder: &Path, measurements: usize) {
    let log = connect(cluster);
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

    let reader = connect(cluster);
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
    assert_eq!(decoded, batches * BATCH_RECORDS);
    let plain = report(
        "reading and decoding alone",
        decoded,
        started.elapsed(),
        self::used(std::process::id()) - used,
    );

    let started = Instant::now();
    let dataflow = role("dataflow", cluster, folder);
    let end: u64 = (0..PARTITIONS).map(|partition| log.end("measurements", partition).unwrap()).sum();
    let number = wait_for_tick(&log, end);
    wait_for_snapshot(&log, number);
    let through =
        report("through the dataflow, one worker", decoded, started.elapsed(), self::used(dataflow.0.id()));
    println!("ratio of CPU: {:.2}", through / plain);
}

fn report(what: &str, measurements: usize, took: Duration, used: Duration) -> f64 {
    let each = used.as_secs_f64() * 1e6 / measurements as f64;
    println!(
        "{what}: {:.2} M/s, {each:.3} µs of CPU a measurement",
        measurements as f64 / took.as_secs_f64() / 1e6
    );
    each
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
            if spillway_events::frame_head(&entry.bytes).is_some_and(|(tick, ..)| tick >= number) {
                return;
            }
        }
    }
}

fn latency(cluster: &Cluster, folder: &Path, flips: usize) {
    const BATCHES_A_SECOND: u32 = 20;
    let (_dataflow, _dns) = (role("dataflow", cluster, folder), role("dns", cluster, folder));
    let stop = AtomicBool::new(false);
    let took = std::thread::scope(|scope| {
        scope.spawn(|| {
            let (log, started) = (connect(cluster), Instant::now());
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
        let took = flip(&connect(cluster), flips);
        stop.store(true, Ordering::Release);
        took
    });
    let at = |percent: usize| took[(took.len() * percent).div_ceil(100) - 1].as_millis();
    println!(
        "measurement appended to changed answer, at {} measurements/s, {flips} times: p50 {} ms, p99 {} ms",
        BATCHES_A_SECOND as usize * BATCH_RECORDS,
        at(50),
        at(99)
    );
}

/// Sends measurements that turn the answer, one in each window; how long each took, sorted.
fn flip(log: &KafkaLog, flips: usize) -> Vec<Duration> {
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
        if answer_is_cname() == Some(true) {
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
        while answer_is_cname() != Some(is_slow) && started.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(1));
        }
        took.push(started.elapsed());
    }
    took.sort_unstable();
    took
}

fn answer_is_cname() -> Option<bool> {
    let query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x04flip\x07example\0\0\x01\0\x01";
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket.send_to(query, DNS).unwrap();
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
