//! The meters of time, and those of probes.
//!
//! `routed_time` is how long a site's route at the root network was to a target; `active_hosts` is the number of its host names times
//! how long. Both go by tick time: a value holds from its tick's time to the next change's, through an outage; before the first decision
//! and after the deletion of the site there is none. A reset of the clock ends all spans at the last tick before it, and starts them again
//! at its own time.

use std::collections::BTreeMap;

use spillway_events::{ClientName, Measurement, Meter, Outcome, SiteName, TargetName};

use crate::period::{SLOT_MS, Span, slot_of};
use crate::slots::Subject;

/// What holds for a site, and since when it is not counted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holding {
    client: ClientName,
    target: Option<TargetName>,
    weight: u64,
    since_ms: i64,
}

/// A meter of time, of all sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeMeter {
    meter: Meter,
    holding: BTreeMap<SiteName, Holding>,
}

/// What a slot gets.
pub type SlotTime = (Subject, i64, i128);

impl TimeMeter {
    /// How long routes are to targets.
    #[must_use]
    pub fn routed_time() -> Self {
        Self { meter: Meter::RoutedTime, holding: BTreeMap::new() }
    }

    /// How many host names are active for how long.
    #[must_use]
    pub fn active_hosts() -> Self {
        Self { meter: Meter::ActiveHosts, holding: BTreeMap::new() }
    }

    /// A site's value from a tick on: the target of its route with weight 1, or the number of its host names without a target. Returns
    /// what the value before it adds.
    pub fn set(
        &mut self,
        site: &SiteName,
        client: &ClientName,
        target: Option<&TargetName>,
        weight: u64,
        tick_ms: i64,
    ) -> Vec<SlotTime> {
        let ended = self.end(site, tick_ms);
        let holding = Holding { client: client.clone(), target: target.cloned(), weight, since_ms: tick_ms };
        self.holding.insert(site.clone(), holding);
        ended
    }

    /// A site has no value from a tick on. Returns what the value before it adds.
    pub fn end(&mut self, site: &SiteName, tick_ms: i64) -> Vec<SlotTime> {
        let ended = self.holding.remove(site);
        ended.map_or_else(Vec::new, |holding| self.spent(site, &holding, tick_ms))
    }

    /// What all values add up to a tick, at which slots may be emitted.
    pub fn advance(&mut self, tick_ms: i64) -> Vec<SlotTime> {
        self.restart(tick_ms, tick_ms)
    }

    /// What all values add up to the last tick before a reset of the clock; they go on from the time of the reset.
    pub fn reset(&mut self, last_tick_ms: i64, tick_ms: i64) -> Vec<SlotTime> {
        self.restart(last_tick_ms, tick_ms)
    }

    fn restart(&mut self, end_ms: i64, begin_ms: i64) -> Vec<SlotTime> {
        let spent =
            self.holding.iter().flat_map(|(site, holding)| self.spent(site, holding, end_ms)).collect();
        self.holding.values_mut().for_each(|holding| holding.since_ms = begin_ms);
        spent
    }

    fn spent(&self, site: &SiteName, holding: &Holding, end_ms: i64) -> Vec<SlotTime> {
        let span = Span { begin_ms: holding.since_ms, end_ms };
        let subject = Subject {
            client: holding.client.clone(),
            meter: self.meter,
            site: site.clone(),
            target: holding.target.clone(),
        };
        let mut spent = Vec::new();
        let mut slot_ms = slot_of(span.begin_ms);
        while slot_ms < span.end_ms {
            let within = span.overlap(Span { begin_ms: slot_ms, end_ms: slot_ms + SLOT_MS });
            let quantity = i128::from(within.ms()) * i128::from(holding.weight);
            spent.push((subject.clone(), slot_ms, quantity));
            slot_ms += SLOT_MS;
        }
        spent
    }
}

/// What an accepted measurement adds to `probe_bytes` and `probe_requests`: the bytes of the body, and 1 if it sent a request, so if it
/// did not fail in resolving, connecting or TLS. `is_tls` says whether the target is asked over TLS.
#[must_use]
pub fn probe_usage(measurement: &Measurement, is_tls: bool) -> (u64, u64) {
    let bytes = measurement.bytes.unwrap_or(0);
    let phases = measurement.phases.unwrap_or_default();
    let is_ready = if is_tls { phases.tls_us } else { phases.connect_us }.is_some();
    let has_answer = phases.first_byte_us.is_some() || phases.last_byte_us.is_some() || bytes > 0;
    let has_asked = measurement.outcome == Outcome::Ok || is_ready || has_answer;
    (bytes, u64::from(has_asked))
}
