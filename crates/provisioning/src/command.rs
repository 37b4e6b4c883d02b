//! Commands, and why they are refused.

mod agreement;
mod undo;

use spillway_events::{
    Event, Gap, ObjectKind, Party, ProvisioningRecord, RECORD_BYTES_MAX, Role, Sha256, TimeMicros,
};

use crate::fault::{ObjectFault, shorten_name};
use crate::kinds::Object;
use crate::limits::{
    AGREEMENTS_PER_CLIENT_MAX, COMMAND_TEXT_BYTES_MAX, OBJECTS_PER_COMMAND_MAX, OBJECTS_PER_KIND_MAX,
    TOKENS_MAX, TOKENS_PER_SUBJECT_MAX, USERS_LISTED_MAX,
};
use crate::object::ObjectId;
use crate::standing::Standing;
pub use agreement::{AgreementAct, AgreementCommand, VersionId};
pub use undo::Undo;

/// A request to change what is provisioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its id. A retry has the same id and the same body.
    pub id: String,
    /// The digest of the body that was sent.
    pub body_sha256: Sha256,
    /// Who sends it.
    pub author: String,
    /// When it was received.
    pub at_us: TimeMicros,
    /// What the sender has seen: if it is so no longer, the command is refused.
    pub precondition: Option<Precondition>,
    /// The change.
    pub change: Change,
}

/// What must be so for a command to be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// There is no such object.
    Absent(ObjectId),
    /// There is such an object, whatever its version.
    Present(ObjectId),
    /// The record of this number was the last one that changed the object.
    LastChange(ObjectId, u64),
}

/// A change of what is provisioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Create or replace these objects; all others stay as they are.
    Apply(Vec<Object>),
    /// Delete these objects.
    Delete(Vec<ObjectId>),
    /// Continue without records that the log no longer holds.
    AcceptLoss {
        /// The lost records.
        gap: Gap,
        /// The first offset of their partition that the log still holds.
        log_starts_at: u64,
    },
    /// Accept a new token.
    CreateToken(NewToken),
    /// Accept the installation's first token, an operator's. Refused once there has been any token.
    CreateFirstToken(NewToken),
    /// Accept the token with this id no more.
    RevokeToken(String),
    /// Move an agreement.
    Agreement(AgreementCommand),
    /// Make everything as it was before a change.
    Undo(Undo),
    /// Let the time of ticks start again from the wall clock.
    ResetClock {
        /// Why.
        reason: String,
    },
}

/// A token to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// The digest of its text.
    pub sha256: Sha256,
    /// What its holder may do.
    pub role: Role,
    /// The client, the CDN or the probe's agent that the role is limited to.
    pub subject: Option<String>,
    /// Whom or what it is for.
    pub note: String,
    /// From when on it is not accepted.
    pub expires_at_us: Option<TimeMicros>,
}

impl Command {
    /// The record of this command, once it is decided.
    #[must_use]
    pub fn into_record(self, number: u64, events: Vec<Event>) -> ProvisioningRecord {
        let Self { id, body_sha256, author, at_us, .. } = self;
        ProvisioningRecord { number, command: id, body_sha256, author, at_us, events }
    }
}

