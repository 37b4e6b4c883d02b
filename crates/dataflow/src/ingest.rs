//! Reads a tick's records: decodes them, drops repeats, resolves names, and sends samples to the worker of their site.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use spillway_events::{
    CdnName, CdnReport, MeasurementBatch, ObjectKind, PartitionOffset, Receipt, Rejected, SeenBoot,
    SourceName, StateItem, StatisticsBatch, Tick, TimeMicros, decode,
};
use spillway_provisioning::{ObjectId, State};
use spillway_steering::{AHEAD_MAX_US, Directory, Sample, rank_measurement};

use crate::checkpoint::{Restored, encode_state};
use crate::config::Config;
use crate::dedupe::{BOOTS_MAX, BootSeen, Judgement, SEQUENCES, Seen};
use crate::error::DataflowError;
use crate::input::{InputRecord, InputTopic, TickInput};
use crate::message::{Due, Ingested, Item, Routed};
use crate::provisioning::ProvisioningChange;
use crate::shard::shard;

/// The version of the rules that this release decides by.
pub const RULES_VERSION: u32 = 1;

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;

/// The state of one worker's `ingest`.
pub(crate) struct Ingest {
    config: Config,
    worker: usize,
    state: State,
    directory: Directory,
    /// By topic, partition and source. Batches are keyed by their source, so all batches of a source are in one partition.
    seen: FxHashMap<(InputTopic, u32, SourceName), Seen>,
    receipts: BTreeMap<(InputTopic, u32), ReceiptState>,
    previous_at: Option<TimeMicros>,
    previous_offsets: Vec<PartitionOffset>,
    /// Whether anything has been read since the last checkpoint.
    has_read: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct ReceiptState {
    end: u64,
    records: u64,
    crc: u32,
}

type Routes = Vec<Routed<Ingested>>;

impl Ingest {
    pub(crate) fn new(
        config: Config,
        worker: usize,
        restored: Option<&Restored>,
    ) -> Result<Self, DataflowError> {
        let mut ingest = Self {
            config,
            worker,
            state: State::default(),
            directory: Directory::default(),
            seen: FxHashMap::default(),
            receipts: BTreeMap::new(),
            previous_at: None,
            previous_offsets: Vec::new(),
            has_read: false,
        };
        if let Some(restored) = restored {
            ingest.previous_at = Some(restored.at());
            ingest.provision(&ProvisioningChange::of_checkpoint(restored));
            ingest.restore(restored)?;
        }
        Ok(ingest)
    }

    fn restore(&mut self, restored: &Restored) -> Result<(), DataflowError> {
        let topic_of = |topic: &str, part| {
            let unknown = || restored.error(part, format!("topic {topic} is not an input"));
            InputTopic::of(topic).ok_or_else(unknown)
        };
        let (config, worker) = (self.config, self.worker);
        let owns = |partition| config.owner(partition) == worker;
        for saved in restored.seen.iter().filter(|saved| owns(saved.partition)) {
            let part = "the deduplication state of a source";
            let seen = BootSeen::new(saved.highest, &saved.bitmap, saved.last_tick, saved.last_at_us);
            let seen = seen.ok_or_else(|| {
                restored.error(part, format!("{}: a bitmap of another length", saved.source))
            })?;
            let key = (topic_of(&saved.topic, part)?, saved.partition, saved.source.clone());
            self.seen.entry(key).or_default().insert(saved.boot, seen);
        }
        for saved in restored.receipts.iter().filter(|saved| owns(saved.partition)) {
            let key = (topic_of(&saved.topic, "a receipt")?, saved.partition);
            let receipt = ReceiptState { end: saved.end, records: saved.records, crc: saved.crc };
            self.receipts.insert(key, receipt);
        }
        Ok(())
    }

    fn provision(&mut self, change: &ProvisioningChange) {
        self.state = change.state.clone();
        self.directory.update(&change.state, &change.changed, &change.deleted);
    }

