//! What probes have tried lately, and what holds for a site now, by the records at the end of the log.
//!
//! Reading is bounded whatever the log holds, and "now" is the time of the last tick, so that a log that has stopped is read
//! like one that runs.

mod attempts;
mod performance;
mod tail;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use spillway_eventlog::{EventLog, LogError};
use spillway_events::{
    AgentName, Decision, NetworkName, Outcome, Performance, SiteName, Tick, TimeMicros, decode, topics,
};
use spillway_provisioning::State;

use self::attempts::Attempts;
use self::tail::{Budget, Piece, Tail};

/// Attempts are counted over this time before the last tick.
const RECENT_US: i64 = 600_000_000;
/// Values that are older than this at the last tick do not hold now: they are recorded every 10 s.
const VALUE_AGE_MAX_US: i64 = 60_000_000;
/// The most attempts that one call reads, and the most that it reads to find the newest frame of a partition.
const BUDGET: Budget = Budget { records: 65_536, bytes: 32 * 1024 * 1024 };
/// The most probes without attempts, values and causes of failures that an answer lists.
const LISTED_MAX: usize = 10_000;

/// What every probe has tried lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbesReport {
    /// The time of the last tick; nothing before the first one.
    pub as_of_us: Option<TimeMicros>,
    /// Attempts are counted from this time on; nothing if all of the log is counted.
    pub from_us: Option<TimeMicros>,
    /// By agent, network, site and target.
    pub series: Vec<SeriesReport>,
    /// Provisioned probes of which there is no attempt.
    pub silent: Vec<ProbeName>,
    /// Whether there are more series or silent probes than an answer lists.
    pub is_cut: bool,
}

/// A probe.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProbeName {
    /// Its agent.
    pub agent: AgentName,
    /// Its access network.
    pub network: NetworkName,
}

/// What one probe has tried lately on one target of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesReport {
    /// The probe's agent.
    pub agent: AgentName,
    /// The probe's access network.
    pub network: NetworkName,
    /// The site.
    pub site: SiteName,
    /// The name of the site's origin or of one of its CDNs.
    pub target: String,
    /// The last attempt that was read, which may be older than those that are counted.
    pub last: Attempt,
    /// How many attempts succeeded.
    pub ok: u64,
    /// How many failed.
    pub failed: u64,
    /// How many were refused: the target is misconfigured, or the probe may not connect to it.
    pub refused: u64,
    /// How many the probe made while it was cut off.
    pub cut_off: u64,
    /// Why attempts did not succeed, the most frequent cause first.
    pub causes: Vec<Cause>,
    /// How many attempts did not succeed for other causes.
    pub other_causes: u64,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it ended.
    pub at_us: TimeMicros,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it did not succeed; cut if it is long.
    pub error: Option<String>,
}

/// Attempts that did not succeed for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// What came of them.
    pub outcome: Outcome,
    /// The reason; cut if it is long, and empty if the probe gave none.
    pub error: String,
    /// How many there were.
    pub count: u64,
    /// When the last one ended.
    pub last_at_us: TimeMicros,
}

/// The answer to `explain`: what was decided, and what holds now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The decisions that held at the time that was asked for, by network.
    pub decisions: Vec<Decision>,
    /// The versions of agreements that they rest on, by the records that accepted them. What rests on another record rests on the
    /// objectives of the site's document, which an operator agreed on both sides, or on nothing.
    pub agreed_in: BTreeMap<u64, String>,
    /// What holds now, whatever time was asked for.
    pub now: SiteNow,
}

impl Explanation {
    /// The decisions, as of what is provisioned now: versions of agreements stay on record for ever.
    #[must_use]
    pub fn new(state: &State, decisions: Vec<Decision>, now: SiteNow) -> Self {
        let of = |decision: &Decision| {
            let version = state.version_of_record(&decision.site, decision.agreement)?;
            Some((decision.agreement, format!("{}/{}", version.name, version.version)))
        };
        let agreed_in = decisions.iter().filter_map(of).collect();
        Self { decisions, agreed_in, now }
    }
}

