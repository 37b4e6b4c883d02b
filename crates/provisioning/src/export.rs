//! Writing all objects as documents.

use std::fmt::Write as _;

use crate::document::Object;
use crate::fields::is_text;
use crate::shape::{Shape, shape};
use crate::state::State;

/// All objects as YAML documents, in the order of dependence, then name; reading them back gives equal objects.
///
/// The text of a very great state may be longer than one file may be ([`crate::limits::FILE_BYTES_MAX`]).
#[must_use]
pub fn export(state: &State) -> String {
    let objects = (state.clients.values().cloned().map(Object::Client))
        .chain(state.networks.values().cloned().map(Object::Network))
        .chain(state.cdns.values().cloned().map(Object::Cdn))
        .chain(state.probes.iter().cloned().map(Object::Probe))
        .chain(state.sites.values().map(|present| Object::Site(present.site.clone())));
    let mut out = String::new();
    for object in objects {
        if !out.is_empty() {
            out.push_str("---\n");
        }
        line(&mut out, 0, "", "kind", object.kind().as_str());
        map(&mut out, 0, "", &shape(&object));
    }
    out
}

/// Writes the entries of a mapping; `lead` stands before the first key, as wide as the indent of the others.
fn map(out: &mut String, indent: usize, lead: &str, entries: &[(&'static str, Shape)]) {
    let mut lead = lead;
    for (key, value) in entries {
        match value {
            Shape::Absent => continue,
            Shape::Text(text) => line(out, indent, lead, key, &scalar(text)),
            Shape::Number(number) => line(out, indent, lead, key, &number.to_string()),
            Shape::List(items) if items.is_empty() => line(out, indent, lead, key, "[]"),
            Shape::List(items) => {
                line(out, indent, lead, key, "");
                for item in items {
                    list_item(out, indent, item);
                }
            }
            Shape::Map(entries) => {
                line(out, indent, lead, key, "");
                map(out, indent + 2, "", entries);
            }
        }
        lead = "";
    }
}

fn list_item(out: &mut String, indent: usize, item: &Shape) {
    let text = match item {
        Shape::Map(entries) => return map(out, indent + 2, "- ", entries),
        Shape::Text(text) => scalar(text),
        Shape::Number(number) => number.to_string(),
        // No document has a list in a list.
        Shape::Absent | Shape::List(_) => return,
    };
    let _ = writeln!(out, "{:indent$}- {text}", "");
}

fn line(out: &mut String, indent: usize, lead: &str, key: &str, value: &str) {
    let indent = indent - lead.len();
    let space = if value.is_empty() { "" } else { " " };
    let _ = writeln!(out, "{:indent$}{lead}{key}:{space}{value}", "");
}

/// Text as a scalar: plain where nothing can be misread, else in double quotes.
fn scalar(text: &str) -> String {
    let is_plain_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-' | ':');
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(is_plain_char)
        && !text.ends_with(':')
        && is_text(text);
    if is_plain {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            ' '..='~' => quoted.push(character),
            _ if character.is_alphanumeric() => quoted.push(character),
            _ => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(character));
            }
        }
    }
    quoted.push('"');
    quoted
}
