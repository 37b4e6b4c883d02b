//! Runs the dataflow: feeds it ticks with their records, and takes its outputs away.

mod budget;
pub(crate) mod checkpoint;
pub(crate) mod records;
pub(crate) mod ticks;
pub(crate) mod topics;
pub(crate) mod writer;

use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use spillway_dataflow::{
    Config, Input, InputRecord, InputTopic, Output, PERFORMANCE_PERIOD_US, Restored, TickInput, start,
};
use spillway_events::ProvisioningRecord;

use self::budget::Budget;

/// Partitions of `decisions` and `performance` on a log of ours.
pub(crate) const OUTPUT_PARTITIONS: u32 = 4;

/// How often a process that waits for outputs looks whether there will be any.
const LOOK: Duration = Duration::from_millis(100);
/// How long a process that is not fed any more waits for outputs that depend on others.
const SEND_REST_MAX: Duration = Duration::from_secs(5);

/// What a dataflow of this release is set to; no checkpoints.
pub(crate) fn config(workers: usize) -> Config {
    let performance_period_us = PERFORMANCE_PERIOD_US;
    Config {
        workers,
        processes: 1,
        process: 0,
        output_partitions: OUTPUT_PARTITIONS,
        performance_period_us,
        checkpoint_period_us: None,
    }
}

/// A tick with everything that it reads.
pub(crate) struct FullTick {
    pub(crate) tick: spillway_events::Tick,
    pub(crate) tick_offset: u64,
    pub(crate) provisioning: Vec<ProvisioningRecord>,
    pub(crate) records: Vec<InputRecord>,
}

/// What the dataflow does next.
pub(crate) enum Step {
    /// It has sent something.
    Output(Output),
    /// It has sent all it has for now.
    Idle,
}

/// Feeds all ticks and hands out each worker's outputs, in the order of each worker, until all is done. `peers` are
/// connections to the other processes of the dataflow. As these may have been given other ticks, a dataflow of several
/// processes is never told that no more come: once it has sent what it can it is left alone, and the process must end.
pub(crate) fn run(
    config: Config,
    restored: Option<Restored>,
    peers: Vec<Option<TcpStream>>,
    ticks: impl Iterator<Item = anyhow::Result<FullTick>> + Send,
    mut on_step: impl FnMut(Step) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let running =
        start(config, restored, peers).map_err(|why| anyhow!("the dataflow did not start: {why}"))?;
    let (inputs, outputs, workers) = running.into_parts();
    let leave_alone = config.processes > 1;
    let (fed, budget) = (AtomicU64::new(0), Budget::default());
    let outcome = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| {
            let outcome = feed(config, &inputs, ticks, &budget, &fed);
            if leave_alone {
                std::mem::forget(inputs);
            }
            outcome
        });
        let mut taken = Ok(());
        // After a failure the rest is taken and thrown away, so that the workers can end.
        let mut take = |step| {
            if taken.is_ok() {
                taken = on_step(step);
            }
        };
        let mut sent = Sent { by_worker: vec![0; config.workers], fed_at: None };
        while !(leave_alone && feeder.is_finished() && sent.is_all(&fed)) {
            let output = match outputs.try_recv() {
                Ok(output) => output,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    take(Step::Idle);
                    match outputs.recv_timeout(LOOK) {
                        Ok(output) => output,
                        Err(RecvTimeoutError::Timeout) => continue,
                        Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
            };
            if let Output::Done { tick, worker } = output {
                sent.by_worker[worker - config.first_worker()] = tick + 1;
                budget.take_off_before(sent.by_worker.iter().copied().min().unwrap_or(0));
            }
            take(Step::Output(output));
        }
        take(Step::Idle);
        budget.close();
        let fed = feeder.join().map_err(|_| anyhow!("the feeder died"))?;
        taken.and(fed)
    });
    if leave_alone {
        std::mem::forget(workers);
    } else {
        for worker in workers.join() {
            worker.map_err(|why| anyhow!("a worker of the dataflow died: {why}"))?;
        }
    }
    outcome.context("the dataflow did not finish")
}

/// Gives each worker its part of every tick.
fn feed(
    config: Config,
    inputs: &[Input],
    ticks: impl Iterator<Item = anyhow::Result<FullTick>>,
    budget: &Budget,
    fed: &AtomicU64,
) -> anyhow::Result<()> {
    for tick in ticks {
        let FullTick { tick, tick_offset, provisioning, records: of_all } = tick?;
        budget.take_in(tick.number, of_all.iter().map(|record| record.bytes.len()).sum());
        let mut records: Vec<Vec<InputRecord>> = vec![Vec::new(); config.workers];
        for record in of_all {
            if let Some(local) = config.local_owner(record.partition) {
                records[local].push(record);
            }
        }
        for (input, records) in inputs.iter().zip(records) {
            let (tick, provisioning) = (tick.clone(), provisioning.clone());
            input.send(TickInput { tick, tick_offset, provisioning, records })?;
        }
        fed.store(tick.number + 1, Ordering::Release);
    }
    Ok(())
}

/// What the workers of this process have sent.
struct Sent {
    /// Behind the last tick that each has sent whole.
    by_worker: Vec<u64>,
    /// Since when all have been fed.
    fed_at: Option<Instant>,
}

impl Sent {
    /// Whether everything has been sent of what was fed, or can't be any more, as other processes were fed less.
    fn is_all(&mut self, fed: &AtomicU64) -> bool {
        let since = self.fed_at.get_or_insert_with(Instant::now).elapsed();
        let fed = fed.load(Ordering::Acquire);
        since >= SEND_REST_MAX || self.by_worker.iter().all(|sent| *sent >= fed)
    }
}

/// A record of the one partition that recorded measurements have.
pub(crate) fn measurement_record(offset: u64, bytes: Vec<u8>) -> InputRecord {
    InputRecord { topic: InputTopic::Measurements, partition: 0, offset, bytes }
}

#[cfg(test)]
mod tests;
