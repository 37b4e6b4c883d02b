//! The performance values of a site.

use spillway_events::{Objective, PerformanceView, SiteName, TimeMicros};

use super::{SiteState, Votes, number};
use crate::directory::targets;
use crate::evidence::verdict;
use crate::topology::Topology;
use crate::windows::Windows;

/// The performance values of one site at a time.
#[derive(Debug)]
pub struct SitePerformance<'a> {
    pub(crate) state: &'a SiteState,
    pub(crate) at: TimeMicros,
    pub(crate) topology: &'a Topology,
    pub(crate) windows: &'a Windows,
}

impl<'a> SitePerformance<'a> {
    /// The site.
    #[must_use]
    pub fn site(&self) -> &'a SiteName {
        &self.state.spec.name
    }

    /// Emits the values of all targets in the networks that have evidence of their own: in the order of the target's name,
    /// then the network's, then the objective's fields.
    ///
    /// # Errors
    /// The first error of `emit`.
    pub fn values<E>(&self, mut emit: impl FnMut(PerformanceView<'a>) -> Result<(), E>) -> Result<(), E> {
        let Self { state, at: at_us, topology, windows } = *self;
        if state.windows.iter().all(|objective| objective.is_empty()) {
            return Ok(());
        }
        let mut objectives: Vec<(usize, &Objective)> = state.spec.objectives.iter().enumerate().collect();
        objectives.sort_by_key(|(_, of)| (of.metric, of.threshold, of.percentile, of.window_us));
        let mut by_name: Vec<(&str, u16)> = targets(&state.spec).zip(0..).collect();
        by_name.sort_unstable();
        for (target, index) in by_name {
            let votes = state.votes(topology, windows, index);
            for network in 0..topology.networks_count() {
                for (index, objective) in &objectives {
                    let Votes { by_probe, by_network } = &votes[*index];
                    let Some(found) = by_network[network].filter(|found| found.from == network) else {
                        continue;
                    };
                    let voters = topology.voters(network).iter();
                    let votes = voters.filter_map(|position| by_probe.get(*position as usize));
                    let with_value = votes.filter(|vote| vote.stat.value.is_some());
                    let (value, failed) = number(Some(found.value), objective);
                    emit(PerformanceView {
                        site: &state.spec.name,
                        target,
                        network: topology.name(network),
                        at_us,
                        metric: objective.metric,
                        threshold: objective.threshold,
                        percentile: objective.percentile,
                        window_us: objective.window_us,
                        verdict: verdict(objective, Some(found)),
                        value,
                        failed,
                        samples: with_value.map(|vote| vote.samples).sum(),
                    })?;
                }
            }
        }
        Ok(())
    }
}
