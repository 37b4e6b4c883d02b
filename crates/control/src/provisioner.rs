//! Changes provisioning: reads to the end, decides, and appends a record with the next number.

mod agreements;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use spillway_eventlog::{Appended, EventLog, LogError, ReadError, RecordReader};
use spillway_events::{DecodeError, Gap, ProvisioningRecord, Sha256, TimeMicros, encode, topics};
use spillway_provisioning::{
    Change, Command, Mistake, NewToken, Object, ObjectId, Parsed, Positions, Precondition, Refusal,
    SourceFile, State, Undo, decide, diff, parse_files,
};

use crate::commands::Commands;
pub use agreements::Proposal;

/// How often a command is decided again because another writer appended a record first.
const ATTEMPTS_MAX: usize = 8;

/// The provisioning of a log as of its end, and the only way to change it.
pub struct Provisioner {
    log: Arc<dyn EventLog>,
    known: Mutex<Known>,
    /// The state as it was last read or changed, and when: for those who must not wait for the log.
    latest: Mutex<Option<(State, Instant)>>,
}

/// The state as of an offset.
#[derive(Default)]
struct Known {
    state: State,
    /// The offset after the last record read.
    next: u64,
    commands: Commands,
}

/// What comes with every command.
#[derive(Debug, Clone, Copy)]
pub struct CommandHead<'a> {
    /// The command's id, one of its author's. A retry has the same id and the same body.
    pub id: &'a str,
    /// Who sends it.
    pub author: &'a str,
    /// When it was received.
    pub at: TimeMicros,
    /// What must be so for it to be decided.
    pub precondition: Option<&'a Precondition>,
    /// Whether it only says what it would change.
    pub dry_run: bool,
}

impl<'a> CommandHead<'a> {
    /// A command of somebody who has the log itself, and so needs no token.
    #[must_use]
    pub fn on_log(id: &'a str, at: TimeMicros) -> Self {
        Self { id, author: "operator", at, precondition: None, dry_run: false }
    }
}

/// What a command changed, or would have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// A line for each changed object or field, as `diff` writes them.
    pub changes: Vec<String>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<String>,
    /// The revision now.
    pub revision: u64,
    /// Whether it was only tried.
    pub dry_run: bool,
    /// Whether it is the result of an earlier command with the same id.
    #[serde(skip)]
    pub is_repeated: bool,
}

