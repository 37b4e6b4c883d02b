//! How fast one worker and several work off measurements that wait in an embedded log. `scripts/bench/sliding` runs it.
//!
//! - `fill FOLDER [PARTITIONS]` appends the file `records` of a folder to a log in it, with its ticks; as many partitions of
//!   `measurements` as `spillway up` has, unless told otherwise.
//! - `run FOLDER WORKERS` derives everything, as a dataflow does that starts on the log, and prints a line of `key=value` pairs.
#![allow(clippy::unwrap_used, reason = "a benchmark may stop")]

#[path = "../../../dataflow/examples/sliding_bench/recorded.rs"]
mod recorded;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use spillway_dataflow::{Output, RULES_VERSION};
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::{PartitionOffset, Tick, encode, topics};
use spillway_runtime::{LogTicks, OUTPUT_PARTITIONS, RuntimeError, Step, config};

const GROUP_TICKS: usize = 500;

/// As the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["fill", folder] => fill(Path::new(folder), None),
        ["fill", folder, partitions] => fill(Path::new(folder), Some(partitions.parse().unwrap())),
        ["run", folder, workers] => run(Path::new(folder), workers.parse().unwrap()),
        _ => panic!("unknown arguments: {arguments:?}"),
    }
}

fn fill(folder: &Path, partitions: Option<u32>) {
    let log = EmbeddedLog::create(folder.join("log")).unwrap();
    match partitions {
        None => spillway_runtime::topics::create(&log, spillway_runtime::topics::INPUT_PARTITIONS).unwrap(),
        Some(partitions) => {
            for spec in spillway_runtime::topics::specs(partitions, OUTPUT_PARTITIONS) {
                log.create_topic(&spec.name, spec.partitions).unwrap();
            }
        }
    }
    let partitions = log.partitions(topics::MEASUREMENTS).unwrap();
    let (provisioning, ticks) = recorded::Reader::open(&folder.join("records"));
    log.append(topics::PROVISIONING, 0, &[&encode(&provisioning).unwrap()]).unwrap();
    let mut ends = vec![0; partitions as usize];
    let mut number = 0;
    let ticks: Vec<_> = ticks.collect();
    for group in ticks.chunks(GROUP_TICKS) {
        let mut appended: Vec<Vec<&[u8]>> = vec![Vec::new(); partitions as usize];
        let mut encoded = Vec::new();
        for (at_us, records) in group {
            for (agent, bytes) in records {
                let partition = (agent % partitions) as usize;
                appended[partition].push(bytes);
                ends[partition] += 1;
            }
            let offset =
                |topic: &str, partition, end| PartitionOffset { topic: topic.to_owned(), partition, end };
            let measurements =
                (0..).zip(&ends).map(|(partition, end)| offset(topics::MEASUREMENTS, partition, *end));
            let offsets = measurements.chain([offset(topics::PROVISIONING, 0, 1)]).collect();
            let (rules, installation) = (RULES_VERSION, String::new());
            let tick = Tick { number, at_us: *at_us, rules, restart: false, installation, offsets };
            encoded.push(encode(&tick).unwrap());
            number += 1;
        }
        for (partition, records) in (0..).zip(&appended) {
            log.append(topics::MEASUREMENTS, partition, records).unwrap();
        }
        let encoded: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
        log.append(topics::TICKS, 0, &encoded).unwrap();
    }
    println!("partitions={partitions} ticks={number}");
}

fn run(folder: &Path, workers: usize) {
    let log = EmbeddedLog::open_to_read(folder.join("log")).unwrap();
    let config = config(workers);
    // By topic and partition: a checksum of the frames in order.
    let mut frames: BTreeMap<(&str, u32), crc32fast::Hasher> = BTreeMap::new();
    let (started, used) = (Instant::now(), process_time());
    let ticks = LogTicks::new(&log, config, None).unwrap();
    spillway_runtime::run(config, None, Vec::new(), ticks, |step| {
        if let Step::Output(Output::Frame { topic, partition, records, .. }) = step {
            let checksum = frames.entry((topic, partition)).or_default();
            records.iter().for_each(|bytes| checksum.update(bytes));
        }
        Ok::<(), RuntimeError>(())
    })
    .unwrap();
    let (elapsed, used) = (started.elapsed(), process_time() - used);
    let mut all = crc32fast::Hasher::new();
    frames.into_values().for_each(|checksum| all.update(&checksum.finalize().to_le_bytes()));
    println!(
        "elapsed_ns={} cpu_ns={} frames_crc={:08x}",
        elapsed.as_nanos(),
        used.as_nanos(),
        all.finalize()
    );
}

/// User and system time of all threads so far, from Linux's /proc, in steps of 10 ms.
fn process_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let jiffies: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(jiffies * 10)
}
