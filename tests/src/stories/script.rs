//! A story as ticks with the records that each reads.

use std::collections::{BTreeMap, BTreeSet};

use spillway_dataflow::RULES_VERSION;
use spillway_events::{
    Event, MeasurementBatch, PartitionOffset, Party, ProvisioningRecord, Sha256, StatisticsBatch, Tick,
    TimeMicros, format_time, parse_duration, parse_time, topics,
};
use spillway_provisioning::{
    self as provisioning, AgreementAct, AgreementCommand, ObjectId, Refusal, State, VersionId, decide,
};

use super::provisioning::TIME_MARK;
use super::story::{Change, Moment, Story};

/// When a story starts, unless it is live: a whole hour.
pub(super) const BASE: TimeMicros = TimeMicros(1_699_999_200_000_000);
const SECOND_US: usize = 1_000_000;

/// A tick at each moment of the story, and at each whole second between.
pub(super) struct Script {
    pub(super) base: TimeMicros,
    pub(super) ticks: Vec<ScriptTick>,
    /// What was refused, by the line of the change.
    pub(super) refusals: BTreeMap<usize, String>,
}

/// A tick with all that it reads.
#[derive(Debug)]
pub(super) struct ScriptTick {
    pub(super) tick: Tick,
    pub(super) provisioning: Vec<ProvisioningRecord>,
    pub(super) measurements: Vec<MeasurementBatch>,
    pub(super) statistics: Vec<StatisticsBatch>,
}

impl Script {
    pub(super) fn new(story: &Story, base: TimeMicros) -> Self {
        let mut state = State::default();
        let client = Change::Apply(String::from("kind: client\nname: acme\n"));
        let mut first: Vec<ProvisioningRecord> = records(&mut state, &client, base).unwrap();
        let moments: BTreeMap<i64, &Moment> =
            story.moments.iter().map(|moment| (moment.at_us, moment)).collect();
        let mut script = Self { base, ticks: Vec::new(), refusals: BTreeMap::new() };
        let (mut measurements_end, mut statistics_end) = (0, 0);
        for (number, at_us) in (0..).zip(times(&moments)) {
            let mut provisioning = std::mem::take(&mut first);
            let (mut measurements, mut statistics) = (Vec::new(), Vec::new());
            if let Some(moment) = moments.get(&at_us) {
                provisioning.extend(script.provision(&mut state, moment));
                measurements.clone_from(&moment.measurements);
                statistics.clone_from(&moment.statistics);
            }
            let from_base = |time: &mut TimeMicros| time.0 += base.0;
            measurements
                .iter_mut()
                .flat_map(|batch| &mut batch.measurements)
                .for_each(|m| from_base(&mut m.at_us));
            statistics
                .iter_mut()
                .flat_map(|batch| &mut batch.aggregates)
                .for_each(|a| from_base(&mut a.at_us));
            measurements_end += measurements.len() as u64;
            statistics_end += statistics.len() as u64;
            let offset = |topic: &str, end| PartitionOffset { topic: topic.to_owned(), partition: 0, end };
            let offsets = vec![
                offset(topics::MEASUREMENTS, measurements_end),
                offset(topics::PROVISIONING, state.revision()),
                offset(topics::STATISTICS, statistics_end),
            ];
            let (at_us, installation) = (TimeMicros(base.0 + at_us), String::new());
            let tick = Tick { number, at_us, rules: RULES_VERSION, restart: false, installation, offsets };
            script.ticks.push(ScriptTick { tick, provisioning, measurements, statistics });
        }
        script
    }

    /// The records of a moment's changes; what is refused is kept.
    fn provision(&mut self, state: &mut State, moment: &Moment) -> Vec<ProvisioningRecord> {
        let mut all = Vec::new();
        for command in &moment.commands {
            match records(state, &command.change, self.base) {
                Ok(made) => all.extend(made),
                Err(refused) => {
                    self.refusals.insert(command.line, refused);
                }
            }
        }
        all
    }
}

