//! Tests of what the public interface cannot trigger reliably: a failing disk, and the work of many callers in one commit.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::*;

/// A disk in memory that several opens share, and whose writes can fail.
#[derive(Debug, Clone)]
struct Disk(Arc<DiskState>);

#[derive(Debug, Default)]
struct DiskState {
    bytes: Mutex<Vec<u8>>,
    /// Whether the file cannot grow.
    full: AtomicBool,
    /// How many more writes and syncs succeed before one fails; none fails if negative.
    fails_after: AtomicI64,
    /// Whether every write and sync fails.
    broken: AtomicBool,
    /// Whether bytes were written since the last sync.
    dirty: AtomicBool,
    bytes_read: AtomicU64,
}

impl Disk {
    fn check(&self) -> io::Result<()> {
        let fails = self.0.fails_after.fetch_sub(1, Ordering::SeqCst) == 0;
        if fails || self.0.broken.load(Ordering::SeqCst) {
            return Err(io::Error::other("the test's disk is broken"));
        }
        Ok(())
    }

    /// Returns a disk with the same bytes, as a crash would leave them.
    fn copy(&self) -> Self {
        let bytes = Mutex::new(self.0.bytes.lock().unwrap().clone());
        Self(Arc::new(DiskState { bytes, fails_after: AtomicI64::new(-1), ..DiskState::default() }))
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self(Arc::new(DiskState { fails_after: AtomicI64::new(-1), ..DiskState::default() }))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.bytes_read.fetch_add(out.len() as u64, Ordering::SeqCst);
        let start = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.0.bytes.lock().unwrap()[start..start + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        if len > self.len()? && self.0.full.load(Ordering::SeqCst) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on the test's disk"));
        }
        self.0.bytes.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.0.dirty.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.0.dirty.store(true, Ordering::SeqCst);
        let start = usize::try_from(offset).unwrap();
        self.0.bytes.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

fn open_on(disk: &Disk) -> EmbeddedLog {
    let disk = disk.clone();
    let open = move || Store::of_backend(disk.clone());
    EmbeddedLog::start(open().unwrap(), Box::new(open)).unwrap()
}

fn log_on(disk: &Disk) -> EmbeddedLog {
    let log = open_on(disk);
    log.create_topic("usage", 1).unwrap();
    log
}

fn records(log: &EmbeddedLog) -> Vec<Vec<u8>> {
    let found = log.read("usage", 0, 0, usize::MAX, usize::MAX).unwrap();
    found.into_iter().map(|entry| entry.bytes).collect()
}

/// A full disk fails appends with an error that says what to do. Reads go on, and so do appends once there is room.
#[test]
fn a_full_disk_fails_appends_until_there_is_room() {
    let disk = Disk::default();
    let log = log_on(&disk);
    let large = vec![7; 4 << 20];
    assert_eq!(log.append("usage", 0, &[b"durable"]).unwrap(), 0);

    disk.0.full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let error = log.append("usage", 0, &[&large]).unwrap_err();
        assert!(matches!(error, LogError::WriteFailed { .. }), "{error:?}");
        let message = error.to_string();
        let says = |text| message.contains(text);
        assert!(says("log.redb") && says("no space left") && says("free space"), "{message}");
        assert_eq!(records(&log), [b"durable"]);
    }
    assert!(!log.wait("usage", 0, 1, Duration::from_millis(1)).unwrap());

    disk.0.full.store(false, Ordering::SeqCst);
    assert_eq!(log.append("usage", 0, &[&large]).unwrap(), 1);
    assert_eq!(records(&log), [b"durable".to_vec(), large]);
}

/// While the file cannot even be opened again, calls fail and waiting threads are woken. Afterwards the log goes on.
#[test]
fn a_broken_disk_closes_the_log_until_it_works() {
    let disk = Disk::default();
    let log = log_on(&disk);
    disk.0.broken.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| log.wait("usage", 0, 0, Duration::MAX));
        assert!(matches!(log.append("usage", 0, &[b"lost"]), Err(LogError::Stopped { .. })));
        assert!(matches!(waiter.join().unwrap(), Err(LogError::Stopped { .. })));
    });
    assert!(matches!(log.create_topic("ticks", 1), Err(LogError::Stopped { .. })));

    disk.0.broken.store(false, Ordering::SeqCst);
    assert_eq!(log.append("usage", 0, &[b"later"]).unwrap(), 0);
    assert_eq!(records(&log), [b"later"]);
}

