//! Typed reading of a tree of values: every reader notes its mistakes and goes on.

use std::collections::BTreeMap;

use crate::mistake::{Report, shorten};
use crate::yaml::{Node, Value};

/// A value and its path inside the document.
pub(crate) struct Cell<'t> {
    pub(crate) node: &'t Node,
    pub(crate) path: String,
}

/// The fields of a mapping.
pub(crate) struct Fields<'t> {
    path: String,
    line: u64,
    entries: BTreeMap<&'t str, &'t Node>,
}

impl<'t> Fields<'t> {
    /// Reads a mapping; notes keys that are not among the known ones.
    pub(crate) fn read(cell: &Cell<'t>, known: &[&str], report: &mut Report<'_>) -> Option<Self> {
        let Value::Map(entries) = &cell.node.value else {
            cell.wrong_type("a mapping", report);
            return None;
        };
        let fields = Self {
            path: cell.path.clone(),
            line: cell.node.line,
            entries: entries.iter().map(|entry| (entry.key.as_str(), &entry.node)).collect(),
        };
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                let path = fields.path_of(&shorten(&entry.key));
                report.mistake(entry.line, &path, unknown_key(&entry.key, known));
            }
        }
        Some(fields)
    }

    /// The value of a key; one that is null counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<Cell<'t>> {
        let node = self.entries.get(key).filter(|node| !node.value.is_null())?;
        Some(Cell { node, path: self.path_of(key) })
    }

    /// The value of a key that must be there, as `read` reads it.
    pub(crate) fn required<T>(
        &self,
        key: &str,
        report: &mut Report<'_>,
        read: impl FnOnce(&Cell<'t>, &mut Report<'_>) -> Option<T>,
    ) -> Option<T> {
        let Some(cell) = self.get(key) else {
            report.mistake(self.line, &self.path_of(key), "is missing");
            return None;
        };
        read(&cell, report)
    }

    /// The value of a key, or the default where it is absent.
    pub(crate) fn or<T>(
        &self,
        key: &str,
        default: T,
        report: &mut Report<'_>,
        read: impl FnOnce(&Cell<'t>, &mut Report<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.get(key) {
            Some(cell) => read(&cell, report),
            None => Some(default),
        }
    }

    /// The items of a list of at most `items_max`; none where the key is absent.
    pub(crate) fn list<T>(
        &self,
        key: &str,
        items_max: usize,
        report: &mut Report<'_>,
        mut read: impl FnMut(&Cell<'t>, &mut Report<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(cell) = self.get(key) else { return Some(Vec::new()) };
        let Value::List(nodes) = &cell.node.value else {
            cell.wrong_type("a list", report);
            return None;
        };
        if nodes.len() > items_max {
            let reason = format!("has {} items; at most {items_max} are allowed", nodes.len());
            report.mistake(cell.node.line, &cell.path, reason);
            return None;
        }
        // Every item is read, so that every mistake is noted, before any missing one ends it.
        let items: Vec<Option<T>> = nodes
            .iter()
            .enumerate()
            .map(|(index, node)| read(&Cell { node, path: format!("{}[{index}]", cell.path) }, report))
            .collect();
        items.into_iter().collect()
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl<'t> Cell<'t> {
    /// Notes a mistake here.
    pub(crate) fn mistake(&self, report: &mut Report<'_>, reason: impl Into<String>) {
        report.mistake(self.node.line, &self.path, reason);
    }

    /// Text: quoted, or plain and neither a number nor a truth value.
    pub(crate) fn text(&self, report: &mut Report<'_>) -> Option<&'t str> {
        match &self.node.value {
            Value::Scalar { text, plain } if !plain || is_text(text) => Some(text),
            Value::Scalar { text, .. } => {
                self.mistake(report, format!("must be text; put `{}` in quotes", shorten(text)));
                None
            }
            _ => {
                self.wrong_type("text", report);
                None
            }
        }
    }

    /// A scalar however written, for what is a number with a unit.
    pub(crate) fn scalar(&self, report: &mut Report<'_>) -> Option<&'t str> {
        if let Value::Scalar { text, .. } = &self.node.value {
            return Some(text);
        }
        self.wrong_type("a number with its unit", report);
        None
    }

    /// A whole number within bounds, both included.
    pub(crate) fn integer(&self, min: u32, max: u32, report: &mut Report<'_>) -> Option<u32> {
        let wanted = format!("a whole number from {min} to {max}");
        let Value::Scalar { text, plain: true } = &self.node.value else {
            self.wrong_type(&wanted, report);
            return None;
        };
        let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u32>().ok().filter(|number| is_digits && (min..=max).contains(number));
        if number.is_none() {
            self.mistake(report, format!("must be {wanted}, not `{}`", shorten(text)));
        }
        number
    }

    /// Text that `make` makes something of, or says why not.
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        &self,
        report: &mut Report<'_>,
        make: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match make(self.text(report)?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.mistake(report, error.to_string());
                None
            }
        }
    }

    /// Notes that something else should stand here.
    pub(crate) fn wrong_type(&self, wanted: &str, report: &mut Report<'_>) {
        let found = match &self.node.value {
            Value::Broken => return,
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            value if value.is_null() => "nothing".to_owned(),
            Value::Scalar { text, plain: true } => format!("`{}`", shorten(text)),
            Value::Scalar { text, plain: false } => format!("the text \"{}\"", shorten(text)),
        };
        self.mistake(report, format!("must be {wanted}, not {found}"));
    }
}

/// Whether a plain scalar is text in the core schema of YAML 1.2 (section 10.3.2).
pub(crate) fn is_text(plain: &str) -> bool {
    const WORDS: &[&str] = &[
        "", "~", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE", ".inf", ".Inf",
        ".INF", ".nan", ".NaN", ".NAN",
    ];
    let number = plain.strip_prefix(['-', '+']).unwrap_or(plain);
    let is_special = WORDS.contains(&plain) || WORDS.contains(&number);
    let is_radix = ["0x", "0o"].iter().any(|prefix| {
        number.strip_prefix(prefix).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
    });
    let looks_numeric = number.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    !(is_special || is_radix || looks_numeric && plain.parse::<f64>().is_ok())
}

/// Says that a key is unknown, and which known ones are nearest.
fn unknown_key(key: &str, known: &[&str]) -> String {
    let mut nearest: Vec<(usize, &str)> = known.iter().map(|known| (distance(key, known), *known)).collect();
    nearest.sort_unstable();
    let least = nearest.first().map_or(usize::MAX, |(distance, _)| *distance);
    let near: Vec<String> = nearest
        .iter()
        .take_while(|(distance, known)| *distance == least && *distance <= known.len().div_ceil(2))
        .map(|(_, known)| format!("`{known}`"))
        .collect();
    if near.is_empty() {
        return format!("is not known here; known are {}", known.join(", "));
    }
    format!("is not known here; did you mean {}?", near.join(" or "))
}

/// The Levenshtein distance in characters; of a long text, a great number.
fn distance(left: &str, right: &str) -> usize {
    if left.len() > 64 {
        return usize::MAX;
    }
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (cell, r) in row.iter_mut().skip(1).zip(&right) {
            let substituted = diagonal + usize::from(l != *r);
            diagonal = *cell;
            before = substituted.min(before + 1).min(*cell + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
