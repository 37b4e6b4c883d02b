//! A checkpoint of a large installation: every record of it has a bounded size, and it restores.

#![allow(clippy::disallowed_types, reason = "the type of connections to peers, of which there are none")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use spillway_dataflow::{Config, Output, PERFORMANCE_PERIOD_US, Provisioning, Restored, TickInput, start};
use spillway_events::{
    CHUNK_BYTES_MAX, CheckpointChunk, Client, ClientName, Event, Metric, Micros, Objective, Origin,
    ProvisioningRecord, Sha256, Site, SiteName, StateItem, Tick, TimeMicros, decode,
};

const SITES: usize = 100_000;
/// How many bytes of a record are not items: marker, fingerprint, tick, shard, chunk, count and end of the array.
const HEAD_BYTES_MAX: usize = 64;

fn tick(number: u64, second: i64, events: Vec<Event>) -> TickInput {
    let at_us = TimeMicros(1_700_000_000_000_000 + second * 1_000_000);
    let (command, author) = (format!("command {number}"), String::from("test"));
    let record =
        ProvisioningRecord { number: 0, command, body_sha256: Sha256::of(&[]), author, at_us, events };
    let records = if record.events.is_empty() { Vec::new() } else { vec![record] };
    let provisioning = Provisioning::default().apply(&records);
    let tick =
        Tick { restart: false, installation: String::new(), number, at_us, rules: 1, offsets: Vec::new() };
    TickInput { tick_offset: number, tick, provisioning, records: Vec::new() }
}

fn run(restored: Option<Restored>, workers: usize, ticks: &[TickInput]) -> Vec<Output> {
    let config = Config {
        workers,
        processes: 1,
        process: 0,
        output_partitions: 4,
        performance_period_us: PERFORMANCE_PERIOD_US,
        checkpoint_period_us: Some(60_000_000),
    };
    let peers: Vec<Option<std::net::TcpStream>> = Vec::new();
    let (inputs, outputs, running) = start(config, restored, peers).unwrap().into_parts();
    ticks.iter().for_each(|tick| inputs.iter().for_each(|input| input.send(tick.clone()).unwrap()));
    drop(inputs);
    let outputs = outputs.iter().filter(|output| !matches!(output, Output::Done { .. })).collect();
    running.join().unwrap();
    outputs
}

fn events() -> Vec<Event> {
    let client = ClientName::new("acme").unwrap();
    let objective = Objective {
        metric: Metric::ResponseTime,
        threshold: 100_000,
        percentile: 95,
        window_us: Micros(600_000_000),
        samples_min: 20,
        probes_min: 3,
    };
    let site = |number: usize| {
        Event::Site(Site {
            title: None,
            name: SiteName::new(format!("site-{number}")).unwrap(),
            client: client.clone(),
            hosts: vec![format!("www.site-{number}.example")],
            origin: Origin { name: String::from("origin"), addresses: Vec::new(), probe_url: None },
            cdns: Vec::new(),
            ttl_secs: 20,
            probe_interval_ms: 10_000,
            objectives: vec![objective.clone()],
        })
    };
    std::iter::once(Event::Client(Client { name: client.clone(), title: None }))
        .chain((0..SITES).map(site))
        .collect()
}

#[test]
fn a_checkpoint_of_100_000_sites_is_cut_and_restores() {
    let ticks =
        [tick(0, 0, events()), tick(1, 60, Vec::new()), tick(2, 61, Vec::new()), tick(3, 3_600, Vec::new())];
    let outputs = run(None, 2, &ticks);
    let checkpoint = outputs.iter().find_map(|output| match output {
        Output::Checkpoint { tick: 1, at, chunks, .. } => Some((*at, chunks)),
        _ => None,
    });
    let (at, chunks) = checkpoint.unwrap();
    let longest = chunks.iter().map(Vec::len).max().unwrap();
    assert!(longest <= CHUNK_BYTES_MAX + HEAD_BYTES_MAX, "{longest} bytes");
    let chunks: Vec<CheckpointChunk> = chunks.iter().map(|chunk| decode(chunk).unwrap()).collect();
    let of_sites = chunks.iter().flat_map(|chunk| &chunk.items);
    assert_eq!(of_sites.filter(|item| matches!(item, StateItem::SiteRoutes(_))).count(), SITES);

    // What follows is the same from the checkpoint on: deltas, the next full table and the next checkpoint.
    let after = |outputs: Vec<Output>| -> Vec<Output> {
        let is_after = |output: &Output| match output {
            Output::Frame { tick, .. } | Output::Checkpoint { tick, .. } | Output::Done { tick, .. } => {
                *tick > 1
            }
        };
        let mut after: Vec<Output> = outputs.into_iter().filter(is_after).collect();
        after.sort_by_key(|output| match output {
            Output::Frame { tick, topic, partition, .. } => (*tick, *topic, *partition),
            Output::Checkpoint { tick, .. } | Output::Done { tick, .. } => (*tick, "", 0),
        });
        after
    };
    let restored = Restored::new(String::new(), 1, at, chunks).unwrap();
    let resumed = after(run(Some(restored), 1, &ticks[2..]));
    assert!(resumed.len() >= 3);
    // Not `assert_eq`, which would print all of it.
    assert!(resumed == after(outputs));
}
