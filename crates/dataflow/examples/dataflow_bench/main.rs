//! Measures the dataflow from log records to values on one worker, with a plain loop over the same records beside it
//! that must find the same values; then what a tick and a key cost at a million keys.
//!
//! `cargo run --release -p spillway-dataflow --example dataflow_bench [MEASUREMENTS [SERIES_A_BATCH [KEYS]]]`
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark may stop, prints ratios, and reads the clock and /proc"
)]

mod plain;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use spillway_dataflow::{
    Config, InputRecord, InputTopic, Output, PERFORMANCE_PERIOD_US, Provisioning, TickInput, start,
};
use spillway_events::{
    AgentName, Measurement, MeasurementBatch, Micros, NetworkName, Outcome, Performance, ProvisioningRecord,
    Series, Sha256, SiteName, SourceName, Tick, TimeMicros, Tried, decode, decode_frame, encode, topics,
};
use spillway_provisioning::{Change, Command, Object, State, decide, parse};

const BATCH_RECORDS: usize = 500;
const AGENTS: usize = 5;
const TARGETS: [&str; 2] = ["origin", "one"];
/// Every key is measured once a second, as at 10,000 keys 1,000 measurements a tick of 100 ms.
const TICK_US: i64 = 100_000;
const START_US: i64 = 1_700_000_000_000_000;

/// The input: ticks, each with the records that it reads.
struct Input {
    provisioning: ProvisioningRecord,
    ticks: Vec<(TimeMicros, Vec<Vec<u8>>)>,
    measurements: usize,
}

/// A value as a performance frame tells it: when, of what, how much.
type Values = BTreeMap<(TimeMicros, String, String, String), Option<u64>>;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>().unwrap());
    let measurements = arguments.next().unwrap_or(10_000_000);
    let series_a_batch = arguments.next().unwrap_or(250);
    let keys = arguments.next().unwrap_or(1_000_000);

    let input = input(1, 10_000, measurements, series_a_batch);
    println!(
        "{} measurements of 10,000 keys, {BATCH_RECORDS} and {series_a_batch} series a batch, {} ticks; \
         window 60 s, panes of 1 s",
        input.measurements,
        input.ticks.len()
    );
    let (dataflow_values, dataflow) = run(&input, |_| {});
    let (recorded, plain) = cpu(|| plain::run(&input.ticks));
    let plain_values = recorded.values();
    assert!(!plain_values.is_empty() && dataflow_values == plain_values, "the values differ");
    println!("{} values equal", plain_values.len());
    let each = |time: Duration| time.as_secs_f64() * 1e6 / input.measurements as f64;
    println!("dataflow:   {:.3} µs of CPU of its worker a measurement", each(dataflow));
    println!("plain loop: {:.3} µs of CPU a measurement", each(plain));
    let (decoded, decoding) = cpu(|| decode_all(&input.ticks));
    assert_eq!(decoded, input.measurements);
    println!("decoding:   {:.3} µs of CPU a measurement, in either", each(decoding));
    println!("ratio: {:.2}", dataflow.as_secs_f64() / plain.as_secs_f64());
    drop((input, dataflow_values, plain_values));
    many_keys(keys);
}

/// Fills the windows of very many keys, then touches a few of them a tick.
fn many_keys(keys: usize) {
    const TOUCHED_TICKS: usize = 100;
    let mut filled = input(1, keys, keys * 20, 250);
    let ticks_filling = filled.ticks.len();
    // New boots of the agents, with a hundredth of the keys.
    let few = input(2, 10_000, TOUCHED_TICKS * 1_000, 250);
    let last = filled.ticks.last().unwrap().0;
    let later = (1..).zip(few.ticks);
    filled
        .ticks
        .extend(later.map(|(tick, (_, records))| (TimeMicros(last.0 + TICK_US + tick * 1_000), records)));
    let before_kib = resident_kib();
    let mut marks = Vec::new();
    run(&filled, |tick| {
        // The first of these ticks emits the values of all keys.
        if tick == ticks_filling + 1 || tick == ticks_filling + TOUCHED_TICKS {
            marks.push((Instant::now(), resident_kib()));
        }
    });
    let [(from, kib), (to, _)] = marks[..] else { panic!("the run was too short") };
    println!("{keys} keys: {} bytes a key", kib.saturating_sub(before_kib) * 1_024 / keys as u64);
    println!(
        "{keys} keys, 1,000 touched a tick: {:.0} µs a tick",
        (to - from).as_secs_f64() * 1e6 / (TOUCHED_TICKS - 1) as f64
    );
}

