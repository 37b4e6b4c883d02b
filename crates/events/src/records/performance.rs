//! Performance values over time, for dashboards and the portal.

use serde::{Deserialize, Serialize};

use crate::codec::{DecodeError, put_count, put_long};
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

/// A [`Performance`] that borrows its names, to be encoded: there is one for each series every few seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl PerformanceView<'_> {
    /// Appends the Avro datum. It has the bytes that serde writes of a [`Performance`], in a third of the time.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) -> Result<(), DecodeError> {
        for name in [self.site.as_str(), self.target, self.network.as_str()] {
            put_count(bytes, name.len() as u64)?;
            bytes.extend_from_slice(name.as_bytes());
        }
        put_long(bytes, self.at_us.0);
        put_long(
            bytes,
            match self.metric {
                Metric::ResponseTime => 0,
                Metric::AvailableBandwidth => 1,
            },
        );
        put_count(bytes, self.threshold)?;
        put_long(bytes, i64::from(self.percentile));
        put_count(bytes, self.window_us.0)?;
        put_long(
            bytes,
            match self.verdict {
                Verdict::Below => 0,
                Verdict::AtOrAbove => 1,
                Verdict::Unknown => 2,
            },
        );
        put_long(bytes, i64::from(self.value.is_some()));
        if let Some(value) = self.value {
            put_count(bytes, value)?;
        }
        bytes.push(u8::from(self.failed));
        put_count(bytes, self.samples)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_avro_fast::ser::SerializerConfig;

    use super::*;
    use crate::Framed;

    proptest! {
        #[test]
        fn a_view_encodes_to_the_bytes_that_serde_writes(
            names in ("[a-z0-9]{1,63}", "[a-zé]{0,70}", "[a-z0-9]{1,63}"),
            at in any::<i64>(), numbers in prop::array::uniform3(0_u64..=i64::MAX.unsigned_abs()),
            value in prop::option::of(0_u64..=i64::MAX.unsigned_abs()),
            (metric, verdict, percentile, failed) in (any::<bool>(), 0..3, any::<u32>(), any::<bool>()),
        ) {
            let owned = Performance {
                site: SiteName::new(names.0).unwrap(),
                target: names.1,
                network: NetworkName::new(names.2).unwrap(),
                at_us: TimeMicros(at),
                metric: if metric { Metric::ResponseTime } else { Metric::AvailableBandwidth },
                threshold: numbers[0],
                percentile,
                window_us: Micros(numbers[1]),
                verdict: [Verdict::Below, Verdict::AtOrAbove, Verdict::Unknown][verdict as usize],
                value,
                failed,
                samples: numbers[2],
            };
            let mut written = Vec::new();
            owned.view().write(&mut written).unwrap();
            let schema = <Performance as Framed>::item_schema();
            let by_serde = serde_avro_fast::to_datum_vec(&owned, &mut SerializerConfig::new(schema)).unwrap();
            prop_assert_eq!(written, by_serde);
        }
    }

    #[test]
    fn a_number_beyond_avro_is_not_written() {
        let (site, network) = (SiteName::new("shop").unwrap(), NetworkName::everywhere());
        let view = PerformanceView {
            site: &site,
            target: "origin",
            network: &network,
            at_us: TimeMicros(0),
            metric: Metric::ResponseTime,
            threshold: 1 << 63,
            percentile: 95,
            window_us: Micros(1),
            verdict: Verdict::Below,
            value: None,
            failed: false,
            samples: 0,
        };
        assert!(matches!(view.write(&mut Vec::new()), Err(DecodeError::Datum(_))));
    }

    impl Performance {
        fn view(&self) -> PerformanceView<'_> {
            PerformanceView {
                site: &self.site,
                target: &self.target,
                network: &self.network,
                at_us: self.at_us,
                metric: self.metric,
                threshold: self.threshold,
                percentile: self.percentile,
                window_us: self.window_us,
                verdict: self.verdict,
                value: self.value,
                failed: self.failed,
                samples: self.samples,
            }
        }
    }
}
