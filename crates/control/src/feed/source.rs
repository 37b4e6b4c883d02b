//! Reads the events of one topic-partition.

use std::collections::VecDeque;

use serde_json::{Value, json};
use spillway_eventlog::{EncodedFrames, EventLog, ReadError, RecordReader};
use spillway_events::{
    Decision, Event, ProvisioningRecord, SiteName, TimeMicros, Token, decode_frame, format_time, topics,
};
use spillway_provisioning::{Object, ObjectId};

use super::owners::{Owner, Owners};
use super::position::Told;
use super::{FeedError, Reader};

/// The most records or frames that one call reads of a topic-partition, to find events that a reader may see.
const RECORDS_MAX: usize = 10_000;

/// An event that was found, and how far its topic-partition is told with it.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) at: TimeMicros,
    pub(super) data: Value,
    /// The site that was decided on.
    pub(super) site: Option<SiteName>,
    pub(super) after: Told,
}

/// What was read of a topic-partition.
pub(super) struct Read {
    pub(super) found: VecDeque<Found>,
    /// How far it was read.
    pub(super) read_to: Told,
    /// Whether it goes on behind that.
    pub(super) is_cut: bool,
}

/// Refuses a position beyond the end.
fn check(log: &dyn EventLog, topic: &str, partition: u32, told: Told) -> Result<(), FeedError> {
    let is_known = told.offset <= log.end(topic, partition)?;
    if is_known { Ok(()) } else { Err(FeedError::UnknownPosition) }
}

pub(super) fn read_provisioning(
    log: &dyn EventLog,
    owners: &Owners,
    reader: &Reader,
    from: Told,
    limit: usize,
) -> Result<Read, FeedError> {
    check(log, topics::PROVISIONING, 0, from)?;
    let mut read = Read { found: VecDeque::new(), read_to: from, is_cut: false };
    let records = RecordReader::<ProvisioningRecord>::new(log, topics::PROVISIONING, 0, from.offset);
    for (count, record) in records.enumerate() {
        if count >= RECORDS_MAX || read.found.len() >= limit {
            read.is_cut = true;
            break;
        }
        let (offset, record) = record?;
        let told = if offset == from.offset { from.items } else { 0 };
        let known = record.events.iter().enumerate().skip(usize::try_from(told).unwrap_or(usize::MAX));
        for (index, event) in known {
            let Some((kind, subject, data)) = seen(owners, reader, (offset, index), event) else { continue };
            let data = with_number(data, record.number);
            let after = Told { offset, items: index as u64 + 1, tick: 0 };
            let (id, at) = (format!("provisioning-{offset}-{index}"), record.at_us);
            read.found.push_back(Found { id, kind, subject, at, data, site: None, after });
        }
        read.read_to = Told { offset: offset + 1, items: 0, tick: 0 };
    }
    Ok(read)
}

fn with_number(mut data: Value, number: u64) -> Value {
    data["record"] = json!(number);
    data
}

/// What an event is to a reader: its kind, its subject and its data; none if the reader may not see it. To a client, a site that
/// is given to it is new, and one that is given to another client is deleted.
fn seen(
    owners: &Owners,
    reader: &Reader,
    at: (u64, usize),
    event: &Event,
) -> Option<(String, String, Value)> {
    let is_client = matches!(reader, Reader::Client(_));
    match event {
        Event::Token(token) => (*reader == Reader::Operator).then(|| of_token(token)),
        Event::Gap(gap) if !is_client => {
            let subject = format!("gap/{}/{}", gap.topic, gap.partition);
            Some((String::from("gap.accepted"), subject, json!(gap)))
        }
        Event::ClockReset(reset) if !is_client => {
            Some((String::from("clock.reset"), String::from("clock"), json!({"reason": reset.reason})))
        }
        Event::Gap(_) | Event::ClockReset(_) => None,
        _ => {
            let object = Object::of_event(event);
            let id = ObjectId::deleted_by(event).or_else(|| Some(object.as_ref()?.id()))?;
            let sees = |owner: &Owner| match (reader, owner) {
                (_, Owner::Nobody) => false,
                (Reader::Client(client), Owner::Client(of) | Owner::ClientAlone(of)) => client == of,
                (Reader::Client(_), Owner::Provider) => false,
                (Reader::Operator | Reader::Analyst, owner) => !matches!(owner, Owner::ClientAlone(_)),
            };
            let word = match (sees(&owners.before(&id, at)), sees(&owners.after(&id, at))) {
                (false, true) => "created",
                (true, true) => "changed",
                (true, false) => "deleted",
                (false, false) => return None,
            };
            let (kind, name) = (id.kind.as_str(), &id.name);
            let mut data = json!({"kind": kind, "name": name});
            if let Some(object) = object.filter(|_| word != "deleted") {
                data["spec"] = object.document();
            }
            if let Event::Agreement(version) = event {
                data["stage"] = json!(version.stage);
                data["proposed_by"] = json!(version.proposed_by);
                data["terms_sha256"] = json!(version.terms_sha256);
                data["reason"] = json!(version.reason);
            }
            Some((format!("{kind}.{word}"), format!("{kind}/{name}"), data))
        }
    }
}

fn of_token(token: &Token) -> (String, String, Value) {
    let word = if token.revoked { "revoked" } else { "created" };
    let data = json!({
        "id": token.id, "role": token.role, "subject": token.subject, "note": token.note,
        "expires_at": token.expires_at_us.map(format_time),
    });
    (format!("token.{word}"), format!("token/{}", token.id), data)
}

/// Reads decisions of all sites. A frame may be in the log twice, after a restart of its writer: its tick tells.
pub(super) fn read_decisions(
    log: &dyn EventLog,
    partition: u32,
    from: Told,
    limit: usize,
) -> Result<Read, FeedError> {
    check(log, topics::DECISIONS, partition, from)?;
    let mut read = Read { found: VecDeque::new(), read_to: from, is_cut: false };
    let start = from.offset.max(log.start(topics::DECISIONS, partition)?);
    for (count, frame) in EncodedFrames::new(log, topics::DECISIONS, partition, start).enumerate() {
        if count >= RECORDS_MAX || read.found.len() >= limit {
            read.is_cut = true;
            break;
        }
        let frame = match frame {
            Ok(frame) => frame,
            // A record that is none is a defect of its writer; those around it are told.
            Err(ReadError::Record { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let tick = frame.tick + 1;
        let is_partly_told = from.items > 0 && frame.offset == from.offset;
        if tick <= from.tick && !is_partly_told {
            continue;
        }
        let told = if is_partly_told { from.items } else { 0 };
        let Ok(decisions) = decode_frame::<Decision>(&frame.chunks) else { continue };
        let skipped = usize::try_from(told).unwrap_or(usize::MAX);
        for (index, decision) in decisions.into_iter().enumerate().skip(skipped) {
            let after = Told { offset: frame.offset, items: index as u64 + 1, tick };
            read.found.push_back(found(partition, frame.offset, index, decision, after));
        }
        read.read_to = Told { offset: frame.offset + frame.chunks.len() as u64, items: 0, tick };
    }
    Ok(read)
}

fn found(partition: u32, offset: u64, index: usize, decision: Decision, after: Told) -> Found {
    Found {
        id: format!("decisions-{partition}-{offset}-{index}"),
        kind: String::from("decision"),
        subject: format!("site/{}", decision.site),
        at: decision.at_us,
        data: json!(decision),
        site: Some(decision.site),
        after,
    }
}
