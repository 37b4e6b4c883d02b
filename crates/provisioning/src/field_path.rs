//! The path of a field inside an object.

use std::fmt;

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

impl FieldPath {
    /// The path as a JSON pointer (RFC 6901) into the object's document.
    #[must_use]
    pub fn pointer(&self) -> String {
        let step = |step: &Step| match step {
            Step::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => format!("/{index}"),
        };
        self.0.iter().map(step).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_escape_what_separates_their_steps() {
        assert_eq!(FieldPath::default().pointer(), "");
        let path = FieldPath::of("objectives").index(0).key("a/b~c");
        assert_eq!(path.pointer(), "/objectives/0/a~1b~0c");
    }
}
