//! The append and read rates of the embedded log, compared with a plain file.
//!
//! 8 threads append batches of 500 records of the size of a measurement, each waiting for its acknowledgement. Then the
//! same bytes are written to a plain file with the same number of syncs. The two alternate in rounds, because the speed
//! of a shared disk varies: the ratio is that of the median round. At the end all records are read.
//!
//! Then a process fills the log up to a size and is killed, and the time to open the log is measured.
//!
//! `scripts/bench/append` builds and runs it, and describes its arguments and its last line.
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use spillway_eventlog::{EmbeddedLog, EventLog};

const PRODUCERS: u32 = 8;
const BATCH_RECORDS: usize = 500;
const RECORD_BYTES: usize = 40;
/// See [`EmbeddedLog::commits`].
const SYNCS_PER_COMMIT: usize = 2;
/// How often the log is opened after a kill; the slowest counts.
const KILLS: usize = 3;

/// The extent of a run.
struct Extent {
    rounds: usize,
    batches: usize,
    fill_mib: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let extent = match arguments[..] {
        ["fill", folder, mib] => return fill(Path::new(folder), mib.parse().unwrap()),
        [] => Extent { rounds: 15, batches: 100, fill_mib: 1_024 },
        ["--quick"] => Extent { rounds: 5, batches: 40, fill_mib: 128 },
        ["--mib", mib] => Extent { rounds: 5, batches: 40, fill_mib: mib.parse().unwrap() },
        _ => panic!("usage: append_bench [--quick | --mib N]"),
    };
    let folder = tempfile::TempDir::new_in(".").unwrap();
    let (append, plain, ratio) = compare(folder.path(), &extent);
    let opened: Duration = (0..KILLS).map(|_| open_after_kill(folder.path(), extent.fill_mib)).max().unwrap();
    let log_mib = std::fs::metadata(folder.path().join("log.redb")).unwrap().len() >> 20;
    println!(
        "append_per_s={append:.0} plain_file_per_s={plain:.0} ratio={ratio:.3} open_after_kill_ms={:.1} log_mib={log_mib}",
        opened.as_secs_f64() * 1e3
    );
}

/// Appends to the log and to a plain file in turns. Returns the median rates in records per second, and the median ratio.
fn compare(folder: &Path, extent: &Extent) -> (f64, f64, f64) {
    let records: Vec<Vec<u8>> = (0..BATCH_RECORDS).map(|n| vec![n.to_le_bytes()[0]; RECORD_BYTES]).collect();
    let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    let round_records = PRODUCERS as usize * extent.batches * BATCH_RECORDS;
    let log = EmbeddedLog::create(folder).unwrap();
    log.create_topic("measurements", PRODUCERS).unwrap();
    let mut file = File::create(folder.join("plain")).unwrap();
    let (mut log_rates, mut plain_rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..extent.rounds {
        let commits_before = log.commits();
        let log_took = timed(|| append_round(&log, extent.batches, &slices));
        let syncs = SYNCS_PER_COMMIT * usize::try_from(log.commits() - commits_before).unwrap();
        let bytes = vec![7; round_records * RECORD_BYTES / syncs];
        let plain_took = timed(|| {
            for _ in 0..syncs {
                file.write_all(&bytes).unwrap();
                file.sync_data().unwrap();
            }
        });
        log_rates.push(round_records as f64 / log_took.as_secs_f64());
        plain_rates.push(round_records as f64 / plain_took.as_secs_f64());
        ratios.push(plain_took.as_secs_f64() / log_took.as_secs_f64());
    }
    let total = extent.rounds * round_records;
    let read = timed(|| assert_eq!(read_all(&log), total));
    println!("log, read: {:.2} M records/s", total as f64 / read.as_secs_f64() / 1e6);
    (median("log, append", log_rates), median("plain file", plain_rates), median("ratio", ratios))
}

/// Fills the log in another process, kills that process while it appends, and returns the time to open the log.
fn open_after_kill(folder: &Path, mib: u64) -> Duration {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("fill")
        .arg(folder)
        .arg(mib.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "full"));
    child.kill().unwrap();
    child.wait().unwrap();
    let begun = Instant::now();
    let log = EmbeddedLog::open(folder).unwrap();
    assert!(log.end("measurements", 0).unwrap() > 0);
    begun.elapsed()
}

/// Appends until the log has a size, says so, and appends on.
fn fill(folder: &Path, mib: u64) {
    let log = EmbeddedLog::open(folder).unwrap();
    let records: Vec<Vec<u8>> = (0..20_000).map(|_| vec![7; RECORD_BYTES]).collect();
    let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    let mut is_full = false;
    loop {
        log.append("measurements", 0, &slices).unwrap();
        if !is_full && log.size().stored_bytes >= mib << 20 {
            is_full = true;
            println!("full");
        }
    }
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

/// Prints and returns the median of some values.
fn median(what: &str, mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let median = values[values.len() / 2];
    println!("{what}: median {median:.3}, range {:.3} to {:.3}", values[0], values[values.len() - 1]);
    median
}
