//! Changes provisioning: reads to the end, decides, appends under the next number.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::json;
use spillway_eventlog::{Appended, EventLog, LogError};
use spillway_events::{DecodeError, Gap, ProvisioningRecord, Sha256, TimeMicros, decode, encode, topics};
use spillway_provisioning::{Change, Command, Mistake, Positions, Refusal, State, decide, diff, parse};

/// How often a command is decided anew when somebody else's record came first.
const ATTEMPTS_MAX: usize = 8;
const READ_RECORDS_MAX: usize = 1_000;
const READ_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The provisioning of a log, and the way to change it.
pub struct Provisioner {
    log: Arc<dyn EventLog>,
    known: Mutex<Known>,
}

/// What has been read.
#[derive(Default)]
struct Known {
    state: State,
    /// The offset behind the last record read.
    next: u64,
}

/// What a command changed, or would have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// A line for each changed object or field, as `diff` writes them.
    pub changes: Vec<String>,
    /// What is allowed but should be looked at.
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
    /// Somebody else's records came first each time.
    #[error("others changed provisioning at the same time {ATTEMPTS_MAX} times; try again")]
    Busy,
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] LogError),
    /// A record of the log does not read, or the new one cannot be written.
    #[error("the provisioning record {number} does not encode or decode")]
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
    /// The provisioning of a log; it is read when it is needed.
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
        let body_sha256 = Sha256::of(text.as_bytes());
        let (id, author) = (id.to_owned(), String::from("operator"));
        let command = Command { id, body_sha256, author, at_us: at, change: Change::Apply(parsed.objects) };
        self.change(&command, &parsed.positions, warnings, dry_run)
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
        let body_sha256 = Sha256::of(json!(gap).to_string().as_bytes());
        let (id, author) = (id.to_owned(), String::from("operator"));
        let change = Change::AcceptLoss { gap, log_starts_at };
        let command = Command { id, body_sha256, author, at_us: at, change };
        self.change(&command, &Positions::default(), Vec::new(), dry_run)
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
                return Ok(Applied { changes, warnings, revision: number, dry_run });
            }
            let record = command.clone().into_record(number, events);
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
        loop {
            let entries = self.log.read(topics::PROVISIONING, 0, *next, READ_RECORDS_MAX, READ_BYTES_MAX)?;
            if entries.is_empty() {
                return Ok(());
            }
            for entry in entries {
                let number = state.revision();
                let record: ProvisioningRecord =
                    decode(&entry.bytes).map_err(|source| ProvisionError::Record { number, source })?;
                state.apply(&record)?;
                *next = entry.offset + 1;
            }
        }
    }
}
