//! What is wrong with an object: the field and the rule that it breaks. No file and no line is known here.

use std::fmt;

use crate::object::ObjectId;

/// The path of a field inside an object, such as `objectives[0].threshold`; empty for the object as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Step>);

/// One step of a [`FieldPath`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a list.
    Index(usize),
}

impl FieldPath {
    /// The path of a field of the object itself.
    pub(crate) fn of(key: &str) -> Self {
        Self::default().key(key)
    }

    /// The path of a field of the mapping at this path.
    pub(crate) fn key(mut self, key: &str) -> Self {
        self.0.push(Step::Key(key.to_owned()));
        self
    }

    /// The path of an item of the list at this path.
    pub(crate) fn index(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    pub(crate) fn is_whole_object(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

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

/// Cuts foreign text for a message.
pub(crate) fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
