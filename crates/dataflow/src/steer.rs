//! The sites of one worker: applies a tick's provisioning, samples and statistics, and emits what changed.

use std::collections::{BTreeMap, HashSet};

use spillway_events::{
    CdnName, CdnReport, Event, Fact, ObjectKind, Revision, SiteName, StateItem, TimeMicros,
};
use spillway_provisioning::{SavedObject, State};
use spillway_steering::Steering;

use crate::checkpoint::{Restored, encode_state};
use crate::config::Config;
use crate::error::DataflowError;
use crate::input::TickInput;
use crate::message::{BatchPart, Due, Ingested, Item, Routed};
use crate::performance::encode;
use crate::provisioning::ProvisioningChange;
use crate::shard::shard;

/// The state of one worker's `steer`.
pub(crate) struct Steer {
    config: Config,
    worker: usize,
    state: State,
    steering: Steering,
    /// The latest report of each CDN.
    reports: BTreeMap<CdnName, CdnReport>,
}

impl Steer {
    pub(crate) fn new(
        config: Config,
        worker: usize,
        restored: Option<&Restored>,
    ) -> Result<Self, DataflowError> {
        let mut steer = Self {
            config,
            worker,
            state: State::default(),
            steering: Steering::default(),
            reports: BTreeMap::new(),
        };
        if let Some(restored) = restored {
            steer.provision(&ProvisioningChange::of_checkpoint(restored));
            // Before the sites are restored, because their routes were decided with the CDNs that were usable.
            restored.reports.iter().cloned().for_each(|report| steer.report(report));
            steer
                .steering
                .restore((restored.at(), restored.greatest_at), &restored.routes, &restored.windows)
                .map_err(|(site, error)| restored.error("the state of a site", format!("{site}: {error}")))?;
        }
        Ok(steer)
    }

    fn provision(&mut self, change: &ProvisioningChange) {
        let (worker, config) = (self.worker, self.config);
        let owns = |site: &SiteName| config.owner(shard(site.as_str())) == worker;
        self.steering.provision(&change.state, &change.changed, &change.deleted, owns);
        // A CDN of the same name that is created later has reported nothing yet.
        let cdns = change.deleted.iter().filter(|id| id.kind == ObjectKind::Cdn);
        cdns.for_each(|id| _ = self.reports.remove(&*id.name));
        self.state = change.state.clone();
    }

    /// The greatest (event time, source, boot, sequence) is the latest; if all are equal, within one batch, the report of an
    /// unusable CDN is the latest.
    fn report(&mut self, report: CdnReport) {
        let order = |report: &CdnReport| {
            (report.at_us, report.source.clone(), report.boot, report.sequence, !report.usable)
        };
        let latest = self.reports.entry(report.cdn.clone()).or_insert_with(|| report.clone());
        if order(&report) > order(latest) {
            *latest = report;
        }
        self.steering.set_usable(&latest.cdn, latest.usable);
    }

    /// Everything that this worker sends for one complete tick.
    ///
    /// # Errors
    /// If state cannot be encoded for a checkpoint.
    pub(crate) fn tick(&mut self, messages: Vec<Ingested>) -> Result<Vec<Routed<Item>>, DataflowError> {
        let mut items = Vec::new();
        let mut input: Option<(TickInput, Due)> = None;
        let (mut parts, mut not_counted) = (Vec::new(), HashSet::new());
        for message in messages {
            match message {
                Ingested::Tick(of_tick, due) => input = Some((of_tick, due)),
                Ingested::OfBatch(record, part) => parts.push((record, part)),
                Ingested::NotCounted(record) => _ = not_counted.insert(record),
                Ingested::Item(item) => items.push(self.route(item)),
            }
        }
        let Some((input, due)) = input else { return Ok(items) };
        if input.tick.restart {
            self.steering.forget_evidence(input.tick.at_us);
            self.reports.clear();
        }
        if let Some(change) = &input.provisioning {
            self.provision(change);
        }
        if input.accepts_loss() {
            self.steering.redecide_all();
        }
        let (tick, now) = (input.tick.number, input.tick.at_us);
        for (_, part) in parts.into_iter().filter(|(record, _)| !not_counted.contains(record)) {
            match part {
                BatchPart::Samples(samples) => self.steering.add(&samples, now),
                BatchPart::Statistics(report) => self.report(report),
                BatchPart::Rejected(rejected) => items.push(self.route(Item::Rejected(rejected))),
            }
        }
        let decisions = self.steering.decide(tick, now).into_iter().map(Item::Decision);
        items.extend(decisions.map(|item| self.route(item)));
        if due.performance {
            let performance = encode(self.steering.performance(now), self.config.output_partitions)?;
            let of_partition = |(partition, run)| self.route(Item::Performance(partition, run));
            items.extend(performance.into_iter().map(of_partition));
        }
        if due.checkpoint {
            let state = self.save()?.into_iter().map(|(shard, bytes)| Item::State(shard, bytes));
            items.extend(state.map(|item| self.route(item)));
        }
        items.push(Routed { to: self.worker as u64, message: Item::Tick(input, due) });
        Ok(items)
    }

    /// The worker of an item's output partition. Decisions go to worker 0, because the publisher needs them; worker 0 frames
    /// them for every partition. State goes to the first worker of this process, which writes its part of the checkpoint.
    fn route(&self, item: Item) -> Routed<Item> {
        let to = match &item {
            Item::Performance(partition, _) => self.config.owner(*partition),
            Item::State(..) => self.config.first_worker(),
            _ => self.config.owner(0),
        };
        Routed { to: to as u64, message: item }
    }

    fn save(&self) -> Result<Vec<(u32, Vec<u8>)>, DataflowError> {
        let of_site = |site: &SiteName, item: &StateItem| encode_state(shard(site.as_str()), item);
        let routes = self.steering.save_routes();
        let routes = routes.map(|routes| of_site(&routes.site.clone(), &StateItem::SiteRoutes(routes)));
        let windows = self.steering.save_windows();
        let windows =
            windows.map(|windows| of_site(&windows.site.clone(), &StateItem::SeriesWindows(windows)));
        let mut items: Vec<(u32, Vec<u8>)> = routes.chain(windows).collect::<Result<_, _>>()?;
        // All workers have the same values of these, so one of them saves them.
        if self.worker == 0 {
            let revision = StateItem::Revision(Revision {
                revision: self.state.revision(),
                greatest_at_us: self.steering.greatest_at().unwrap_or(TimeMicros(0)),
            });
            items.push(encode_state(0, &revision)?);
            for SavedObject { object, changed, agreement } in self.state.saved_objects() {
                let fact = Fact { changed, agreement, event: object };
                items.push(encode_state(0, &StateItem::Fact(fact))?);
            }
            for gap in self.state.gaps() {
                let fact = Fact { changed: 0, agreement: 0, event: Event::Gap(gap.clone()) };
                items.push(encode_state(0, &StateItem::Fact(fact))?);
            }
            for report in self.reports.values() {
                items.push(encode_state(0, &StateItem::CdnReport(report.clone()))?);
            }
        }
        Ok(items)
    }
}