/// Whether a command may hold this text.
pub(crate) fn is_command_text(text: &str) -> bool {
    (1..=COMMAND_TEXT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Refuses a reason that is empty or too long, or that would not be one line wherever it is shown.
pub(crate) fn check_reason(reason: &str) -> Result<(), Refusal> {
    if !(1..=COMMAND_TEXT_BYTES_MAX).contains(&reason.len()) {
        return Err(Refusal::BadReasonLength);
    }
    if reason.chars().any(char::is_control) { Err(Refusal::BadReasonText) } else { Ok(()) }
}

/// Why a command changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The command's id or author is empty or too long, or would not be one line wherever it is shown.
    #[error("the command's {0} must have 1 to {COMMAND_TEXT_BYTES_MAX} bytes and no control characters")]
    BadCommand(&'static str),
    /// What the sender has seen is so no longer.
    #[error("{}", stale(.object, *.last_change))]
    Stale {
        /// The object.
        object: ObjectId,
        /// The number of the record that last changed it; none where it does not exist.
        last_change: Option<u64>,
    },
    /// Objects contradict each other or what is provisioned.
    #[error("{}", lines(.faults, *.unlisted))]
    Faults {
        /// What is wrong, in the order of the command's objects.
        faults: Vec<ObjectFault>,
        /// How many more faults there are.
        unlisted: usize,
    },
    /// The command has more than [`OBJECTS_PER_COMMAND_MAX`] objects.
    #[error(
        "the command has {0} objects, at most {OBJECTS_PER_COMMAND_MAX} are allowed; split it into several commands"
    )]
    TooManyInCommand(usize),
    /// There would be more than [`OBJECTS_PER_KIND_MAX`] objects of a kind.
    #[error("there would be {count} {}, at most {OBJECTS_PER_KIND_MAX} are allowed", .kind.plural())]
    TooManyOfKind {
        /// The kind.
        kind: ObjectKind,
        /// How many there would be.
        count: usize,
    },
    /// One record of the log cannot hold the command's events.
    #[error(
        "the {events} changes take {bytes} bytes in the log, at most {RECORD_BYTES_MAX} fit into one record; split the files \
         into several commands"
    )]
    TooLong {
        /// The number of events.
        events: usize,
        /// The encoded length of the record.
        bytes: usize,
    },
    /// An object to delete does not exist.
    #[error("there is no {} {}", .0.kind.as_str(), shorten_name(&.0.name))]
    NotFound(ObjectId),
    /// The network `everywhere` always exists.
    #[error("network everywhere always exists and cannot be deleted")]
    Root,
    /// A change to undo changed something that cannot be as it was.
    #[error("record {number} cannot be undone: it changed {what}, which its own commands change")]
    NotUndoable {
        /// The number of the record.
        number: u64,
        /// What it changed.
        what: &'static str,
    },
    /// There is no record of this number.
    #[error("there is no record {0}")]
    NoRecord(u64),
    /// An object is no longer as the change to undo left it.
    #[error("record {number} cannot be undone: {object} {}", changed_since(*.by, *.number))]
    ChangedSince {
        /// The number of the record to undo.
        number: u64,
        /// The object.
        object: ObjectId,
        /// The record that last changed it; none where it does not exist.
        by: Option<u64>,
    },
    /// What is kept for ever is to be deleted.
    #[error("{object} cannot be deleted: {}", permanent(.object.kind))]
    Permanent {
        /// The object.
        object: ObjectId,
    },
    /// An object to delete is in use.
    #[error("{object} cannot be deleted: it is used by {}", users(.by, *.unlisted))]
    InUse {
        /// The object.
        object: ObjectId,
        /// The objects that refer to it, by kind, then name: at most [`USERS_LISTED_MAX`].
        by: Vec<ObjectId>,
        /// How many more objects refer to it.
        unlisted: usize,
    },
    /// The reason that a command has to give is empty or too long.
    #[error("reason: must have 1 to {COMMAND_TEXT_BYTES_MAX} bytes")]
    BadReasonLength,
    /// The reason that a command has to give has control characters, such as line breaks.
    #[error("reason: must have no control characters, such as line breaks")]
    BadReasonText,
    /// The loss of records cannot be accepted.
    #[error("{0}")]
    BadGap(String),
    /// A field of a new token breaks a rule.
    #[error("{field}: {rule}")]
    BadToken {
        /// The field.
        field: &'static str,
        /// The rule.
        rule: String,
    },
    /// There are too many tokens.
    #[error("there have been {TOKENS_MAX} tokens, the most that are allowed")]
    TooManyTokens,
    /// A client, a CDN or an agent has had too many tokens.
    #[error("{0} has had {TOKENS_PER_SUBJECT_MAX} tokens of this role, the most that are allowed")]
    TooManyTokensOf(String),
    /// The first token was created before.
    #[error("the installation has tokens already")]
    NotFirstToken,
    /// There is no token with this id.
    #[error("there is no token {}", shorten_name(.0))]
    NoToken(String),
    /// Without the token, nobody could call the API as an operator.
    #[error("token {0} is the last one of an operator: create another one first")]
    LastOperatorToken(String),
    /// A version of an agreement is not where this could be done with it.
    #[error("agreement {version} is {}: it cannot be {done}", .standing.as_str())]
    NoSuchMove {
        /// The version.
        version: String,
        /// What it is.
        standing: Standing,
        /// What was to be done with it.
        done: &'static str,
    },
    /// The other party would have to do this.
    #[error("agreement {version} was proposed by the {author}: it cannot be {done} by the {by}")]
    OtherParty {
        /// The version.
        version: String,
        /// Who proposed it.
        author: Party,
        /// Who wants to do something with it.
        by: Party,
        /// What was to be done with it.
        done: &'static str,
    },
    /// The agreement has a proposal that waits for its answer.
    #[error(
        "agreement {version} waits for an answer to the proposal of the {author}: answer it, counter it or withdraw it first"
    )]
    OpenProposal {
        /// The version.
        version: String,
        /// Who proposed it.
        author: Party,
    },
    /// A field of a command about an agreement breaks a rule.
    #[error("{field}: {rule}")]
    BadAgreement {
        /// The field.
        field: &'static str,
        /// The rule.
        rule: String,
    },
    /// Tokens that are accepted belong to an object to delete.
    #[error("{object} cannot be deleted: token {token} belongs to it; revoke it first")]
    HasToken {
        /// The object.
        object: String,
        /// The id of the first of its tokens.
        token: String,
    },
    /// A client has had too many versions of agreements.
    #[error(
        "client {0} has had {AGREEMENTS_PER_CLIENT_MAX} versions of agreements, the most that are allowed"
    )]
    TooManyAgreementsOf(String),
    /// The record of the command cannot be encoded.
    #[error("the record of the command cannot be encoded: {0}")]
    Record(String),
}

fn stale(object: &ObjectId, last_change: Option<u64>) -> String {
    let (kind, name) = (object.kind.as_str(), shorten_name(&object.name));
    match last_change {
        None => format!("there is no {kind} {name}"),
        Some(number) => {
            format!("{kind} {name} exists, and was last changed by record {number}: read it again")
        }
    }
}

fn lines(faults: &[ObjectFault], unlisted: usize) -> String {
    let mut lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    if unlisted > 0 {
        lines.push(format!("{unlisted} more faults are not listed"));
    }
    lines.join("\n")
}

fn changed_since(by: Option<u64>, number: u64) -> String {
    match by {
        Some(by) if by > number => format!("was changed by record {by} after that; undo that first"),
        _ => String::from("was deleted after that; undo that first"),
    }
}

fn permanent(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Agreement => {
            "what was proposed or agreed stays on record; withdraw, reject or terminate it instead"
        }
        _ => "statements may rest on it; an agreement that should use it no more names another version",
    }
}

fn users(by: &[ObjectId], unlisted: usize) -> String {
    let listed = by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if unlisted == 0 { listed } else { format!("{listed} and {unlisted} more") }
}

const _: () = assert!(USERS_LISTED_MAX > 0);
