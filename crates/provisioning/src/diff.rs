//! What events change, for people.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};
use spillway_events::{Agreement, Event, Override, OverrideKind, Stage, Suspension, Token, format_time};

use crate::kinds::Object;
use crate::object::ObjectId;
use crate::state::{State, override_of};

const ITEMS_SHOWN_MAX: usize = 10;

/// How an object changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It is created: `+`.
    Added,
    /// It changes: `~`.
    Changed,
    /// It is deleted: `-`.
    Removed,
}

/// One line of a difference: `+ site shop`, `~ site shop: ttl_secs 20 -> 30`, `- probe a/b`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeLine {
    /// How the object changes.
    pub sign: Sign,
    /// The object's kind as written in documents, `gap`, `clock` or `token`.
    pub kind: &'static str,
    /// Its name; a probe's is `AGENT/NETWORK`, a gap's `TOPIC/PARTITION`, the clock's `reset`, a token's its id.
    pub name: String,
    /// The field and its change, if the object changes.
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

/// What events change in a state: a line for each object created or deleted, and for each changed field of the others.
#[must_use]
pub fn diff(state: &State, events: &[Event]) -> Vec<ChangeLine> {
    events.iter().flat_map(|event| lines_of(state, event)).collect()
}

fn lines_of(state: &State, event: &Event) -> Vec<ChangeLine> {
    let line = |sign, ObjectId { kind, name }: &ObjectId, detail| ChangeLine {
        sign,
        kind: kind.as_str(),
        name: name.to_string(),
        detail,
    };
    let Some(after) = Object::of_event(event) else {
        return match event {
            Event::Deleted(deleted) => {
                vec![line(Sign::Removed, &ObjectId::new(deleted.object, deleted.name.as_str()), None)]
            }
            Event::Gap(gap) => {
                let detail =
                    format!("the loss of offsets {}..{} is accepted: {}", gap.from, gap.to, gap.reason);
                let name = format!("{}/{}", gap.topic, gap.partition);
                vec![ChangeLine { sign: Sign::Added, kind: "gap", name, detail: Some(detail) }]
            }
            Event::ClockReset(reset) => {
                let (name, detail) = (String::from("reset"), Some(reset.reason.clone()));
                vec![ChangeLine { sign: Sign::Added, kind: "clock", name, detail }]
            }
            Event::Token(token) => vec![token_line(token)],
            _ => Vec::new(),
        };
    };
    let id = after.id();
    if let Object::Agreement(after) = &after {
        let before = state.agreement(&id);
        let sign = if before.is_none() { Sign::Added } else { Sign::Changed };
        return vec![line(sign, &id, Some(moved(before.map(|before| &**before), after)))];
    }
    let Some(before) = state.object(&id) else {
        let detail = override_of(&after).map(told);
        return vec![line(Sign::Added, &id, detail)];
    };
    let details = differences(&before.document(), &after.document());
    details.into_iter().map(|detail| line(Sign::Changed, &id, Some(detail))).collect()
}

/// What an override does.
fn told(of: &Override) -> String {
    let (kind, end) = (of.kind.as_str(), format_time(of.expires_at_us));
    let what = match (&of.site, &of.cdn, &of.to) {
        (Some(site), _, Some(to)) => format!("site {site} to {to}"),
        (_, Some(cdn), _) => format!("cdn {cdn}"),
        (Some(site), None, None) if of.kind == OverrideKind::Drain => format!("the origin of site {site}"),
        (Some(site), None, None) => format!("site {site}"),
        (None, None, _) => String::from("everything"),
    };
    format!("{kind} {what} until {end}: {}", of.reason)
}

/// How a version of an agreement has moved.
fn moved(before: Option<&Agreement>, after: &Agreement) -> String {
    let reason = after.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let (by, from) = (after.proposed_by, format_time(after.terms.effective_from_us));
    if before.map(|before| before.stage) != Some(after.stage) {
        return match after.stage {
            Stage::Draft => format!("drafted by the {by}"),
            Stage::Discarded => format!("discarded by the {by}{reason}"),
            Stage::Proposed => format!("proposed by the {by}, from {from} on"),
            Stage::Countered => format!("countered{reason}"),
            Stage::Rejected => format!("rejected by the {}{reason}", by.other()),
            Stage::Withdrawn => format!("withdrawn by the {by}{reason}"),
            Stage::Accepted => format!("accepted by the {}, from {from} on", by.other()),
        };
    }
    if before.is_some_and(|before| before.suspensions.len() > after.suspensions.len()) {
        return format!("not suspended after all{reason}");
    }
    let suspended = after
        .suspensions
        .last()
        .filter(|_| before.is_some_and(|before| before.suspensions != after.suspensions));
    match (suspended, after.end) {
        (Some(Suspension { from_us, until_us: None }), _) => {
            format!("suspended from {} on{reason}", format_time(*from_us))
        }
        (Some(Suspension { until_us: Some(until), .. }), _) => {
            format!("resumed from {} on{reason}", format_time(*until))
        }
        (None, Some(end)) => format!("ends at {}{reason}", format_time(end.at_us)),
        (None, None) => format!("drafted again by the {by}"),
    }
}

fn token_line(token: &Token) -> ChangeLine {
    let (kind, name) = ("token", token.id.clone());
    if token.revoked {
        return ChangeLine { sign: Sign::Removed, kind, name, detail: None };
    }
    let subject = token.subject.as_ref().map(|subject| format!(" of {subject}")).unwrap_or_default();
    let end = token.expires_at_us.map(|end| format!(", until {}", format_time(end))).unwrap_or_default();
    let detail = format!("{}{subject}{end}: {}", token.role.as_str(), token.note);
    ChangeLine { sign: Sign::Added, kind, name, detail: Some(detail) }
}

/// What differs between two documents, a line for each field: `ttl_secs 20 -> 30`.
#[must_use]
pub fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut details = Vec::new();
    compare("", before, after, &mut details);
    details
}

/// Adds what differs between two values of the same field.
fn compare(path: &str, before: &Value, after: &Value, details: &mut Vec<String>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let of = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                compare(&path, &of(before), &of(after), details);
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            details.push(format!("{path} {}", items(before, after)));
        }
        _ => details.push(format!("{path} {} -> {}", compact(before), compact(after))),
    }
}

/// The items removed from a list and added to it; or its old and new order.
fn items(before: &[Value], after: &[Value]) -> String {
    let texts = |items: &[Value]| items.iter().map(compact).collect::<Vec<String>>();
    let (before, after) = (texts(before), texts(after));
    let set = |items: &[String]| items.iter().cloned().collect::<BTreeSet<String>>();
    let (old, new) = (set(&before), set(&after));
    let removed = before.iter().filter(|item| !new.contains(*item)).map(|item| format!("- {item}"));
    let added = after.iter().filter(|item| !old.contains(*item)).map(|item| format!("+ {item}"));
    let changes: Vec<String> = removed.chain(added).collect();
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
fn compact(value: &Value) -> String {
    match value {
        Value::Null => String::from("none"),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", some(&items.iter().map(compact).collect::<Vec<_>>())),
        Value::Object(entries) => {
            let texts: Vec<String> =
                entries.iter().map(|(key, value)| format!("{key} {}", compact(value))).collect();
            format!("({})", texts.join(", "))
        }
    }
}
