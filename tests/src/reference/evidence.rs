//! From windows to the value of a probe, of a network, and its verdict.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use spillway_events::{Metric, Objective, Site, Value, Verdict};

use super::number::{Permille, middle, percentile, permille, rounded};
use super::objects::Tree;

/// What has a window of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Series {
    pub(super) site: usize,
    pub(super) target: usize,
    pub(super) probe: usize,
    pub(super) objective: usize,
}

impl Series {
    pub(super) fn of_site(site: usize) -> RangeInclusive<Self> {
        let end = usize::MAX;
        Self { site, target: 0, probe: 0, objective: 0 }..=Self {
            site,
            target: end,
            probe: end,
            objective: end,
        }
    }
}

/// The panes and outcomes in each window, in the order read.
pub(super) type Windows = BTreeMap<Series, Vec<(i64, Value)>>;

/// What one objective says of one target in one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    /// Nothing without evidence.
    pub(super) value: Option<Value>,
    /// Nothing without evidence.
    pub(super) permille: Option<Permille>,
    pub(super) threshold: u64,
    pub(super) samples: u64,
    pub(super) probes: usize,
}

impl Judgement {
    pub(super) fn number(&self) -> Option<u64> {
        match self.value {
            Some(Value::Number(number)) => Some(number),
            Some(Value::Failed) | None => None,
        }
    }

    pub(super) fn failed(&self) -> bool {
        self.value == Some(Value::Failed)
    }
}

/// The value of each probe of a target, by each of the site's objectives, from the windows as they are.
pub(super) fn votes(
    tree: &Tree,
    windows: &Windows,
    site: &Site,
    site_number: usize,
    target: usize,
) -> Vec<Vec<Option<Vote>>> {
    let votes_of = |(number, objective): (usize, &Objective)| {
        let vote_of = |probe| {
            let series = Series { site: site_number, target, probe, objective: number };
            vote(objective, windows.get(&series).map_or(&[], Vec::as_slice))
        };
        (0..tree.probe_count()).map(vote_of).collect()
    };
    site.objectives.iter().enumerate().map(votes_of).collect()
}

/// Judges a target in a network by each of the site's objectives.
pub(super) fn judge(tree: &Tree, site: &Site, votes: &[Vec<Option<Vote>>], network: usize) -> Vec<Judgement> {
    let objectives = site.objectives.iter().zip(votes);
    objectives.map(|(objective, votes)| judge_network(tree, objective, votes, network)).collect()
}

/// The value of a probe.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vote {
    value: Value,
    samples: usize,
}

fn vote(objective: &Objective, window: &[(i64, Value)]) -> Option<Vote> {
    if window.len() < objective.samples_min as usize {
        return None;
    }
    let values = window.iter().map(|(_, value)| *value).collect();
    let value = match percentile(objective.metric, values, objective.percentile)? {
        Value::Number(number) => Value::Number(rounded(objective.metric, number)),
        Value::Failed => Value::Failed,
    };
    Some(Vote { value, samples: window.len() })
}

fn judge_network(tree: &Tree, objective: &Objective, votes: &[Option<Vote>], network: usize) -> Judgement {
    let votes_of =
        |network: usize| -> Vec<Vote> { tree.members[network].iter().filter_map(|p| votes[*p]).collect() };
    let has_evidence = |network: &usize| {
        let provisioned = tree.members[*network].len();
        let needed = (objective.probes_min as usize).min(provisioned).max(1);
        votes_of(*network).len() >= needed
    };
    let from = tree.chains[network].iter().copied().find(has_evidence);
    let counted = votes_of(from.unwrap_or(network));
    let value = from.and_then(|_| middle(objective.metric, counted.iter().map(|vote| vote.value).collect()));
    Judgement {
        verdict: verdict(objective, value),
        value,
        permille: value.map(|value| permille(objective.metric, value, objective.threshold)),
        threshold: objective.threshold,
        samples: counted.iter().map(|vote| vote.samples as u64).sum(),
        probes: counted.len(),
    }
}

fn verdict(objective: &Objective, value: Option<Value>) -> Verdict {
    let reached = match (value, objective.metric) {
        (None, _) => return Verdict::Unknown,
        (Some(Value::Failed), _) => true,
        (Some(Value::Number(number)), Metric::ResponseTime) => number >= objective.threshold,
        (Some(Value::Number(number)), Metric::AvailableBandwidth) => number <= objective.threshold,
    };
    if reached { Verdict::AtOrAbove } else { Verdict::Below }
}
