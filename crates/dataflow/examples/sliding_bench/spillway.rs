//! Runs the dataflow on one worker, from records to frames.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use spillway_dataflow::{Config, Input, InputRecord, InputTopic, Output, Provisioning, TickInput, start};
use spillway_events::{NetworkName, Performance, ProvisioningRecord, Tick, decode_frame, topics};

use crate::recorded::RecordedTick;
use crate::rows::key;
use crate::usage::worker_time;
use crate::windows::{Values, hash};

/// Feeds ticks to one worker and hands the frames of `performance` to `on_frame`. When a tick of `marks` is done, notes what the
/// worker's thread has used and what `at_mark` says; the marks rise, and the last one is the last tick.
pub(crate) fn run<T>(
    period_s: i64,
    provisioning: &ProvisioningRecord,
    ticks: impl Iterator<Item = RecordedTick> + Send,
    marks: &[u64],
    at_mark: impl Fn() -> T,
    mut on_frame: impl FnMut(Vec<Vec<u8>>),
) -> Vec<(Duration, T)> {
    let config = Config {
        workers: 1,
        processes: 1,
        process: 0,
        output_partitions: 1,
        performance_period_us: period_s * 1_000_000,
        checkpoint_period_us: None,
    };
    let (mut inputs, outputs, workers) =
        start::<std::net::TcpStream>(config, None, Vec::new()).unwrap().into_parts();
    let input = inputs.remove(0);
    let (stop, stopped) = sync_channel::<()>(0);
    let mut marked = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || feed(provisioning, ticks, &input, &stopped));
        let mut stop = Some(stop);
        for output in outputs {
            match output {
                Output::Frame { topic: topics::PERFORMANCE, records, .. } => on_frame(records),
                Output::Done { tick, .. } if marks.get(marked.len()) == Some(&tick) => {
                    marked.push((worker_time(), at_mark()));
                    if marked.len() == marks.len() {
                        stop = None;
                    }
                }
                _ => {}
            }
        }
        drop(stop);
    });
    workers.join().unwrap();
    assert_eq!(marked.len(), marks.len(), "the dataflow ended early");
    marked
}

/// Keeps the input until told to stop: nothing is left of a worker's thread that has ended.
fn feed(
    provisioning: &ProvisioningRecord,
    ticks: impl Iterator<Item = RecordedTick>,
    input: &Input,
    stopped: &Receiver<()>,
) {
    let mut state = Provisioning::default();
    let mut first = Some(provisioning);
    let mut offset = 0;
    for (number, (at_us, records)) in (0..).zip(ticks) {
        let records = records.into_iter().map(|(_, bytes)| {
            offset += 1;
            InputRecord { topic: InputTopic::Measurements, partition: 0, offset: offset - 1, bytes }
        });
        let tick = Tick {
            number,
            at_us,
            rules: spillway_dataflow::RULES_VERSION,
            restart: false,
            installation: String::new(),
            offsets: Vec::new(),
        };
        let provisioning = state.apply(first.take().map(std::slice::from_ref).unwrap_or_default());
        let records = records.collect();
        input.send(TickInput { tick, tick_offset: number, provisioning, records }).unwrap();
    }
    // Ends when the sender is dropped.
    let _ = stopped.recv();
}

/// Reads the values that frames of `performance` hold for the networks of the probes.
#[derive(Default)]
pub(crate) struct ValuesReader {
    pub(crate) values: Values,
    /// By site, network and target.
    hashes: HashMap<(String, String, String), u64>,
}

impl ValuesReader {
    pub(crate) fn read(&mut self, frame: &[Vec<u8>]) {
        let items = decode_frame::<Performance>(frame).unwrap();
        for item in items.into_iter().filter(|item| item.network != NetworkName::everywhere()) {
            let names = (item.site.to_string(), item.network.to_string(), item.target);
            let hash = *self
                .hashes
                .entry(names)
                .or_insert_with_key(|(site, network, target)| hash(key(site, network, target).as_bytes()));
            self.values.add(hash, item.at_us.0.div_euclid(1_000_000), item.value.unwrap());
        }
    }
}