/// Why a command changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The documents have mistakes.
    #[error("the documents have {} mistakes", .0.len())]
    Mistakes(Vec<Mistake>),
    /// The document is not of the one object that was to be set.
    #[error("the document must describe {wanted} and nothing else, not {}", found.as_ref().map_or_else(|| String::from("several objects"), ToString::to_string))]
    OtherObject {
        /// The object.
        wanted: ObjectId,
        /// The object described instead, if it is one.
        found: Option<ObjectId>,
    },
    /// There must be one document.
    #[error("there must be one document, of an agreement; there are {found}")]
    NotOneDocument {
        /// How many there are.
        found: usize,
    },
    /// The documents are refused.
    #[error("the command is refused: {0}")]
    Refused(Refusal),
    /// The author used the command's id for another command.
    #[error("the command id {id} was used by another command: take a new id")]
    IdReused {
        /// The id.
        id: String,
    },
    /// Other writers appended a record first each time.
    #[error("others changed provisioning at the same time, {ATTEMPTS_MAX} times in a row; try again")]
    Busy,
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] LogError),
    /// The records of the log cannot be read.
    #[error("the provisioning of the log cannot be read")]
    Read(#[from] ReadError),
    /// The new record cannot be encoded.
    #[error("the provisioning record {number} cannot be encoded")]
    Record {
        /// Its number.
        number: u64,
        /// Why.
        source: DecodeError,
    },
    /// The records of the log do not follow each other.
    #[error("the provisioning of the log has a gap")]
    Gap(#[from] spillway_provisioning::ApplyError),
}

impl Provisioner {
    /// The provisioning of a log, which is read when it is needed. The index of commands is in memory.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, known: Mutex::default(), latest: Mutex::default() }
    }

    /// The provisioning of a log, with the index of commands in a file. The file is created if it does not exist and rebuilt
    /// if it is damaged or of another log. While it cannot be used, the index is in memory.
    #[must_use]
    pub fn with_index(log: Arc<dyn EventLog>, file: PathBuf) -> Self {
        let known = Known { commands: Commands::in_file(file), ..Known::default() };
        Self { log, known: Mutex::new(known), latest: Mutex::default() }
    }

    /// The provisioning as of the end of the log.
    ///
    /// # Errors
    /// When the log does not read.
    pub fn state(&self) -> Result<State, ProvisionError> {
        // A panic elsewhere left the state between two whole records.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.catch_up(&mut known)?;
        Ok(known.state.clone())
    }

    /// The provisioning as it was last read or changed, and how long ago; none if it never was. Does not wait for the log.
    #[must_use]
    pub fn latest(&self) -> Option<(State, Duration)> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.as_ref().map(|(state, at)| (state.clone(), at.elapsed()))
    }

    fn set_latest(&self, state: &State) {
        let latest = Some((state.clone(), Instant::now()));
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = latest;
    }

    /// Waits until the provisioning has another revision than this one, at most for `timeout`. Returns the provisioning as of
    /// the end of the log.
    ///
    /// # Errors
    /// When the log does not read.
    pub fn wait_for_change(&self, revision: u64, timeout: Duration) -> Result<State, ProvisionError> {
        let next = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            self.catch_up(&mut known)?;
            if known.state.revision() != revision {
                return Ok(known.state.clone());
            }
            known.next
        };
        self.log.wait(topics::PROVISIONING, 0, next, timeout)?;
        self.state()
    }

    /// Applies the documents of several files together, or says what they would change.
    ///
    /// # Errors
    /// When they have mistakes, are refused, or the log fails; nothing has changed then.
    pub fn apply(&self, files: &[SourceFile], head: CommandHead<'_>) -> Result<Applied, ProvisionError> {
        let parsed = parse_files(files).map_err(ProvisionError::Mistakes)?;
        let warnings = self.warnings(&parsed)?;
        // With their lengths, so that files that are divided in another way are another body.
        let parts = files.iter().map(|file| [&file.bytes.len().to_le_bytes()[..], file.bytes].concat());
        let body = parts.collect::<Vec<_>>().concat();
        let command = command(head, &body, Change::Apply(parsed.objects));
        self.change(&command, &parsed.positions, warnings, head.dry_run)
    }

    /// Creates or replaces the one object that a document describes, or says what that would change.
    ///
    /// # Errors
    /// When the document is of another object, has mistakes, is refused, or the log fails; nothing has changed then.
    pub fn put(
        &self,
        wanted: &ObjectId,
        document: &SourceFile<'_>,
        head: CommandHead<'_>,
    ) -> Result<Applied, ProvisionError> {
        let parsed = parse_files(&[*document]).map_err(ProvisionError::Mistakes)?;
        let ids: Vec<ObjectId> = parsed.objects.iter().map(Object::id).collect();
        if ids != [wanted.clone()] {
            let found = if let [id] = &ids[..] { Some(id.clone()) } else { None };
            return Err(ProvisionError::OtherObject { wanted: wanted.clone(), found });
        }
        let warnings = self.warnings(&parsed)?;
        let body = [format!("put {wanted}\n").as_bytes(), document.bytes].concat();
        let command = command(head, &body, Change::Apply(parsed.objects));
        self.change(&command, &parsed.positions, warnings, head.dry_run)
    }

    /// Deletes an object, or says that it would.
    ///
    /// # Errors
    /// When it does not exist or is in use, or the log fails; nothing has changed then.
    pub fn delete(&self, object: ObjectId, head: CommandHead<'_>) -> Result<Applied, ProvisionError> {
        let body = format!("delete {object}");
        let command = command(head, body.as_bytes(), Change::Delete(vec![object]));
        self.change(&command, &Positions::default(), Vec::new(), head.dry_run)
    }

    /// Accepts the loss of records that are no longer in the log, or says that it would.
    ///
    /// # Errors
    /// When the log still has some of them, the command is refused, or the log fails; nothing has changed then.
    pub fn accept_loss(&self, gap: Gap, head: CommandHead<'_>) -> Result<Applied, ProvisionError> {
        let log_starts_at = self.log.start(&gap.topic, gap.partition)?;
        let body = json!(gap).to_string();
        let command = command(head, body.as_bytes(), Change::AcceptLoss { gap, log_starts_at });
        self.change(&command, &Positions::default(), Vec::new(), head.dry_run)
    }

    /// Lets the time of ticks start again from the wall clock, or says that it would.
    ///
    /// # Errors
    /// When the command is refused, or the log fails; nothing has changed then.
    pub fn reset_clock(&self, reason: &str, head: CommandHead<'_>) -> Result<Applied, ProvisionError> {
        let body = format!("reset the clock: {reason}");
        let change = Change::ResetClock { reason: reason.to_owned() };
        self.change(&command(head, body.as_bytes(), change), &Positions::default(), Vec::new(), head.dry_run)
    }

    /// Accepts a new token, or says that it would. `body` is what was asked for: a retry has the same, but another digest.
    ///
    /// # Errors
    /// When the command is refused, or the log fails; nothing has changed then.
    pub fn create_token(
        &self,
        new: NewToken,
        body: &[u8],
        head: CommandHead<'_>,
    ) -> Result<Applied, ProvisionError> {
        let command = command(head, body, Change::CreateToken(new));
        self.change(&command, &Positions::default(), Vec::new(), head.dry_run)
    }

    /// Accepts the first token of the installation.
    ///
    /// # Errors
    /// [`Refusal::NotFirstToken`] when there has been one, or the log fails; nothing has changed then.
    pub fn create_first_token(
        &self,
        new: NewToken,
        head: CommandHead<'_>,
    ) -> Result<Applied, ProvisionError> {
        let command = command(head, b"first token", Change::CreateFirstToken(new));
        self.change(&command, &Positions::default(), Vec::new(), head.dry_run)
    }

    /// Accepts a token no more, or says that it would.
    ///
    /// # Errors
    /// When there is no such token, it is the last one of an operator, or the log fails; nothing has changed then.
    pub fn revoke_token(&self, token: &str, head: CommandHead<'_>) -> Result<Applied, ProvisionError> {
        let body = format!("revoke token {token}");
        let command = command(head, body.as_bytes(), Change::RevokeToken(token.to_owned()));
        self.change(&command, &Positions::default(), Vec::new(), head.dry_run)
    }

    /// Undoes the change of a record, or says what that would change.
    ///
    /// # Errors
    /// When there is no such record, an object is no longer as the record left it, it cannot be as it was, or the log fails;
    /// nothing has changed then.
    pub fn undo(&self, number: u64, head: CommandHead<'_>) -> Result<Applied, ProvisionError> {
        let (before, record) = self.record(number)?;
        let record = record.ok_or(ProvisionError::Refused(Refusal::NoRecord(number)))?;
        let undo = Undo::of(&before, &record).map_err(ProvisionError::Refused)?;
        let body = format!("undo {number}");
        let command = command(head, body.as_bytes(), Change::Undo(undo));
        self.change(&command, &Positions::default(), Vec::new(), head.dry_run)
    }

    /// What is allowed in documents but probably not meant.
    fn warnings(&self, parsed: &Parsed) -> Result<Vec<String>, ProvisionError> {
        let unused = self.state()?.unused_objectives(&parsed.objects);
        Ok(parsed.warnings.iter().map(ToString::to_string).chain(unused).collect())
    }

    fn change(
        &self,
        command: &Command,
        positions: &Positions,
        warnings: Vec<String>,
        dry_run: bool,
    ) -> Result<Applied, ProvisionError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..ATTEMPTS_MAX {
            self.catch_up(&mut known)?;
            if let Some(first) = known.commands.find(self.log.as_ref(), &command.author, &command.id)? {
                return if first.body_sha256 == command.body_sha256 {
                    // It may take a while, in which others are served.
                    drop(known);
                    self.first_result(first.number, warnings)
                } else {
                    Err(ProvisionError::IdReused { id: command.id.clone() })
                };
            }
            let state = &known.state;
            let events = decide(state, command).map_err(|refusal| match refusal {
                Refusal::Faults { faults, unlisted } => {
                    ProvisionError::Mistakes(positions.mistakes(&faults, unlisted))
                }
                other => ProvisionError::Refused(other),
            })?;
            let changes = diff(state, &events).iter().map(ToString::to_string).collect();
            let number = state.revision();
            if dry_run || events.is_empty() {
                return Ok(Applied { changes, warnings, revision: number, dry_run, is_repeated: false });
            }
            let record = command.clone().into_record(number, events);
            let bytes = encode(&record).map_err(|source| ProvisionError::Record { number, source })?;
            if let Appended::Won(offset) = self.log.append_at(topics::PROVISIONING, number, &bytes)? {
                known.take(offset, &record)?;
                self.set_latest(&known.state);
                return Ok(Applied {
                    changes,
                    warnings,
                    revision: known.state.revision(),
                    dry_run,
                    is_repeated: false,
                });
            }
        }
        Err(ProvisionError::Busy)
    }

    fn catch_up(&self, known: &mut Known) -> Result<(), ProvisionError> {
        let log = self.log.as_ref();
        for record in RecordReader::<ProvisioningRecord>::new(log, topics::PROVISIONING, 0, known.next) {
            let (offset, record) = record?;
            known.take(offset, &record)?;
        }
        self.set_latest(&known.state);
        Ok(())
    }

    /// The result of the command that made a record.
    fn first_result(&self, number: u64, warnings: Vec<String>) -> Result<Applied, ProvisionError> {
        let (before, record) = self.record(number)?;
        let events = record.map(|record| record.events).unwrap_or_default();
        let changes = diff(&before, &events).iter().map(ToString::to_string).collect();
        Ok(Applied { changes, warnings, revision: number + 1, dry_run: false, is_repeated: true })
    }

    /// A record, and the state that it was applied to: the log is read again up to it.
    fn record(&self, number: u64) -> Result<(State, Option<ProvisioningRecord>), ProvisionError> {
        let log = self.log.as_ref();
        let mut state = State::default();
        for record in RecordReader::<ProvisioningRecord>::new(log, topics::PROVISIONING, 0, 0) {
            let (_, record) = record?;
            if record.number == number {
                return Ok((state, Some(record)));
            }
            state.apply(&record)?;
        }
        Ok((state, None))
    }
}

impl Known {
    /// Takes the next record over.
    fn take(&mut self, offset: u64, record: &ProvisioningRecord) -> Result<(), ProvisionError> {
        self.state.apply(record)?;
        self.next = offset + 1;
        Ok(())
    }
}

fn command(head: CommandHead<'_>, body: &[u8], change: Change) -> Command {
    let CommandHead { id, author, at, precondition, .. } = head;
    let (id, author, precondition) = (id.to_owned(), author.to_owned(), precondition.cloned());
    Command { id, body_sha256: Sha256::of(body), author, at_us: at, precondition, change }
}
