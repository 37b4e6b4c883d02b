//! The embedded adapter and processes: killing a process during appends, and opening a log twice.
//!
//! The tests start this test binary again with `SPILLWAY_CHILD_FOLDER` set. The child process runs the "test" called
//! `child` and is killed.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use spillway_eventlog::{EmbeddedLog, EventLog, LogError, PageCheck, check};
use tempfile::TempDir;

const FOLDER: &str = "SPILLWAY_CHILD_FOLDER";
const CREATED_FOLDER: &str = "SPILLWAY_CHILD_CREATED_FOLDER";
const THREADS: u32 = 4;

/// Not a test: the process that is killed. Each thread appends numbered batches to its own partition and prints
/// `ack PARTITION NUMBER` when the log has acknowledged one.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::create(folder).unwrap());
    log.create_topic("usage", THREADS).unwrap();
    println!("\nopen");
    let append_for_ever = |partition| {
        let mut number = next_batch(log.as_ref(), partition);
        loop {
            let records = batch(partition, number);
            log.append("usage", partition, &records.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
            // One write for each line, so that lines of several threads do not interleave.
            let line = format!("ack {partition} {number}\n");
            std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            number += 1;
        }
    };
    std::thread::scope(|scope| {
        for partition in 0..THREADS {
            scope.spawn(move || append_for_ever(partition));
        }
    });
}

/// Kills the child after a different number of acknowledgements in each round, at arbitrary points of its commits, and
/// continues in the same folder. All acknowledged batches must be in the log, and beyond them only whole batches.
#[test]
fn killed_in_the_middle_nothing_acknowledged_is_lost() {
    let folder = TempDir::new().unwrap();
    let mut acknowledged = [0_u64; THREADS as usize];
    for round in 0..8 {
        let (mut child, lines) = start_child(folder.path());
        let mut acks = 0;
        for line in lines {
            if let Some((partition, number)) = parse_ack(&line) {
                acknowledged[partition] = acknowledged[partition].max(number + 1);
                acks += 1;
            }
            // Lines that were in the pipe when the child was killed count too.
            if acks == 1 + round * 37 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();

        // Before the log is opened: opening must leave nothing to repair, and neither must the kill.
        let report = check(folder.path(), &mut |_| {}).unwrap();
        assert!(report.is_intact() && report.pages == PageCheck::Intact, "round {round}: {report:?}");
        let log = EmbeddedLog::open(folder.path()).unwrap();
        for partition in 0..THREADS {
            let found = next_batch(&log, partition);
            let promised = acknowledged[partition as usize];
            assert!(
                found >= promised,
                "round {round}: {found} batches of {promised} in partition {partition}"
            );
        }
    }
    assert!(acknowledged.iter().all(|&number| number > 0), "{acknowledged:?}");
}

/// Not a test: the process that is killed while it creates a log. It says when it begins, and exits after the creation.
#[test]
fn creating_child() {
    let Ok(folder) = std::env::var(CREATED_FOLDER) else { return };
    println!("\nbegin");
    drop(EmbeddedLog::create(folder).unwrap());
}

/// Kills a process at many moments of creating a log. Afterwards the log can always be created or opened, and used.
#[test]
fn killed_while_creating_the_log_opens_afterwards() {
    for round in 0..60_u32 {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("log");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "creating_child", "--nocapture", "--test-threads=1"])
            .env(CREATED_FOLDER, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "begin"));
        // Creating takes a few milliseconds.
        std::thread::sleep(std::time::Duration::from_micros(u64::from(round) * 75));
        child.kill().unwrap();
        child.wait().unwrap();
        let is_complete = path.join("log.redb").exists();
        assert_eq!(EmbeddedLog::open(&path).is_ok(), is_complete, "round {round}");
        let log = EmbeddedLog::create(&path).unwrap();
        log.create_topic("usage", 1).unwrap();
        assert_eq!(log.append("usage", 0, &[b"a"]).unwrap(), 0);
        assert!(!path.join("log.redb.new").exists());
    }
}

