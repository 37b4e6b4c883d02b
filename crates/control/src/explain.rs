//! Explains a route: the decision records that held at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use spillway_eventlog::{EncodedFrames, EventLog, FrameReader, LogError, ReadError};
use spillway_events::{Decision, NetworkName, SiteName, TimeMicros, decode_frame, topics};
use spillway_provisioning::State;

/// How many decisions the index holds. Beyond that the oldest of each site and network are dropped, and found by reading. The
/// last decision of each stays, so an installation with more sites and networks than this has a larger index.
const ENTRIES_MAX: usize = 4_000_000;

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// There is no such site now, and a time to explain was not given or no decision was ever made for it.
    #[error("there is no site {site}{}", suggestion(nearest.as_deref()))]
    UnknownSite {
        /// The name.
        site: SiteName,
        /// The name of the site that is spelled most like it.
        nearest: Option<String>,
    },
    /// There is no such network now, and a time to explain was not given or no decision was ever made in it.
    #[error("there is no network {network}{}", suggestion(nearest.as_deref()))]
    UnknownNetwork {
        /// The name.
        network: NetworkName,
        /// The name of the network that is spelled most like it.
        nearest: Option<String>,
    },
    /// Site and network are known, but nothing had been decided by that time.
    #[error("no decision for site {0} had been made by that time")]
    NotYet(SiteName),
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] LogError),
    /// Decisions cannot be read.
    #[error("the decisions cannot be read")]
    Read(#[from] ReadError),
}

impl ExplainError {
    /// Whether what was asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::UnknownSite { .. } | Self::UnknownNetwork { .. } | Self::NotYet(_))
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}

/// Finds the decisions that held at a time. Keeps an index of `decisions`: built by reading the log once, and brought up to
/// date at each call.
pub struct Explainer {
    log: Arc<dyn EventLog>,
    index: Mutex<Index>,
}

/// Where a decision is in the log.
#[derive(Debug, Clone, Copy)]
struct DecisionOffset {
    at: TimeMicros,
    partition: u32,
    /// The offset of the first chunk of its frame.
    offset: u64,
}

/// By site and network, the offsets of all decisions.
struct Index {
    /// By partition: the offset up to which decisions are indexed.
    next: Vec<u64>,
    /// Rising in time.
    offsets: HashMap<SiteName, BTreeMap<NetworkName, Vec<DecisionOffset>>>,
    entries: usize,
    /// With more entries than this the oldest are dropped.
    entries_max: usize,
    has_dropped: bool,
}

impl Default for Index {
    fn default() -> Self {
        let (next, offsets) = (Vec::new(), HashMap::new());
        Self { next, offsets, entries: 0, entries_max: ENTRIES_MAX, has_dropped: false }
    }
}

impl Explainer {
    /// An explainer that reads the log when it is first asked.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, index: Mutex::default() }
    }

    /// The decision that holds for a site at a time (now if none is given), in one network or in all, by network. `state`
    /// is the present provisioning; names that are not in it either are reported as unknown.
    ///
    /// # Errors
    /// If nothing was decided for it, or the log cannot be read.
    pub fn explain(
        &self,
        state: &State,
        site: &SiteName,
        network: Option<&NetworkName>,
        at: Option<TimeMicros>,
    ) -> Result<Vec<Decision>, ExplainError> {
        let log = self.log.as_ref();
        // A panic elsewhere left the index between two frames.
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.catch_up(log)?;
        let networks = index.offsets.get(site).filter(|_| at.is_some() || state.site(site).is_some());
        let Some(networks) = networks else { return Err(unknown_site(state, site)) };
        // What was decided for a network that is deleted since does not hold now.
        let may_hold = |name: &NetworkName| {
            at.is_some() || *name == NetworkName::everywhere() || state.network(name).is_some()
        };
        if let Some(network) = network.filter(|name| !networks.contains_key(*name) || !may_hold(name)) {
            return Err(unknown_network(state, site, network));
        }
        let is_asked = |name: &NetworkName| network.is_none_or(|network| network == name) && may_hold(name);
        let asked = networks.iter().filter(|(name, _)| is_asked(name));
        let mut found = Vec::new();
        for (network, offsets) in asked {
            let is_wanted = |decision: &Decision| {
                decision.site == *site
                    && decision.network == *network
                    && at.is_none_or(|at| decision.at_us <= at)
            };
            // Times do not always rise: the clock of the ticks may have been reset. The latest decision holds.
            let held = offsets.iter().rfind(|decided| at.is_none_or(|at| decided.at <= at));
            match (held, offsets.first()) {
                (Some(decided), _) => {
                    found.extend(read_first_frame(log, *decided)?.into_iter().find(is_wanted));
                }
                // The index may have dropped the decision.
                (None, Some(first)) if index.has_dropped => {
                    found.extend(search(log, first.partition, is_wanted)?);
                }
                (None, _) => {}
            }
        }
        if found.is_empty() { Err(ExplainError::NotYet(site.clone())) } else { Ok(found) }
    }
}

