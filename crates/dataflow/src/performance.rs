//! The performance values of a tick, encoded by the worker that computes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spillway_events::{EncodedItems, Performance, PerformanceView, SiteName};

use crate::error::DataflowError;
use crate::shard::shard;

/// The encoded values of one site, in their final order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SitePerformance {
    site: SiteName,
    items: EncodedItems,
}

/// The values of sites, by output partition.
pub(crate) struct PerformanceItems {
    output_partitions: u32,
    by_partition: BTreeMap<u32, Vec<SitePerformance>>,
    /// The partition of the last value, which the next one of the same site belongs to.
    partition: u32,
}

impl PerformanceItems {
    pub(crate) fn new(output_partitions: u32) -> Self {
        Self { output_partitions, by_partition: BTreeMap::new(), partition: 0 }
    }

    /// Adds a value. All values of a site come one after the other.
    pub(crate) fn push(&mut self, value: &PerformanceView<'_>) -> Result<(), DataflowError> {
        let last = self.by_partition.get(&self.partition).and_then(|sites| sites.last());
        if last.is_none_or(|last| last.site != *value.site) {
            self.partition = shard(value.site.as_str()) % self.output_partitions;
            let (site, items) = (value.site.clone(), EncodedItems::default());
            self.by_partition.entry(self.partition).or_default().push(SitePerformance { site, items });
        }
        let of_site = self.by_partition.get_mut(&self.partition).and_then(|sites| sites.last_mut());
        let Some(of_site) = of_site else { return Ok(()) };
        let part = "a performance value";
        of_site.items.push::<Performance>(value).map_err(|source| DataflowError::Encode { part, source })
    }

    /// The values by partition.
    pub(crate) fn into_parts(self) -> impl Iterator<Item = (u32, Vec<SitePerformance>)> {
        self.by_partition.into_iter()
    }
}

/// The items of one partition's frame: those of all workers by site, each of which one worker has sent.
pub(crate) fn merge(mut sites: Vec<SitePerformance>) -> EncodedItems {
    sites.sort_by(|one, other| one.site.cmp(&other.site));
    let mut items = EncodedItems::default();
    sites.iter().for_each(|site| items.append(&site.items));
    items
}
