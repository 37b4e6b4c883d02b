//! Slots of 300 s, and what is emitted of them.
//!
//! A slot is 300 s of event time, aligned to 1970. At the first tick at or after each multiple of 60 s of tick time, after its inputs,
//! everything not yet emitted of slots that ended 10 minutes or more before the tick's time is emitted: one increment for each (client,
//! meter, site, target) that is not 0. What comes later is emitted by the next such tick: an increment is signed, and adds to those before.
//! For `bytes` there is an increment of 0 too where none was emitted yet and a report touches the slot: the slot then *has a report*.
//! Minutes of the service level are emitted with their slot.
//!
//! What was counted of a property that no site is mapped to is held by (CDN, property, slot) and emitted in records of the CDN. At the
//! tick that maps the property it goes to the site, and its records are taken back by negative increments.

use std::collections::{BTreeMap, BTreeSet};

use spillway_events::{
    BillingFault, BillingItem, CdnName, ClientName, Increment, Meter, NetworkName, ServiceLevel, Sha256,
    SiteName, TargetName, UnmappedIncrement,
};

use crate::period::{MINUTE_MS, SLOT_MS, slot_of};
use crate::service_level::judge::Outcome;

/// The version of the meters.
pub const METER_VERSION: u32 = 1;
/// How often slots are emitted, in ms of tick time.
const EMIT_EVERY_MS: i64 = MINUTE_MS;
/// How long after its end a slot is emitted first, in ms.
const EMIT_AFTER_MS: i64 = 10 * MINUTE_MS;

/// For whom something is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The client.
    pub client: ClientName,
    /// The meter.
    pub meter: Meter,
    /// The site.
    pub site: SiteName,
    /// The target; none where the meter has none.
    pub target: Option<TargetName>,
}

/// A property of a CDN.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Property {
    /// The CDN.
    pub cdn: CdnName,
    /// The property, as the CDN calls it.
    pub property: String,
}

/// The name and the version of an agreement.
pub type AgreementVersion = (String, u32);

/// What is counted and not yet emitted, and what is held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slots {
    /// By slot, so that those that are due are found first.
    pending: BTreeMap<i64, BTreeMap<Subject, i128>>,
    /// The slots that have a report, as ranges from the first to the end, by subject.
    reported: BTreeMap<Subject, BTreeMap<i64, i64>>,
    minutes: BTreeMap<i64, BTreeMap<(ClientName, SiteName, NetworkName), SlotMinutes>>,
    /// What is held of unmapped properties, by meter and slot.
    held: BTreeMap<Property, BTreeMap<(Meter, i64), i128>>,
    /// What is not yet emitted of that.
    unmapped: BTreeMap<i64, BTreeMap<(Property, Meter), i128>>,
    /// The last multiple of a minute at which slots were emitted.
    done: Option<i64>,
}

/// Minutes of one slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct SlotMinutes {
    met: u32,
    missed: u32,
    unknown: u32,
    pinned: u32,
    drained: u32,
    maintenance: u32,
}

impl Slots {
    /// Counts a quantity for a slot; 0 says that a report touches it. A sum that does not fit is too great for a record too, and becomes
    /// a fault.
    pub fn add(&mut self, subject: Subject, slot_ms: i64, quantity: i128) {
        let sum = self.pending.entry(slot_ms).or_default().entry(subject).or_default();
        *sum = sum.saturating_add(quantity);
    }

    /// Counts a judged minute.
    pub fn add_minute(
        &mut self,
        client: &ClientName,
        site: &SiteName,
        network: &NetworkName,
        minute_ms: i64,
        outcome: Outcome,
    ) {
        let of_slot = self.minutes.entry(slot_of(minute_ms)).or_default();
        let minutes = of_slot.entry((client.clone(), site.clone(), network.clone())).or_default();
        let count = match outcome {
            Outcome::Met => &mut minutes.met,
            Outcome::Missed => &mut minutes.missed,
            Outcome::Unknown => &mut minutes.unknown,
            Outcome::Pinned => &mut minutes.pinned,
            Outcome::Drained => &mut minutes.drained,
            Outcome::Maintenance => &mut minutes.maintenance,
        };
        *count += 1;
    }