impl Index {
    fn catch_up(&mut self, log: &dyn EventLog) -> Result<(), ExplainError> {
        let partitions = log.partitions(topics::DECISIONS)?;
        for partition in 0..partitions {
            let index = partition as usize;
            if self.next.len() <= index {
                self.next.push(log.start(topics::DECISIONS, partition)?);
            }
            let from = self.next.get(index).copied().unwrap_or(0);
            for frame in EncodedFrames::new(log, topics::DECISIONS, partition, from) {
                let frame = frame?;
                // A frame that does not decode is a defect of its writer; the decisions around it can still be explained.
                let Ok(decisions) = decode_frame::<Decision>(&frame.chunks) else { continue };
                decisions.iter().for_each(|decision| self.insert(decision, partition, frame.offset));
                if let Some(next) = self.next.get_mut(index) {
                    *next = frame.offset + frame.chunks.len() as u64;
                }
            }
        }
        Ok(())
    }

    fn insert(&mut self, decision: &Decision, partition: u32, offset: u64) {
        let networks = self.offsets.entry(decision.site.clone()).or_default();
        let offsets = networks.entry(decision.network.clone()).or_default();
        if offsets.last().is_some_and(|last| last.offset >= offset) {
            return;
        }
        offsets.push(DecisionOffset { at: decision.at_us, partition, offset });
        self.entries += 1;
        if self.entries > self.entries_max {
            self.drop_oldest();
        }
    }

    /// Halves what is kept of every site and network.
    fn drop_oldest(&mut self) {
        self.has_dropped = true;
        for offsets in self.offsets.values_mut().flat_map(BTreeMap::values_mut) {
            let dropped = offsets.len() / 2;
            offsets.drain(..dropped);
            self.entries -= dropped;
        }
        // Each pass reads the whole index, so the next one has to be far away, even if this one could drop little.
        self.entries_max = self.entries_max.max(2 * self.entries);
    }
}

/// The decisions of the frame that starts at this offset.
fn read_first_frame(log: &dyn EventLog, decided: DecisionOffset) -> Result<Vec<Decision>, ReadError> {
    let mut frames = FrameReader::<Decision>::new(log, topics::DECISIONS, decided.partition, decided.offset);
    Ok(frames.next().transpose()?.map(|(_, decisions)| decisions).unwrap_or_default())
}

/// The last wanted decision of a partition, by reading all of it.
fn search(
    log: &dyn EventLog,
    partition: u32,
    is_wanted: impl Fn(&Decision) -> bool,
) -> Result<Option<Decision>, ExplainError> {
    let mut last = None;
    for frame in FrameReader::<Decision>::all(log, topics::DECISIONS, partition)? {
        last = frame?.1.into_iter().filter(&is_wanted).last().or(last);
    }
    Ok(last)
}

fn unknown_site(state: &State, site: &SiteName) -> ExplainError {
    if state.site(site).is_some() {
        return ExplainError::NotYet(site.clone());
    }
    let nearest = nearest(site.as_str(), state.sites().map(|site| site.site.name.as_str()));
    ExplainError::UnknownSite { site: site.clone(), nearest }
}

fn unknown_network(state: &State, site: &SiteName, network: &NetworkName) -> ExplainError {
    if *network == NetworkName::everywhere() || state.network(network).is_some() {
        return ExplainError::NotYet(site.clone());
    }
    let nearest = nearest(network.as_str(), state.networks().map(|network| network.name.as_str()));
    ExplainError::UnknownNetwork { network: network.clone(), nearest }
}

/// The name that is spelled most like another one, if any is similar.
#[must_use]
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    const SIMILAR: f64 = 0.7;
    let scored = names.map(|name| (strsim::jaro_winkler(wanted, name), name));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score >= SIMILAR).map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use spillway_events::{Route, Verdict};

    use super::*;

    fn decision(site: usize, tick: u64) -> Decision {
        Decision {
            site: SiteName::new(format!("site-{site}")).unwrap(),
            network: NetworkName::everywhere(),
            tick,
            at_us: TimeMicros(0),
            route: Route::ORIGIN,
            verdict: Verdict::Below,
            reason: None,
            objectives: Vec::new(),
            candidates: Vec::new(),
            agreement: 0,
        }
    }

    /// More sites than entries, so that nothing can be dropped: the index grows instead of looking at everything each time.
    #[test]
    fn the_index_keeps_the_last_decision_of_every_site() {
        let mut index = Index { entries_max: 10, ..Index::default() };
        for site in 0..100 {
            index.insert(&decision(site, 0), 0, site as u64);
        }
        assert!(
            (index.entries, index.entries_max) >= (100, 100),
            "{} of {}",
            index.entries,
            index.entries_max
        );
        // Now one site has many: the older half of them goes.
        for offset in 100..1_000 {
            index.insert(&decision(0, 1), 0, offset);
        }
        assert!(index.has_dropped && index.entries <= index.entries_max);
        let last = |site: &str| {
            let networks = &index.offsets[&SiteName::new(site).unwrap()];
            networks[&NetworkName::everywhere()].last().unwrap().offset
        };
        assert_eq!((last("site-0"), last("site-99")), (999, 99));
    }
}