/// What holds for a site as of the last tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteNow {
    /// The time of the last tick; nothing before the first one.
    pub as_of_us: Option<TimeMicros>,
    /// The names of the site's origin and CDNs, in its order; none if the site is not provisioned any more.
    pub targets: Vec<String>,
    /// The newest values, by target in the site's order, then network, then objective. Networks without evidence of their
    /// own have none; if one network was asked for, these are the values that count there.
    pub values: Vec<Performance>,
    /// Failures are counted from this time on; nothing if all of the log is counted.
    pub failures_from_us: Option<TimeMicros>,
    /// Why attempts did not succeed, by target in the site's order, then the most frequent cause first.
    pub failures: Vec<Failure>,
    /// Whether there are more values or failures than an answer lists.
    pub is_cut: bool,
}

/// Attempts of the probes of one network on one target that did not succeed for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The target.
    pub target: String,
    /// The access network of the probes.
    pub network: NetworkName,
    /// Why, how many and when.
    #[serde(flatten)]
    pub cause: Cause,
}

/// Reads what probes have tried lately. Calls read one after the other, so that memory is bounded.
pub struct Recent {
    log: Arc<dyn EventLog>,
    reading: Mutex<()>,
}

impl Recent {
    /// Reads the log when it is asked.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, reading: Mutex::default() }
    }

    /// What all probes of the present provisioning have tried lately.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn probes(&self, state: &State) -> Result<ProbesReport, LogError> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let log = self.log.as_ref();
        let as_of_us = last_tick_time(log)?;
        let attempts = attempts(log, Attempts::new(state, None, as_of_us))?;
        let is_silent = |probe: &ProbeName| !attempts.probes.contains(probe);
        let probes = state.probes();
        let names = probes.map(|p| ProbeName { agent: p.agent.clone(), network: p.network.clone() });
        let mut silent: Vec<ProbeName> = names.filter(is_silent).take(LISTED_MAX + 1).collect();
        let is_cut = attempts.is_cut || silent.len() > LISTED_MAX;
        silent.truncate(LISTED_MAX);
        Ok(ProbesReport { as_of_us, from_us: attempts.from, series: attempts.into_series(), silent, is_cut })
    }

    /// What holds for a site now: in one network, or in all.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn site(
        &self,
        state: &State,
        site: &SiteName,
        network: Option<&NetworkName>,
    ) -> Result<SiteNow, LogError> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let log = self.log.as_ref();
        let as_of_us = last_tick_time(log)?;
        // After a reset of the clock there may be values with later times, from before it.
        let now = as_of_us.unwrap_or(TimeMicros(0));
        let recent = TimeMicros(now.0 - VALUE_AGE_MAX_US)..=now;
        let (mut values, values_cut) = performance::newest_values(log, site, &recent)?;
        let attempts = attempts(log, Attempts::new(state, Some(site), as_of_us))?;
        let (failures_from_us, attempts_cut) = (attempts.from, attempts.is_cut);
        let mut failures = failures(attempts.into_series());
        if let Some(network) = network {
            let path = state.ancestors(network);
            values = values_that_count(values, &path);
            let counting = network_that_counts(state, &path);
            let sits_in = |failure: &Failure| {
                counting.is_some_and(|counting| state.ancestors(&failure.network).contains(counting))
            };
            failures.retain(sits_in);
        }
        let targets = state.site(site).map(|site| targets(site.site)).unwrap_or_default();
        let order = |target: &str| targets.iter().position(|name| name == target).unwrap_or(usize::MAX);
        // The sorts are stable: values keep the order of the frame, failures that of their counts.
        values.sort_by_key(|value| order(&value.target));
        failures.sort_by_key(|failure| order(&failure.target));
        let is_cut = values_cut || attempts_cut || values.len() > LISTED_MAX || failures.len() > LISTED_MAX;
        values.truncate(LISTED_MAX);
        failures.truncate(LISTED_MAX);
        Ok(SiteNow { as_of_us, targets, values, failures_from_us, failures, is_cut })
    }
}

