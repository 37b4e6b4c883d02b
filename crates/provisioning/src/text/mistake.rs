//! A mistake in a file, and the bounded list of them.

use std::fmt;

use crate::field_path::FieldPath;
use crate::limits::MISTAKES_LISTED_MAX;

/// A mistake in a file, or a warning about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file as the caller named it.
    pub file: String,
    /// The line, from 1, if it is known.
    pub line: Option<u64>,
    /// The place in the file, such as `document 3 (site shop): objectives[0].threshold`; empty for the whole file.
    pub path: String,
    /// The field of the document's object; empty for the whole of it, and where no field is known.
    pub field: FieldPath,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Mistake {
    pub(super) fn of_file(file: &str, line: Option<u64>, reason: impl Into<String>) -> Self {
        let (path, field) = (String::new(), FieldPath::default());
        Self { file: file.to_owned(), line, path, field, reason: reason.into() }
    }
}

/// Writes `FILE:LINE: PATH: REASON`.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// At most [`MISTAKES_LISTED_MAX`] mistakes, and how many more there were.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    listed: Vec<Mistake>,
    unlisted: usize,
}

impl Mistakes {
    pub(super) fn push(&mut self, mistake: Mistake) {
        if self.listed.len() < MISTAKES_LISTED_MAX {
            self.listed.push(mistake);
        } else {
            self.unlisted += 1;
        }
    }

    pub(super) fn add_unlisted(&mut self, unlisted: usize) {
        self.unlisted += unlisted;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.listed.len() + self.unlisted
    }

    /// Moves the mistakes of one file to the end, in the order of their lines.
    pub(super) fn append_in_order_of_lines(&mut self, of_file: &mut Self) {
        of_file.listed.sort_by_key(|mistake| mistake.line.unwrap_or(u64::MAX));
        of_file.listed.drain(..).for_each(|mistake| self.push(mistake));
        self.unlisted += of_file.unlisted;
    }

    /// All mistakes. A last one tells how many are not listed.
    pub(super) fn finish(mut self) -> Vec<Mistake> {
        if let (true, Some(last)) = (self.unlisted > 0, self.listed.last()) {
            let reason = format!("{} more mistakes are not listed", self.unlisted);
            self.listed.push(Mistake::of_file(&last.file, None, reason));
        }
        self.listed
    }
}
