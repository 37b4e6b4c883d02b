//! The append and read rates of the embedded log, compared with a plain file.
//!
//! 8 threads append batches of 500 records of the size of a measurement, each waiting for its acknowledgement. Then the
//! same bytes are written to a plain file with the same number of syncs. The two alternate in rounds, because the speed
//! of a shared disk varies: the ratio is that of the median round. At the end all records are read.
//!
//! `cargo run --release -p spillway-eventlog --example append_bench [BATCHES_PER_PRODUCER_AND_ROUND]`
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use spillway_eventlog::{EmbeddedLog, EventLog};

const ROUNDS: usize = 15;
const PRODUCERS: u32 = 8;
const BATCH_RECORDS: usize = 500;
const RECORD_BYTES: usize = 40;
/// See [`EmbeddedLog::commits`].
const SYNCS_PER_COMMIT: usize = 2;

fn main() {
    let batches: usize = std::env::args().nth(1).map_or(100, |text| text.parse().unwrap());
    let folder = tempfile::TempDir::new_in(".").unwrap();
    let records: Vec<Vec<u8>> = (0..BATCH_RECORDS).map(|n| vec![n.to_le_bytes()[0]; RECORD_BYTES]).collect();
    let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    let round_records = PRODUCERS as usize * batches * BATCH_RECORDS;
    let total = ROUNDS * round_records;

    let log = EmbeddedLog::create(folder.path()).unwrap();
    log.create_topic("measurements", PRODUCERS).unwrap();
    let mut file = File::create(folder.path().join("plain")).unwrap();
    let (mut log_rounds, mut plain_rounds, mut syncs_all) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let commits_before = log.commits();
        log_rounds.push(timed(|| append_round(&log, batches, &slices)));
        let syncs = SYNCS_PER_COMMIT * usize::try_from(log.commits() - commits_before).unwrap();
        let bytes = vec![7; round_records * RECORD_BYTES / syncs];
        plain_rounds.push(timed(|| {
            for _ in 0..syncs {
                file.write_all(&bytes).unwrap();
                file.sync_data().unwrap();
            }
        }));
        syncs_all += syncs;
    }
    let each = (ROUNDS * PRODUCERS as usize * batches) as f64 * SYNCS_PER_COMMIT as f64 / syncs_all as f64;
    println!("{ROUNDS} rounds, {syncs_all} syncs, commits of {each:.1} batches of {BATCH_RECORDS} records");
    report("log, appended", round_records, &log_rounds);
    report("plain file, appended", round_records, &plain_rounds);
    let mut ratios: Vec<f64> = log_rounds
        .iter()
        .zip(&plain_rounds)
        .map(|(log, plain)| log.as_secs_f64() / plain.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "log : plain file, time: median {:.2}, range {:.2} to {:.2}",
        ratios[ROUNDS / 2],
        ratios[0],
        ratios[ROUNDS - 1]
    );

    let read = timed(|| assert_eq!(read_all(&log), total));
    report("log, read", total, &[read]);
    drop(log);
    let bytes = std::fs::metadata(folder.path().join("log.redb")).unwrap().len();
    println!("log.redb: {bytes} bytes, {:.1} a record of {RECORD_BYTES}", bytes as f64 / total as f64);
    let opened = timed(|| drop(EmbeddedLog::open(folder.path()).unwrap()));
    report("log, opened and checked", total, &[opened]);
}

fn append_round(log: &EmbeddedLog, batches: usize, slices: &[&[u8]]) {
    std::thread::scope(|scope| {
        for partition in 0..PRODUCERS {
            scope.spawn(move || {
                for _ in 0..batches {
                    log.append("measurements", partition, slices).unwrap();
                }
            });
        }
    });
}

fn read_all(log: &EmbeddedLog) -> usize {
    let mut read = 0;
    for partition in 0..PRODUCERS {
        let mut from = 0;
        while from < log.end("measurements", partition).unwrap() {
            let found = log.read("measurements", partition, from, usize::MAX, 1 << 20).unwrap();
            from += found.len() as u64;
            read += found.len();
        }
    }
    read
}

fn timed(run: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    run();
    begun.elapsed()
}

/// Prints the median pace, and the slowest and fastest.
fn report(what: &str, records: usize, rounds: &[Duration]) {
    let mut paces: Vec<f64> = rounds.iter().map(|took| records as f64 / took.as_secs_f64() / 1e6).collect();
    paces.sort_by(f64::total_cmp);
    let (Some(slowest), Some(fastest)) = (paces.first(), paces.last()) else { return };
    let median = paces[paces.len() / 2];
    println!("{what}: median {median:.2} M records/s, range {slowest:.2} to {fastest:.2}");
}
