//! Attempts of probes, counted by series and cause.

use std::collections::{BTreeMap, HashMap, HashSet};

use spillway_eventlog::Entry;
use spillway_events::{
    AgentName, Measurement, MeasurementBatch, NetworkName, Outcome, Series, SiteName, SourceName, TimeMicros,
    decode,
};
use spillway_provisioning::State;

use super::{Attempt, Cause, ProbeName, RECENT_US, SeriesReport};

/// The most series that are kept.
const SERIES_MAX: usize = 10_000;
/// The most causes of one series.
const CAUSES_MAX: usize = 16;
/// The most characters of an error that are kept.
const ERROR_CHARACTERS_MAX: usize = 200;
/// A piece with fewer records does not end the reading: they may be old batches that a probe has kept and sent late.
const LAST_PIECE_RECORDS_MIN: usize = 64;
/// Event times that are further ahead of the last tick are not taken for the newest of a piece.
const AHEAD_MAX_US: i64 = 300_000_000;

/// What was counted so far.
pub(super) struct Attempts<'a> {
    state: &'a State,
    /// Only of this site.
    only: Option<&'a SiteName>,
    now: Option<TimeMicros>,
    provisioned: HashSet<ProbeName>,
    agents: HashSet<&'a str>,
    seen: HashSet<(SourceName, u64, u64)>,
    series: HashMap<Key, Counts>,
    /// The probes that have tried something.
    pub(super) probes: HashSet<ProbeName>,
    /// The time from which on all attempts are counted; nothing if all of the log is counted.
    pub(super) from: Option<TimeMicros>,
    /// Whether some series are not kept.
    pub(super) is_cut: bool,
}

type Key = (AgentName, NetworkName, SiteName, String);

struct Counts {
    last: Attempt,
    /// In the order of [`Outcome::ALL`].
    outcomes: [u64; Outcome::ALL.len()],
    causes: BTreeMap<(Outcome, String), (u64, TimeMicros)>,
    other_causes: u64,
}

impl<'a> Attempts<'a> {
    /// Nothing yet. `now` is the time of the last tick.
    pub(super) fn new(state: &'a State, only: Option<&'a SiteName>, now: Option<TimeMicros>) -> Self {
        let name =
            |p: &spillway_events::Probe| ProbeName { agent: p.agent.clone(), network: p.network.clone() };
        Self {
            state,
            only,
            now,
            provisioned: state.probes().map(name).collect(),
            agents: state.probes().map(|probe| probe.agent.as_str()).collect(),
            seen: HashSet::new(),
            series: HashMap::new(),
            probes: HashSet::new(),
            from: now.map(|now| TimeMicros(now.0 - RECENT_US)),
            is_cut: false,
        }
    }

    /// Counts the batches of a piece of a partition. `oldest` is the oldest event time of that partition so far. Returns
    /// whether what comes before the piece is too old to be counted.
    pub(super) fn take(&mut self, entries: &[Entry], oldest: &mut Option<TimeMicros>) -> bool {
        let mut newest: Option<TimeMicros> = None;
        for entry in entries {
            // What does not decode is in `rejected`.
            let Ok(batch) = decode::<MeasurementBatch>(&entry.bytes) else { continue };
            if !self.agents.contains(batch.source.as_str()) {
                continue;
            }
            let times = batch.measurements.iter().map(|measurement| measurement.at_us);
            *oldest = times.clone().chain(*oldest).min();
            let not_ahead =
                |at: &TimeMicros| self.now.is_none_or(|now| at.0.saturating_sub(now.0) <= AHEAD_MAX_US);
            newest = times.filter(not_ahead).chain(newest).max();
            if self.seen.insert((batch.source.clone(), batch.boot, batch.sequence)) {
                self.count(batch);
            }
        }
        let is_old = newest.is_some_and(|newest| self.now.is_some_and(|now| newest.0 < now.0 - RECENT_US));
        is_old && entries.len() >= LAST_PIECE_RECORDS_MIN
    }

