//! The same values in one plain loop: without ticks, deduplication or a tree of networks.

use std::collections::{BTreeMap, HashMap, VecDeque};

use spillway_dataflow::PERFORMANCE_PERIOD_US;
use spillway_events::{MeasurementBatch, Metric, Series, TimeMicros, Value, decode};
use spillway_steering::{FAILED, Rank};

use crate::Values;

const WINDOW_PANES: i64 = 60;
const PANE_US: i64 = 1_000_000;
const PERCENTILE: u64 = 95;
const SAMPLES_MIN: u64 = 20;

/// One window: its samples with their panes, and the count of each rank.
#[derive(Default)]
struct Key {
    samples: VecDeque<(i64, Rank)>,
    counts: Vec<(Rank, u32)>,
    value: Option<Rank>,
}

pub(crate) fn run(ticks: &[(TimeMicros, Vec<Vec<u8>>)]) -> Recorded {
    let mut places: HashMap<Series, usize> = HashMap::new();
    let mut keys: Vec<Key> = Vec::new();
    // The keys that gained in a pane; they lose it at the same time.
    let mut gained: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    let mut values = Vec::new();
    let mut period = None;
    for (now, records) in ticks {
        let pane_now = now.0.div_euclid(PANE_US);
        let mut touched: Vec<usize> = Vec::new();
        while let Some(entry) = gained.first_entry().filter(|entry| *entry.key() <= pane_now - WINDOW_PANES) {
            touched.extend(entry.remove());
        }
        touched.iter().for_each(|key| keys[*key].expire(pane_now - WINDOW_PANES));
        for bytes in records {
            let batch: MeasurementBatch = decode(bytes).unwrap();
            let of_batch: Vec<usize> = batch
                .series
                .into_iter()
                .map(|series| {
                    *places.entry(series).or_insert_with(|| {
                        keys.push(Key::default());
                        keys.len() - 1
                    })
                })
                .collect();
            for measurement in &batch.measurements {
                let key = of_batch[measurement.series as usize];
                let pane = measurement.at_us.0.div_euclid(PANE_US);
                let rank = measurement
                    .response_time_us
                    .map_or(FAILED, |time| Rank::of(Metric::ResponseTime, time.0));
                keys[key].add(pane, rank);
                gained.entry(pane).or_default().push(key);
                touched.push(key);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        touched.iter().for_each(|key| keys[*key].value = keys[*key].value());
        let this_period = now.0.div_euclid(PERFORMANCE_PERIOD_US);
        if period.replace(this_period) != Some(this_period) {
            let with_value =
                keys.iter().enumerate().filter_map(|(place, key)| Some((*now, place, key.value?)));
            values.extend(with_value);
        }
    }
    Recorded { values, places }
}

/// The values at each period, by the key's place, and the places of the keys.
pub(crate) struct Recorded {
    values: Vec<(TimeMicros, usize, Rank)>,
    places: HashMap<Series, usize>,
}

impl Recorded {
    pub(crate) fn values(&self) -> Values {
        let series: HashMap<usize, &Series> =
            self.places.iter().map(|(series, place)| (*place, series)).collect();
        let value = |(at, place, rank): &(TimeMicros, usize, Rank)| {
            let series = series[place];
            let number = match rank.value(Metric::ResponseTime) {
                Value::Number(number) => Some(number),
                Value::Failed => None,
            };
            ((*at, series.site.to_string(), series.target.clone(), series.network.to_string()), number)
        };
        self.values.iter().map(value).collect()
    }
}

impl Key {
    fn add(&mut self, pane: i64, rank: Rank) {
        self.samples.push_back((pane, rank));
        match self.counts.binary_search_by_key(&rank, |(rank, _)| *rank) {
            Ok(at) => self.counts[at].1 += 1,
            Err(at) => self.counts.insert(at, (rank, 1)),
        }
    }

    fn expire(&mut self, last_gone: i64) {
        while let Some((_, rank)) = self.samples.front().copied().filter(|(pane, _)| *pane <= last_gone) {
            self.samples.pop_front();
            let at = self.counts.binary_search_by_key(&rank, |(rank, _)| *rank).unwrap();
            self.counts[at].1 -= 1;
            if self.counts[at].1 == 0 {
                self.counts.remove(at);
            }
        }
    }

    fn value(&self) -> Option<Rank> {
        let samples = self.samples.len() as u64;
        if samples < SAMPLES_MIN {
            return None;
        }
        let mut left = (PERCENTILE * samples).div_ceil(100);
        self.counts.iter().find_map(|(rank, count)| {
            let found = left <= u64::from(*count);
            left = left.saturating_sub(u64::from(*count));
            found.then_some(*rank)
        })
    }
}
