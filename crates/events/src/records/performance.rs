//! Performance values over time, for dashboards and the portal.

use serde::{Deserialize, Serialize};

use crate::{Metric, Micros, NetworkName, SiteName, TimeMicros, Verdict};

/// The value of one target of a site for one objective in one network, as of a tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Performance {
    /// The site.
    pub site: SiteName,
    /// The target: the origin's or CDN's name.
    pub target: String,
    /// The network.
    pub network: NetworkName,
    /// The tick's time.
    pub at_us: TimeMicros,
    /// What is measured.
    pub metric: Metric,
    /// The threshold or agreed level.
    pub threshold: u64,
    /// The percentile, 1 to 99.
    pub percentile: u32,
    /// The window's length.
    pub window_us: Micros,
    /// The outcome.
    pub verdict: Verdict,
    /// The value; absent without evidence, and if it failed.
    pub value: Option<u64>,
    /// Whether the value is a failure.
    pub failed: bool,
    /// The samples in the windows of the probes that have a value.
    pub samples: u64,
}

/// A [`Performance`] that borrows its names, to be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename = "Performance")]
#[expect(missing_docs, reason = "the fields are those of Performance")]
pub struct PerformanceView<'a> {
    pub site: &'a SiteName,
    pub target: &'a str,
    pub network: &'a NetworkName,
    pub at_us: TimeMicros,
    pub metric: Metric,
    pub threshold: u64,
    pub percentile: u32,
    pub window_us: Micros,
    pub verdict: Verdict,
    pub value: Option<u64>,
    pub failed: bool,
    pub samples: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EncodedItems;

    #[test]
    fn a_view_encodes_to_the_same_bytes() {
        let owned = Performance {
            site: SiteName::new("shop").unwrap(),
            target: String::from("origin"),
            network: NetworkName::everywhere(),
            at_us: TimeMicros(5),
            metric: Metric::AvailableBandwidth,
            threshold: 6,
            percentile: 75,
            window_us: Micros(7),
            verdict: Verdict::AtOrAbove,
            value: Some(8),
            failed: false,
            samples: 9,
        };
        let Performance { site, target, network, .. } = &owned;
        let view = PerformanceView {
            site,
            target,
            network,
            at_us: owned.at_us,
            metric: owned.metric,
            threshold: owned.threshold,
            percentile: owned.percentile,
            window_us: owned.window_us,
            verdict: owned.verdict,
            value: owned.value,
            failed: owned.failed,
            samples: owned.samples,
        };
        let (mut of_owned, mut of_view) = (EncodedItems::default(), EncodedItems::default());
        of_owned.push::<Performance>(&owned).unwrap();
        of_view.push::<Performance>(&view).unwrap();
        assert_eq!(of_view, of_owned);
        assert_eq!(of_view.count(), 1);
    }
}
