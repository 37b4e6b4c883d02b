//! The performance values of a tick, encoded by the worker that computes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spillway_events::{EncodedItems, ItemsSize, PerformanceView, SiteName};

use crate::error::DataflowError;
use crate::shard::shard;

/// Encoded values of sites, in the order of sites.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct PerformanceRun {
    items: EncodedItems,
    /// Each site, and where its values begin.
    sites: Vec<(SiteName, ItemsSize)>,
}

/// The values that one worker computes at a tick, by output partition.
pub(crate) struct PerformanceRuns {
    output_partitions: u32,
    by_partition: BTreeMap<u32, PerformanceRun>,
    /// The partition of the last value, which the next one of the same site belongs to.
    partition: u32,
}

impl PerformanceRuns {
    pub(crate) fn new(output_partitions: u32) -> Self {
        Self { output_partitions, by_partition: BTreeMap::new(), partition: 0 }
    }

    /// Adds a value. All values of a site come one after the other.
    pub(crate) fn push(&mut self, value: &PerformanceView<'_>) -> Result<(), DataflowError> {
        let last = self.by_partition.get(&self.partition).and_then(|run| run.sites.last());
        if last.is_none_or(|(last, _)| last != value.site) {
            self.partition = shard(value.site.as_str()) % self.output_partitions;
            let run = self.by_partition.entry(self.partition).or_default();
            run.sites.push((value.site.clone(), run.items.size()));
        }
        let run = self.by_partition.entry(self.partition).or_default();
        let part = "a performance value";
        run.items.push_performance(value).map_err(|source| DataflowError::Encode { part, source })
    }

    /// The values by partition.
    pub(crate) fn into_parts(self) -> impl Iterator<Item = (u32, PerformanceRun)> {
        self.by_partition.into_iter()
    }
}

/// The items of one partition's frame: those of all workers by site. All values of a site are in one run.
pub(crate) fn merge(mut runs: Vec<PerformanceRun>) -> EncodedItems {
    if runs.len() < 2 {
        return runs.pop().unwrap_or_default().items;
    }
    let mut sites = Vec::new();
    for run in &runs {
        let ends = run.sites.iter().skip(1).map(|(_, from)| *from).chain([run.items.size()]);
        sites.extend(run.sites.iter().zip(ends).map(|((site, from), end)| (site, &run.items, *from, end)));
    }
    sites.sort_by_key(|(site, ..)| *site);
    let mut merged = EncodedItems::default();
    runs.iter().for_each(|run| merged.reserve(run.items.size()));
    sites.into_iter().for_each(|(_, items, from, end)| merged.append(items, from, end));
    merged
}
