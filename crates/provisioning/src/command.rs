//! Commands, and why they are refused.

use spillway_events::{Gap, ObjectKind, TimeMicros};

use crate::document::Document;
use crate::mistake::Mistake;

/// What somebody wants changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its id, so that a retry is recognized.
    pub id: String,
    /// Who gives it.
    pub author: String,
    /// When it is given.
    pub at_us: TimeMicros,
    /// The change.
    pub change: Change,
}

/// A change of what is provisioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These objects are to be as these documents say; others stay.
    Apply(Vec<Document>),
    /// An object is to go.
    Delete {
        /// What it is.
        kind: ObjectKind,
        /// Its name; a probe's is `AGENT/NETWORK`.
        name: String,
    },
    /// Records that the log has no more are given up.
    GiveUp {
        /// Which.
        gap: Gap,
        /// The first offset that the log has of their partition.
        log_starts_at: u64,
    },
}

/// Why a command changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The command's id or author is empty or too long.
    #[error("the command's {0} must have 1 to {max} bytes", max = crate::limits::COMMAND_TEXT_BYTES_MAX)]
    BadCommand(&'static str),
    /// Documents contradict each other or what is provisioned.
    #[error("{}", lines(.0))]
    Mistakes(Vec<Mistake>),
    /// There would be more than [`crate::limits::OBJECTS_PER_KIND_MAX`] objects of a kind.
    #[error("there would be {count} objects of kind {}; at most {max} are allowed", .kind.as_str(), max = crate::limits::OBJECTS_PER_KIND_MAX)]
    TooMany {
        /// The kind.
        kind: ObjectKind,
        /// How many there would be.
        count: usize,
    },
    /// What should go is not there.
    #[error("there is no {} {name}", .kind.as_str())]
    NotFound {
        /// The kind asked for.
        kind: ObjectKind,
        /// The name asked for.
        name: String,
    },
    /// The network `everywhere` exists by itself.
    #[error("the network everywhere exists by itself and cannot be deleted")]
    Root,
    /// Records cannot be given up.
    #[error("{0}")]
    BadGap(String),
    /// What should go is needed by others.
    #[error("{} {name} cannot be deleted: referred to by {}", .kind.as_str(), some(.by))]
    Referred {
        /// The kind of what should go.
        kind: ObjectKind,
        /// Its name.
        name: String,
        /// Who refers to it, such as `site shop`, in order.
        by: Vec<String>,
    },
}

fn lines(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn some(names: &[String]) -> String {
    const SHOWN_MAX: usize = 20;
    let shown = names.iter().take(SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN_MAX) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}
