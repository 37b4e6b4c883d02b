//! The embedded adapter on a full disk: a limit on the file size of a child process, and a small file system.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use spillway_eventlog::{EmbeddedLog, EventLog, LogError, PageCheck, check};
use tempfile::TempDir;

const FOLDER: &str = "SPILLWAY_LIMITED_FOLDER";
const RECORD_BYTES: usize = 100_000;

static ERRORS_LOGGED: AtomicU32 = AtomicU32::new(0);

/// Counts the events of level `ERROR`.
struct ErrorCounter;

impl tracing::Subscriber for ErrorCounter {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        ERRORS_LOGGED.fetch_add(1, Ordering::SeqCst);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Not a test: the process whose files cannot exceed a size. It runs with the signal `SIGXFSZ` ignored.
#[test]
fn limited_child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    tracing::subscriber::set_global_default(ErrorCounter).unwrap();
    let log = EmbeddedLog::create(folder).unwrap();
    log.create_topic("usage", 1).unwrap();
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: Some(6 << 20), maximum }).unwrap();
    let appended = fill(&log);
    for _ in 0..5 {
        assert!(matches!(log.append("usage", 0, &[&record(appended)]), Err(LogError::WriteFailed { .. })));
    }
    assert_eq!(ERRORS_LOGGED.load(Ordering::SeqCst), 1, "a lasting failure is logged once");
    check_records(&log, appended);
    setrlimit(Resource::Fsize, Rlimit { current: maximum, maximum }).unwrap();
    assert_eq!(log.append("usage", 0, &[&record(appended)]).unwrap(), appended);
    check_records(&log, appended + 1);
}

#[test]
fn a_limited_file_size_fails_appends_until_it_is_raised() {
    let folder = TempDir::new().unwrap();
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "limited_child", "--test-threads=1"])
        .env(FOLDER, folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    let log = EmbeddedLog::open(folder.path()).unwrap();
    check_records(&log, log.end("usage", 0).unwrap());
}

/// Threads append to a full file system and send again after each error. When there is room, every record is in the log
/// once. Mounting needs root; without it the test does nothing.
#[test]
fn a_full_file_system_fails_appends_until_there_is_room() {
    let Some(mount) = Mount::tmpfs("size=16m") else { return };
    let folder = mount.path().join("log");
    let log = EmbeddedLog::create(&folder).unwrap();
    log.create_topic("usage", 3).unwrap();
    let ballast = mount.path().join("ballast");
    fs::write(&ballast, vec![1; 12 << 20]).unwrap();
    let failures = AtomicU32::new(0);
    let append_all = |partition: u32| {
        for number in 0..20 {
            while let Err(error) = log.append("usage", partition, &[&record(number)]) {
                assert!(matches!(error, LogError::WriteFailed { .. }), "{error:?}");
                assert!(error.to_string().contains("free space"), "{error}");
                if failures.fetch_add(1, Ordering::SeqCst) == 10 {
                    fs::remove_file(&ballast).unwrap();
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for partition in 0..3 {
            let append_all = &append_all;
            scope.spawn(move || append_all(partition));
        }
    });
    assert!(failures.load(Ordering::SeqCst) > 10, "the file system was never full");
    drop(log);
    let log = EmbeddedLog::open(&folder).unwrap();
    for partition in 0..3 {
        let found = log.read("usage", partition, 0, usize::MAX, usize::MAX).unwrap();
        assert!(found.iter().map(|entry| &entry.bytes).eq(&(0..20).map(record).collect::<Vec<_>>()));
    }
}

/// A log on a read-only file system can be read and checked, but not opened for writing: that is refused with the file and
/// the fix. Mounting needs root.
#[test]
fn a_log_on_a_read_only_file_system_is_read_and_never_written() {
    let Some(mount) = Mount::tmpfs("size=16m") else { return };
    let folder = mount.path().join("log");
    let log = EmbeddedLog::create(&folder).unwrap();
    log.create_topic("usage", 1).unwrap();
    log.append("usage", 0, &[&record(0), &record(1)]).unwrap();
    drop(log);
    mount.remount("ro");
    let log = EmbeddedLog::open_to_read(&folder).unwrap();
    check_records(&log, 2);
    for refused in [log.append("usage", 0, &[&record(2)]).map(drop), log.truncate_before("usage", 0, 1)] {
        assert!(matches!(refused, Err(LogError::NotWritable { .. })), "{refused:?}");
    }
    drop(log);
    let report = check(&folder, &mut |_| ()).unwrap();
    assert_eq!((report.records, report.is_intact(), report.pages), (2, true, PageCheck::NotChecked));
    for open in [EmbeddedLog::open, EmbeddedLog::create] {
        let Err(error) = open(&folder) else { panic!("opened") };
        assert!(matches!(error, LogError::NotWritable { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains("log.redb") && message.contains("mount"), "{message}");
    }
    let Err(error) = EmbeddedLog::create(mount.path().join("other")) else { panic!("created") };
    assert!(
        matches!(error, LogError::NotWritable { .. }) && error.to_string().contains("other"),
        "{error:?}"
    );
}

/// Appends until an append fails; returns the number of records.
fn fill(log: &EmbeddedLog) -> u64 {
    for number in 0..1_000 {
        if let Err(error) = log.append("usage", 0, &[&record(number)]) {
            assert!(matches!(error, LogError::WriteFailed { .. }), "{error:?}");
            return number;
        }
    }
    panic!("no append failed");
}

fn check_records(log: &EmbeddedLog, count: u64) {
    let found = log.read("usage", 0, 0, usize::MAX, usize::MAX).unwrap();
    assert_eq!(found.len() as u64, count);
    assert!(found.iter().zip(0..).all(|(entry, number)| entry.bytes == record(number)));
}

fn record(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(RECORD_BYTES / 8)
}

/// A mounted file system, unmounted when dropped.
struct Mount(TempDir);

impl Mount {
    fn tmpfs(options: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "spillway-test"])
            .arg(folder.path())
            .output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        if !is_mounted {
            eprintln!("skipped: this user cannot mount a file system");
        }
        is_mounted.then(|| Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, option: &str) {
        let option = format!("remount,{option}");
        assert!(Command::new("mount").args(["-o", &option]).arg(self.path()).status().unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}
