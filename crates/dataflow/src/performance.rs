//! The performance values of a tick, encoded by the worker that computes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spillway_events::{EncodedItems, ItemsSize, SiteName};
use spillway_steering::SitePerformance;

use crate::error::DataflowError;
use crate::shard::shard;

/// Encoded values of sites, in the order of sites.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct PerformanceRun {
    items: EncodedItems,
    /// Each site, and where its values begin.
    sites: Vec<(SiteName, ItemsSize)>,
}

/// The values of a worker's sites, by output partition.
///
/// # Errors
/// When a value does not encode.
pub(crate) fn encode<'a>(
    sites: impl Iterator<Item = SitePerformance<'a>>,
    output_partitions: u32,
) -> Result<BTreeMap<u32, PerformanceRun>, DataflowError> {
    let mut by_partition: BTreeMap<u32, PerformanceRun> = BTreeMap::new();
    for performance in sites {
        let site = performance.site();
        let run = by_partition.entry(shard(site.as_str()) % output_partitions).or_default();
        let from = run.items.size();
        let part = "a performance value";
        performance
            .values(|value| run.items.push_performance(&value))
            .map_err(|source| DataflowError::Encode { part, source })?;
        if run.items.size() != from {
            run.sites.push((site.clone(), from));
        }
    }
    by_partition.retain(|_, run| !run.sites.is_empty());
    Ok(by_partition)
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
