//! Rates a month of many clients, and prints each line: counts, seconds, and the memory of the process.
//!
//! `billing_bench CLIENTS INCREMENTS`: so many clients, each with its share of so many increments. The same numbers are summed and
//! multiplied by a plain loop too, without lines, ids and derivations.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark may stop, takes the time, and reads /proc"
)]

use std::collections::BTreeMap;
use std::time::Instant;

use spillway_billing::statement::digest;
use spillway_billing::{LineHead, Part, SLOT_MS, Span, TaxRate, Terms, Usage, rate};
use spillway_events::{
    ClientName, GraduatedPrice, GraduatedTier, Increment, LineName, Meter, P95Price, RateBy, RateCard,
    RateCardName, RateItem, RateModel, Sha256, SiteName, StatementLine, TargetName, TaxCode, UnitPrice,
};

const SLOTS: u64 = 8_640;
const TARGETS: [&str; 2] = ["origin", "edge-one"];

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|text| text.parse().unwrap()).collect();
    let [clients, increments] = numbers[..] else { panic!("CLIENTS INCREMENTS") };
    let per_client = increments / clients;
    let period = Span { begin_ms: 0, end_ms: i64::try_from(SLOTS).unwrap() * SLOT_MS };
    let (card, terms, sites) = (card(), terms(), BTreeMap::new());
    let (mut lines, mut total, mut plain_total) = (0, 0, 0_u128);
    let (mut rate_s, mut plain_s) = (0.0, 0.0);
    for client in 0..clients {
        let name = ClientName::new(format!("client-{client}")).unwrap();
        let increments: Vec<Increment> =
            (0..per_client).map(|index| increment(&name, client, index)).collect();
        let begin = Instant::now();
        let mut usage = Usage::new(period);
        increments.iter().for_each(|increment| usage.add(increment).unwrap());
        let head = LineHead { client: &name, agreement: "agreement", version: 1, period };
        let minutes = BTreeMap::new();
        let part = Part { head, card: &card, terms: &terms, usage: &usage, sites: &sites, minutes: &minutes };
        let printed: Vec<StatementLine> = rate(&part).unwrap().into_iter().map(|rated| rated.line).collect();
        let digest = digest(&printed).unwrap();
        lines += digest.lines;
        total += digest.total_minor;
        rate_s += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        plain_total += plain(&increments);
        plain_s += begin.elapsed().as_secs_f64();
    }
    println!(
        "slots: {} increments of {clients} clients, {lines} lines, total {total}, plain {plain_total}",
        per_client * clients
    );
    println!("rated: {rate_s:.3} s");
    println!("plain loop: {plain_s:.3} s");
    println!("memory: {} MiB", rss_mib());
}

/// Increments of the meters bytes, requests and routed time, of both targets, one slot after the other.
fn increment(client: &ClientName, seed: u64, index: u64) -> Increment {
    let meter = [Meter::Bytes, Meter::Requests, Meter::RoutedTime][usize::try_from(index % 3).unwrap()];
    let target = TARGETS[usize::try_from(index / 3 % 2).unwrap()];
    let quantity = (seed * 7_919 + index * 104_729) % 1_000_000;
    Increment {
        client: client.clone(),
        meter,
        meter_version: 1,
        site: SiteName::new("site").unwrap(),
        target: TargetName::new(target).ok(),
        slot_ms: i64::try_from(index / 6 % SLOTS).unwrap() * SLOT_MS,
        quantity: i64::try_from(quantity).unwrap(),
        agreement: None,
        agreement_version: None,
        tick: 1,
        chain: Sha256::ZERO,
    }
}

fn card() -> RateCard {
    let item = |name: &str, meter, by, model| RateItem {
        name: LineName::new(name).unwrap(),
        meter: Some(meter),
        sites: Vec::new(),
        targets: Vec::new(),
        by,
        model,
        free_quantity: 0,
        discount_ppm: 10_000,
        minimum: None,
        maximum: None,
        deduct_probes: false,
        tax_code: TaxCode::new("full").unwrap(),
    };
    let price = |text: &str| text.parse().unwrap();
    let tier = |from, text| GraduatedTier { from, price: price(text) };
    let tiers = vec![tier(0, "0.08"), tier(10_000_000, "0.05"), tier(100_000_000, "0.03")];
    let p95 = P95Price {
        unit_size: 1_000,
        commitment_bps: 10_000,
        price: price("0.4"),
        overage_price: price("0.6"),
    };
    let unit = |text| RateModel::UnitPrice(UnitPrice { unit_size: Some(1_000), price: price(text) });
    RateCard {
        name: RateCardName::new("bench").unwrap(),
        version: 1,
        title: None,
        items: vec![
            item(
                "traffic",
                Meter::Bytes,
                RateBy::Target,
                RateModel::GraduatedPrice(GraduatedPrice { unit_size: Some(1_000_000), tiers }),
            ),
            item("requests", Meter::Requests, RateBy::Both, unit("0.001")),
            item("routed", Meter::RoutedTime, RateBy::Site, unit("0.0001")),
            item("egress", Meter::EgressP95, RateBy::Target, RateModel::P95Price(p95)),
        ],
        commitments: Vec::new(),
    }
}

fn terms() -> Terms {
    let rate = TaxRate { code: TaxCode::new("full").unwrap(), from_ms: 0, ppm: 190_000 };
    Terms { currency_exponent: 2, tax_rates: vec![rate], ..Terms::default() }
}

/// Sums by meter and target, sorts the slots of each target for its percentile, and multiplies.
fn plain(increments: &[Increment]) -> u128 {
    let mut sums = [[0_u128; 2]; 3];
    let mut slots = [const { Vec::new() }; 2];
    for increment in increments {
        let meter = match increment.meter {
            Meter::Bytes => 0,
            Meter::Requests => 1,
            _ => 2,
        };
        let target =
            usize::from(increment.target.as_ref().is_some_and(|target| target.as_str() == TARGETS[1]));
        let quantity = u128::try_from(increment.quantity).unwrap();
        sums[meter][target] += quantity;
        if meter == 0 {
            slots[target].push(quantity);
        }
    }
    let egress: u128 = slots
        .into_iter()
        .map(|mut slots| {
            let missing = usize::try_from(SLOTS).unwrap().saturating_sub(slots.len());
            slots.extend(std::iter::repeat_n(0, missing));
            slots.sort_unstable();
            slots.get((95 * slots.len()).div_ceil(100) - 1).map_or(0, |bytes| bytes * 8 / 300)
        })
        .sum();
    sums[0].iter().sum::<u128>() * 8 / 100
        + sums[1].iter().sum::<u128>() / 1_000
        + sums[2].iter().sum::<u128>() / 10_000
        + egress
}

/// The memory of the process that is in use, in MiB.
fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}
