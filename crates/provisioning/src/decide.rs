//! Deciding on a command.

use spillway_events::{Event, Network, ObjectKind};

use crate::check::check;
use crate::command::{Change, Command, Refusal};
use crate::delete::delete;
use crate::document::{Document, Object};
use crate::gap::give_up;
use crate::limits::{COMMAND_TEXT_BYTES_MAX, OBJECTS_PER_KIND_MAX};
use crate::networks::WayUp;
use crate::state::State;

/// Decides what a command changes: the events of its record, or why it is refused.
///
/// Events come in order of dependence (client, network with parents first, CDN, probe, site), then of name, whatever
/// the order of the documents. No events mean that all is as wanted already, or that a command of this id has been
/// applied before ([`State::remembered`] tells what it led to): no record is to be written then.
///
/// # Errors
/// When the command's documents contradict each other or the state, when what should be deleted is not there or is
/// referred to, or when a limit would be exceeded.
pub fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
    let is_bad = |text: &str| text.is_empty() || text.len() > COMMAND_TEXT_BYTES_MAX;
    if is_bad(&command.id) {
        return Err(Refusal::BadCommand("id"));
    }
    if is_bad(&command.author) {
        return Err(Refusal::BadCommand("author"));
    }
    if state.remembered(&command.id).is_some() {
        return Ok(Vec::new());
    }
    match command.change {
        Change::Apply(documents) => apply_documents(state, documents),
        Change::Delete { kind, name } => delete(state, kind, name).map(|event| vec![event]),
        Change::GiveUp { gap, log_starts_at } => {
            give_up(state, gap, log_starts_at).map(|event| event.into_iter().collect())
        }
    }
}

fn apply_documents(state: &State, documents: Vec<Document>) -> Result<Vec<Event>, Refusal> {
    let mut after = state.clone();
    for document in &documents {
        after.apply_event(state.revision(), &document.object.clone().into_event());
    }
    let mistakes = check(&after, &documents);
    if !mistakes.is_empty() {
        return Err(Refusal::Mistakes(mistakes));
    }
    check_counts(&after)?;
    let mut changed: Vec<Object> = documents
        .into_iter()
        .map(|document| document.object)
        .filter(|object| !is_present(state, object))
        .collect();
    changed.sort_by_cached_key(|object| (rank(object), levels(&after, object), object.name()));
    Ok(changed.into_iter().map(Object::into_event).collect())
}

/// Whether the state holds an equal object.
fn is_present(state: &State, object: &Object) -> bool {
    match object {
        Object::Client(client) => state.clients.get(&client.name) == Some(client),
        Object::Network(network) => state.networks.get(&network.name) == Some(network),
        Object::Probe(probe) => state.probes.contains(probe),
        Object::Cdn(cdn) => state.cdns.get(&cdn.name) == Some(cdn),
        Object::Site(site) => state.sites.get(&site.name).is_some_and(|present| present.site == *site),
    }
}

/// What comes first because others depend on it.
fn rank(object: &Object) -> u8 {
    match object {
        Object::Client(_) => 0,
        Object::Network(_) => 1,
        Object::Cdn(_) => 2,
        Object::Probe(_) => 3,
        Object::Site(_) => 4,
    }
}

/// How far below the root a network is; 0 for what is no network.
fn levels(after: &State, object: &Object) -> usize {
    let Object::Network(Network { name, .. }) = object else { return 0 };
    match after.way_up(name) {
        WayUp::Root { levels } => levels,
        WayUp::Cycle | WayUp::TooLong => usize::MAX,
    }
}

fn check_counts(after: &State) -> Result<(), Refusal> {
    let counts = [
        (ObjectKind::Client, after.clients.len()),
        (ObjectKind::Network, after.networks.len()),
        (ObjectKind::Probe, after.probes.len()),
        (ObjectKind::Cdn, after.cdns.len()),
        (ObjectKind::Site, after.sites.len()),
    ];
    match counts.into_iter().find(|(_, count)| *count > OBJECTS_PER_KIND_MAX) {
        Some((kind, count)) => Err(Refusal::TooMany { kind, count }),
        None => Ok(()),
    }
}