    /// A partition was not read further back than this event time; nothing of it was read if there is none.
    pub(super) fn missed_before(&mut self, oldest: Option<TimeMicros>) {
        self.from = self.from.max(oldest.or(self.now));
    }

    fn count(&mut self, batch: MeasurementBatch) {
        let keys: Vec<Option<Key>> = batch.series.into_iter().map(|series| self.key(series)).collect();
        for measurement in batch.measurements {
            let key = usize::try_from(measurement.series).ok().and_then(|index| keys.get(index)?.as_ref());
            if let Some(key) = key {
                self.count_one(key, measurement);
            }
        }
    }

    /// The key of a series, if its probe, site and target are provisioned.
    fn key(&mut self, Series { site, target, agent, network }: Series) -> Option<Key> {
        if self.only.is_some_and(|only| *only != site) {
            return None;
        }
        let found = self.state.site(&site)?.site;
        let is_target =
            target == found.origin.name || found.cdns.iter().any(|cdn| cdn.cdn.as_str() == target);
        let probe = ProbeName { agent, network };
        if !is_target || !self.provisioned.contains(&probe) {
            return None;
        }
        let ProbeName { agent, network } = probe.clone();
        self.probes.insert(probe);
        Some((agent, network, site, target))
    }

    fn count_one(&mut self, key: &Key, measurement: Measurement) {
        let Measurement { at_us, outcome, error, .. } = measurement;
        // From before a reset of the clock, or of a clock that is wrong.
        if self.now.is_some_and(|now| at_us.0 > now.0 + AHEAD_MAX_US) {
            return;
        }
        let error = error.map(|error| error.chars().take(ERROR_CHARACTERS_MAX).collect::<String>());
        if !self.series.contains_key(key) && self.series.len() >= SERIES_MAX {
            self.is_cut = true;
            return;
        }
        let attempt = Attempt { at_us, outcome, error: error.clone() };
        let counts = self.series.entry(key.clone()).or_insert_with(|| Counts::new(attempt.clone()));
        if counts.last.at_us <= at_us {
            counts.last = attempt;
        }
        if self.now.is_none_or(|now| at_us.0 >= now.0 - RECENT_US) {
            counts.count(outcome, error, at_us);
        }
    }

    /// What was counted, by agent, network, site and target.
    pub(super) fn into_series(self) -> Vec<SeriesReport> {
        let sorted: BTreeMap<Key, Counts> = self.series.into_iter().collect();
        sorted.into_iter().map(|(key, counts)| counts.into_report(key)).collect()
    }
}

impl Counts {
    fn new(last: Attempt) -> Self {
        Self { last, outcomes: [0; Outcome::ALL.len()], causes: BTreeMap::new(), other_causes: 0 }
    }

    fn count(&mut self, outcome: Outcome, error: Option<String>, at_us: TimeMicros) {
        for (known, count) in Outcome::ALL.iter().zip(&mut self.outcomes) {
            *count += u64::from(*known == outcome);
        }
        if outcome == Outcome::Ok {
            return;
        }
        let cause = (outcome, error.unwrap_or_default());
        if !self.causes.contains_key(&cause) && self.causes.len() >= CAUSES_MAX {
            self.other_causes += 1;
            return;
        }
        let (count, last_at_us) = self.causes.entry(cause).or_insert((0, at_us));
        *count += 1;
        *last_at_us = at_us.max(*last_at_us);
    }

    fn into_report(self, (agent, network, site, target): Key) -> SeriesReport {
        let [ok, failed, refused, cut_off] = self.outcomes;
        let cause = |((outcome, error), (count, last_at_us))| Cause { outcome, error, count, last_at_us };
        let mut causes: Vec<Cause> = self.causes.into_iter().map(cause).collect();
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
        let (last, other_causes) = (self.last, self.other_causes);
        SeriesReport {
            agent,
            network,
            site,
            target,
            last,
            ok,
            failed,
            refused,
            cut_off,
            causes,
            other_causes,
        }
    }
}