fn documents(sites: usize) -> String {
    let mut text = String::from(
        "kind: client\nname: acme\n---\nkind: cdn\nname: one\ntype: operated\ndns_name: one.example\n---\n",
    );
    for number in 0..AGENTS {
        text += &format!(
            "kind: network\nname: n{number}\nprefixes: [10.{number}.0.0/16]\n---\nkind: probe\nagent: a{number}\n\
             network: n{number}\n---\n"
        );
    }
    for number in 0..sites {
        text += &format!(
            "kind: site\nname: s{number}\nclient: acme\nhosts: [s{number}.example]\ncdns: [one]\n\
             origin: {{name: origin, addresses: [192.0.2.1]}}\nobjectives: [{{metric: response_time, \
             threshold: 300ms, percentile: 95, window: 60s, samples_min: 20, probes_min: 1}}]\n---\n"
        );
    }
    text
}

fn provisioning(sites: usize) -> ProvisioningRecord {
    // Documents by the piece: a file has its bounds.
    let mut state = State::default();
    let mut events = Vec::new();
    let text = documents(sites);
    let parts: Vec<&str> = text.split("---\n").filter(|part| !part.is_empty()).collect();
    for part in parts.chunks(1_000) {
        let command =
            command(format!("bench {}", events.len()), parse("bench", part.join("---\n")).unwrap().objects);
        let new = decide(&state, &command).unwrap();
        let record = command.into_record(state.revision(), new.clone());
        state.apply(&record).unwrap();
        events.extend(new);
    }
    command(String::from("bench"), Vec::new()).into_record(0, events)
}

fn command(id: String, objects: Vec<Object>) -> Command {
    let (body_sha256, author, change) = (Sha256::of(&[]), String::from("bench"), Change::Apply(objects));
    Command { id, body_sha256, author, at_us: TimeMicros(0), change }
}

/// All keys in turn, agent by agent; response times jump about 100 ms, and one in 50 fails.
fn input(boot: u64, keys: usize, measurements: usize, series_a_batch: usize) -> Input {
    let sites = keys / AGENTS / TARGETS.len();
    let keys_an_agent = keys / AGENTS;
    let batches = measurements / BATCH_RECORDS;
    let batches_a_tick = (keys / 10 / BATCH_RECORDS).max(1);
    let mut next = [(0_usize, 0_u64); AGENTS];
    let mut ticks: Vec<(TimeMicros, Vec<Vec<u8>>)> = Vec::new();
    for number in 0..batches {
        if number % batches_a_tick == 0 {
            let tick = i64::try_from(ticks.len()).unwrap();
            ticks.push((TimeMicros(START_US + tick * TICK_US), Vec::new()));
        }
        let agent = number % AGENTS;
        let (first, sequence) = &mut next[agent];
        *sequence += 1;
        let (at, records) = ticks.last_mut().unwrap();
        let keys = (*first..*first + series_a_batch).map(|key| key % keys_an_agent);
        let batch = batch(agent, (boot, *sequence), *at, &keys.collect::<Vec<_>>());
        *first = (*first + series_a_batch) % keys_an_agent;
        records.push(encode(&batch).unwrap());
    }
    Input { provisioning: provisioning(sites), ticks, measurements: batches * BATCH_RECORDS }
}

