//! A document as a tree of values with their lines, and the deserializer that reads types from it.

use std::cell::RefCell;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use crate::fault::{Fault, shorten};
use crate::field_path::{FieldPath, Step};
use crate::fields::Rules;

/// A value and the line at which it begins, from 1.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) line: u64,
    pub(crate) value: Value,
}

/// A value as written.
#[derive(Debug)]
pub(crate) enum Value {
    /// A scalar. Only a plain one, without quotes, can be a number, a truth value or null.
    Scalar { text: String, plain: bool },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order written; no key is repeated.
    Map(Vec<(String, Node)>),
    /// A value for which a mistake was reported already.
    Broken,
}

/// The line of a value, and of the values in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) line: u64,
    inner: Inner,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Inner {
    None,
    List(Vec<Lines>),
    Map(Vec<(String, Lines)>),
}

impl Node {
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.value, Value::Broken)
    }

    /// The value of a key of a mapping.
    pub(crate) fn entry(&self, wanted: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(key, _)| key == wanted).map(|(_, node)| node)
    }

    /// The text of a scalar, in quotes or not.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// What messages call the value.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            _ if self.is_null() => String::from("empty"),
            Value::Scalar { text, .. } => format!("`{}`", shorten(text)),
            Value::List(_) => String::from("a list"),
            Value::Map(_) => String::from("a mapping"),
            Value::Broken => String::from("an alias"),
        }
    }

    /// The value of a field, or the innermost value on the path to it that exists.
    pub(crate) fn at(&self, field: &FieldPath) -> &Self {
        let mut at = self;
        for step in field.steps() {
            let inner = match (step, &at.value) {
                (Step::Key(key), Value::Map(_)) => at.entry(key),
                (Step::Index(index), Value::List(items)) => items.get(*index),
                _ => None,
            };
            let Some(inner) = inner else { break };
            at = inner;
        }
        at
    }

    pub(crate) fn into_lines(self) -> Lines {
        let inner = match self.value {
            Value::Scalar { .. } | Value::Broken => Inner::None,
            Value::List(items) => Inner::List(items.into_iter().map(Self::into_lines).collect()),
            Value::Map(entries) => {
                Inner::Map(entries.into_iter().map(|(key, node)| (key, node.into_lines())).collect())
            }
        };
        Lines { line: self.line, inner }
    }
}

impl Lines {
    /// The line of a field, or of the innermost value on the path to it that exists.
    pub(crate) fn line_of(&self, field: &FieldPath) -> u64 {
        let mut at = self;
        for step in field.steps() {
            let inner = match (step, &at.inner) {
                (Step::Key(wanted), Inner::Map(entries)) => {
                    entries.iter().find(|(key, _)| key == wanted).map(|(_, lines)| lines)
                }
                (Step::Index(index), Inner::List(items)) => items.get(*index),
                _ => None,
            };
            let Some(inner) = inner else { break };
            at = inner;
        }
        at.line
    }
}

/// Reads types from a document. Keys that a type does not have are collected, and do not end the reading.
pub(crate) struct NodeReader<'t> {
    root: &'t Node,
}

impl<'t> NodeReader<'t> {
    /// Reads from the root of a document. The key `kind` belongs to the document, not to its fields.
    pub(crate) fn document(root: &'t Node) -> Self {
        Self { root }
    }

    /// The fields of an object; unknown keys break a rule.
    pub(crate) fn spec<T: Deserialize<'t>>(&self, rules: &mut Rules) -> Option<T> {
        let unknown = RefCell::new(Vec::new());
        let cursor = Cursor { node: self.root, path: FieldPath::default(), unknown: &unknown };
        let spec = T::deserialize(cursor);
        rules.faults.append(&mut unknown.borrow_mut());
        spec.map_err(|Error(rule)| rules.broken_at(FieldPath::default(), rule)).ok()
    }
}

/// A value of the tree and its path.
struct Cursor<'t, 'u> {
    node: &'t Node,
    path: FieldPath,
    unknown: &'u RefCell<Vec<Fault>>,
}

/// Why a value does not have the wanted type.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Error(String);

impl de::Error for Error {
    fn custom<T: std::fmt::Display>(reason: T) -> Self {
        Self(reason.to_string())
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self(format!("must be {expected}, not {}", describe(found)))
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("must be {}, not `{}`", expected.join(" or "), shorten(variant)))
    }
}

fn describe(found: de::Unexpected<'_>) -> String {
    match found {
        de::Unexpected::Str(text) => format!("`{}`", shorten(text)),
        de::Unexpected::Unsigned(number) => format!("`{number}`"),
        de::Unexpected::Signed(number) => format!("`{number}`"),
        de::Unexpected::Float(number) => format!("`{number}`"),
        de::Unexpected::Bool(truth) => format!("`{truth}`"),
        de::Unexpected::Seq => String::from("a list"),
        de::Unexpected::Map => String::from("a mapping"),
        other => other.to_string(),
    }
}

