//! Runs the dataflow: feeds it ticks with their records, and hands out its outputs.

use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use spillway_dataflow::{
    Config, Input, InputRecord, InputTopic, Output, PERFORMANCE_PERIOD_US, Restored, TickInput, start,
};

use crate::RuntimeError;
use crate::in_flight::InFlight;

/// Partitions of `decisions` and `performance` on an embedded log.
pub const OUTPUT_PARTITIONS: u32 = 4;

/// How often a process that waits for outputs checks whether more can come.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long a process that is no longer fed waits for outputs that depend on other processes.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The settings of a dataflow of one process, without checkpoints.
#[must_use]
pub fn config(workers: usize) -> Config {
    Config {
        workers,
        processes: 1,
        process: 0,
        output_partitions: OUTPUT_PARTITIONS,
        performance_period_us: PERFORMANCE_PERIOD_US,
        checkpoint_period_us: None,
    }
}

/// What the dataflow did next.
#[derive(Debug)]
pub enum Step {
    /// It sent an output.
    Output(Output),
    /// It has sent everything that it can send for now.
    Idle,
    /// Its workers have ended: no output follows, even if more ticks come.
    Ended,
}

/// Feeds all ticks and hands out the outputs of each worker in order, until everything is done. `peers` are connections
/// to the other processes of the dataflow.
///
/// A dataflow of several processes is never told that no more ticks come, because the other processes may have been
/// given other ticks. Once this process has sent what it can, its workers are left running and the process must end.
///
/// If a worker fails, all workers of this process end and their threads are joined. `ticks` is not asked for another tick
/// than the one that it may be waiting for: on [`Step::Ended`] a caller whose ticks wait has to end that wait.
///
/// # Errors
/// The failure of a worker, else the first error of `ticks` or `on_step`.
pub fn run<E: From<RuntimeError> + Send>(
    config: Config,
    restored: Option<Restored>,
    peers: Vec<Option<TcpStream>>,
    ticks: impl Iterator<Item = Result<TickInput, RuntimeError>> + Send,
    mut on_step: impl FnMut(Step) -> Result<(), E>,
) -> Result<(), E> {
    let running = start(config, restored, peers).map_err(RuntimeError::Dataflow)?;
    let (inputs, outputs, workers) = running.into_parts();
    let has_peers = config.processes > 1;
    let (fed, in_flight) = (AtomicU64::new(0), InFlight::default());
    let outcome = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| {
            let outcome = feed(config, &inputs, ticks, &in_flight, &fed);
            if has_peers {
                std::mem::forget(inputs);
            }
            outcome
        });
        let mut taken = Ok(());
        // After a failure outputs are still received and dropped, so that the workers can end.
        let mut take = |step| {
            if taken.is_ok() {
                taken = on_step(step);
            }
        };
        let mut sent = Sent { by_worker: vec![0; config.workers], fed_at: None };
        while !(has_peers && feeder.is_finished() && sent.is_everything(&fed)) {
            let output = match outputs.try_recv() {
                Ok(output) => output,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    take(Step::Idle);
                    match outputs.recv_timeout(POLL_INTERVAL) {
                        Ok(output) => output,
                        Err(RecvTimeoutError::Timeout) => continue,
                        Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
            };
            if let Output::Done { tick, worker } = output {
                sent.by_worker[worker - config.first_worker()] = tick + 1;
                in_flight.release_before(sent.by_worker.iter().copied().min().unwrap_or(0));
            }
            take(Step::Output(output));
        }
        take(Step::Idle);
        take(Step::Ended);
        in_flight.close();
        let fed = feeder.join().map_err(|_| RuntimeError::Panicked(String::from("the feeding thread")))?;
        taken.and_then(|()| fed.map_err(E::from))
    });
    // If a worker failed, that is why feeding ended.
    let worked = if has_peers { workers.leave_running() } else { workers.join() };
    worked.map_err(RuntimeError::Dataflow)?;
    outcome
}

/// Gives each worker its part of every tick.
fn feed(
    config: Config,
    inputs: &[Input],
    ticks: impl Iterator<Item = Result<TickInput, RuntimeError>>,
    in_flight: &InFlight,
    fed: &AtomicU64,
) -> Result<(), RuntimeError> {
    for tick in ticks {
        let mut tick = tick?;
        let number = tick.tick.number;
        in_flight.acquire(number, tick.records.iter().map(|record| record.bytes.len()).sum());
        let mut records: Vec<Vec<InputRecord>> = vec![Vec::new(); config.workers];
        for record in std::mem::take(&mut tick.records) {
            if let Some(local) = config.local_owner(record.partition) {
                records[local].push(record);
            }
        }
        for (input, records) in inputs.iter().zip(records) {
            input.send(TickInput { records, ..tick.clone() })?;
        }
        fed.store(number + 1, Ordering::Release);
    }
    Ok(())
}

/// What the workers of this process have sent.
struct Sent {
    /// The tick after the last one that each worker has sent completely.
    by_worker: Vec<u64>,
    /// Since when everything has been fed.
    fed_at: Option<Instant>,
}

impl Sent {
    /// Whether every tick that was fed has been sent, or cannot be sent because other processes were fed less.
    fn is_everything(&mut self, fed: &AtomicU64) -> bool {
        let since = self.fed_at.get_or_insert_with(Instant::now).elapsed();
        let fed = fed.load(Ordering::Acquire);
        since >= DRAIN_TIMEOUT || self.by_worker.iter().all(|sent| *sent >= fed)
    }
}

/// A record of the only partition that recorded measurements have.
#[must_use]
pub fn measurement_record(offset: u64, bytes: Vec<u8>) -> InputRecord {
    InputRecord { topic: InputTopic::Measurements, partition: 0, offset, bytes }
}
