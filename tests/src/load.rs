//! Measurements as several agents would send them, of many sites, whose origins are slow in turn.
#![allow(clippy::unwrap_used, reason = "for tests, which stop where something fails")]

use std::fmt::Write;
use std::time::SystemTime;

use spillway_events::{
    AgentName, Measurement, MeasurementBatch, Micros, NetworkName, Outcome, Series, SiteName, SourceName,
    TimeMicros, Tried, encode, partition_of,
};

/// How many measurements a batch has.
pub const BATCH_RECORDS: usize = 500;
const AGENTS: usize = 8;
const SITES_A_BATCH: usize = 50;
/// After so many batches of an agent other sites are slow.
const WAVE_BATCHES: usize = 40;

/// A stream of batches.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// How many sites are measured.
    pub sites: usize,
    /// Partitions of `measurements`.
    pub partitions: u32,
    /// The boot of each agent.
    pub boot: u64,
}

impl Load {
    /// What has to be provisioned.
    #[must_use]
    pub fn documents(&self) -> String {
        let mut text = String::from(
            "kind: client\nname: acme\n---\nkind: network\nname: net\nprefixes: [127.0.0.0/8]\n---\n\
             kind: cdn\nname: cdn\ntype: operated\ndns_name: cdn.example\n---\n",
        );
        for agent in 0..AGENTS {
            writeln!(text, "kind: probe\nagent: a{agent}\nnetwork: net\n---").unwrap();
        }
        for site in 0..self.sites {
            writeln!(
                text,
                "kind: site\nname: s{site}\nclient: acme\nhosts: [s{site}.example]\norigin: {{addresses: [192.0.2.1]}}\n\
                 cdns: [cdn]\nobjectives: [{{metric: response_time, threshold: 100ms, percentile: 75, window: 10s, \
                 samples_min: 3, probes_min: 2}}]\n---"
            )
            .unwrap();
        }
        text
    }

    /// The batch of that number, measured now: its partition and its bytes.
    #[must_use]
    pub fn batch(&self, number: usize) -> (u32, Vec<u8>) {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
        self.batch_at(number, TimeMicros(i64::try_from(now).unwrap()))
    }

    /// The batch of that number, measured then.
    #[must_use]
    pub fn batch_at(&self, number: usize, at_us: TimeMicros) -> (u32, Vec<u8>) {
        let (agent, of_agent) = (format!("a{}", number % AGENTS), number / AGENTS);
        let site = |place: usize| (of_agent * SITES_A_BATCH + place) % self.sites;
        let series = |place: usize| Series {
            site: SiteName::new(format!("s{}", site(place))).unwrap(),
            target: String::from("origin"),
            agent: AgentName::new(agent.clone()).unwrap(),
            network: NetworkName::new("net").unwrap(),
        };
        let measurement = |place: usize| {
            let is_slow = (of_agent / WAVE_BATCHES + site(place % SITES_A_BATCH)).is_multiple_of(3);
            let time_us = if is_slow { 150_000 } else { 20_000 } + (place as u64 * 7_919) % 30_000;
            Measurement {
                series: u32::try_from(place % SITES_A_BATCH).unwrap(),
                at_us,
                tried: Tried::ResponseTime,
                outcome: Outcome::Ok,
                response_time_us: Some(Micros(time_us)),
                throughput_bps: None,
                bytes: None,
                phases: None,
                error: None,
            }
        };
        let batch = MeasurementBatch {
            source: SourceName::new(agent.clone()).unwrap(),
            boot: self.boot,
            sequence: of_agent as u64 + 1,
            series: (0..SITES_A_BATCH).map(series).collect(),
            measurements: (0..BATCH_RECORDS).map(measurement).collect(),
        };
        (partition_of(&agent, self.partitions), encode(&batch).unwrap())
    }
}
