//! Runs the dataflow: feeds it ticks with their records, and takes its outputs away.

pub(crate) mod checkpoint;
pub(crate) mod records;
pub(crate) mod ticks;
pub(crate) mod topics;
pub(crate) mod writer;

use std::sync::mpsc::TryRecvError;

use anyhow::{Context, anyhow};
use spillway_dataflow::{
    Config, InputRecord, InputTopic, Output, PERFORMANCE_PERIOD_US, Restored, TickInput, owner, start,
};
use spillway_events::ProvisioningRecord;

/// Partitions of `decisions` and `performance` on a log of ours.
pub(crate) const OUTPUT_PARTITIONS: u32 = 4;

/// What a dataflow of this release is set to; no checkpoints.
pub(crate) fn config(workers: usize) -> Config {
    let performance_period_us = PERFORMANCE_PERIOD_US;
    Config {
        workers,
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

/// Feeds all ticks and hands out each worker's outputs, in the order of each worker, until all is done.
pub(crate) fn run(
    config: Config,
    restored: Option<Restored>,
    ticks: impl Iterator<Item = anyhow::Result<FullTick>> + Send,
    mut on_step: impl FnMut(Step) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let running = start(config, restored).map_err(|why| anyhow!("the dataflow did not start: {why}"))?;
    let (inputs, outputs, workers) = running.into_parts();
    let outcome = std::thread::scope(|scope| {
        let feeder = scope.spawn(move || {
            for tick in ticks {
                let tick = tick?;
                let mut records: Vec<Vec<InputRecord>> = vec![Vec::new(); config.workers];
                for record in tick.records {
                    records[owner(record.partition, config.workers)].push(record);
                }
                for (input, records) in inputs.iter().zip(records) {
                    input.send(TickInput {
                        tick: tick.tick.clone(),
                        tick_offset: tick.tick_offset,
                        provisioning: tick.provisioning.clone(),
                        records,
                    })?;
                }
            }
            anyhow::Ok(())
        });
        let mut taken = Ok(());
        // After a failure the rest is taken and thrown away, so that the workers can end.
        let mut take = |step| {
            if taken.is_ok() {
                taken = on_step(step);
            }
        };
        loop {
            match outputs.try_recv() {
                Ok(output) => take(Step::Output(output)),
                Err(TryRecvError::Empty) => {
                    take(Step::Idle);
                    let Ok(output) = outputs.recv() else { break };
                    take(Step::Output(output));
                }
                Err(TryRecvError::Disconnected) => break,
            }
        }
        let fed = feeder.join().map_err(|_| anyhow!("the feeder died"))?;
        taken.and(fed)
    });
    for worker in workers.join() {
        worker.map_err(|why| anyhow!("a worker of the dataflow died: {why}"))?;
    }
    outcome.context("the dataflow did not finish")
}

/// A record of the one partition that recorded measurements have.
pub(crate) fn measurement_record(offset: u64, bytes: Vec<u8>) -> InputRecord {
    InputRecord { topic: InputTopic::Measurements, partition: 0, offset, bytes }
}

#[cfg(test)]
mod tests;