fn batch(agent: usize, (boot, sequence): (u64, u64), at_us: TimeMicros, keys: &[usize]) -> MeasurementBatch {
    let series = keys.iter().map(|key| Series {
        site: SiteName::new(format!("s{}", key / TARGETS.len())).unwrap(),
        target: TARGETS[key % TARGETS.len()].to_owned(),
        agent: AgentName::new(format!("a{agent}")).unwrap(),
        network: NetworkName::new(format!("n{agent}")).unwrap(),
    });
    let measurement = |place: usize| {
        let draw = (sequence * 1_000 + place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let ok = !draw.is_multiple_of(50);
        Measurement {
            series: u32::try_from(place % keys.len()).unwrap(),
            at_us,
            tried: Tried::ResponseTime,
            outcome: if ok { Outcome::Ok } else { Outcome::Failed },
            response_time_us: ok.then_some(Micros(50_000 + draw % 100_000)),
            throughput_bps: None,
            bytes: None,
            phases: None,
            error: None,
        }
    };
    MeasurementBatch {
        source: SourceName::new(format!("a{agent}")).unwrap(),
        boot,
        sequence,
        series: series.collect(),
        measurements: (0..BATCH_RECORDS).map(measurement).collect(),
    }
}

/// Runs the dataflow on one worker; calls `on_tick` with how many ticks are done. The values of networks of probes,
/// and what the worker's thread used.
fn run(input: &Input, mut on_tick: impl FnMut(usize)) -> (Values, Duration) {
    let config = Config {
        workers: 1,
        processes: 1,
        process: 0,
        output_partitions: 1,
        performance_period_us: PERFORMANCE_PERIOD_US,
        checkpoint_period_us: None,
    };
    let (inputs, outputs, workers) =
        start::<std::net::TcpStream>(config, None, Vec::new()).unwrap().into_parts();
    let (mut values, mut used) = (Values::new(), Duration::ZERO);
    std::thread::scope(|scope| {
        scope.spawn(move || feed(input, &inputs[0]));
        let mut done = 0;
        for output in outputs {
            match output {
                Output::Frame { topic: topics::PERFORMANCE, records, .. } => {
                    for item in decode_frame::<Performance>(&records).unwrap() {
                        if item.network != NetworkName::everywhere() {
                            let key =
                                (item.at_us, item.site.to_string(), item.target, item.network.to_string());
                            values.insert(key, item.value);
                        }
                    }
                }
                Output::Done { .. } => {
                    done += 1;
                    if done % 100 == 0 {
                        // Nothing is left of a thread that has ended.
                        used = used.max(worker_time());
                    }
                    on_tick(done);
                }
                _ => {}
            }
        }
    });
    workers.join().unwrap();
    (values, used)
}

fn decode_all(ticks: &[(TimeMicros, Vec<Vec<u8>>)]) -> usize {
    let records = ticks.iter().flat_map(|(_, records)| records);
    records.map(|bytes| decode::<MeasurementBatch>(bytes).unwrap().measurements.len()).sum()
}

fn feed(input: &Input, to: &spillway_dataflow::Input) {
    let mut offset = 0;
    for (number, (at_us, records)) in (0..).zip(&input.ticks) {
        let records = records.iter().map(|bytes| {
            offset += 1;
            let bytes = bytes.clone();
            InputRecord { topic: InputTopic::Measurements, partition: 0, offset: offset - 1, bytes }
        });
        let records = records.collect();
        let first = if number == 0 { std::slice::from_ref(&input.provisioning) } else { &[] };
        let provisioning = Provisioning::default().apply(first);
        let tick = Tick {
            number,
            at_us: *at_us,
            rules: 1,
            restart: false,
            installation: String::new(),
            offsets: Vec::new(),
        };
        to.send(TickInput { tick, tick_offset: number, provisioning, records }).unwrap();
    }
}

/// What a function used of all processors.
fn cpu<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let before = cpu_time();
    let result = run();
    (result, cpu_time() - before)
}

fn cpu_time() -> Duration {
    used(&std::fs::read_to_string("/proc/self/stat").unwrap())
}

/// What the thread of the dataflow's only worker has used; nothing once it has ended.
fn worker_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    stats.filter(|stat| stat.contains("(timely:work-0)")).map(|stat| used(&stat)).sum()
}

/// User and system time in a `stat` file of Linux's /proc, in steps of 10 ms.
fn used(stat: &str) -> Duration {
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let jiffies: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(jiffies * 10)
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
