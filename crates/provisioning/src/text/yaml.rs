//! Builds the tree of a document from the events of the YAML parser. Aliases, anchors and tags are refused.

use std::collections::HashSet;

use serde_saphyr::granit_parser::{Event, ScalarStyle, Span};

use crate::fault::shorten;
use crate::limits::NODES_PER_DOCUMENT_MAX;
use crate::node::{Node, Value};

const NO_ALIASES: &str = "anchors and aliases are not supported; write the value out";
const NO_TAGS: &str = "tags are not supported; remove the tag";

/// A tree that is being built.
#[derive(Default)]
pub(super) struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    /// What is wrong with the tree itself, with the line.
    pub(super) mistakes: Vec<(u64, String)>,
}

/// A list or mapping whose end is not read yet.
enum Open {
    List { line: u64, items: Vec<Node> },
    Map { line: u64, entries: Vec<(String, Node)>, keys: HashSet<String>, key: Key },
}

/// The state of a mapping between two events.
enum Key {
    /// A key comes next.
    Awaited,
    /// The value of this key comes next.
    Read(String),
    /// The value of an unusable key comes next; it is dropped.
    Bad,
}

/// The document has more values than [`NODES_PER_DOCUMENT_MAX`].
pub(super) struct TooManyNodes;

impl Builder {
    /// Adds one event of a node.
    pub(super) fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), TooManyNodes> {
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
                keys: HashSet::new(),
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
    pub(super) fn finish(&mut self) -> Option<Node> {
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

    /// Adds a complete value to the list or mapping that is open.
    fn close(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, keys, key, .. }) => match std::mem::replace(key, Key::Awaited) {
                Key::Read(key) => entries.push((key, node)),
                Key::Bad => {}
                Key::Awaited => {
                    *key = match node.value {
                        Value::Scalar { text, .. } if keys.insert(text.clone()) => Key::Read(text),
                        Value::Scalar { text, .. } => {
                            let reason = format!("the key `{}` is repeated", shorten(&text));
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
