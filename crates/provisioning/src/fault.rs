//! What is wrong with an object: the field and the rule that it breaks. No file and no line is known here.

use std::fmt;

use spillway_events::NAME_BYTES_MAX;

use crate::field_path::FieldPath;
use crate::object::ObjectId;

/// A field that breaks a rule of its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field.
    pub field: FieldPath,
    /// The rule, and how the field breaks it.
    pub rule: String,
}

/// An object of a command that does not fit the other objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFault {
    /// The index of the object in the command.
    pub index: usize,
    /// The object.
    pub object: ObjectId,
    /// The field, and the rule that it breaks.
    pub fault: Fault,
    /// The index of the other object in the command that it contradicts, if that is part of the command.
    pub other: Option<usize>,
}

/// Writes `KIND NAME: FIELD: RULE`.
impl fmt::Display for ObjectFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.object)?;
        if !self.fault.field.is_whole_object() {
            write!(f, "{}: ", self.fault.field)?;
        }
        f.write_str(&self.fault.rule)
    }
}

/// The longest part of a foreign text that a message quotes, in characters.
const QUOTED_CHARS_MAX: usize = 40;

/// The longest part of a foreign name that a message quotes: that of the longest valid name, a probe's AGENT/NETWORK.
const NAME_CHARS_MAX: usize = 2 * NAME_BYTES_MAX + 1;

/// Cuts foreign text for a message.
pub(crate) fn shorten(text: &str) -> String {
    cut(text, QUOTED_CHARS_MAX)
}

/// Cuts foreign text that should be a name for a message. Valid names stay whole.
pub(crate) fn shorten_name(text: &str) -> String {
    cut(text, NAME_CHARS_MAX)
}

fn cut(text: &str, chars_max: usize) -> String {
    let mut short: String = text.chars().take(chars_max).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
