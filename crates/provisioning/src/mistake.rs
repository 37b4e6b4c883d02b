//! A mistake in a document, with the place where it stands; and the list that collects them.

use std::fmt;

use crate::limits::MISTAKES_LISTED_MAX;

/// Something in a file that cannot be provisioned, or a warning of the same shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file as the caller named it.
    pub file: String,
    /// The line, from 1, where one is known.
    pub line: Option<u64>,
    /// Where in the file, such as `document 3 (site shop): objectives[0].threshold`; empty for the whole file.
    pub path: String,
    /// What is wrong, and what would be right.
    pub reason: String,
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

/// Mistakes, at most [`MISTAKES_LISTED_MAX`] of them, and how many more there were.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    listed: Vec<Mistake>,
    unlisted: u64,
}

impl Mistakes {
    pub(crate) fn push(&mut self, mistake: Mistake) {
        if self.listed.len() < MISTAKES_LISTED_MAX {
            self.listed.push(mistake);
        } else {
            self.unlisted += 1;
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.listed.len() as u64 + self.unlisted
    }

    /// All mistakes of one file in the order of their lines, then as [`Mistakes::finish`].
    pub(crate) fn in_order_of_lines(mut self) -> Vec<Mistake> {
        self.listed.sort_by_key(|mistake| mistake.line.unwrap_or(u64::MAX));
        self.finish()
    }

    /// All mistakes; a last one tells how many are not listed.
    pub(crate) fn finish(mut self) -> Vec<Mistake> {
        if let (true, Some(last)) = (self.unlisted > 0, self.listed.last()) {
            let reason = format!("{} more mistakes are not listed", self.unlisted);
            self.listed.push(Mistake { file: last.file.clone(), line: None, path: String::new(), reason });
        }
        self.listed
    }
}

/// Collects what is wrong in one document.
pub(crate) struct Report<'a> {
    file: &'a str,
    document: String,
    mistakes: &'a mut Mistakes,
    warnings: &'a mut Mistakes,
}

impl<'a> Report<'a> {
    /// `document` names the document, such as `document 3 (site shop)`.
    pub(crate) fn new(
        file: &'a str,
        document: String,
        mistakes: &'a mut Mistakes,
        warnings: &'a mut Mistakes,
    ) -> Self {
        Self { file, document, mistakes, warnings }
    }

    /// Notes a mistake at a path inside the document.
    pub(crate) fn mistake(&mut self, line: u64, path: &str, reason: impl Into<String>) {
        self.mistakes.push(self.place(line, path, reason.into()));
    }

    /// Notes something that is accepted, but hardly meant.
    pub(crate) fn warning(&mut self, line: u64, path: &str, reason: impl Into<String>) {
        self.warnings.push(self.place(line, path, reason.into()));
    }

    fn place(&self, line: u64, path: &str, reason: String) -> Mistake {
        let path = if path.is_empty() { self.document.clone() } else { format!("{}: {path}", self.document) };
        Mistake { file: self.file.to_owned(), line: Some(line), path, reason }
    }
}

/// Shortens foreign text for a message.
pub(crate) fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
