//! A disk that fails while the index is in use, and an index in memory that is full.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use spillway_eventlog::EmbeddedLog;
use spillway_events::{Sha256, TimeMicros, encode, topics};

use super::*;

/// A disk that is full once it is told to be.
#[derive(Debug)]
struct Disk {
    bytes: InMemoryBackend,
    full: Arc<AtomicBool>,
}

impl Disk {
    fn check(&self) -> io::Result<()> {
        match self.full.load(Ordering::SeqCst) {
            true => Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on the test's disk")),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.bytes.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.bytes.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.bytes.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.bytes.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.bytes.write(offset, data)
    }
}

fn log_of(ids: &[&str]) -> (EmbeddedLog, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::create(folder.path()).unwrap();
    log.create_topic(topics::PROVISIONING, 1).unwrap();
    for id in ids {
        append(&log, id);
    }
    (log, folder)
}

fn append(log: &EmbeddedLog, id: &str) {
    let number = log.end(topics::PROVISIONING, 0).unwrap();
    let record = ProvisioningRecord {
        number,
        command: id.to_owned(),
        body_sha256: Sha256::of(id.as_bytes()),
        author: String::from("test"),
        at_us: TimeMicros(0),
        events: Vec::new(),
    };
    log.append_at(topics::PROVISIONING, number, &encode(&record).unwrap()).unwrap();
}

fn number_of(found: Option<ProvisioningRecord>) -> Option<u64> {
    found.map(|record| record.number)
}

#[test]
fn a_full_disk_moves_the_index_to_memory_until_there_is_room() {
    let (log, folder) = log_of(&["one", "two"]);
    let full = Arc::new(AtomicBool::new(false));
    let disk = Disk { bytes: InMemoryBackend::new(), full: Arc::clone(&full) };
    let database = redb::Database::builder().create_with_backend(disk).unwrap();
    let mut commands = Commands::in_file(folder.path().join("commands.redb"));
    commands.file = Some(IndexFile::of_database(database, &log).ok().unwrap());
    assert_eq!(number_of(commands.find(&log, "test", "two").unwrap()), Some(1));
    full.store(true, Ordering::SeqCst);
    append(&log, "three");
    for (id, number) in [("three", Some(2)), ("one", Some(0)), ("four", None)] {
        assert_eq!(number_of(commands.find(&log, "test", id).unwrap()), number);
    }
    assert!(commands.file.is_none() && commands.retry_at.is_some());
    // Once the time has come, a file is used again.
    commands.retry_at = Some(Instant::now());
    assert_eq!(number_of(commands.find(&log, "test", "three").unwrap()), Some(2));
    assert!(commands.file.is_some() && commands.retry_at.is_none());
}

/// In the file and in memory.
#[test]
fn ids_of_another_author_are_other_commands() {
    let (log, folder) = log_of(&["one"]);
    for mut commands in [Commands::default(), Commands::in_file(folder.path().join("commands.redb"))] {
        assert_eq!(number_of(commands.find(&log, "test", "one").unwrap()), Some(0));
        assert_eq!(commands.find(&log, "other", "one").unwrap(), None);
    }
}

#[test]
fn commands_that_memory_no_longer_holds_are_found_in_the_log() {
    let ids = ["one", "two", "three", "four"];
    let (log, _folder) = log_of(&ids);
    let mut recent = RecentIds::new(2);
    for (number, id) in (0..).zip(ids) {
        assert_eq!(number_of(recent.find(&log, &key_of("test", id)).unwrap()), Some(number));
    }
    assert_eq!(recent.find(&log, &key_of("test", "five")).unwrap(), None);
    assert_eq!(recent.len(), 2);
}

/// A file whose checksums are right and whose offsets are not, as a defect of a release could leave it.
#[test]
fn an_offset_of_another_command_is_never_believed() {
    let (log, folder) = log_of(&["one", "two"]);
    let path = folder.path().join("commands.redb");
    let mut index = IndexFile::open(&path, &log).ok().unwrap();
    assert_eq!(number_of(index.find(&log, &key_of("test", "one")).ok().unwrap()), Some(0));
    index.put(&key_of("test", "one"), 1);
    assert!(matches!(index.find(&log, &key_of("test", "one")), Err(IndexError::Damaged(_))));
    drop(index);
    let mut commands = Commands::in_file(path);
    assert_eq!(number_of(commands.find(&log, "test", "one").unwrap()), Some(0));
    assert!(commands.retry_at.is_none(), "it was rebuilt");
}
