//! A story in the dataflow: ticks and encoded records in, frames out.

use std::collections::BTreeMap;

use spillway_dataflow::{InputRecord, InputTopic, Output, Provisioning, TickInput};
use spillway_events::{Decision, Record, Snapshot, SnapshotItem, decode_frame, encode, topics};
use spillway_routing::table::Table;
use spillway_runtime::{RuntimeError, Step, config, run as run_dataflow};

use super::answers::from_table;
use super::compare::Got;
use super::script::{Script, ScriptTick};
use super::story::Story;

/// Two, so that messages between workers are part of it.
const WORKERS: usize = 2;

pub(super) fn run(story: &Story, script: &Script) -> Got {
    let mut got = Got::new(script.base);
    let mut snapshots: BTreeMap<u64, Vec<Snapshot>> = BTreeMap::new();
    let ticks = inputs(script).into_iter().map(Ok::<_, RuntimeError>);
    let on_step = |step: Step| {
        match step {
            Step::Output(Output::Frame { topic: topics::DECISIONS, records, .. }) => {
                got.decisions.extend(decode_frame::<Decision>(&records).unwrap());
            }
            Step::Output(Output::Frame { tick, topic: topics::SNAPSHOTS, records, .. }) => {
                let items = decode_frame::<SnapshotItem>(&records).unwrap();
                snapshots.insert(tick, Snapshot::from_items(items).unwrap());
            }
            _ => {}
        }
        Ok::<_, RuntimeError>(())
    };
    run_dataflow(config(WORKERS), None, Vec::new(), ticks, on_step).unwrap();
    let mut table = Table::default();
    for tick in &script.ticks {
        for snapshot in snapshots.get(&tick.tick.number).into_iter().flatten() {
            table = table.apply(snapshot).unwrap();
        }
        let at_us = tick.tick.at_us.0 - script.base.0;
        for ask in story.moments.iter().filter(|moment| moment.at_us == at_us).flat_map(|moment| &moment.asks)
        {
            got.answers.insert(ask.line, from_table(&table, ask));
        }
    }
    got
}

fn inputs(script: &Script) -> Vec<TickInput> {
    let (mut measurements_end, mut statistics_end) = (0, 0);
    let mut state = Provisioning::default();
    let input = |ScriptTick { tick, provisioning, measurements, statistics }: &ScriptTick| {
        let mut records = encoded(&InputTopic::Measurements, measurements, &mut measurements_end);
        records.extend(encoded(&InputTopic::Statistics, statistics, &mut statistics_end));
        TickInput {
            tick: tick.clone(),
            tick_offset: tick.number,
            provisioning: state.apply(provisioning),
            records,
        }
    };
    script.ticks.iter().map(input).collect()
}

fn encoded<R: Record>(topic: &InputTopic, batches: &[R], end: &mut u64) -> Vec<InputRecord> {
    let record = |batch: &R| {
        let offset = *end;
        *end += 1;
        InputRecord { topic: topic.clone(), partition: 0, offset, bytes: encode(batch).unwrap() }
    };
    batches.iter().map(record).collect()
}
