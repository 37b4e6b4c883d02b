//! Reads a tick's records: decodes, drops repeats, resolves names, and hands samples to the worker of their site.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use spillway_events::{
    CdnName, MeasurementBatch, Receipt, Rejected, SourceName, StatisticsBatch, TimeMicros, decode,
};
use spillway_provisioning::State;
use spillway_steering::{AHEAD_MAX_US, Directory, NOTHING, Sample, rank_measurement};

use crate::checkpoint::Restored;
use crate::config::Config;
use crate::dedupe::{Judgement, Seen};
use crate::input::{InputRecord, InputTopic, TickInput};
use crate::message::{CdnReport, Due, Ingested, Item, Routed, StateItem};
use crate::shard::shard;

/// The version of the rules that this release decides by.
pub const RULES_VERSION: u32 = 1;

const SECOND_US: i64 = 1_000_000;

/// The state of one worker's `ingest`.
pub(crate) struct Ingest {
    config: Config,
    worker: usize,
    state: State,
    directory: Directory,
    seen: FxHashMap<(InputTopic, u32, SourceName), Seen>,
    receipts: BTreeMap<(InputTopic, u32), ReceiptState>,
    previous_at: Option<TimeMicros>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct ReceiptState {
    end: u64,
    records: u64,
    crc: u32,
}

/// What a checkpoint holds of `ingest`.
#[derive(Debug, Serialize, Deserialize)]
enum Saved {
    Seen { topic: InputTopic, partition: u32, source: SourceName, seen: Seen },
    Receipt { topic: InputTopic, partition: u32, receipt: ReceiptState },
}

type Routes = Vec<Routed<Ingested>>;

impl Ingest {
    pub(crate) fn new(config: Config, worker: usize, restored: Option<&Restored>) -> Self {
        let mut ingest = Self {
            config,
            worker,
            state: State::default(),
            directory: Directory::default(),
            seen: FxHashMap::default(),
            receipts: BTreeMap::new(),
            previous_at: None,
        };
        if let Some(restored) = restored {
            ingest.previous_at = Some(restored.at());
            ingest.state = restored.provisioning();
            ingest.update_directory();
            for saved in restored.items::<Saved>("ingest") {
                ingest.restore(saved);
            }
        }
        ingest
    }

    fn restore(&mut self, saved: Saved) {
        let owned = |partition| self.config.owner(partition) == self.worker;
        match saved {
            Saved::Seen { topic, partition, source, seen } if owned(partition) => {
                self.seen.insert((topic, partition, source), seen);
            }
            Saved::Receipt { topic, partition, receipt } if owned(partition) => {
                self.receipts.insert((topic, partition), receipt);
            }
            _ => {}
        }
    }

    fn update_directory(&mut self) {
        self.directory.update(self.state.sites().map(|site| site.site), self.state.probes());
    }

