//! Reading a file of documents.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{self, Event, ScanError};

use crate::document::{Document, label, read_object};
use crate::limits::{DOCUMENTS_PER_FILE_MAX, FILE_BYTES_MAX, NESTING_LEVELS_MAX, NODES_PER_DOCUMENT_MAX};
use crate::mistake::{Mistake, Mistakes, Report};
use crate::yaml::{Builder, Node, TooManyNodes, Value};

/// What a file without mistakes holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// Its documents, in order.
    pub documents: Vec<Document>,
    /// What is accepted, but hardly meant.
    pub warnings: Vec<Mistake>,
}

/// Reads documents in YAML 1.2, separated by `---`; JSON is YAML too.
///
/// The whole file is read whatever is wrong with it: syntax mistakes end a document, but not the file.
///
/// # Errors
/// Every mistake of the file, in the order of the text, up to [`crate::limits::MISTAKES_LISTED_MAX`] of them.
pub fn parse(file_name: &str, text: &str) -> Result<Parsed, Vec<Mistake>> {
    let mut reader = Reader {
        file: file_name,
        documents: Vec::new(),
        mistakes: Mistakes::default(),
        warnings: Mistakes::default(),
    };
    if text.len() > FILE_BYTES_MAX {
        let reason = format!("has {} bytes; at most {FILE_BYTES_MAX} are taken", text.len());
        reader.file_mistake(reason);
    } else {
        reader.read(text);
    }
    if reader.mistakes.count() > 0 {
        return Err(reader.mistakes.in_order_of_lines());
    }
    Ok(Parsed { documents: reader.documents, warnings: reader.warnings.in_order_of_lines() })
}

struct Reader<'a> {
    file: &'a str,
    documents: Vec<Document>,
    mistakes: Mistakes,
    warnings: Mistakes,
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
            if number > DOCUMENTS_PER_FILE_MAX {
                self.file_mistake(format!("has more than {DOCUMENTS_PER_FILE_MAX} documents"));
                return;
            }
            match next {
                Ok(Ok(())) => continue,
                Ok(Err(TooManyNodes)) => {
                    let reason = format!("has more than {NODES_PER_DOCUMENT_MAX} values");
                    self.document_mistake(number, Some(line), reason);
                }
                Err(error) => self.syntax(number.max(1), &mut builder, &error),
            }
            // What is left of the document is skipped; the next ones are read.
            match parser.proceed_next_document() {
                Ok(true) => builder = Builder::default(),
                Ok(false) => return,
                Err(error) => {
                    self.syntax(number.max(1), &mut builder, &error);
                    return;
                }
            }
        }
    }

    /// Reads a whole document; an empty one is passed over.
    fn document(&mut self, number: u64, builder: &mut Builder) {
        let broken = std::mem::take(&mut builder.mistakes);
        let is_broken = !broken.is_empty();
        let Some(root) = builder.finish().filter(|root| is_broken || !root.value.is_null()) else { return };
        let mistakes_before = self.mistakes.count();
        let mut report = Report::new(self.file, label(number, &root), &mut self.mistakes, &mut self.warnings);
        for (line, reason) in broken {
            report.mistake(line, "", reason);
        }
        let object = read_object(&root, &mut report);
        match object {
            Some(object) => self.documents.push(Document {
                object,
                file: self.file.to_owned(),
                number,
                line: root.line,
                lines: top_lines(&root),
            }),
            // A reader that gives up says why; this holds even should one forget.
            None if self.mistakes.count() == mistakes_before => {
                self.document_mistake(number, Some(root.line), "is not understood".to_owned());
            }
            None => {}
        }
    }

    fn syntax(&mut self, number: u64, builder: &mut Builder, error: &ScanError) {
        for (line, reason) in std::mem::take(&mut builder.mistakes) {
            self.document_mistake(number, Some(line), reason);
        }
        self.document_mistake(number, Some(error.marker().line() as u64), error.kind().to_string());
    }

    fn document_mistake(&mut self, number: u64, line: Option<u64>, reason: String) {
        let path = format!("document {number}");
        self.mistakes.push(Mistake { file: self.file.to_owned(), line, path, reason });
    }

    fn file_mistake(&mut self, reason: String) {
        self.mistakes.push(Mistake { file: self.file.to_owned(), line: None, path: String::new(), reason });
    }
}

/// The lines of the values of the top keys.
fn top_lines(root: &Node) -> BTreeMap<String, u64> {
    let Value::Map(entries) = &root.value else { return BTreeMap::new() };
    entries.iter().map(|entry| (entry.key.clone(), entry.node.line)).collect()
}
