//! The input: measurements as probes of 25 networks would send them, the same at every run.

use std::fmt;
use std::iter::Peekable;

use spillway_events::TimeMicros;

pub(crate) const SITES: u16 = 100;
pub(crate) const NETWORKS: u8 = 25;
pub(crate) const TARGETS: [&str; 4] = ["origin", "cdn-a", "cdn-b", "cdn-c"];

/// A multiple of a minute.
const START_MS: i64 = 1_767_225_600_000;
const MEASUREMENTS_A_SECOND: i64 = 16_667;
const LATE_MAX_MS: u64 = 800;
const BATCH_RECORDS: usize = 500;
const TICK_MS: i64 = 100;

/// One measurement. The agent of a network measures all targets of all sites.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) at_ms: i64,
    pub(crate) site: u16,
    pub(crate) network: u8,
    pub(crate) target: u8,
    pub(crate) response_time_us: u32,
}

impl Row {
    pub(crate) fn target(&self) -> &'static str {
        TARGETS[usize::from(self.target)]
    }

    /// The names of its key as they stand in a CSV row.
    pub(crate) fn key(&self) -> String {
        key(&site_name(self.site), &network_name(self.network), self.target())
    }
}

/// A CSV row: time in ms, key, response time in µs.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.at_ms, self.key(), self.response_time_us)
    }
}

pub(crate) fn site_name(site: u16) -> String {
    format!("site-{site:04}")
}

pub(crate) fn network_name(network: u8) -> String {
    format!("carrier-{network:02}")
}

pub(crate) fn agent_name(network: u8) -> String {
    format!("agent-{network:02}")
}

pub(crate) fn key(site: &str, network: &str, target: &str) -> String {
    format!("{site},{network},{target}")
}

/// Pseudo-random numbers: SplitMix64.
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A response time of a key whose fastest answer takes `base_us`: an exponential tail, and one in 200 is very slow.
    pub(crate) fn response_time_us(&mut self, base_us: u64) -> u64 {
        let draw = self.next();
        // How often the draw can be halved, with a fraction: about exponential, 1.5 in the mean.
        let halvings_1024 = u64::from(draw.leading_zeros()) * 1_024 + (draw & 1_023);
        let slow_us = if self.below(200) == 0 { 500_000 + self.below(2_000_000) } else { 0 };
        base_us + base_us * halvings_1024 / 5_120 + slow_us
    }
}

fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// The fastest answer of a key, 15 to 115 ms.
pub(crate) fn base_us(key: u64) -> u64 {
    15_000 + mixed(key) % 100_000
}

/// The measurements in the order in which they are sent, up to 800 ms out of the order of event times, each with the time at
/// which it is sent.
pub(crate) fn rows(measurements: u64) -> impl Iterator<Item = (i64, Row)> {
    let mut draws = Draws::new(1);
    (0..i64::try_from(measurements).unwrap()).map(move |number| {
        let sent_ms = START_MS + number * 1_000 / MEASUREMENTS_A_SECOND;
        let late_ms = i64::try_from(draws.below(LATE_MAX_MS)).unwrap();
        let key = draws.below(u64::from(SITES) * u64::from(NETWORKS) * TARGETS.len() as u64);
        let (site, rest) = (key / 100, key % 100);
        let row = Row {
            at_ms: sent_ms - late_ms,
            site: u16::try_from(site).unwrap(),
            network: u8::try_from(rest / 4).unwrap(),
            target: u8::try_from(rest % 4).unwrap(),
            response_time_us: u32::try_from(draws.response_time_us(base_us(key))).unwrap(),
        };
        (sent_ms, row)
    })
}

/// The measurements of one batch.
pub(crate) struct Group {
    pub(crate) network: u8,
    pub(crate) sequence: u64,
    pub(crate) rows: Vec<Row>,
}

/// The measurements by tick: an agent sends a batch when it has 500, and a tick every 100 ms reads what was sent before it.
/// The last tick reads what is left.
pub(crate) struct Ticks<R: Iterator> {
    rows: Peekable<R>,
    at_ms: i64,
    gathering: Vec<Group>,
}

impl<R: Iterator<Item = (i64, Row)>> Ticks<R> {
    pub(crate) fn new(rows: R) -> Self {
        let group = |network| Group { network, sequence: 1, rows: Vec::new() };
        let gathering = (0..NETWORKS).map(group).collect();
        Self { rows: rows.peekable(), at_ms: START_MS, gathering }
    }

    /// The batch that a measurement fills.
    fn gather(&mut self, row: Row) -> Option<Group> {
        let gathering = &mut self.gathering[usize::from(row.network)];
        gathering.rows.push(row);
        (gathering.rows.len() == BATCH_RECORDS).then(|| {
            let rows = std::mem::take(&mut gathering.rows);
            gathering.sequence += 1;
            Group { network: row.network, sequence: gathering.sequence - 1, rows }
        })
    }
}

impl<R: Iterator<Item = (i64, Row)>> Iterator for Ticks<R> {
    type Item = (TimeMicros, Vec<Group>);

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.peek()?;
        self.at_ms += TICK_MS;
        let at_ms = self.at_ms;
        let mut groups = Vec::new();
        while let Some((_, row)) = self.rows.next_if(|(sent_ms, _)| *sent_ms < at_ms) {
            groups.extend(self.gather(row));
        }
        if self.rows.peek().is_none() {
            let left = std::mem::take(&mut self.gathering);
            groups.extend(left.into_iter().filter(|group| !group.rows.is_empty()));
        }
        Some((TimeMicros(at_ms * 1_000), groups))
    }
}
