//! Whose an object was at any time.

use std::collections::HashMap;

use spillway_eventlog::{EventLog, ReadError, RecordReader};
use spillway_events::{
    ClientName, Event, ObjectKind, Party, ProvisioningRecord, SiteName, TimeMicros, topics,
};
use spillway_provisioning::{Object, ObjectId, is_private};

use super::Reader;

/// Whose every object was, from the start of the log on. It grows only when an object is created, deleted or given to another
/// client.
#[derive(Default)]
pub(super) struct Owners {
    /// The offset after the last record read.
    next: u64,
    /// The latest time of a record.
    at: Option<TimeMicros>,
    spans: HashMap<ObjectId, Vec<Span>>,
}

/// From an event on, whose an object is.
struct Span {
    from: (u64, usize),
    at: TimeMicros,
    owner: Owner,
}

/// Whose an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// It does not exist.
    Nobody,
    /// Of those who run the installation.
    Provider,
    /// A client's.
    Client(ClientName),
    /// A client's, of which the provider does not know.
    ClientAlone(ClientName),
}

impl Owners {
    pub(super) fn catch_up(&mut self, log: &dyn EventLog) -> Result<(), ReadError> {
        for record in RecordReader::<ProvisioningRecord>::new(log, topics::PROVISIONING, 0, self.next) {
            let (offset, record) = record?;
            // As in the history: times never go back.
            let at = self.at.map_or(record.at_us, |at| at.max(record.at_us));
            self.at = Some(at);
            for (index, event) in record.events.iter().enumerate() {
                self.take((offset, index), at, event);
            }
            self.next = offset + 1;
        }
        Ok(())
    }

    fn take(&mut self, from: (u64, usize), at: TimeMicros, event: &Event) {
        let Some((id, owner)) = owner_after(event) else { return };
        let spans = self.spans.entry(id).or_default();
        if spans.last().is_none_or(|last| last.owner != owner) {
            spans.push(Span { from, at, owner });
        }
    }

    /// Whose an object was before an event.
    pub(super) fn before(&self, id: &ObjectId, event: (u64, usize)) -> Owner {
        self.last(id, |span| span.from < event)
    }

    /// Whose an object was after an event.
    pub(super) fn after(&self, id: &ObjectId, event: (u64, usize)) -> Owner {
        self.last(id, |span| span.from <= event)
    }

    /// Whether a reader may see a decision: whose the site was at that time counts.
    pub(super) fn lets(&self, reader: &Reader, site: &SiteName, at: TimeMicros) -> bool {
        let Reader::Client(client) = reader else { return true };
        let id = ObjectId::new(ObjectKind::Site, site.as_str());
        self.last(&id, |span| span.at <= at) == Owner::Client(client.clone())
    }

    fn last(&self, id: &ObjectId, is_before: impl Fn(&Span) -> bool) -> Owner {
        let spans = self.spans.get(id).map_or(&[][..], Vec::as_slice);
        // Both events and times rise.
        let count = spans.partition_point(is_before);
        let last = count.checked_sub(1).and_then(|index| spans.get(index));
        last.map_or(Owner::Nobody, |span| span.owner.clone())
    }
}

/// The object of an event and whose it is after it; none where the event is of none.
fn owner_after(event: &Event) -> Option<(ObjectId, Owner)> {
    let owner = match event {
        Event::Client(client) => Owner::Client(client.name.clone()),
        Event::Site(site) => Owner::Client(site.client.clone()),
        Event::Agreement(version) => match (is_private(version), version.proposed_by) {
            (true, Party::Provider) => Owner::Provider,
            (true, Party::Client) => Owner::ClientAlone(version.client.clone()),
            (false, _) => Owner::Client(version.client.clone()),
        },
        Event::Deleted(_) => Owner::Nobody,
        _ => Owner::Provider,
    };
    let id = ObjectId::deleted_by(event).or_else(|| Some(Object::of_event(event)?.id()))?;
    Some((id, owner))
}
