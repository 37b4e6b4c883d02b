//! The sites of one worker: applies a tick's facts, samples and statistics, and says what changed.

use std::collections::{BTreeMap, BTreeSet};

use spillway_events::{CdnName, SiteName};
use spillway_provisioning::State;
use spillway_steering::Steering;

use crate::checkpoint::Restored;
use crate::config::Config;
use crate::input::TickInput;
use crate::message::{CdnReport, Due, Ingested, Item, Routed, StateItem};
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
    pub(crate) fn new(config: Config, worker: usize, restored: Option<&Restored>) -> Self {
        let mut steer = Self {
            config,
            worker,
            state: State::default(),
            steering: Steering::default(),
            reports: BTreeMap::new(),
        };
        if let Some(restored) = restored {
            steer.state = restored.provisioning();
            steer.provision();
            for report in restored.items::<CdnReport>("statistics") {
                steer.report(report);
            }
            for saved in restored.texts("steer") {
                // The checkpoint was verified whole; a text that does not read is of another version.
                if steer.steering.restore(&saved).is_err() {
                    steer.steering = Steering::default();
                    steer.provision();
                    break;
                }
            }
        }
        steer
    }

    fn provision(&mut self) {
        let sites: Vec<_> = self.state.sites().map(|site| (site.site, site.agreement)).collect();
        let networks: Vec<_> = self.state.networks().map(|n| (&n.name, &n.parent)).collect();
        let probes: Vec<_> = self.state.probes().collect();
        let (worker, config) = (self.worker, self.config);
        let owns = |site: &SiteName| config.owner(shard(site.as_str())) == worker;
        self.steering.provision(&sites, &networks, &probes, owns);
    }

    /// The greatest (event time, source, boot, sequence) is the latest; where all are equal, within one batch,
    /// the one that calls the CDN unusable.
    fn report(&mut self, report: CdnReport) {
        let order = |report: &CdnReport| {
            (report.at, report.source.clone(), report.boot, report.sequence, !report.usable)
        };
        let latest = self.reports.entry(report.cdn.clone()).or_insert_with(|| report.clone());
        if order(&report) > order(latest) {
            *latest = report;
        }
        self.steering.set_usable(&latest.cdn, latest.usable);
    }

    /// Everything that one complete tick sends on from this worker.
    pub(crate) fn tick(&mut self, messages: Vec<Ingested>) -> Vec<Routed<Item>> {
        let mut items = Vec::new();
        let mut input: Option<(TickInput, Due)> = None;
        let mut samples = Vec::new();
        let mut reports = Vec::new();
        for message in messages {
            match message {
                Ingested::Tick(of_tick, due) => input = Some((of_tick, due)),
                Ingested::Samples(some) => samples.push(some),
                Ingested::Statistics(report) => reports.push(report),
                Ingested::Item(item) => items.push(self.route(item)),
            }
        }
        let Some((input, due)) = input else { return items };
        for record in &input.provisioning {
            // `ingest` says what was wrong with it.
            let _ = self.state.apply(record);
        }
        if !input.provisioning.is_empty() {
            self.provision();
        }
        if input.accepts_loss() {
            self.steering.redecide_all();
        }
        reports.into_iter().for_each(|report| self.report(report));
        samples.iter().flatten().for_each(|sample| self.steering.add(sample, input.tick.at_us));
        let outcome = self.steering.decide(input.tick.number, input.tick.at_us, due.performance);
        let publisher_sees = outcome.decisions.iter().cloned().map(Item::Decision);
        items.extend(publisher_sees.map(|item| self.route(item)));
        items.extend(outcome.performance.into_iter().map(Item::Performance).map(|item| self.route(item)));
        if due.checkpoint {
            items.extend(self.save().into_iter().map(Item::State).map(|item| self.route(item)));
        }
        items.push(Routed { to: self.worker as u64, message: Item::Tick(input, due) });
        items
    }

    /// The worker of an item's output partition. Decisions go to the publisher as well, which is where partitions
    /// other than by site are owned: to worker 0; there they are framed for every partition. State goes to the first
    /// worker of this process, which writes its part of the checkpoint.
    fn route(&self, item: Item) -> Routed<Item> {
        let to = match &item {
            Item::Performance(performance) => {
                self.config.owner(shard(performance.site.as_str()) % self.config.output_partitions)
            }
            Item::State(_) => self.config.first_worker(),
            _ => self.config.owner(0),
        };
        Routed { to: to as u64, message: item }
    }

    fn save(&self) -> Vec<StateItem> {
        let sites = self.steering.save().into_iter();
        let mut items: Vec<StateItem> = sites
            .map(|(site, text)| StateItem {
                operator: String::from("steer"),
                shard: shard(site.as_str()),
                text,
            })
            .collect();
        if self.worker == 0 {
            let reports: BTreeSet<&CdnReport> = self.reports.values().collect();
            let texts = reports.into_iter().filter_map(|report| serde_json::to_string(report).ok());
            items.extend(texts.map(|text| StateItem {
                operator: String::from("statistics"),
                shard: 0,
                text,
            }));
            if let Ok(text) = serde_json::to_string(&self.state) {
                items.push(StateItem { operator: String::from("provisioning"), shard: 0, text });
            }
        }
        items
    }
}
