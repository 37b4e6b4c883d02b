//! Tests of the crate's public face: text in, events, lines and text out.

mod deciding;
mod exporting;
mod parsing;
mod properties;
mod states;

use spillway_events::{Event, ProvisioningRecord, TimeMicros};

use crate::{Change, Command, Refusal, State, decide, diff, parse};

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
    Command { id: id.to_owned(), author: String::from("ops"), at_us: TimeMicros(0), change }
}

fn apply_text(state: &State, id: &str, text: &str) -> Result<Vec<Event>, Refusal> {
    let parsed = parse("f.yaml", text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    decide(state, command(id, Change::Apply(parsed.documents)))
}

fn record(state: &State, id: &str, events: Vec<Event>) -> ProvisioningRecord {
    ProvisioningRecord {
        number: state.revision(),
        command: id.to_owned(),
        author: String::from("ops"),
        at_us: TimeMicros(0),
        events,
    }
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

/// What applying a text to a state changes, or why it is refused.
fn outcome(state: &State, text: &str) -> String {
    match apply_text(state, "outcome", text) {
        Ok(events) => diff_lines(state, &events),
        Err(refusal) => format!("{refusal}\n"),
    }
}