/// The moments, and the whole seconds between the first and the last.
fn times(moments: &BTreeMap<i64, &Moment>) -> BTreeSet<i64> {
    let (first, last) = (moments.keys().next(), moments.keys().last());
    let seconds = first.zip(last).map(|(first, last)| (0..*last).step_by(SECOND_US).filter(|at| at > first));
    seconds.into_iter().flatten().chain(moments.keys().copied()).collect()
}

/// The documents with the story's times as those of a clock.
fn on_the_clock(text: &str, base: TimeMicros) -> Result<String, String> {
    let parts = text.split(TIME_MARK).enumerate().map(|(number, part)| {
        if number % 2 == 0 {
            return Ok(part.to_owned());
        }
        let after = parse_duration(part).map_err(|error| error.to_string())?;
        let after_us = i64::try_from(after.0).map_err(|error| error.to_string())?;
        Ok(format_time(TimeMicros(base.0 + after_us)))
    });
    parts.collect()
}

/// Decides and applies a change; nothing if it changes nothing. Two records where one party proposes and the other accepts.
fn records(state: &mut State, change: &Change, base: TimeMicros) -> Result<Vec<ProvisioningRecord>, String> {
    let reasons = |mistakes: Vec<provisioning::Mistake>| {
        mistakes.into_iter().map(|mistake| mistake.reason).collect::<Vec<_>>().join("; ")
    };
    let objects = |text: &str| -> Result<Vec<provisioning::Object>, String> {
        let text = on_the_clock(text, base)?;
        Ok(provisioning::parse("story", text).map_err(reasons)?.objects)
    };
    let of = |by, act| provisioning::Change::Agreement(AgreementCommand { by, act });
    match change {
        Change::Apply(text) => {
            let objects = objects(text)?;
            Ok(record(state, provisioning::Change::Apply(objects))?.into_iter().collect())
        }
        Change::Delete(kind, name) => {
            let ids = vec![ObjectId::new(*kind, name.as_str())];
            Ok(record(state, provisioning::Change::Delete(ids))?.into_iter().collect())
        }
        Change::Agree(text) => {
            let document = objects(text)?.pop().ok_or("an agreement has a document")?;
            let proposed = record(state, of(Party::Provider, AgreementAct::Propose(document)))?;
            let event = proposed.as_ref().and_then(|record| record.events.first());
            let Some(Event::Agreement(version)) = event else {
                return Err(String::from("nothing was proposed"));
            };
            let id = VersionId { name: version.name.clone(), version: version.version };
            let accept = AgreementAct::Accept(id, version.terms_sha256);
            let accepted = record(state, of(Party::Client, accept))?;
            Ok(proposed.into_iter().chain(accepted).collect())
        }
        Change::Terminate(site, at) => {
            let at = parse_time(&on_the_clock(at, base)?).map_err(|error| error.to_string())?;
            let version = state
                .accepted_versions(site)
                .max_by_key(|of| of.version)
                .ok_or("the site has no agreement")?;
            let id = VersionId { name: version.name.clone(), version: version.version };
            let act = AgreementAct::Terminate(id, at, String::from("a story"));
            Ok(record(state, of(Party::Provider, act))?.into_iter().collect())
        }
    }
}

fn record(state: &mut State, change: provisioning::Change) -> Result<Option<ProvisioningRecord>, String> {
    let number = state.revision();
    let (id, author, at_us) = (format!("command {number}"), String::from("story"), TimeMicros(0));
    let command =
        provisioning::Command { id, body_sha256: Sha256::of(&[]), author, at_us, precondition: None, change };
    let events = decide(state, &command).map_err(|refusal| match refusal {
        Refusal::Faults { faults, .. } => {
            faults.into_iter().map(|fault| fault.fault.rule).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    })?;
    if events.is_empty() {
        return Ok(None);
    }
    let record = command.into_record(number, events);
    state.apply(&record).unwrap();
    Ok(Some(record))
}
