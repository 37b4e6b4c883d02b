//! The dataflow over recorded rows, or over a recorded log.

use std::sync::{Mutex, PoisonError};

use spillway_dataflow::{Output, Provisioning, TickInput};
use spillway_eventlog::EventLog;
use spillway_events::{Decision, ProvisioningRecord, Sha256, TimeMicros, decode_frame, topics};
use spillway_provisioning::{Change, Command, Object, State, decide};
use spillway_runtime::{LogTicks, Step, config, measurement_record};

use crate::{BacktestError, Counts, Ticks};

/// What decisions are handed to, in the order of tick, site, network.
type OnDecision<'a> = &'a mut dyn FnMut(&Decision) -> Result<(), BacktestError>;

/// Decides objects on an empty state: the provisioning record with number 0.
///
/// # Errors
/// [`BacktestError::Refused`].
pub fn first_record(objects: &[Object], at: TimeMicros) -> Result<ProvisioningRecord, BacktestError> {
    let name = || String::from("backtest");
    // The command is not sent by anybody, so it has no body and is never retried.
    let body_sha256 = Sha256::of(&[]);
    let change = Change::Apply(objects.to_vec());
    let command = Command { id: name(), body_sha256, author: name(), at_us: at, precondition: None, change };
    let events = decide(&State::default(), &command).map_err(BacktestError::Refused)?;
    Ok(command.into_record(0, events))
}

/// Runs recorded rows under a policy and keeps nothing. Returns what became of the rows, and the time of the last tick.
///
/// # Errors
/// If the documents are refused, the dataflow fails, or `on_decision` does.
pub fn run(
    mut ticks: Ticks,
    objects: &[Object],
    workers: usize,
    on_decision: OnDecision<'_>,
) -> Result<(Counts, Option<TimeMicros>), BacktestError> {
    let first = first_record(objects, ticks.first_at().unwrap_or(TimeMicros(0)))?;
    let mut provisioning = Provisioning::default().apply(&[first]);
    let mut measurements_end = 0;
    let mut decisions = TickDecisions::default();
    // The feeding thread takes the ticks; counts and time come back through this.
    let outcome = Mutex::new((Counts::default(), None));
    let inputs = std::iter::from_fn(|| {
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(recorded) = ticks.next() else {
            outcome.0 = std::mem::take(&mut ticks.rows.counts);
            return None;
        };
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(error) => return Some(Err(error)),
        };
        outcome.1 = Some(recorded.tick.at_us);
        let records = recorded.batches.into_iter().map(|bytes| {
            measurements_end += 1;
            measurement_record(measurements_end - 1, bytes)
        });
        Some(Ok(TickInput {
            tick_offset: recorded.tick.number,
            provisioning: provisioning.take(),
            records: records.collect(),
            tick: recorded.tick,
        }))
    });
    spillway_runtime::run(config(workers), None, Vec::new(), inputs, |step| {
        decisions.take(step, on_decision)
    })?;
    Ok(outcome.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Runs a recorded log under its own ticks, so that its policy repeats its decisions. Returns the time of the last tick.
///
/// # Errors
/// If the log cannot be read, the dataflow fails, or `on_decision` does.
pub fn run_recorded(
    log: &dyn EventLog,
    workers: usize,
    on_decision: OnDecision<'_>,
) -> Result<Option<TimeMicros>, BacktestError> {
    let mut decisions = TickDecisions::default();
    let mut last = None;
    let ticks = LogTicks::new(log, config(workers), None)?.inspect(|tick| {
        if let Ok(tick) = tick {
            last = Some(tick.tick.at_us);
        }
    });
    spillway_runtime::run(config(workers), None, Vec::new(), ticks, |step| {
        decisions.take(step, on_decision)
    })?;
    Ok(last)
}

/// The decisions of one tick from all partitions.
#[derive(Default)]
struct TickDecisions(Vec<Decision>);

impl TickDecisions {
    fn take(&mut self, step: Step, on_decision: OnDecision<'_>) -> Result<(), BacktestError> {
        let Step::Output(output) = step else { return Ok(()) };
        match output {
            Output::Frame { topic: topics::DECISIONS, records, .. } => {
                self.0.extend(decode_frame::<Decision>(&records)?);
            }
            // Worker 0 frames the decisions of all partitions.
            Output::Done { worker: 0, .. } => {
                self.0.sort_by(|a, b| (&a.site, &a.network).cmp(&(&b.site, &b.network)));
                self.0.drain(..).try_for_each(|decision| on_decision(&decision))?;
            }
            _ => {}
        }
        Ok(())
    }
}
