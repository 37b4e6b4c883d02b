//! Tests of the crate's public face: text in, events, lines and text out.

mod agreements;
mod commands;
mod deciding;
mod exporting;
mod overrides;
mod parsing;
mod properties;
mod rate_cards;
mod states;
mod tokens;
mod undoing;

use spillway_events::{Event, ObjectKind, ProvisioningRecord, Sha256, TimeMicros};

use crate::{Change, Command, ObjectId, Parsed, Refusal, State, decide, diff, parse};

/// One of everything.
const WORLD: &str = "\
kind: client
name: acme
---
kind: network
name: region
---
kind: network
name: as64500
parent: region
prefixes: [192.0.2.0/24, '2001:db8::/32']
---
kind: cdn
name: own
type: operated
dns_name: Own.Example.NET.
addresses: [198.51.100.7]
probe_url: http://own.example.net/probe
---
kind: cdn
name: rented
type: partner
dns_name: rented.example.org
---
kind: probe
agent: a1
network: as64500
---
kind: site
client: acme
name: shop
hosts: [shop.example.com, WWW.shop.example.com.]
origin:
  addresses: [203.0.113.1, 203.0.113.2]
  probe_url: https://shop.example.com:8443/probe
cdns:
  - own
  - {cdn: rented, dns_name: shop.rented.example.org}
objectives:
  - {metric: response_time, threshold: 150ms}
  - {metric: available_bandwidth, threshold: 20Mbit/s, percentile: 90, probes_min: 1}
";

fn command(id: &str, change: Change) -> Command {
    let (id, author) = (id.to_owned(), String::from("ops"));
    Command { id, body_sha256: Sha256::of(b"body"), author, at_us: TimeMicros(0), precondition: None, change }
}

fn parsed(text: &str) -> Parsed {
    parse("f.yaml", text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn apply_text(state: &State, id: &str, text: &str) -> Result<Vec<Event>, Refusal> {
    decide(state, &command(id, Change::Apply(parsed(text).objects)))
}

fn delete(state: &State, objects: &[(ObjectKind, &str)]) -> Result<Vec<Event>, Refusal> {
    let ids = objects.iter().map(|(kind, name)| ObjectId::new(*kind, *name)).collect();
    decide(state, &command("delete", Change::Delete(ids)))
}

fn record(state: &State, id: &str, events: Vec<Event>) -> ProvisioningRecord {
    command(id, Change::Apply(Vec::new())).into_record(state.revision(), events)
}

/// The state after one command that applies a text.
fn with(mut state: State, id: &str, text: &str) -> State {
    let events = apply_text(&state, id, text).expect("the text fits");
    let record = record(&state, id, events);
    state.apply(&record).expect("the record is next");
    state
}

fn world() -> State {
    with(State::default(), "world", WORLD)
}

fn diff_lines(state: &State, events: &[Event]) -> String {
    diff(state, events).iter().map(|line| format!("{line}\n")).collect()
}

/// What events change, or why the command is refused.
fn shown(state: &State, outcome: Result<Vec<Event>, Refusal>) -> String {
    match outcome {
        Ok(events) => diff_lines(state, &events),
        Err(refusal) => format!("{refusal}\n"),
    }
}

/// What applying a text to a state changes, or its mistakes.
fn outcome(state: &State, text: &str) -> String {
    let parsed = parsed(text);
    match decide(state, &command("outcome", Change::Apply(parsed.objects))) {
        Err(Refusal::Faults { faults, unlisted }) => {
            let mistakes = parsed.positions.mistakes(&faults, unlisted);
            mistakes.iter().map(|mistake| format!("{mistake}\n")).collect()
        }
        other => shown(state, other),
    }
}
