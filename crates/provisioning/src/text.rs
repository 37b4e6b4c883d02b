//! Text as people write it: YAML documents to objects. The position of every field is kept beside them, so that a fault of an
//! object can be reported with its file and line.

mod documents;
mod mistake;
mod yaml;

pub use mistake::Mistake;

use crate::fault::ObjectFault;
use crate::field_path::FieldPath;
use crate::kinds::Object;
use crate::limits::{FILES_BYTES_MAX, OBJECTS_PER_COMMAND_MAX};
use crate::node::Lines;
use crate::object::ObjectId;
use mistake::Mistakes;

/// A file and its name, as messages show it.
#[derive(Debug, Clone, Copy)]
pub struct SourceFile<'a> {
    /// The name.
    pub name: &'a str,
    /// The content.
    pub bytes: &'a [u8],
}

/// The content of files without mistakes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The objects, in the order of the files and their documents.
    pub objects: Vec<Object>,
    /// Where each object is written.
    pub positions: Positions,
    /// What is accepted but probably not meant.
    pub warnings: Vec<Mistake>,
}

/// Where objects are written, by their index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions {
    files: Vec<String>,
    documents: Vec<Position>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    /// An index into the files.
    file: usize,
    /// The number of the document in its file, from 1.
    number: u64,
    object: ObjectId,
    lines: Lines,
}

/// Reads one file; see [`parse_files`].
///
/// # Errors
/// Every mistake of the file, in the order of its lines, at most [`crate::limits::MISTAKES_LISTED_MAX`] of them.
pub fn parse(name: &str, bytes: impl AsRef<[u8]>) -> Result<Parsed, Vec<Mistake>> {
    parse_files(&[SourceFile { name, bytes: bytes.as_ref() }])
}

/// Reads files of documents in YAML 1.2, which are separated by `---`. JSON is YAML too.
///
/// Everything is read, whatever is wrong: a syntax mistake ends its document but not the file.
///
/// # Errors
/// Every mistake of every file, in the order of files and lines, at most [`crate::limits::MISTAKES_LISTED_MAX`] of them.
pub fn parse_files(files: &[SourceFile<'_>]) -> Result<Parsed, Vec<Mistake>> {
    let mut parsed = Parsed::default();
    let (mut mistakes, mut warnings) = (Mistakes::default(), Mistakes::default());
    let bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
    for (index, file) in files.iter().enumerate() {
        parsed.positions.files.push(file.name.to_owned());
        if bytes > FILES_BYTES_MAX {
            let reason = format!(
                "the files have {bytes} bytes together, at most {FILES_BYTES_MAX} are allowed in one command; split it into \
                 several commands"
            );
            mistakes.push(Mistake::of_file(file.name, None, reason));
            break;
        }
        let mut of_file = documents::read(file, &mut parsed, index);
        mistakes.append_in_order_of_lines(&mut of_file.mistakes);
        warnings.append_in_order_of_lines(&mut of_file.warnings);
        if parsed.objects.len() > OBJECTS_PER_COMMAND_MAX {
            let reason = format!(
                "there are more than {OBJECTS_PER_COMMAND_MAX} documents in the files up to this one; split them into several \
                 commands"
            );
            mistakes.push(Mistake::of_file(file.name, None, reason));
            break;
        }
    }
    if mistakes.is_empty() {
        parsed.warnings = warnings.finish();
        Ok(parsed)
    } else {
        Err(mistakes.finish())
    }
}

impl Positions {
    /// The line at which an object begins, from 1.
    #[must_use]
    pub fn line(&self, index: usize) -> Option<u64> {
        self.documents.get(index).map(|document| document.lines.line)
    }

    /// The faults of objects that stand at these positions, with their files and lines.
    #[must_use]
    pub fn mistakes(&self, faults: &[ObjectFault], unlisted: usize) -> Vec<Mistake> {
        let mut mistakes = Mistakes::default();
        for fault in faults {
            mistakes.push(self.mistake(fault));
        }
        mistakes.add_unlisted(unlisted);
        mistakes.finish()
    }

    fn mistake(&self, fault: &ObjectFault) -> Mistake {
        let Some(document) = self.documents.get(fault.index) else {
            return Mistake::of_file("", None, fault.to_string());
        };
        let field = &fault.fault.field;
        let mut reason = fault.fault.rule.clone();
        if let Some(other) = fault.other.and_then(|other| self.documents.get(other)) {
            reason.push_str(&format!(" (see {}:{})", self.file(other), other.lines.line));
        }
        Mistake {
            file: self.file(document).to_owned(),
            line: Some(document.lines.line_of(field)),
            path: path(document.number, &format!(" ({})", document.object), field),
            field: field.clone(),
            reason,
        }
    }

    fn file(&self, document: &Position) -> &str {
        self.files.get(document.file).map_or("", String::as_str)
    }
}

/// The path of a mistake: the document, its label, and the field.
fn path(number: u64, label: &str, field: &FieldPath) -> String {
    match field.is_whole_object() {
        true => format!("document {number}{label}"),
        false => format!("document {number}{label}: {field}"),
    }
}