    /// Holds what is counted of a property that no site is mapped to; the meter is that which it is counted by once it is mapped.
    pub fn hold(&mut self, property: &Property, meter: Meter, slot_ms: i64, quantity: i128) {
        let held = self.held.entry(property.clone()).or_default().entry((meter, slot_ms)).or_default();
        *held = held.saturating_add(quantity);
        self.add_unmapped(property, meter, slot_ms, quantity);
    }

    /// Gives what is held of a property to the site that it is mapped to now.
    pub fn map(&mut self, property: &Property, client: &ClientName, site: &SiteName, target: &TargetName) {
        for ((meter, slot_ms), quantity) in self.held.remove(property).unwrap_or_default() {
            self.add_unmapped(property, meter, slot_ms, -quantity);
            let (client, site, target) = (client.clone(), site.clone(), Some(target.clone()));
            self.add(Subject { client, meter, site, target }, slot_ms, quantity);
        }
    }

    /// The properties of which something is held in slots that begin from one time to another, with the sum of each meter: they block
    /// sealing.
    pub fn held_between(&self, from_ms: i64, to_ms: i64) -> BTreeMap<(&Property, Meter), i128> {
        let mut sums = BTreeMap::new();
        for (property, held) in &self.held {
            let within = held.iter().filter(|((_, slot_ms), _)| (from_ms..to_ms).contains(slot_ms));
            for ((meter, _), quantity) in within.filter(|(_, quantity)| **quantity != 0) {
                *sums.entry((property, *meter)).or_insert(0_i128) += quantity;
            }
        }
        sums
    }

    fn add_unmapped(&mut self, property: &Property, meter: Meter, slot_ms: i64, quantity: i128) {
        let of_slot = self.unmapped.entry(slot_ms).or_default();
        let sum = of_slot.entry((property.clone(), meter)).or_default();
        *sum = sum.saturating_add(quantity);
    }

    /// Ends a tick: the records that are due, without their chains, in no particular order.
    ///
    /// `agreement_at` is the agreement of a client and a site that is in force at a time.
    pub fn emit(
        &mut self,
        tick: u64,
        tick_ms: i64,
        agreement_at: impl Fn(&ClientName, &SiteName, i64) -> Option<AgreementVersion>,
    ) -> Vec<BillingItem> {
        let due = tick_ms.div_euclid(EMIT_EVERY_MS);
        // After the clock was set back, what is done stays done.
        if self.done.is_some_and(|done| due <= done) {
            return Vec::new();
        }
        self.done = Some(due);
        // A slot that ended by this time is due.
        let begin_max_ms = tick_ms - EMIT_AFTER_MS - SLOT_MS;
        let mut items = Vec::new();
        for (slot_ms, counted) in take_until(&mut self.pending, begin_max_ms) {
            for (subject, quantity) in counted {
                let is_first = subject.meter == Meter::Bytes && self.report(&subject, slot_ms);
                if quantity != 0 || is_first {
                    let agreement = agreement_at(&subject.client, &subject.site, slot_ms);
                    items.push(increment(subject, slot_ms, quantity, agreement, tick));
                }
            }
        }
        for (slot_ms, minutes) in take_until(&mut self.minutes, begin_max_ms) {
            for ((client, site, network), minutes) in minutes {
                let agreement = agreement_at(&client, &site, slot_ms);
                items.push(service_level((client, site, network), slot_ms, minutes, agreement, tick));
            }
        }
        for (slot_ms, unmapped) in take_until(&mut self.unmapped, begin_max_ms) {
            for ((property, meter), quantity) in unmapped.into_iter().filter(|(_, quantity)| *quantity != 0) {
                items.extend(unmapped_increments(&property, meter, slot_ms, quantity, tick));
            }
        }
        items
    }

