//! Reads the documents of one file.

use serde_saphyr::granit_parser::{self, Event, ScanError};
use spillway_events::ObjectKind;

use super::mistake::{Mistake, Mistakes};
use super::yaml::{Builder, TooManyNodes};
use super::{Parsed, Position, SourceFile, path};
use crate::fault::{Fault, shorten};
use crate::field_path::FieldPath;
use crate::fields::Rules;
use crate::kinds;
use crate::limits::{FILE_BYTES_MAX, NESTING_LEVELS_MAX, NODES_PER_DOCUMENT_MAX, OBJECTS_PER_COMMAND_MAX};
use crate::node::{Node, NodeReader, Value};

const TAB: &str = "a tab cannot be used for indentation; use spaces";

/// What is wrong with one file.
#[derive(Default)]
pub(super) struct OfFile {
    pub(super) mistakes: Mistakes,
    pub(super) warnings: Mistakes,
}

/// Reads a file and adds its objects; `index` is that of the file.
pub(super) fn read(file: &SourceFile<'_>, parsed: &mut Parsed, index: usize) -> OfFile {
    let mut reader = Reader { file: file.name, index, parsed, of_file: OfFile::default() };
    if file.bytes.len() > FILE_BYTES_MAX {
        let reason = format!(
            "has {} bytes, at most {FILE_BYTES_MAX} are allowed; split it into several files and commands",
            file.bytes.len()
        );
        reader.file_mistake(None, reason);
        return reader.of_file;
    }
    match std::str::from_utf8(file.bytes) {
        Ok(text) => reader.read(text),
        Err(error) => {
            let before = file.bytes.get(..error.valid_up_to()).unwrap_or_default();
            reader.file_mistake(Some(line_at(before)), "is not UTF-8 text from this line on");
        }
    }
    reader.of_file
}

/// The number of the line that follows these bytes.
fn line_at(before: &[u8]) -> u64 {
    1 + before.iter().filter(|byte| **byte == b'\n').count() as u64
}

struct Reader<'a> {
    file: &'a str,
    index: usize,
    parsed: &'a mut Parsed,
    of_file: OfFile,
}