    /// Everything that this worker sends for one tick.
    ///
    /// # Errors
    /// If state cannot be encoded for a checkpoint.
    pub(crate) fn tick(&mut self, mut input: TickInput) -> Result<Routes, DataflowError> {
        let mut routes = Routes::new();
        if input.tick.restart {
            self.seen.values_mut().for_each(|seen| seen.restart_time(input.tick.at_us));
        }
        let due = self.due(&input);
        if let Some(change) = &input.provisioning {
            self.provision(change);
            for (number, why) in &change.not_applied {
                self.reject(&mut routes, "provisioning", 0, *number, 0, why.clone());
            }
        }
        let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); self.config.workers_total()];
        for record in std::mem::take(&mut input.records) {
            self.record(&record, &input.tick, &mut samples, &mut routes);
        }
        for (to, samples) in (0..).zip(samples) {
            if !samples.is_empty() {
                routes.push(Routed { to, message: Ingested::Samples(samples) });
            }
        }
        if due.receipts {
            let receipts = self.receipts().map(Item::Receipt).map(Ingested::Item);
            routes.extend(receipts.map(|receipt| to_itself(self.worker, receipt)));
        }
        if due.checkpoint {
            self.save(&mut routes)?;
        }
        routes.push(to_itself(self.worker, Ingested::Tick(input, due)));
        Ok(routes)
    }

    /// Which periodic records are due. A minute in which no tick read anything needs no checkpoint of its own: the ticks since
    /// the last one are replayed from it at once. So an idle installation writes its state every hour.
    fn due(&mut self, input: &TickInput) -> Due {
        let now = input.tick.at_us;
        let before = self.previous_at.replace(now);
        self.has_read |= input.provisioning.is_some() || input.tick.offsets != self.previous_offsets;
        self.previous_offsets.clone_from(&input.tick.offsets);
        let crossed = |period_us: i64| {
            before.is_none_or(|before| before.0.div_euclid(period_us) != now.0.div_euclid(period_us))
        };
        let hour = crossed(HOUR_US);
        let period = self.config.checkpoint_period_us.filter(|_| before.is_some());
        // Not at the first tick: there is no state yet.
        let checkpoint = period.is_some_and(|period_us| hour || (crossed(period_us) && self.has_read));
        self.has_read &= !checkpoint;
        Due {
            performance: crossed(self.config.performance_period_us),
            heartbeat: crossed(SECOND_US),
            full_table: hour,
            receipts: crossed(60 * SECOND_US),
            checkpoint,
        }
    }

    fn record(
        &mut self,
        record: &InputRecord,
        tick: &Tick,
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
            InputTopic::Measurements => self.measurements(record, tick, samples, routes),
            InputTopic::Statistics => self.statistics(record, None, tick, routes),
            InputTopic::Inbox(cdn) => self.statistics(record, Some(cdn), tick, routes),
        };
        if let Err(why) = outcome {
            self.reject(routes, &record.topic.name(), record.partition, record.offset, 0, why);
        }
    }

    fn measurements(
        &mut self,
        record: &InputRecord,
        tick: &Tick,
        samples: &mut [Vec<Sample>],
        routes: &mut Routes,
    ) -> Result<(), String> {
        let batch: MeasurementBatch = decode(&record.bytes).map_err(|error| error.to_string())?;
        let now = tick.at_us;
        if !self.directory.has_agent(batch.source.as_str()) {
            self.reject_source(
                routes,
                record,
                batch.measurements.len(),
                "no agent of that name is provisioned",
            );
            return Ok(());
        }
        if !self.is_new(record, &batch.source, batch.boot, batch.sequence, tick)? {
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
        let sample =
            Sample { site, probe, target, response_time: None, bandwidth: None, at_us: TimeMicros(0) };
        Ok((worker, sample))
    }

    /// Reads the reports of CDNs about themselves. From the inbox of a CDN, only reports about that CDN (`only`) are
    /// accepted.
    fn statistics(
        &mut self,
        record: &InputRecord,
        only: Option<&CdnName>,
        tick: &Tick,
        routes: &mut Routes,
    ) -> Result<(), String> {
        let batch: StatisticsBatch = decode(&record.bytes).map_err(|error| error.to_string())?;
        let (now, source) = (tick.at_us, batch.source.as_str());
        let is_known = match only {
            Some(cdn) => cdn.as_str() == source,
            None => [ObjectKind::Cdn, ObjectKind::Site]
                .into_iter()
                .any(|kind| self.state.changed(&ObjectId::new(kind, source)).is_some()),
        };
        if !is_known {
            let why = match only {
                Some(_) => "the inbox belongs to another source",
                None => "no CDN or site of that name is provisioned",
            };
            self.reject_source(routes, record, batch.aggregates.len(), why);
            return Ok(());
        }
        if !self.is_new(record, &batch.source, batch.boot, batch.sequence, tick)? {
            return Ok(());
        }
        let speaks_for_itself = |cdn: &CdnName| only.is_none_or(|only| only == cdn);
        for aggregate in &batch.aggregates {
            if !speaks_for_itself(&aggregate.cdn) {
                let (topic, partition) = (record.topic.name(), record.partition);
                let why = format!(
                    "it reports on CDN {}, but only reports about the CDN of the inbox are accepted",
                    aggregate.cdn
                );
                self.reject(routes, &topic, partition, record.offset, 1, why);
                continue;
            }
            if self.state.cdn(&aggregate.cdn).is_none() {
                let (topic, partition) = (record.topic.name(), record.partition);
                let why = format!("it reports on CDN {}, which is not provisioned", aggregate.cdn);
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
                at_us: aggregate.at_us.min(now),
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
        tick: &Tick,
    ) -> Result<bool, String> {
        let key = (record.topic.clone(), record.partition, source.clone());
        match self.seen.entry(key).or_default().judge(boot, sequence, tick.number, tick.at_us) {
            Judgement::New => Ok(true),
            Judgement::Repeat => Ok(false),
            Judgement::TooOld => Err(format!(
                "batch {sequence} of boot {boot} of {source} is {SEQUENCES} or more behind the latest: whether it is a \
                 repeat cannot be told"
            )),
            Judgement::TooManyBoots => Err(format!(
                "boot {boot} of {source} is new, but {BOOTS_MAX} boots have been heard and none is 6 hours old"
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
        // Every worker applies the provisioning; one of them reports what was wrong with it.
        if topic != "provisioning" || self.worker == 0 {
            routes.push(to_itself(self.worker, Ingested::Item(Item::Rejected(rejected))));
        }
    }

    /// Rejects a batch of an unknown source.
    fn reject_source(&self, routes: &mut Routes, record: &InputRecord, count: usize, why: &str) {
        let (topic, count, why) = (record.topic.name(), count as u64, format!("unknown source: {why}"));
        self.reject(routes, &topic, record.partition, record.offset, count, why);
    }

    fn receipts(&self) -> impl Iterator<Item = Receipt> {
        self.receipts.iter().map(|((topic, partition), receipt)| Receipt {
            topic: topic.name(),
            partition: *partition,
            end: receipt.end,
            records: receipt.records,
            crc: receipt.crc,
        })
    }

    fn save(&self, routes: &mut Routes) -> Result<(), DataflowError> {
        let mut save = |shard, item| {
            let (shard, bytes) = encode_state(shard, item)?;
            routes.push(to_itself(self.worker, Ingested::Item(Item::State(shard, bytes))));
            Ok(())
        };
        for ((topic, partition, source), seen) in &self.seen {
            for (boot, seen) in seen.boots() {
                let saved = SeenBoot {
                    topic: topic.name(),
                    partition: *partition,
                    source: source.clone(),
                    boot,
                    highest: seen.highest,
                    bitmap: seen.bitmap(),
                    last_tick: seen.last_tick,
                    last_at_us: seen.last_at,
                };
                save(shard(source.as_str()), StateItem::SeenBoot(saved))?;
            }
        }
        self.receipts().try_for_each(|receipt| save(0, StateItem::Receipt(receipt)))
    }
}

fn to_itself<M>(worker: usize, message: M) -> Routed<M> {
    Routed { to: worker as u64, message }
}