    /// Everything that one tick sends on from this worker.
    pub(crate) fn tick(&mut self, mut input: TickInput) -> Routes {
        let mut routes = Routes::new();
        let (now, due) = (input.tick.at_us, self.due(input.tick.at_us));
        for record in &input.provisioning {
            if let Err(error) = self.state.apply(record) {
                let why = error.to_string();
                self.reject(&mut routes, "provisioning", 0, record.number, 0, why);
            }
        }
        if !input.provisioning.is_empty() {
            self.update_directory();
        }
        let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); self.config.workers_total()];
        for record in std::mem::take(&mut input.records) {
            self.record(&record, now, &mut samples, &mut routes);
        }
        for (to, samples) in (0..).zip(samples) {
            if !samples.is_empty() {
                routes.push(Routed { to, message: Ingested::Samples(samples) });
            }
        }
        if due.receipts {
            let receipts = self.receipts.iter().map(|((topic, partition), receipt)| Receipt {
                topic: topic.name(),
                partition: *partition,
                end: receipt.end,
                records: receipt.records,
                crc: receipt.crc,
            });
            routes.extend(
                receipts.map(|receipt| to_itself(self.worker, Ingested::Item(Item::Receipt(receipt)))),
            );
        }
        if due.checkpoint {
            self.save(&mut routes);
        }
        routes.push(to_itself(self.worker, Ingested::Tick(input, due)));
        routes
    }

    fn due(&mut self, now: TimeMicros) -> Due {
        let before = self.previous_at.replace(now);
        let crossed = |period_us: i64| {
            before.is_none_or(|before| before.0.div_euclid(period_us) < now.0.div_euclid(period_us))
        };
        Due {
            performance: crossed(self.config.performance_period_us),
            heartbeat: crossed(SECOND_US),
            full_table: crossed(3_600 * SECOND_US),
            receipts: crossed(60 * SECOND_US),
            // Not at the first tick: there is no state yet.
            checkpoint: before.is_some() && self.config.checkpoint_period_us.is_some_and(crossed),
        }
    }

    fn record(
        &mut self,
        record: &InputRecord,
        now: TimeMicros,
        samples: &mut [Vec<Sample>],
        routes: &mut Routes,
    ) {
        let receipt = self.receipts.entry((record.topic.clone(), record.partition)).or_default();
        receipt.end = record.offset + 1;
        receipt.records += 1;
        let mut crc = crc32fast::Hasher::new_with_initial(receipt.crc);
        crc.update(&record.bytes);
        receipt.crc = crc.finalize();
        let outcome = match &record.topic {
            InputTopic::Measurements => self.measurements(record, now, samples, routes),
            InputTopic::Statistics => self.statistics(record, None, now, routes),
            InputTopic::Inbox(cdn) => self.statistics(record, Some(cdn), now, routes),
        };
        if let Err(why) = outcome {
            self.reject(routes, &record.topic.name(), record.partition, record.offset, 0, why);
        }
    }

    fn measurements(
        &mut self,
        record: &InputRecord,
        now: TimeMicros,
        samples: &mut [Vec<Sample>],
        routes: &mut Routes,
    ) -> Result<(), String> {
        let batch: MeasurementBatch = decode(&record.bytes).map_err(|error| error.to_string())?;
        if !self.is_new(record, &batch.source, batch.boot, batch.sequence)? {
            return Ok(());
        }
        let series: Vec<Result<(usize, Sample), &'static str>> =
            batch.series.iter().map(|series| self.resolve(series)).collect();
        let mut refused: BTreeMap<&'static str, u64> = BTreeMap::new();
        for measurement in &batch.measurements {
            let ranks = rank_measurement(measurement);
            let ahead = measurement.at_us.0.saturating_sub(now.0) > AHEAD_MAX_US;
            // The record was validated: every index is within the batch's series.
            match (&series[measurement.series as usize], ranks) {
                (Err(why), _) => *refused.entry(why).or_default() += 1,
                (_, Err(why)) => *refused.entry(why).or_default() += 1,
                (Ok(_), Ok(_)) if ahead => {
                    *refused.entry("event time more than 5 minutes ahead").or_default() += 1
                }
                (Ok((worker, series)), Ok((response_time, bandwidth))) => {
                    let at_us = measurement.at_us.min(now);
                    samples[*worker].push(Sample { response_time, bandwidth, at_us, ..*series });
                }
            }
        }
        for (why, measurements) in refused {
            let (topic, partition) = (record.topic.name(), record.partition);
            self.reject(routes, &topic, partition, record.offset, measurements, why.to_owned());
        }
        Ok(())
    }

    /// The worker of a series' site, and a sample of it to fill in.
    fn resolve(&self, series: &spillway_events::Series) -> Result<(usize, Sample), &'static str> {
        let (site, target) =
            self.directory.target(&series.site, &series.target).ok_or("unknown site or target")?;
        let probe = self.directory.probe(&series.agent, &series.network).ok_or("probe not provisioned")?;
        let worker = self.config.owner(shard(series.site.as_str()));
        let empty = (NOTHING, NOTHING, TimeMicros(0));
        Ok((
            worker,
            Sample { site, probe, target, response_time: empty.0, bandwidth: empty.1, at_us: empty.2 },
        ))
    }

    /// What CDNs report of themselves; of `only` this one where an inbox says who speaks.
    fn statistics(
        &mut self,
        record: &InputRecord,
        only: Option<&CdnName>,
        now: TimeMicros,
        routes: &mut Routes,
    ) -> Result<(), String> {
        let batch: StatisticsBatch = decode(&record.bytes).map_err(|error| error.to_string())?;
        if !self.is_new(record, &batch.source, batch.boot, batch.sequence)? {
            return Ok(());
        }
        let speaks_for_itself = |cdn: &CdnName| only.is_none_or(|only| only == cdn);
        for aggregate in &batch.aggregates {
            if !speaks_for_itself(&aggregate.cdn) {
                let (topic, partition) = (record.topic.name(), record.partition);
                let why =
                    format!("it reports on CDN {}, but an inbox speaks for its own alone", aggregate.cdn);
                self.reject(routes, &topic, partition, record.offset, 1, why);
                continue;
            }
            if aggregate.at_us.0.saturating_sub(now.0) > AHEAD_MAX_US {
                let (topic, partition) = (record.topic.name(), record.partition);
                let why = String::from("event time more than 5 minutes ahead");
                self.reject(routes, &topic, partition, record.offset, 1, why);
                continue;
            }
            let report = CdnReport {
                cdn: aggregate.cdn.clone(),
                at: aggregate.at_us.min(now),
                source: batch.source.clone(),
                boot: batch.boot,
                sequence: batch.sequence,
                usable: aggregate.is_usable(),
            };
            let everybody = 0..self.config.workers_total() as u64;
            routes.extend(everybody.map(|to| Routed { to, message: Ingested::Statistics(report.clone()) }));
        }
        Ok(())
    }

    fn is_new(
        &mut self,
        record: &InputRecord,
        source: &SourceName,
        boot: u64,
        sequence: u64,
    ) -> Result<bool, String> {
        let key = (record.topic.clone(), record.partition, source.clone());
        match self.seen.entry(key).or_default().judge(boot, sequence) {
            Judgement::New => Ok(true),
            Judgement::Repeat => Ok(false),
            Judgement::TooOld => Err(format!(
                "batch {sequence} of boot {boot} of {source} comes too late to tell whether it is a repeat"
            )),
        }
    }

    fn reject(
        &self,
        routes: &mut Routes,
        topic: &str,
        partition: u32,
        offset: u64,
        measurements: u64,
        why: String,
    ) {
        let rejected = Rejected { topic: topic.to_owned(), partition, offset, measurements, why };
        // Every worker applies provisioning; one of them says what was wrong with it.
        if topic != "provisioning" || self.worker == 0 {
            routes.push(to_itself(self.worker, Ingested::Item(Item::Rejected(rejected))));
        }
    }

    fn save(&self, routes: &mut Routes) {
        let seen = self.seen.iter().map(|((topic, partition, source), seen)| {
            let saved = Saved::Seen {
                topic: topic.clone(),
                partition: *partition,
                source: source.clone(),
                seen: seen.clone(),
            };
            (shard(source.as_str()), saved)
        });
        let receipts = self.receipts.iter().map(|((topic, partition), receipt)| {
            (0, Saved::Receipt { topic: topic.clone(), partition: *partition, receipt: *receipt })
        });
        for (shard, saved) in seen.chain(receipts) {
            let Ok(text) = serde_json::to_string(&saved) else { continue };
            let item = StateItem { operator: String::from("ingest"), shard, text };
            routes.push(to_itself(self.worker, Ingested::Item(Item::State(item))));
        }
    }
}

fn to_itself<M>(worker: usize, message: M) -> Routed<M> {
    Routed { to: worker as u64, message }
}