#[test]
fn a_second_process_is_told_that_another_has_the_folder() {
    let folder = TempDir::new().unwrap();
    let (mut child, mut lines) = start_child(folder.path());
    assert!(lines.any(|line| line == "open"));
    for open in [EmbeddedLog::open, EmbeddedLog::create] {
        let Err(error) = open(folder.path()) else { panic!("opened twice") };
        assert!(matches!(error, LogError::InUse { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains("another process"), "{message}");
        assert!(message.contains(folder.path().to_str().unwrap()), "{message}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    EmbeddedLog::open(folder.path()).unwrap();
}

/// Flips bits all over the file of a killed process. The log is refused, or holds whole batches in order and all that
/// were acknowledged: a complete last commit is not taken for a torn one.
#[test]
fn killed_and_then_damaged_is_refused_or_whole() {
    let folder = TempDir::new().unwrap();
    let (mut child, lines) = start_child(folder.path());
    let mut acknowledged = [0_u64; THREADS as usize];
    for (acks, (partition, number)) in lines.filter_map(|line| parse_ack(&line)).enumerate() {
        acknowledged[partition] = number + 1;
        if acks == 30 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();

    let killed = std::fs::read(folder.path().join("log.redb")).unwrap();
    let mut refused = 0;
    // One bit cannot be checked: it selects the last commit, and a crash may leave either value. With either value the
    // log holds whole batches only, see `next_batch`.
    let selects_last_commit = (9, 0);
    // All bits of the header, which selects the last commit, then some of the whole file.
    let head = (0..64).flat_map(|at| (0..8).map(move |bit| (at, bit)));
    let rest = (64..320).chain((320..killed.len()).step_by(killed.len() / 300)).map(|at| (at, at % 8));
    for (at, bit) in head.chain(rest) {
        let damaged = TempDir::new().unwrap();
        let mut bytes = killed.clone();
        bytes[at] ^= 1 << bit;
        std::fs::write(damaged.path().join("log.redb"), bytes).unwrap();
        match EmbeddedLog::open(damaged.path()) {
            Ok(log) => {
                for (partition, promised) in (0..).zip(acknowledged) {
                    // A damaged block is refused when it is read.
                    let Ok(found) = try_next_batch(&log, partition) else {
                        refused += 1;
                        continue;
                    };
                    let kept = found >= promised || (at, bit) == selects_last_commit;
                    assert!(
                        kept,
                        "byte {at} bit {bit}: {found} batches of {promised} in partition {partition}"
                    );
                }
            }
            Err(error) => {
                assert!(error.to_string().contains("log.redb"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}

fn start_child(folder: &Path) -> (Child, impl Iterator<Item = String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    (child, lines)
}

fn parse_ack(line: &str) -> Option<(usize, u64)> {
    let (partition, number) = line.strip_prefix("ack ")?.split_once(' ')?;
    Some((partition.parse().ok()?, number.parse().ok()?))
}

/// Batches differ in length and bytes. Each record contains its partition, batch and position.
fn batch(partition: u32, number: u64) -> Vec<Vec<u8>> {
    let records = 1 + number % 7;
    (0..records)
        .map(|n| {
            format!("{partition}/{number}/{n}/{records} ")
                .repeat(1 + usize::try_from(n).unwrap() * 9)
                .into_bytes()
        })
        .collect()
}

/// Checks that a partition holds whole batches in order from 0, and returns the number of the next.
fn next_batch(log: &dyn EventLog, partition: u32) -> u64 {
    try_next_batch(log, partition).unwrap()
}

fn try_next_batch(log: &dyn EventLog, partition: u32) -> Result<u64, LogError> {
    let mut found = log.read("usage", partition, 0, usize::MAX, usize::MAX)?.into_iter();
    let mut number = 0;
    while found.len() > 0 {
        let wanted = batch(partition, number);
        let have: Vec<_> = found.by_ref().take(wanted.len()).map(|entry| entry.bytes).collect();
        assert_eq!(have, wanted, "partition {partition}, batch {number}");
        number += 1;
    }
    Ok(number)
}
