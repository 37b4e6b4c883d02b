//! Computes the value of a network from the values of probes, for one target and one objective.

use spillway_events::{Metric, Objective, Value, Verdict};

use crate::choice::{INFINITE, Permille};
use crate::rank::Rank;
use crate::topology::Topology;

/// The result of one probe's window at a tick. Only a change of it can change a verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProbeStat {
    /// The probe's value, if it has one.
    pub value: Option<Rank>,
    /// Whether its window holds a measurement that did not fail.
    pub has_success: bool,
}

/// The result of one probe's window, and the number of samples in it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Vote {
    pub(crate) stat: ProbeStat,
    pub(crate) samples: u64,
}

/// What the windows of one target say for one objective.
#[derive(Debug, Clone)]
pub(crate) struct Votes {
    /// By the probe's position in the topology.
    pub(crate) by_probe: Vec<Vote>,
    /// By the network's index.
    pub(crate) by_network: Vec<Option<Evidence>>,
}

/// The value of a network, and the network whose probes it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// The value.
    pub value: Rank,
    /// The index of the network whose probes counted: the network itself, or its nearest ancestor with evidence.
    pub from: usize,
}

/// The evidence for every network, by index.
///
/// A network's value is that of rank ⌈n/2⌉ from the best among the probes in or below it that have a value; with
/// fewer than `probes_min` of them (or than all that are provisioned there) its nearest ancestor's counts. `votes` are by
/// the probe's position.
pub(crate) fn evidence(topology: &Topology, objective: &Objective, votes: &[Vote]) -> Vec<Option<Evidence>> {
    let mut found: Vec<Option<Evidence>> = vec![None; topology.networks_count()];
    let mut values = Vec::with_capacity(votes.len());
    for &network in topology.root_first() {
        let voters = topology.voters(network);
        values.clear();
        let vote = |position: &u32| votes.get(*position as usize)?.stat.value;
        values.extend(voters.iter().filter_map(vote));
        let needed = (objective.probes_min as usize).min(voters.len()).max(1);
        found[network] = if values.len() >= needed {
            let middle = values.len().div_ceil(2) - 1;
            let (_, value, _) = values.select_nth_unstable(middle);
            Some(Evidence { value: *value, from: network })
        } else {
            topology.parent(network).and_then(|parent| found[parent])
        };
    }
    found
}

/// The literal outcome for one objective.
pub(crate) fn verdict(objective: &Objective, evidence: Option<Evidence>) -> Verdict {
    match evidence {
        None => Verdict::Unknown,
        Some(evidence) if evidence.value >= Rank::of(objective.metric, objective.threshold) => {
            Verdict::AtOrAbove
        }
        Some(_) => Verdict::Below,
    }
}

/// Of several objectives: any at-or-above, else any unknown, else below. Unknown without objectives.
pub(crate) fn combine(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let worst = |verdict: &Verdict| match verdict {
        Verdict::Below => 0,
        Verdict::Unknown => 1,
        Verdict::AtOrAbove => 2,
    };
    verdicts.into_iter().max_by_key(worst).unwrap_or(Verdict::Unknown)
}

/// A value in permille of the agreed level, rounded down: 1000 and above is at-or-above.
pub(crate) fn permille(objective: &Objective, rank: Rank) -> Permille {
    let (part, whole) = match (objective.metric, rank.value(objective.metric)) {
        (_, Value::Failed) => return INFINITE,
        (Metric::ResponseTime, Value::Number(value)) => (value, objective.threshold),
        (Metric::AvailableBandwidth, Value::Number(value)) => (objective.threshold, value),
    };
    let product = u128::from(part) * 1_000;
    product
        .checked_div(u128::from(whole))
        .map_or(INFINITE, |permille| u64::try_from(permille).map_or(INFINITE, Permille))
}
