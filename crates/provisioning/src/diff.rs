//! What events change, for people.

use std::collections::BTreeSet;
use std::fmt;

use spillway_events::{ClientName, Event};

use crate::document::Object;
use crate::shape::{Shape, shape};
use crate::state::State;

const ITEMS_SHOWN_MAX: usize = 10;

/// How an object changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It is new: `+`.
    Added,
    /// It is another: `~`.
    Changed,
    /// It is gone: `-`.
    Removed,
}

/// One line of a difference: `+ site shop`, `~ site shop: ttl_secs 20 -> 30`, `- probe a/b`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeLine {
    /// How it changes.
    pub sign: Sign,
    /// The kind of what changes, as documents write it, or `gap`.
    pub kind: &'static str,
    /// Its name; a probe's is `AGENT/NETWORK`, a gap's `TOPIC/PARTITION`.
    pub name: String,
    /// The field and how it changes, where the object is changed.
    pub detail: Option<String>,
}

impl fmt::Display for ChangeLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.sign {
            Sign::Added => '+',
            Sign::Changed => '~',
            Sign::Removed => '-',
        };
        write!(f, "{sign} {} {}", self.kind, self.name)?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

/// What events change in a state: a line for each object new or gone, and for each changed field of others.
#[must_use]
pub fn diff(state: &State, events: &[Event]) -> Vec<ChangeLine> {
    events.iter().flat_map(|event| lines_of(state, event)).collect()
}

fn lines_of(state: &State, event: &Event) -> Vec<ChangeLine> {
    let (before, after) = match event {
        Event::Client(client) => (client_of(state, &client.name), Object::Client(client.clone())),
        Event::Network(network) => {
            let before = state.networks.get(&network.name).cloned().map(Object::Network);
            (before, Object::Network(network.clone()))
        }
        Event::Probe(probe) => {
            (state.probes.get(probe).cloned().map(Object::Probe), Object::Probe(probe.clone()))
        }
        Event::Cdn(cdn) => (state.cdns.get(&cdn.name).cloned().map(Object::Cdn), Object::Cdn(cdn.clone())),
        Event::Site(site) => {
            let before = state.sites.get(&site.name).map(|present| Object::Site(present.site.clone()));
            (before, Object::Site(site.clone()))
        }
        Event::Deleted(deleted) => {
            let (kind, name) = (deleted.object.as_str(), deleted.name.clone());
            return vec![ChangeLine { sign: Sign::Removed, kind, name, detail: None }];
        }
        Event::Gap(gap) => {
            let name = format!("{}/{}", gap.topic, gap.partition);
            let detail = format!("offsets {} to {} are given up: {}", gap.from, gap.to, gap.reason);
            return vec![ChangeLine { sign: Sign::Added, kind: "gap", name, detail: Some(detail) }];
        }
    };
    let (kind, name) = (after.kind().as_str(), after.name());
    let Some(before) = before else {
        return vec![ChangeLine { sign: Sign::Added, kind, name, detail: None }];
    };
    let mut details = Vec::new();
    compare("", &Shape::Map(shape(&before)), &Shape::Map(shape(&after)), &mut details);
    let line = |detail| ChangeLine { sign: Sign::Changed, kind, name: name.clone(), detail: Some(detail) };
    details.into_iter().map(line).collect()
}

fn client_of(state: &State, name: &ClientName) -> Option<Object> {
    state.clients.get(name).cloned().map(Object::Client)
}

/// Notes what differs between two values of the same field.
fn compare(path: &str, before: &Shape, after: &Shape, details: &mut Vec<String>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Shape::Map(before), Shape::Map(after)) => {
            for ((key, before), (_, after)) in before.iter().zip(after) {
                let path = if path.is_empty() { (*key).to_owned() } else { format!("{path}.{key}") };
                compare(&path, before, after, details);
            }
        }
        (Shape::List(before), Shape::List(after)) => details.push(format!("{path} {}", items(before, after))),
        _ => details.push(format!("{path} {} -> {}", compact(before), compact(after))),
    }
}

/// What came to a list and what left it; or its old and new order.
fn items(before: &[Shape], after: &[Shape]) -> String {
    let texts = |items: &[Shape]| items.iter().map(compact).collect::<Vec<String>>();
    let (before, after) = (texts(before), texts(after));
    let set = |items: &[String]| items.iter().cloned().collect::<BTreeSet<String>>();
    let (old, new) = (set(&before), set(&after));
    let gone = before.iter().filter(|item| !new.contains(*item)).map(|item| format!("- {item}"));
    let come = after.iter().filter(|item| !old.contains(*item)).map(|item| format!("+ {item}"));
    let changes: Vec<String> = gone.chain(come).collect();
    if changes.is_empty() {
        return format!("[{}] -> [{}]", some(&before), some(&after));
    }
    some(&changes)
}

fn some(items: &[String]) -> String {
    let shown = items.iter().take(ITEMS_SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match items.len().checked_sub(ITEMS_SHOWN_MAX) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// A value on one line.
fn compact(value: &Shape) -> String {
    match value {
        Shape::Absent => String::from("none"),
        Shape::Text(text) => text.clone(),
        Shape::Number(number) => number.to_string(),
        Shape::List(items) => format!("[{}]", some(&items.iter().map(compact).collect::<Vec<_>>())),
        Shape::Map(entries) => {
            let present = entries.iter().filter(|(_, value)| *value != Shape::Absent);
            let texts: Vec<String> =
                present.map(|(key, value)| format!("{key} {}", compact(value))).collect();
            format!("({})", texts.join(", "))
        }
    }
}