impl<'t> Cursor<'t, '_> {
    fn must_be<V>(&self, wanted: &str) -> Result<V, Error> {
        Err(Error(format!("must be {wanted}, not {}", self.node.describe())))
    }

    /// Gives a plain scalar to the visitor as the type that it has in the core schema of YAML 1.2 (section 10.3.2).
    fn visit_plain<V: Visitor<'t>>(&self, text: &'t str, visitor: V) -> Result<V::Value, Error> {
        if self.node.is_null() {
            return visitor.visit_unit();
        }
        match text {
            "true" | "True" | "TRUE" => return visitor.visit_bool(true),
            "false" | "False" | "FALSE" => return visitor.visit_bool(false),
            _ => {}
        }
        if let Ok(number) = text.parse::<u64>() {
            return visitor.visit_u64(number);
        }
        if let Ok(number) = text.parse::<i64>() {
            return visitor.visit_i64(number);
        }
        if is_text(text) {
            return visitor.visit_borrowed_str(text);
        }
        match text.parse::<f64>() {
            Ok(number) => visitor.visit_f64(number),
            Err(_) => self.must_be("a decimal number or text in quotes"),
        }
    }
}

/// Whether a plain scalar is text in the core schema of YAML 1.2 (section 10.3.2).
fn is_text(plain: &str) -> bool {
    const WORDS: &[&str] = &[
        "", "~", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE", ".nan", ".NaN",
        ".NAN",
    ];
    const INFINITE: &[&str] = &[".inf", ".Inf", ".INF"];
    let number = plain.strip_prefix(['-', '+']).unwrap_or(plain);
    let is_special = WORDS.contains(&plain) || INFINITE.contains(&number);
    let is_radix = [("0x", 16), ("0o", 8)].iter().any(|(prefix, radix)| {
        let digits = number.strip_prefix(prefix);
        digits.is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_digit(*radix)))
    });
    let looks_numeric = number.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    !(is_special || is_radix || looks_numeric && plain.parse::<f64>().is_ok())
}

impl<'de> Deserializer<'de> for Cursor<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Scalar { text, plain: true } => self.visit_plain(text, visitor),
            Value::Scalar { text, plain: false } => visitor.visit_borrowed_str(text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::Broken => self.must_be("a value"),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Scalar { text, plain } if !plain || is_text(text) => visitor.visit_borrowed_str(text),
            Value::Scalar { text, .. } => {
                Err(Error(format!("must be text; put `{}` in quotes", shorten(text))))
            }
            _ => self.must_be("text"),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Value::List(items) = &self.node.value else { return self.must_be("a list") };
        visitor.visit_seq(Items { items, next: 0, path: self.path, unknown: self.unknown })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Value::Map(entries) = &self.node.value else { return self.must_be("a mapping") };
        let is_document = self.path.is_whole_object();
        let entries = entries.iter().filter(|(key, _)| !(is_document && key == "kind")).collect();
        visitor.visit_map(Entries { entries, next: 0, path: self.path, unknown: self.unknown })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Value::Map(entries) = &self.node.value else { return self.deserialize_any(visitor) };
        let is_document = self.path.is_whole_object();
        for (key, _) in entries {
            let is_known = fields.contains(&key.as_str()) || is_document && key == "kind";
            if !is_known {
                let rule = unknown_key(key, fields, is_document);
                self.unknown.borrow_mut().push(Fault { field: self.path.clone().key(key), rule });
            }
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.node.text() {
            Some(text) => {
                let text: StrDeserializer<'_, Error> = text.into_deserializer();
                text.deserialize_enum("", variants, visitor)
            }
            None => self.must_be(&variants.join(" or ")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

struct Items<'t, 'u> {
    items: &'t [Node],
    next: usize,
    path: FieldPath,
    unknown: &'u RefCell<Vec<Fault>>,
}

impl<'t> SeqAccess<'t> for Items<'t, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(node) = self.items.get(self.next) else { return Ok(None) };
        let path = self.path.clone().index(self.next);
        self.next += 1;
        seed.deserialize(Cursor { node, path, unknown: self.unknown }).map(Some)
    }
}

struct Entries<'t, 'u> {
    entries: Vec<&'t (String, Node)>,
    next: usize,
    path: FieldPath,
    unknown: &'u RefCell<Vec<Fault>>,
}

impl<'t> MapAccess<'t> for Entries<'t, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, _)) = self.entries.get(self.next) else { return Ok(None) };
        let key: StrDeserializer<'_, Error> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((key, node)) = self.entries.get(self.next) else {
            return Err(Error(String::from("a value is missing")));
        };
        self.next += 1;
        seed.deserialize(Cursor { node, path: self.path.clone().key(key), unknown: self.unknown })
    }
}

/// Says that a key is unknown, and which known keys are nearest to it.
fn unknown_key(key: &str, known: &[&str], is_document: bool) -> String {
    const KEY_BYTES_MAX: usize = 64;
    let known = known.iter().copied().chain(is_document.then_some("kind"));
    let mut nearest: Vec<(usize, &str)> = known
        .map(|known| match key.len() <= KEY_BYTES_MAX {
            true => (strsim::levenshtein(key, known), known),
            false => (usize::MAX, known),
        })
        .collect();
    nearest.sort_unstable();
    let least = nearest.first().map_or(usize::MAX, |(distance, _)| *distance);
    let near: Vec<String> = nearest
        .iter()
        .take_while(|(distance, known)| *distance == least && *distance <= known.len().div_ceil(2))
        .map(|(_, known)| format!("`{known}`"))
        .collect();
    if near.is_empty() {
        let names: Vec<&str> = nearest.iter().map(|(_, known)| *known).collect();
        return format!("is not a known field; the fields are {}", names.join(", "));
    }
    format!("is not a known field; did you mean {}?", near.join(" or "))
}
