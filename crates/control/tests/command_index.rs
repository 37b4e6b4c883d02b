//! A retry gets the result of the first attempt, whatever has happened to the index of commands on disk.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spillway_control::{Applied, CommandHead, ProvisionError, Provisioner};
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::{TimeMicros, topics};
use spillway_provisioning::SourceFile;

/// A log in a folder of its own, and where the index is.
struct Installation {
    log: Arc<dyn EventLog>,
    index: PathBuf,
    _folder: tempfile::TempDir,
}

impl Installation {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::create(folder.path()).unwrap());
        log.create_topic(topics::PROVISIONING, 1).unwrap();
        Self { log, index: folder.path().join("commands.redb"), _folder: folder }
    }

    /// An installation with commands `one`, `two` and `three`, which create clients of these names. Returns their results.
    fn with_three_commands() -> (Self, Vec<Applied>) {
        let installation = Self::new();
        let provisioner = installation.start();
        let applied = ["one", "two", "three"].map(|id| apply(&provisioner, id, id).unwrap());
        (installation, applied.into())
    }

    /// What a process does when it starts.
    fn start(&self) -> Provisioner {
        Provisioner::with_index(Arc::clone(&self.log), self.index.clone())
    }
}

fn apply(provisioner: &Provisioner, id: &str, client: &str) -> Result<Applied, ProvisionError> {
    let text = format!("kind: client\nname: {client}\n");
    let file = SourceFile { name: "test", bytes: text.as_bytes() };
    provisioner.apply(&[file], CommandHead::on_log(id, TimeMicros(0)))
}

/// The first result as a retry gets it.
fn again(first: &Applied) -> Applied {
    Applied { is_repeated: true, ..first.clone() }
}

/// Checks that each command has its first result, that its id cannot be used for another one, and that a new id is decided.
fn check(provisioner: &Provisioner, first: &[Applied]) {
    for (id, first) in ["one", "two", "three"].into_iter().zip(first) {
        assert_eq!(apply(provisioner, id, id).unwrap(), again(first));
        assert!(matches!(apply(provisioner, id, "other"), Err(ProvisionError::IdReused { .. })));
    }
    let revision = provisioner.state().unwrap().revision();
    let client = format!("new-{revision}");
    assert_eq!(apply(provisioner, &client, &client).unwrap().revision, revision + 1);
}

#[test]
fn a_retry_after_a_restart_gets_the_first_result() {
    let (installation, first) = Installation::with_three_commands();
    check(&installation.start(), &first);
    check(&installation.start(), &first);
}

#[test]
fn a_retry_of_a_command_that_was_recorded_without_the_index_gets_the_first_result() {
    let (installation, first) = Installation::with_three_commands();
    let other = Provisioner::new(Arc::clone(&installation.log));
    let by_other = apply(&other, "four", "four").unwrap();
    let provisioner = installation.start();
    assert_eq!(apply(&provisioner, "four", "four").unwrap(), again(&by_other));
    check(&provisioner, &first);
}

#[test]
fn a_file_that_was_deleted_is_rebuilt() {
    let (installation, first) = Installation::with_three_commands();
    fs::remove_file(&installation.index).unwrap();
    check(&installation.start(), &first);
    assert!(installation.index.is_file());
}

/// Damages each part of the file in turn.
#[test]
fn a_damaged_file_is_rebuilt() {
    let (installation, first) = Installation::with_three_commands();
    let bytes = fs::read(&installation.index).unwrap();
    let half = &bytes[..bytes.len() / 2];
    let zeros = vec![0; bytes.len()];
    for damaged in [&[][..], b"not a database", half, &zeros] {
        fs::write(&installation.index, damaged).unwrap();
        check(&installation.start(), &first);
    }
    for from in (0..bytes.len()).step_by(4_096) {
        let mut damaged = bytes.clone();
        damaged[from..from + 4_096].iter_mut().for_each(|byte| *byte ^= 0x5a);
        fs::write(&installation.index, damaged).unwrap();
        check(&installation.start(), &first);
    }
    // The page is still a page, but the command is no longer in it.
    let mut damaged = bytes;
    let places: Vec<usize> = (0..damaged.len() - 3).filter(|at| damaged[*at..].starts_with(b"two")).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| damaged[at + 2] = b'p');
    fs::write(&installation.index, damaged).unwrap();
    check(&installation.start(), &first);
}