    /// Notes that a slot of a subject has a report; false if it had one.
    fn report(&mut self, subject: &Subject, slot_ms: i64) -> bool {
        let ranges = self.reported.entry(subject.clone()).or_default();
        let before = ranges.range(..=slot_ms).next_back().map(|(from, end)| (*from, *end));
        if before.is_some_and(|(_, end)| slot_ms < end) {
            return false;
        }
        let end_ms = slot_ms + SLOT_MS;
        let end = ranges.remove(&end_ms).unwrap_or(end_ms);
        let from = before.filter(|(_, end)| *end == slot_ms).map_or(slot_ms, |(from, _)| from);
        ranges.insert(from, end);
        true
    }

    /// Forgets which slots have a report before a time, before which no interval begins any more.
    pub fn forget_reports_before(&mut self, ms: i64) {
        for ranges in self.reported.values_mut() {
            ranges.retain(|_, end| *end > ms);
        }
        self.reported.retain(|_, ranges| !ranges.is_empty());
    }

    /// The CDNs of which something is held.
    #[must_use]
    pub fn holding(&self) -> BTreeSet<&CdnName> {
        self.held.keys().map(|property| &property.cdn).collect()
    }
}

/// Takes the entries of slots that begin up to a time.
fn take_until<T>(slots: &mut BTreeMap<i64, T>, begin_max_ms: i64) -> BTreeMap<i64, T> {
    let later = slots.split_off(&(begin_max_ms + 1));
    std::mem::replace(slots, later)
}

/// The record of a quantity, or of what does not fit into one.
fn increment(
    subject: Subject,
    slot_ms: i64,
    quantity: i128,
    agreement: Option<AgreementVersion>,
    tick: u64,
) -> BillingItem {
    let Subject { client, meter, site, target } = subject;
    let (agreement, agreement_version) = agreement.unzip();
    let chain = Sha256::ZERO;
    match i64::try_from(quantity) {
        Ok(quantity) => BillingItem::Increment(Increment {
            client,
            meter,
            meter_version: METER_VERSION,
            site,
            target,
            slot_ms,
            quantity,
            agreement,
            agreement_version,
            tick,
            chain,
        }),
        Err(_) => {
            let why =
                format!("{} of site {site}: {quantity} is beyond what a record can hold", meter.as_str());
            BillingItem::BillingFault(BillingFault {
                client,
                from_ms: slot_ms,
                to_ms: slot_ms + SLOT_MS,
                why,
                tick,
                chain,
            })
        }
    }
}

fn service_level(
    (client, site, network): (ClientName, SiteName, NetworkName),
    slot_ms: i64,
    minutes: SlotMinutes,
    agreement: Option<AgreementVersion>,
    tick: u64,
) -> BillingItem {
    let SlotMinutes { met, missed, unknown, pinned, drained, maintenance } = minutes;
    let (agreement, agreement_version) = agreement.unzip();
    BillingItem::ServiceLevel(ServiceLevel {
        client,
        site,
        network,
        slot_ms,
        met,
        missed,
        unknown,
        excluded_pinned: pinned,
        excluded_drained: drained,
        excluded_maintenance: maintenance,
        agreement,
        agreement_version,
        tick,
        chain: Sha256::ZERO,
    })
}

/// The records of a property's quantity: several where one cannot hold it, as no client is there to be named by a fault.
fn unmapped_increments(
    property: &Property,
    meter: Meter,
    slot_ms: i64,
    quantity: i128,
    tick: u64,
) -> Vec<BillingItem> {
    let meter = if meter == Meter::Requests { Meter::UnmappedRequests } else { Meter::UnmappedBytes };
    let mut left = quantity;
    let mut items = Vec::new();
    while left != 0 {
        let part = i64::try_from(left).unwrap_or(if left < 0 { -i64::MAX } else { i64::MAX });
        left -= i128::from(part);
        items.push(BillingItem::UnmappedIncrement(UnmappedIncrement {
            cdn: property.cdn.clone(),
            property: property.property.clone(),
            meter,
            meter_version: METER_VERSION,
            slot_ms,
            quantity: part,
            tick,
        }));
    }
    items
}
