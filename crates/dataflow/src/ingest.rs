//! Reads a tick's records: decodes them, resolves names, and sends samples to the worker of their site.

use std::collections::BTreeMap;

use spillway_events::{
    CdnName, CdnReport, DecodeError, MeasurementBatch, MeasurementColumns, ObjectKind, PartitionOffset,
    Receipt, Rejected, SeriesNames, SourceName, StateItem, StatisticsBatch, Tick, TimeMicros, decode, encode,
    is_avro,
};
use spillway_provisioning::{ObjectId, State};
use spillway_steering::{AHEAD_MAX_US, Directory, Samples, rank_measurement};

use crate::checkpoint::{Restored, encode_state};
use crate::config::Config;
use crate::error::DataflowError;
use crate::input::{InputRecord, InputTopic, TickInput};
use crate::message::{BatchPart, Due, Ingested, Item, RecordId, Routed};
use crate::provisioning::ProvisioningChange;
use crate::repeats::{BatchHead, ToRepeats};
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

/// What `ingest` sends.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) to_steer: Vec<Routed<Ingested>>,
    pub(crate) to_repeats: Vec<Routed<ToRepeats>>,
}

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
        let (config, worker) = (self.config, self.worker);
        let owns = |partition| config.owner(partition) == worker;
        for saved in restored.receipts.iter().filter(|saved| owns(saved.partition)) {
            let unknown = || restored.error("a receipt", format!("topic {} is not an input", saved.topic));
            let key = (InputTopic::of(&saved.topic).ok_or_else(unknown)?, saved.partition);
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
    pub(crate) fn tick(&mut self, mut input: TickInput) -> Result<Sent, DataflowError> {
        let mut sent = Sent::default();
        let due = self.due(&input);
        if let Some(change) = &input.provisioning {
            self.provision(change);
            for (number, why) in &change.not_applied {
                self.reject(&mut sent, "provisioning", 0, *number, 0, why.clone());
            }
        }
        for record in std::mem::take(&mut input.records) {
            self.record(&record, &input.tick, &mut sent);
        }
        if due.receipts {
            let receipts = self.receipts().map(Item::Receipt).map(Ingested::Item);
            sent.to_steer.extend(receipts.map(|receipt| to_itself(self.worker, receipt)));
        }
        if due.checkpoint {
            self.save(&mut sent)?;
        }
        let Tick { number, at_us, restart, .. } = input.tick;
        let of_tick = ToRepeats::Tick { number, at_us, restart, checkpoint: due.checkpoint };
        sent.to_repeats.push(to_itself(self.worker, of_tick));
        sent.to_steer.push(to_itself(self.worker, Ingested::Tick(input, due)));
        Ok(sent)
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

    fn record(&mut self, record: &InputRecord, tick: &Tick, sent: &mut Sent) {
        let receipt = self.receipts.entry((record.topic.clone(), record.partition)).or_default();
        receipt.end = record.offset + 1;
        receipt.records += 1;
        let mut crc = crc32fast::Hasher::new_with_initial(receipt.crc);
        crc.update(&record.bytes);
        receipt.crc = crc.finalize();
        let outcome = match &record.topic {
            InputTopic::Measurements => self.measurements(record, tick.at_us, sent),
            InputTopic::Statistics => self.statistics(record, None, tick.at_us, sent),
            InputTopic::Inbox(cdn) => self.statistics(record, Some(cdn), tick.at_us, sent),
        };
        if let Err(why) = outcome {
            self.reject(sent, &record.topic.name(), record.partition, record.offset, 0, why);
        }
    }

    fn measurements(&mut self, record: &InputRecord, now: TimeMicros, sent: &mut Sent) -> Result<(), String> {
        let text = |error: DecodeError| error.to_string();
        if is_avro(&record.bytes) {
            return self.columns(
                record,
                &MeasurementColumns::decode(&record.bytes).map_err(text)?,
                now,
                sent,
            );
        }
        let batch: MeasurementBatch = decode(&record.bytes).map_err(text)?;
        let bytes = encode(&batch).map_err(text)?;
        self.columns(record, &MeasurementColumns::decode(&bytes).map_err(text)?, now, sent)
    }

    fn columns(
        &mut self,
        record: &InputRecord,
        batch: &MeasurementColumns<'_>,
        now: TimeMicros,
        sent: &mut Sent,
    ) -> Result<(), String> {
        let source = SourceName::new(batch.source()).map_err(|error| format!("source: {error}"))?;
        if !self.directory.has_agent(source.as_str()) {
            self.reject_source(
                sent,
                record,
                batch.measurements_count(),
                "no agent of that name is provisioned",
            );
            return Ok(());
        }
        self.send_to_repeats(record, source, batch.boot(), batch.sequence(), sent);
        let mut of_workers: Vec<Samples> = vec![Samples::default(); self.config.workers_total()];
        let names: Vec<SeriesNames<'_>> = batch.series().collect();
        // Resolved when the first measurement names it.
        let mut series: Vec<Option<Result<(usize, u32), &'static str>>> = vec![None; names.len()];
        let mut refused: BTreeMap<&'static str, u64> = BTreeMap::new();
        for row in batch.rows() {
            // The batch was validated: every index is within its series.
            let index = row.series as usize;
            let resolved = *series[index].get_or_insert_with(|| {
                let worker = self.config.owner(shard(names[index].site));
                Ok((worker, of_workers[worker].add_series(self.directory.series(&names[index])?)))
            });
            let counted = match (resolved, rank_measurement(&row)) {
                (Err(why), _) | (_, Err(why)) => Err(why),
                (Ok(_), Ok(_)) if row.at_us.0.saturating_sub(now.0) > AHEAD_MAX_US => {
                    Err("event time more than 5 minutes ahead")
                }
                (Ok((worker, series)), Ok(ranked)) => {
                    of_workers[worker].push(series, row.at_us.min(now), ranked);
                    Ok(())
                }
            };
            if let Err(why) = counted {
                *refused.entry(why).or_default() += 1;
            }
        }
        for (to, samples) in (0..).zip(of_workers).filter(|(_, samples)| !samples.is_empty()) {
            let message = Ingested::OfBatch(id_of(record), BatchPart::Samples(samples));
            sent.to_steer.push(Routed { to, message });
        }
        for (why, measurements) in refused {
            self.reject_rows(sent, record, measurements, why.to_owned());
        }
        Ok(())
    }

    /// Reads the reports of CDNs about themselves. From the inbox of a CDN, only reports about that CDN (`only`) are
    /// accepted.
    fn statistics(
        &mut self,
        record: &InputRecord,
        only: Option<&CdnName>,
        now: TimeMicros,
        sent: &mut Sent,
    ) -> Result<(), String> {
        let batch: StatisticsBatch = decode(&record.bytes).map_err(|error| error.to_string())?;
        let source = batch.source.as_str();
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
            self.reject_source(sent, record, batch.aggregates.len(), why);
            return Ok(());
        }
        self.send_to_repeats(record, batch.source.clone(), batch.boot, batch.sequence, sent);
        let speaks_for_itself = |cdn: &CdnName| only.is_none_or(|only| only == cdn);
        for aggregate in &batch.aggregates {
            if !speaks_for_itself(&aggregate.cdn) {
                let why = format!(
                    "it reports on CDN {}, but only reports about the CDN of the inbox are accepted",
                    aggregate.cdn
                );
                self.reject_rows(sent, record, 1, why);
                continue;
            }
            if self.state.cdn(&aggregate.cdn).is_none() {
                let why = format!("it reports on CDN {}, which is not provisioned", aggregate.cdn);
                self.reject_rows(sent, record, 1, why);
                continue;
            }
            if aggregate.at_us.0.saturating_sub(now.0) > AHEAD_MAX_US {
                let why = String::from("event time more than 5 minutes ahead");
                self.reject_rows(sent, record, 1, why);
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
            let part = |to| {
                let message = Ingested::OfBatch(id_of(record), BatchPart::Statistics(report.clone()));
                Routed { to, message }
            };
            sent.to_steer.extend(everybody.map(part));
        }
        Ok(())
    }

    /// Sends a batch of a known source to the worker that judges whether it is a repeat.
    fn send_to_repeats(
        &self,
        record: &InputRecord,
        source: SourceName,
        boot: u64,
        sequence: u64,
        sent: &mut Sent,
    ) {
        let to = self.config.owner(shard(source.as_str())) as u64;
        let message = ToRepeats::Batch(BatchHead { record: id_of(record), source, boot, sequence });
        sent.to_repeats.push(Routed { to, message });
    }

    /// Rejects rows of a batch, if the batch counts.
    fn reject_rows(&self, sent: &mut Sent, record: &InputRecord, measurements: u64, why: String) {
        let (topic, partition, offset) = (record.topic.name(), record.partition, record.offset);
        let rejected = BatchPart::Rejected(Rejected { topic, partition, offset, measurements, why });
        sent.to_steer.push(to_itself(self.worker, Ingested::OfBatch(id_of(record), rejected)));
    }

    fn reject(
        &self,
        sent: &mut Sent,
        topic: &str,
        partition: u32,
        offset: u64,
        measurements: u64,
        why: String,
    ) {
        let rejected = Rejected { topic: topic.to_owned(), partition, offset, measurements, why };
        // Every worker applies the provisioning; one of them reports what was wrong with it.
        if topic != "provisioning" || self.worker == 0 {
            sent.to_steer.push(to_itself(self.worker, Ingested::Item(Item::Rejected(rejected))));
        }
    }

    /// Rejects a batch of an unknown source.
    fn reject_source(&self, sent: &mut Sent, record: &InputRecord, count: usize, why: &str) {
        let (topic, count, why) = (record.topic.name(), count as u64, format!("unknown source: {why}"));
        self.reject(sent, &topic, record.partition, record.offset, count, why);
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

    fn save(&self, sent: &mut Sent) -> Result<(), DataflowError> {
        for receipt in self.receipts() {
            let (shard, bytes) = encode_state(0, &StateItem::Receipt(receipt))?;
            sent.to_steer.push(to_itself(self.worker, Ingested::Item(Item::State(shard, bytes))));
        }
        Ok(())
    }
}

fn id_of(record: &InputRecord) -> RecordId {
    RecordId { topic: record.topic.clone(), partition: record.partition, offset: record.offset }
}

fn to_itself<M>(worker: usize, message: M) -> Routed<M> {
    Routed { to: worker as u64, message }
}
