//! Provisioning: the objects that operators state, the decisions on commands, and the state that these make.
//!
//! ```text
//! files ─ parse_files ─▶ objects ──┐
//!                      │           ├─ decide ─▶ events ─ apply ─▶ State ─ export ─▶ YAML
//!                      ▼  State ───┘  │            └──── diff ──▶ lines for people
//!                  positions          ▼
//!                      └──────────▶ faults ─▶ mistakes with file and line
//! ```
//!
//! | module | content |
//! |---|---|
//! | `kinds` | one file for each kind: its fields, the rules of one object, its references to others |
//! | `fields`, `values` | how fields are read, and the types of values that kinds share |
//! | `object`, `field_path`, `fault` | identities of objects; paths of fields; a fault is an object, a field and a rule |
//! | `node`, `text` | YAML text to objects, and the positions of their fields |
//! | `decide`, `command` | what a command changes, or why it is refused |
//! | `standing` | what a version of an agreement is at a time, and the moves between |
//! | `state` | what is provisioned, with the indexes that keep the cost of a change independent of its size |
//! | `tree` | the tree of networks, and its rules |
//! | `diff`, `export` | objects to text |
//! | `resource` | objects as they are read: with the number of their last change and what refers to them |
//!
//! Everything is a pure function of its arguments: this crate uses no clock, file, network or task.
#![warn(missing_docs)]

mod command;
mod decide;
mod diff;
mod export;
mod fault;
mod field_path;
mod fields;
mod kinds;
pub mod limits;
mod node;
mod object;
mod resource;
mod standing;
mod state;
mod text;
mod tree;
mod values;

pub use command::{
    AgreementAct, AgreementCommand, Change, Command, NewToken, Precondition, Refusal, Undo, VersionId,
};
pub use decide::decide;
pub use diff::{ChangeLine, Sign, diff, differences};
pub use export::{ExportError, export, export_of_client};
pub use fault::{Fault, ObjectFault};
pub use field_path::FieldPath;
pub use kinds::Object;
pub use kinds::agreement::canonical_json;
pub use object::ObjectId;
pub use resource::{OWN, Resource};
pub use standing::{MOVE_AHEAD_US, Standing, is_private, standing};
pub use state::{ApplyError, Caller, InForce, ProvisionedSite, SavedObject, State, boundaries, token_id};
pub use text::{Mistake, Parsed, Positions, SourceFile, parse, parse_files};

#[cfg(test)]
mod tests;