/// Takes a copy of the log, goes on, and puts the copy back: as after a restore from a backup.
#[test]
fn a_file_that_is_ahead_of_the_log_is_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let (log_folder, backup, index) =
        (folder.path().join("log"), folder.path().join("backup"), folder.path().join("commands.redb"));
    let open = |folder: &Path| -> Arc<dyn EventLog> { Arc::new(EmbeddedLog::create(folder).unwrap()) };
    let log = open(&log_folder);
    log.create_topic(topics::PROVISIONING, 1).unwrap();
    let provisioner = Provisioner::with_index(log, index.clone());
    let one = apply(&provisioner, "one", "one").unwrap();
    drop(provisioner);
    fs::create_dir(&backup).unwrap();
    fs::copy(log_folder.join("log.redb"), backup.join("log.redb")).unwrap();
    let provisioner = Provisioner::with_index(open(&log_folder), index.clone());
    apply(&provisioner, "two", "two").unwrap();
    apply(&provisioner, "three", "three").unwrap();
    drop(provisioner);

    // The file has read this far before.
    let log = open(&backup);
    let four = apply(&Provisioner::new(Arc::clone(&log)), "four", "four").unwrap();
    let restored = Provisioner::with_index(log, index);
    assert_eq!(apply(&restored, "four", "four").unwrap(), again(&four));
    assert_eq!(apply(&restored, "one", "one").unwrap(), again(&one));
    // Neither id is in this log, so each is free.
    let three = apply(&restored, "three", "another").unwrap();
    assert_eq!(three.revision, 3);
    let two = apply(&restored, "two", "two").unwrap();
    assert_eq!(two.revision, 4);
    assert_eq!(apply(&restored, "three", "another").unwrap(), again(&three));
}

#[test]
fn a_file_of_another_installation_is_rebuilt() {
    let (one, first_of_one) = Installation::with_three_commands();
    let other = Installation::new();
    let provisioner = other.start();
    let first_of_other = ["three", "one", "two", "four"].map(|id| apply(&provisioner, id, id).unwrap());
    drop(provisioner);
    // The other installation's file has read as many records: a retry makes it read the last one.
    let provisioner = other.start();
    apply(&provisioner, "four", "four").unwrap();
    drop(provisioner);
    let five = apply(&Provisioner::new(Arc::clone(&one.log)), "five", "five").unwrap();
    fs::copy(&other.index, &one.index).unwrap();
    let provisioner = one.start();
    assert_eq!(apply(&provisioner, "five", "five").unwrap(), again(&five));
    check(&provisioner, &first_of_one);
    assert!(apply(&provisioner, "four", "of-one").is_ok(), "the id is of the other installation only");
    let provisioner = other.start();
    assert_eq!(apply(&provisioner, "three", "three").unwrap(), again(&first_of_other[0]));
}

/// A folder is where the file should be, which no process can write, whatever it may do.
#[test]
fn a_file_that_cannot_be_written_fails_no_command() {
    let (installation, first) = Installation::with_three_commands();
    fs::remove_file(&installation.index).unwrap();
    fs::create_dir(&installation.index).unwrap();
    let provisioner = installation.start();
    check(&provisioner, &first);
    check(&provisioner, &first);
}

/// Two processes share a folder by mistake: only one can have the file.
#[test]
fn a_file_that_another_process_has_open_is_left_alone() {
    let (installation, first) = Installation::with_three_commands();
    let (one, other) = (installation.start(), installation.start());
    check(&one, &first);
    check(&other, &first);
    check(&one, &first);
}
