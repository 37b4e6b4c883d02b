//! YAML text as a tree of values with their lines: no types, no aliases, no tags.

use std::collections::BTreeSet;

use serde_saphyr::granit_parser::{Event, ScalarStyle, Span};

use crate::limits::NODES_PER_DOCUMENT_MAX;
use crate::mistake::shorten;

const NO_ALIASES: &str = "anchors and aliases are not understood; write the value out";
const NO_TAGS: &str = "tags are not understood; leave it out";

/// A value and the line it begins at, from 1.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) line: u64,
    pub(crate) value: Value,
}

/// A value as written.
#[derive(Debug)]
pub(crate) enum Value {
    /// A scalar; `plain` when it stands without quotes, so that it may be a number, a truth value or null.
    Scalar { text: String, plain: bool },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order written, each key once.
    Map(Vec<Entry>),
    /// Something that a mistake has been noted for already.
    Broken,
}

/// A key, the line it stands on, and its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: u64,
    pub(crate) node: Node,
}

impl Value {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// Builds the tree of one document from the parser's events.
#[derive(Default)]
pub(crate) struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    /// What is wrong with the tree itself, by line.
    pub(crate) mistakes: Vec<(u64, String)>,
}

/// A list or mapping whose end has not been read.
enum Open {
    List { line: u64, items: Vec<Node> },
    Map { line: u64, entries: Vec<Entry>, keys: BTreeSet<String>, key: Key },
}

/// What a mapping waits for.
enum Key {
    Awaited,
    Read(String, u64),
    /// The key is not usable: its value is dropped.
    Bad,
}

/// The document has more values than [`NODES_PER_DOCUMENT_MAX`].
pub(crate) struct TooManyNodes;

impl Builder {
    /// Takes one event of a node.
    pub(crate) fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), TooManyNodes> {
        let line = span.start.line() as u64;
        if event.is_node() {
            self.nodes += 1;
            if self.nodes > NODES_PER_DOCUMENT_MAX {
                return Err(TooManyNodes);
            }
            self.refuse_properties(&event, line);
        }
        match event {
            Event::Scalar(text, style, _, _) => {
                let value = Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                self.close(Node { line, value });
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.mistakes.push((line, NO_ALIASES.to_owned()));
                self.close(Node { line, value: Value::Broken });
            }
            Event::SequenceStart(..) => self.open.push(Open::List { line, items: Vec::new() }),
            Event::MappingStart(..) => self.open.push(Open::Map {
                line,
                entries: Vec::new(),
                keys: BTreeSet::new(),
                key: Key::Awaited,
            }),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { line, items }) => self.close(Node { line, value: Value::List(items) }),
                Some(Open::Map { line, entries, .. }) => {
                    self.close(Node { line, value: Value::Map(entries) });
                }
                None => {}
            },
            _ => {}
        }
        Ok(())
    }

    /// The document's value, if it has one.
    pub(crate) fn finish(&mut self) -> Option<Node> {
        self.root.take()
    }

    fn refuse_properties(&mut self, event: &Event<'_>, line: u64) {
        if event.anchor_id().is_some_and(|id| id != 0) && !event.is_alias() {
            self.mistakes.push((line, NO_ALIASES.to_owned()));
        }
        if event.tag().is_some() {
            self.mistakes.push((line, NO_TAGS.to_owned()));
        }
    }

    /// Puts a whole value where it belongs.
    fn close(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, keys, key, .. }) => match std::mem::replace(key, Key::Awaited) {
                Key::Read(key, line) => entries.push(Entry { key, line, node }),
                Key::Bad => {}
                Key::Awaited => {
                    *key = match node.value {
                        Value::Scalar { text, .. } if keys.insert(text.clone()) => Key::Read(text, node.line),
                        Value::Scalar { text, .. } => {
                            let reason = format!("the key `{}` stands twice", shorten(&text));
                            self.mistakes.push((node.line, reason));
                            Key::Bad
                        }
                        Value::Broken => Key::Bad,
                        Value::List(_) | Value::Map(_) => {
                            self.mistakes.push((node.line, "a key must be text".to_owned()));
                            Key::Bad
                        }
                    };
                }
            },
        }
    }
}
