//! Changes provisioning: reads to the end, decides, and appends a record with the next number.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use spillway_eventlog::{Appended, EventLog, LogError, ReadError, RecordReader};
use spillway_events::{DecodeError, Gap, ProvisioningRecord, TimeMicros, encode, topics};
use spillway_provisioning::{Change, Command, Mistake, Refusal, State, decide, diff, parse};

/// How often a command is decided again because another writer appended a record first.
const ATTEMPTS_MAX: usize = 8;

/// The provisioning of a log as of its end, and the only way to change it.
pub struct Provisioner {
    log: Arc<dyn EventLog>,
    known: Mutex<Known>,
}

/// The state as of an offset.
#[derive(Default)]
struct Known {
    state: State,
    /// The offset after the last record read.
    next: u64,
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
}

/// Why a command changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The documents have mistakes.
    #[error("the documents have {} mistakes", .0.len())]
    Mistakes(Vec<Mistake>),
    /// The documents are refused.
    #[error("the command is refused: {0}")]
    Refused(Refusal),
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
    /// The provisioning of a log, which is read when it is needed.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, known: Mutex::default() }
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

    /// Applies documents, or says what they would change.
    ///
    /// # Errors
    /// When they have mistakes, are refused, or the log fails; nothing has changed then.
    pub fn apply(
        &self,
        file: &str,
        text: &str,
        id: &str,
        at: TimeMicros,
        dry_run: bool,
    ) -> Result<Applied, ProvisionError> {
        let parsed = parse(file, text).map_err(ProvisionError::Mistakes)?;
        let warnings = parsed.warnings.iter().map(ToString::to_string).collect();
        self.change(Change::Apply(parsed.documents), warnings, id, at, dry_run)
    }

    /// Gives up records that the log has no more, or says that it would.
    ///
    /// # Errors
    /// When the log still has some of them, the command is refused, or the log fails; nothing has changed then.
    pub fn give_up(
        &self,
        gap: Gap,
        id: &str,
        at: TimeMicros,
        dry_run: bool,
    ) -> Result<Applied, ProvisionError> {
        let log_starts_at = self.log.start(&gap.topic, gap.partition)?;
        self.change(Change::GiveUp { gap, log_starts_at }, Vec::new(), id, at, dry_run)
    }

    fn change(
        &self,
        change: Change,
        warnings: Vec<String>,
        id: &str,
        at: TimeMicros,
        dry_run: bool,
    ) -> Result<Applied, ProvisionError> {
        let (id, author) = (id.to_owned(), String::from("operator"));
        let command = Command { id, author, at_us: at, change };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..ATTEMPTS_MAX {
            self.catch_up(&mut known)?;
            let state = &known.state;
            let events = decide(state, command.clone()).map_err(|refusal| match refusal {
                Refusal::Mistakes(mistakes) => ProvisionError::Mistakes(mistakes),
                other => ProvisionError::Refused(other),
            })?;
            let changes = diff(state, &events).iter().map(ToString::to_string).collect();
            let number = state.revision();
            if dry_run || events.is_empty() {
                return Ok(Applied { changes, warnings, revision: number, dry_run });
            }
            let (command, author) = (command.id.clone(), command.author.clone());
            let record = ProvisioningRecord { number, command, author, at_us: at, events };
            let bytes = encode(&record).map_err(|source| ProvisionError::Record { number, source })?;
            if let Appended::Won(offset) = self.log.append_at(topics::PROVISIONING, number, &bytes)? {
                let Known { state, next } = &mut *known;
                state.apply(&record)?;
                *next = offset + 1;
                return Ok(Applied { changes, warnings, revision: state.revision(), dry_run });
            }
        }
        Err(ProvisionError::Busy)
    }

    fn catch_up(&self, Known { state, next }: &mut Known) -> Result<(), ProvisionError> {
        let log = self.log.as_ref();
        for record in RecordReader::<ProvisioningRecord>::new(log, topics::PROVISIONING, 0, *next) {
            let (offset, record) = record?;
            state.apply(&record)?;
            *next = offset + 1;
        }
        Ok(())
    }
}
