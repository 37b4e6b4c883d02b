//! Buckets whose edges are the numbers of three significant decimal digits, ranked from best to worst.

use serde::{Deserialize, Serialize};
use spillway_events::{Metric, Value};

/// The position of a bucket, counted from the best one: the smaller the better, for every metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rank(u16);

/// The rank of a failure, which is worse than any number.
pub const FAILED: Rank = Rank(u16::MAX);

/// The rank of bucket 0 of a metric of which more is better.
const BANDWIDTH_WORST: u16 = u16::MAX - 1;
/// Bucket of the greatest throughput, 10¹⁵: below it lie 1,000 single numbers and 900 buckets a power of ten.
const BUCKET_MAX: u16 = 1_000 + 900 * 12;
const _: () = assert!(BUCKET_MAX < BANDWIDTH_WORST);

impl Rank {
    /// The number that a checkpoint holds.
    pub(crate) fn number(self) -> u32 {
        u32::from(self.0)
    }

    /// The rank of a number from a checkpoint; `None` if no rank has that number.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        u16::try_from(number).ok().map(Self)
    }

    /// The rank of a number of a metric: response time rounds down to its bucket, throughput up. Numbers beyond the metric's
    /// range get the rank of the nearest number in it.
    #[must_use]
    pub fn of(metric: Metric, number: u64) -> Self {
        match metric {
            Metric::ResponseTime => Self(bucket_down(number)),
            Metric::AvailableBandwidth => Self(BANDWIDTH_WORST - bucket_up(number)),
        }
    }

    /// The value that is printed and recorded: the bucket's number.
    #[must_use]
    pub fn value(self, metric: Metric) -> Value {
        if self == FAILED {
            return Value::Failed;
        }
        Value::Number(match metric {
            Metric::ResponseTime => number(self.0),
            Metric::AvailableBandwidth => number(BANDWIDTH_WORST.saturating_sub(self.0)),
        })
    }
}

/// Whether a number has at most three significant decimal digits, so that it is a bucket's edge.
#[must_use]
pub fn is_three_digits(number: u64) -> bool {
    split(number).2
}

/// The mantissa below 1,000, the power of ten, and whether the number is exact.
fn split(number: u64) -> (u16, u16, bool) {
    if number < 1_000 {
        return (u16::try_from(number).unwrap_or(0), 0, true);
    }
    // Nearly all numbers fit in 32 bits, where dividing is quicker.
    let (mantissa, power, is_exact) = if let Ok(number) = u32::try_from(number) {
        let power = number.ilog10() - 2;
        let scale = SCALES_32[power as usize];
        (u64::from(number / scale), power, number.is_multiple_of(scale))
    } else {
        let power = number.ilog10() - 2;
        let scale = 10_u64.pow(power);
        (number / scale, power, number.is_multiple_of(scale))
    };
    (u16::try_from(mantissa).unwrap_or(0), u16::try_from(power).unwrap_or(0), is_exact)
}

/// The powers of ten that divide a number of 32 bits to three digits.
const SCALES_32: [u32; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
const _: () = assert!(u32::MAX.ilog10() as usize - 2 < SCALES_32.len());

fn bucket_down(number: u64) -> u16 {
    let (mantissa, power, _) = split(number);
    let bucket = if power == 0 { mantissa } else { 900 * power + mantissa };
    bucket.min(BUCKET_MAX)
}

fn bucket_up(number: u64) -> u16 {
    // One bucket up from mantissa 999 is mantissa 100 of the next power.
    (bucket_down(number) + u16::from(!is_three_digits(number))).min(BUCKET_MAX)
}

fn number(bucket: u16) -> u64 {
    if bucket < 1_000 {
        return u64::from(bucket);
    }
    let power = (bucket - 100) / 900;
    u64::from(bucket - 900 * power) * 10_u64.pow(u32::from(power))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(metric: Metric, number: u64) -> Value {
        Rank::of(metric, number).value(metric)
    }

    #[test]
    fn response_time_rounds_down_and_throughput_up() {
        let cases = [
            (0, 0, 0),
            (7, 7, 7),
            (999, 999, 999),
            (1_000, 1_000, 1_000),
            (1_001, 1_000, 1_010),
            (1_009, 1_000, 1_010),
            (9_990, 9_990, 9_990),
            (9_991, 9_990, 10_000),
            (99_999, 99_900, 100_000),
            (3_600_000_000, 3_600_000_000, 3_600_000_000),
            (999_000_000_000_001, 999_000_000_000_000, 1_000_000_000_000_000),
            (1_000_000_000_000_000, 1_000_000_000_000_000, 1_000_000_000_000_000),
        ];
        for (number, down, up) in cases {
            assert_eq!(value(Metric::ResponseTime, number), Value::Number(down));
            assert_eq!(value(Metric::AvailableBandwidth, number), Value::Number(up));
        }
    }

    proptest! {
        // The property that makes buckets lose nothing.
        #[test]
        fn against_a_threshold_the_bucket_decides_like_the_number(
            number in prop_oneof![0_u64..2_000, 0_u64..3_600_000_000, 0_u64..=1_000_000_000_000_000],
            mantissa in 1_u64..1_000, power in 0_u32..13,
        ) {
            let threshold = mantissa * 10_u64.pow(power);
            prop_assert!(is_three_digits(threshold));
            for (metric, reached) in [
                (Metric::ResponseTime, number >= threshold),
                (Metric::AvailableBandwidth, number <= threshold),
            ] {
                let (rank, edge) = (Rank::of(metric, number), Rank::of(metric, threshold));
                prop_assert_eq!(rank >= edge, reached, "{:?} {} {}", metric, number, threshold);
                prop_assert_eq!(edge.value(metric), Value::Number(threshold));
                prop_assert!(rank < FAILED);
            }
        }
    }
}