/// One write or sync fails, at every possible place. A producer that sends again after an error loses and duplicates
/// nothing, and no acknowledged record is missing after a restart.
#[test]
fn sending_again_after_a_failed_write_never_duplicates() {
    let (mut failures, wanted) = (0, (0..4_u8).map(|number| vec![number; 3_000]).collect::<Vec<_>>());
    for fails_after in 0..60 {
        let disk = Disk::default();
        let log = log_on(&disk);
        disk.0.fails_after.store(fails_after, Ordering::SeqCst);
        for record in &wanted {
            while let Err(error) = log.append("usage", 0, &[record]) {
                assert!(matches!(error, LogError::WriteFailed { .. }), "{error:?}");
                failures += 1;
                assert!(failures < 200, "{error}");
            }
        }
        assert_eq!(records(&log), wanted, "failure after {fails_after} writes");
        assert_eq!(records(&open_on(&disk.copy())), wanted, "failure after {fails_after} writes");
    }
    assert!(failures > 10, "only {failures} appends failed");
}

#[test]
fn acknowledged_records_are_synced() {
    let disk = Disk::default();
    let log = log_on(&disk);
    for number in 0..20 {
        log.append_at("usage", number, &number.to_le_bytes()).unwrap();
        assert!(!disk.0.dirty.load(Ordering::SeqCst), "acknowledged {number} before a sync");
    }
}

/// Opening after a crash reads a small part of the file, however large it is.
#[test]
fn opening_after_a_crash_reads_little() {
    let disk = Disk::default();
    let log = log_on(&disk);
    let record = vec![7; 1 << 20];
    for _ in 0..24 {
        log.append("usage", 0, &[&record]).unwrap();
    }
    let killed = disk.copy();
    let opened = open_on(&killed);
    assert_eq!(opened.end("usage", 0).unwrap(), 24);
    let (read, all) = (killed.0.bytes_read.load(Ordering::SeqCst), killed.len().unwrap());
    // The last block is one of 24.
    assert!(all > 24 << 20 && read < all / 8, "{read} bytes of {all} read");
}

/// Appends, decisions and truncations of one partition in one commit see each other, in order.
#[test]
fn work_of_one_commit_happens_in_order() {
    let store = Store::of_backend(InMemoryBackend::new()).unwrap();
    let topics = Topics::default();
    let create = |partitions| Work::Create { topic: "ticks".to_owned(), partitions };
    let commit_all = |work| {
        let mut prepared = None;
        assert!(commit::commit(&store, &topics, work, 0, &mut prepared).is_ok());
        prepared.unwrap().publish(&topics)
    };
    let answers = commit_all(vec![create(1), create(1), create(2)]);
    assert!(matches!(
        answers.as_slice(),
        [Ok(Done::Nothing), Ok(Done::Nothing), Err(LogError::PartitionsDiffer { .. })]
    ));

    let topic = topics.find("ticks").unwrap();
    let append = |records: &[&[u8]]| Work::Append {
        parts: vec![Part { topic: Arc::clone(&topic), partition: 0, records: Packed::of(records) }],
    };
    let decide =
        |number, record: &[u8]| Work::AppendAt { topic: Arc::clone(&topic), number, record: record.to_vec() };
    let truncate = |offset| Work::Truncate { topic: Arc::clone(&topic), partition: 0, offset };
    let work = vec![
        append(&[b"a", b"b"]),
        decide(2, b"c"),
        decide(2, b"other"),
        decide(2, b"c"),
        append(&[b"d"]),
        truncate(2),
        decide(1, b"b"),
        append(&[&[7; 100_000], b"e"]),
        truncate(7),
        decide(6, b"f"),
        truncate(5),
    ];
    let answers: Vec<String> = commit_all(work)
        .into_iter()
        .map(|answer| match answer {
            Ok(Done::Offsets(offsets)) => format!("at {offsets:?}"),
            Ok(Done::Decided(decided)) => format!("{decided:?}"),
            Ok(Done::Nothing) => "done".to_owned(),
            Err(LogError::Truncated { first, .. }) => format!("truncated before {first}"),
            Err(error) => error.to_string(),
        })
        .collect();
    assert_eq!(
        answers,
        [
            "at [0]",
            "Won(2)",
            "Lost { next: 3 }",
            "Won(2)",
            "at [3]",
            "done",
            "truncated before 2",
            "at [4]",
            "topic `ticks`, partition 0: offset 7 is beyond the end 6",
            "Won(6)",
            "done",
        ]
    );
    assert_eq!((topic.span(0).start, topic.span(0).end), (5, 7));
    let found = read::read(&store, &topic, 0, 5, usize::MAX, usize::MAX).unwrap();
    let found: Vec<_> = found.iter().map(|entry| (entry.offset, entry.bytes.as_slice())).collect();
    assert_eq!(found, [(5, &b"e"[..]), (6, b"f")]);
}
