//! Three significant digits, ranks, permille.

use std::cmp::Ordering;

use spillway_events::{Metric, Value};

/// The number of three significant digits that stands for a measured one: response time down, throughput up.
pub(super) fn rounded(metric: Metric, number: u64) -> u64 {
    let mut step = 1;
    while number / step >= 1_000 {
        step *= 10;
    }
    match metric {
        Metric::ResponseTime => number / step * step,
        Metric::AvailableBandwidth => number.div_ceil(step) * step,
    }
}

/// Better first; a failure is worse than any number.
pub(super) fn better(metric: Metric, a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Failed, Value::Failed) => Ordering::Equal,
        (Value::Number(_), Value::Failed) => Ordering::Less,
        (Value::Failed, Value::Number(_)) => Ordering::Greater,
        (Value::Number(a), Value::Number(b)) => match metric {
            Metric::ResponseTime => a.cmp(b),
            Metric::AvailableBandwidth => b.cmp(a),
        },
    }
}

/// The value of rank ⌈p · n / 100⌉ from the best; nothing of an empty list.
pub(super) fn percentile(metric: Metric, mut values: Vec<Value>, percentile: u32) -> Option<Value> {
    values.sort_by(|a, b| better(metric, a, b));
    let rank = (values.len() * percentile as usize).div_ceil(100);
    values.get(rank.checked_sub(1)?).copied()
}

/// The value of rank ⌈n / 2⌉ from the best; nothing of an empty list.
pub(super) fn middle(metric: Metric, mut values: Vec<Value>) -> Option<Value> {
    values.sort_by(|a, b| better(metric, a, b));
    let rank = values.len().div_ceil(2);
    values.get(rank.checked_sub(1)?).copied()
}

/// How bad a value is against the level agreed, 1000 being the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Permille {
    Finite(u128),
    Infinite,
}

pub(super) fn permille(metric: Metric, value: Value, agreed: u64) -> Permille {
    let Value::Number(number) = value else { return Permille::Infinite };
    let (over, under) = match metric {
        Metric::ResponseTime => (number, agreed),
        Metric::AvailableBandwidth => (agreed, number),
    };
    (u128::from(over) * 1_000).checked_div(u128::from(under)).map_or(Permille::Infinite, Permille::Finite)
}