impl Reader<'_> {
    fn read(&mut self, text: &str) {
        let mut options = granit_parser::options! {
            emit_unresolved_aliases: true,
            flow_nesting_limit: NESTING_LEVELS_MAX,
            block_nesting_limit: NESTING_LEVELS_MAX,
        };
        options.set_emit_comments(false);
        let mut parser = granit_parser::Parser::new_from_str_with_options(text, options);
        let mut number = 0_u64;
        let mut line = 1_u64;
        let mut builder = Builder::default();
        while let Some(next) = parser.next() {
            let next = next.map(|(event, span)| {
                line = span.start.line() as u64;
                match event {
                    Event::DocumentStart(..) => {
                        number += 1;
                        builder = Builder::default();
                        Ok(())
                    }
                    Event::DocumentEnd => {
                        self.document(number, &mut builder);
                        Ok(())
                    }
                    event => builder.event(event, span),
                }
            });
            if number > OBJECTS_PER_COMMAND_MAX as u64 {
                let reason = format!(
                    "has more than {OBJECTS_PER_COMMAND_MAX} documents; split it into several files and commands"
                );
                self.file_mistake(None, reason);
                return;
            }
            match next {
                Ok(Ok(())) => continue,
                Ok(Err(TooManyNodes)) => {
                    let reason = format!("has more than {NODES_PER_DOCUMENT_MAX} values");
                    self.document_mistake(number, line, reason);
                }
                Err(error) => self.syntax(text, number.max(1), line, &mut builder, &error),
            }
            // The rest of the document is skipped, and the next documents are read.
            match parser.proceed_next_document() {
                Ok(true) => builder = Builder::default(),
                Ok(false) => return,
                Err(error) => {
                    self.syntax(text, number.max(1), line, &mut builder, &error);
                    return;
                }
            }
        }
    }

    /// Reads a whole document; an empty one is skipped.
    fn document(&mut self, number: u64, builder: &mut Builder) {
        let broken = std::mem::take(&mut builder.mistakes);
        let is_broken = !broken.is_empty();
        let Some(root) = builder.finish().filter(|root| is_broken || !root.is_null()) else { return };
        let label = label(&root);
        let mistakes_before = self.of_file.mistakes.count();
        for (line, reason) in broken {
            let place = path(number, &label, &FieldPath::default());
            self.of_file.mistakes.push(Mistake {
                file: self.file.to_owned(),
                line: Some(line),
                path: place,
                field: FieldPath::default(),
                reason,
            });
        }
        let mut rules = Rules::default();
        let object = kind_of(&root, &mut rules)
            .and_then(|kind| kinds::read(kind, &NodeReader::document(&root), &mut rules));
        let mistake = |Fault { field, rule }: Fault| Mistake {
            file: self.file.to_owned(),
            line: Some(root.at(&field).line),
            path: path(number, &label, &field),
            field,
            reason: rule,
        };
        // A broken value has its mistake already.
        let faults = rules.faults.into_iter().filter(|fault| !root.at(&fault.field).is_broken());
        faults.map(mistake).for_each(|fault| self.of_file.mistakes.push(fault));
        rules.warnings.into_iter().map(mistake).for_each(|warning| self.of_file.warnings.push(warning));
        if self.of_file.mistakes.count() > mistakes_before {
            return;
        }
        match object {
            Some(object) => {
                let position =
                    Position { file: self.index, number, object: object.id(), lines: root.into_lines() };
                self.parsed.positions.documents.push(position);
                self.parsed.objects.push(object);
            }
            // A kind that refuses an object says why. This makes sure that no object is lost if one does not.
            None => self.document_mistake(number, root.line, "cannot be read"),
        }
    }

    fn syntax(&mut self, text: &str, number: u64, line: u64, builder: &mut Builder, error: &ScanError) {
        for (line, reason) in std::mem::take(&mut builder.mistakes) {
            self.document_mistake(number, line, reason);
        }
        let at = error.marker().line() as u64;
        let reason = error.kind().to_string();
        // The parser reports a tab in the indentation before or after its line: where a scalar that it ends begins, or where
        // the structure turns out to be wrong.
        let to = if reason.contains("tab") { u64::MAX } else { at };
        match tab_indented_line(text, line.min(at), to) {
            Some(line) => self.document_mistake(number, line, TAB),
            None => self.document_mistake(number, at, shorten_message(&reason)),
        }
    }

    fn document_mistake(&mut self, number: u64, line: u64, reason: impl Into<String>) {
        let (file, line, path) = (self.file.to_owned(), Some(line), format!("document {number}"));
        let field = FieldPath::default();
        self.of_file.mistakes.push(Mistake { file, line, path, field, reason: reason.into() });
    }

    fn file_mistake(&mut self, line: Option<u64>, reason: impl Into<String>) {
        self.of_file.mistakes.push(Mistake::of_file(self.file, line, reason));
    }
}

/// The first line from `from` to `to` that has a tab in its indentation.
fn tab_indented_line(text: &str, from: u64, to: u64) -> Option<u64> {
    let lines = (1_u64..).zip(text.lines());
    let mut between = lines.skip_while(|(number, _)| *number < from).take_while(|(number, _)| *number <= to);
    let is_tab_indented =
        |line: &str| line.trim_start_matches(' ').starts_with('\t') && !line.trim().is_empty();
    between.find(|(_, line)| is_tab_indented(line)).map(|(number, _)| number)
}

/// Cuts a message of the parser, which may quote the text.
fn shorten_message(message: &str) -> String {
    const MESSAGE_CHARS_MAX: usize = 200;
    message.chars().take(MESSAGE_CHARS_MAX).collect()
}

/// The kind of a document's object.
fn kind_of(root: &Node, rules: &mut Rules) -> Option<ObjectKind> {
    let names = || ObjectKind::ALL.map(ObjectKind::as_str).join(", ");
    let Value::Map(_) = &root.value else {
        let rule = format!("must be a mapping with a `kind`, not {}", root.describe());
        rules.broken_at(FieldPath::default(), rule);
        return None;
    };
    let Some(kind) = root.entry("kind") else {
        rules.broken("kind", format!("is missing: one of {}", names()));
        return None;
    };
    let found = kind.text().and_then(|text| ObjectKind::ALL.into_iter().find(|kind| kind.as_str() == text));
    if found.is_none() {
        rules.broken("kind", format!("must be one of {}, not {}", names(), kind.describe()));
    }
    found
}

/// What messages call a document beside its number: its kind and name, as far as it has them.
fn label(root: &Node) -> String {
    let text = |key| root.entry(key).and_then(Node::text).filter(|text| !text.is_empty()).map(shorten);
    let Some(kind) = text("kind") else { return String::new() };
    let name = match text("name") {
        None => text("agent").zip(text("network")).map(|(agent, network)| format!("{agent}/{network}")),
        name => name,
    };
    match name {
        Some(name) => format!(" ({kind} {name})"),
        None => format!(" ({kind})"),
    }
}
