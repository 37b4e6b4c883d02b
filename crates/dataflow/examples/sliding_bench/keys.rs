//! Very many keys with the default objective: memory a key, and what a tick costs that touches a few of them.

use spillway_events::TimeMicros;

use crate::log::{DEFAULT, batch_record, provisioning};
use crate::recorded::RecordedTick;
use crate::rows::{Draws, Group, NETWORKS, Row, TARGETS, base_us};
use crate::spillway::run;
use crate::usage::resident_bytes;

const START_US: i64 = 1_767_225_600_000_000;
const TICK_US: i64 = 100_000;
/// Every key is measured once in this time.
const TICKS_A_ROUND: usize = 100;
const ROUNDS: usize = 60;
const BATCH_RECORDS: usize = 500;
const TOUCHING_TICKS: usize = 100;
const TOUCHING_BATCHES: usize = 2;
/// No values are emitted meanwhile: frames of a million values are no part of the keys.
const PERIOD_S: i64 = 86_400;

/// Prints bytes a key, and the time of a tick that touches 1,000 keys.
pub(crate) fn keys(keys: usize) {
    let sites = u16::try_from(keys / usize::from(NETWORKS) / TARGETS.len()).unwrap();
    let provisioning = provisioning(sites, DEFAULT);
    let keys = usize::from(sites) * usize::from(NETWORKS) * TARGETS.len();
    let filling = TICKS_A_ROUND * ROUNDS;
    let (full, touched) = (filling as u64 - 1, (filling + TOUCHING_TICKS) as u64 - 1);
    let before = resident_bytes();
    let marked = run(PERIOD_S, &provisioning, ticks(sites), &[full, touched], resident_bytes, drop);
    let [(from, bytes), (to, _)] = marked[..] else { panic!("two marks") };
    println!(
        "keys={keys} bytes_per_key={} tick_us={}",
        bytes.saturating_sub(before) / keys as u64,
        (to - from).as_micros() / TOUCHING_TICKS as u128
    );
}

/// All keys in turn, agent by agent, every 10 s; then ticks of two batches each.
fn ticks(sites: u16) -> impl Iterator<Item = RecordedTick> {
    let keys_an_agent = usize::from(sites) * TARGETS.len();
    let agents = usize::from(NETWORKS);
    let batches_an_agent = keys_an_agent.div_ceil(BATCH_RECORDS);
    let batches_a_round = batches_an_agent * agents;
    let mut draws = Draws::new(2);
    let mut sequences = vec![0; agents];
    let mut record = move |number: usize, at_us: i64| {
        let (agent, first) = (number / batches_an_agent, number % batches_an_agent * BATCH_RECORDS);
        let keys = first..(first + BATCH_RECORDS).min(keys_an_agent);
        let row = |key: usize| Row {
            at_ms: at_us / 1_000,
            site: u16::try_from(key / TARGETS.len()).unwrap(),
            network: u8::try_from(agent).unwrap(),
            target: u8::try_from(key % TARGETS.len()).unwrap(),
            response_time_us: u32::try_from(draws.response_time_us(base_us((key * agents + agent) as u64)))
                .unwrap(),
        };
        sequences[agent] += 1;
        let group = Group {
            network: u8::try_from(agent).unwrap(),
            sequence: sequences[agent],
            rows: keys.map(row).collect(),
        };
        (u32::try_from(agent).unwrap(), batch_record(&group))
    };
    let filling = TICKS_A_ROUND * ROUNDS;
    (0..filling + TOUCHING_TICKS).map(move |tick| {
        let (at_us, batches) = if tick < filling {
            let of_round = tick % TICKS_A_ROUND;
            let batches = |ticks: usize| batches_a_round * ticks / TICKS_A_ROUND;
            (START_US + tick as i64 * TICK_US, batches(of_round)..batches(of_round + 1))
        } else {
            let after = tick - filling;
            let at_us = START_US + filling as i64 * TICK_US + after as i64 * 1_000;
            let first = after * TOUCHING_BATCHES % (batches_a_round - TOUCHING_BATCHES);
            (at_us, first..first + TOUCHING_BATCHES)
        };
        (TimeMicros(at_us), batches.map(|number| record(number, at_us)).collect())
    })
}