/// Reads all partitions of `measurements` back from their ends, a piece of each in turn, so that a busy one does not use up
/// the budget of the others.
fn attempts<'a>(log: &dyn EventLog, mut attempts: Attempts<'a>) -> Result<Attempts<'a>, LogError> {
    let mut budget = BUDGET;
    let partitions = 0..log.partitions(topics::MEASUREMENTS)?;
    let mut tails =
        partitions.map(|n| Tail::new(log, topics::MEASUREMENTS, n)).collect::<Result<Vec<_>, _>>()?;
    let mut oldest = vec![None; tails.len()];
    let mut open: Vec<usize> = (0..tails.len()).collect();
    while !open.is_empty() {
        let mut still_open = Vec::new();
        for index in open {
            let (Some(tail), Some(oldest)) = (tails.get_mut(index), oldest.get_mut(index)) else { continue };
            match tail.previous(&mut budget)? {
                Piece::Records(entries) => {
                    if !attempts.take(&entries, oldest) {
                        still_open.push(index);
                    }
                }
                Piece::Start => {}
                Piece::OverBudget => attempts.missed_before(*oldest),
            }
        }
        open = still_open;
    }
    Ok(attempts)
}

/// The time of the last tick. A record that is no tick is passed over.
fn last_tick_time(log: &dyn EventLog) -> Result<Option<TimeMicros>, LogError> {
    let mut tail = Tail::new(log, topics::TICKS, 0)?;
    let mut budget = BUDGET;
    while let Piece::Records(entries) = tail.previous(&mut budget)? {
        let last = entries.iter().rev().find_map(|entry| decode::<Tick>(&entry.bytes).ok());
        if let Some(tick) = last {
            return Ok(Some(tick.at_us));
        }
    }
    Ok(None)
}

fn failures(series: Vec<SeriesReport>) -> Vec<Failure> {
    let mut merged: BTreeMap<(String, NetworkName, Outcome, String), (u64, TimeMicros)> = BTreeMap::new();
    for SeriesReport { target, network, causes, .. } in series {
        for Cause { outcome, error, count, last_at_us } in causes {
            let key = (target.clone(), network.clone(), outcome, error);
            let (counted, last) = merged.entry(key).or_insert((0, last_at_us));
            *counted += count;
            *last = last_at_us.max(*last);
        }
    }
    let failure = |((target, network, outcome, error), (count, last_at_us))| Failure {
        target,
        network,
        cause: Cause { outcome, error, count, last_at_us },
    };
    let mut failures: Vec<Failure> = merged.into_iter().map(failure).collect();
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.cause.count));
    failures
}

/// Of each target and objective the value of the network, or of its nearest ancestor that has one.
fn values_that_count(values: Vec<Performance>, path: &[NetworkName]) -> Vec<Performance> {
    let mut nearest: BTreeMap<_, (usize, Performance)> = BTreeMap::new();
    for value in values {
        let Some(levels) = path.iter().position(|network| *network == value.network) else { continue };
        let objective = (value.metric, value.threshold, value.percentile, value.window_us);
        let key = (value.target.clone(), objective);
        if nearest.get(&key).is_none_or(|(known, _)| levels < *known) {
            nearest.insert(key, (levels, value));
        }
    }
    nearest.into_values().map(|(_, value)| value).collect()
}

/// The first network of a path up the tree that has a probe in it or below it.
fn network_that_counts<'a>(state: &State, path: &'a [NetworkName]) -> Option<&'a NetworkName> {
    let with_probes: HashSet<NetworkName> =
        state.probes().flat_map(|probe| state.ancestors(&probe.network)).collect();
    path.iter().find(|network| with_probes.contains(*network))
}

fn targets(site: &spillway_events::Site) -> Vec<String> {
    let cdns = site.cdns.iter().map(|cdn| cdn.cdn.to_string());
    std::iter::once(site.origin.name.clone()).chain(cdns).collect()
}
