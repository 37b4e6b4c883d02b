//! The chain, and what it finds.

use proptest::prelude::*;
use spillway_events::{
    BillingFault, BillingItem, CdnName, ClientName, Meter, NetworkName, ServiceLevel, Sha256,
    UnmappedIncrement,
};

use super::{increment, site};
use crate::chain::{ChainError, Heads, chain_tick, link, verify};

fn client(name: &str) -> ClientName {
    ClientName::new(name).unwrap()
}

fn of(tick: u64, of: &str, meter: Meter, name: &str, to: &str, slot: i64) -> BillingItem {
    let increment = increment(meter, name, to, slot, 5);
    BillingItem::Increment(spillway_events::Increment { client: client(of), tick, ..increment })
}

fn level(tick: u64, slot_ms: i64, network: &str) -> BillingItem {
    BillingItem::ServiceLevel(ServiceLevel {
        client: client("acme"),
        site: site("shop"),
        network: NetworkName::new(network).unwrap(),
        slot_ms,
        met: 5,
        missed: 0,
        unknown: 0,
        excluded_pinned: 0,
        excluded_drained: 0,
        excluded_maintenance: 0,
        agreement: None,
        agreement_version: None,
        tick,
        chain: Sha256::ZERO,
    })
}

fn fault(tick: u64, why: &str) -> BillingItem {
    let (client, why) = (client("acme"), why.to_owned());
    BillingItem::BillingFault(BillingFault { client, from_ms: 0, to_ms: 1, why, tick, chain: Sha256::ZERO })
}

fn unmapped(tick: u64) -> BillingItem {
    BillingItem::UnmappedIncrement(UnmappedIncrement {
        cdn: CdnName::new("edge").unwrap(),
        property: String::from("p"),
        meter: Meter::UnmappedBytes,
        meter_version: 1,
        slot_ms: 0,
        quantity: 5,
        tick,
    })
}

/// In the order of their chains.
fn records() -> Vec<Vec<BillingItem>> {
    vec![
        vec![
            unmapped(1),
            of(1, "acme", Meter::Requests, "a", "y", 1),
            of(1, "acme", Meter::ActiveHosts, "b", "", 2),
            of(1, "acme", Meter::Bytes, "b", "x", 2),
            of(1, "acme", Meter::Bytes, "b", "y", 2),
            of(1, "acme", Meter::RoutedTime, "b", "x", 2),
            level(1, 0, "as1"),
            level(1, 0, "as2"),
            level(1, 300_000, "as1"),
            fault(1, "a"),
            fault(1, "b"),
            of(1, "beta", Meter::Bytes, "c", "x", 0),
        ],
        vec![of(2, "acme", Meter::Bytes, "b", "x", 0), of(2, "beta", Meter::Bytes, "c", "x", 1)],
    ]
}

fn chained() -> (Vec<BillingItem>, Heads) {
    let mut heads = Heads::new();
    let ticks = records().into_iter().map(|tick| chain_tick(tick, &mut heads).unwrap());
    let all = ticks.collect::<Vec<_>>().concat();
    (all, heads)
}

#[test]
fn each_record_has_the_chain_up_to_it() {
    let (all, heads) = chained();
    assert_eq!(verify(&all, &heads), Ok(heads.clone()));
    let first = &all[1];
    let bytes = first.chained_bytes().unwrap().unwrap();
    let expected = Sha256::of(&[&[0; 32], &bytes[..]].concat());
    assert_eq!(first.chained(), Some((&client("acme"), expected)));
    let bytes = all[2].chained_bytes().unwrap().unwrap();
    let expected = Sha256::of(&[&expected.as_bytes()[..], &bytes].concat());
    assert_eq!(all[2].chained(), Some((&client("acme"), expected)));
    assert_eq!(link(all[1].chained().unwrap().1, &all[2]), Ok(expected));
    assert_eq!(heads.len(), 2);
    assert_eq!(heads[&client("beta")], all[13].chained().unwrap().1);
}

#[test]
fn the_order_in_which_a_tick_made_its_records_does_not_matter() {
    let (all, _) = chained();
    let mut reversed = records();
    reversed[0].reverse();
    let mut heads = Heads::new();
    let ticks: Vec<_> = reversed.into_iter().map(|tick| chain_tick(tick, &mut heads).unwrap()).collect();
    assert_eq!(ticks.concat(), all);
}

#[test]
fn a_cut_end_is_found_by_the_head() {
    let (mut all, heads) = chained();
    all.pop();
    assert!(verify(&all, &Heads::new()).is_ok());
    let head = heads[&client("beta")];
    assert_eq!(verify(&all, &heads), Err(ChainError::Head { client: client("beta"), expected: head }));
    assert!(matches!(verify([], &heads), Err(ChainError::Head { .. })));
}

/// Whoever chains anew what is out of order is found out too.
#[test]
fn records_out_of_order_are_found_if_they_were_chained_so() {
    let mut head = Sha256::ZERO;
    let mut two = [fault(2, "a"), fault(1, "a")];
    for item in &mut two {
        head = link(head, item).unwrap();
        item.set_chain(head);
    }
    assert_eq!(verify(&two, &Heads::new()), Err(ChainError::Order { client: client("acme"), index: 1 }));
}

fn tampered(item: &BillingItem, field: usize) -> BillingItem {
    let mut item = item.clone();
    match &mut item {
        BillingItem::Increment(of) => match field % 6 {
            0 => of.quantity += 1,
            1 => of.slot_ms += 300_000,
            2 => of.meter_version += 1,
            3 => of.site = site("other"),
            4 => of.agreement_version = Some(9),
            _ => of.chain = Sha256::of(b"x"),
        },
        BillingItem::ServiceLevel(of) => match field % 4 {
            0 => (of.met, of.missed) = (of.missed, of.met),
            1 => of.excluded_drained += 1,
            2 => of.unknown += 1,
            _ => of.tick += 1,
        },
        BillingItem::BillingFault(of) => of.why.push('x'),
        _ => {}
    }
    item
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// A record is changed, taken out, written twice or swapped with another one of its client.
    #[test]
    fn every_tampering_is_found(how in 0..4, at in 1..14_usize, other in 1..14_usize, field in 0..60_usize) {
        let (mut all, heads) = chained();
        let before = all.clone();
        match how {
            0 => all[at] = tampered(&all[at], field),
            1 => _ = all.remove(at),
            2 => all.insert(other, before[at].clone()),
            _ => all.swap(at, other),
        }
        let of_client = |items: &[BillingItem], of: &str| {
            let of = client(of);
            items.iter().filter(|item| item.chained().is_some_and(|(client, _)| *client == of)).cloned().collect::<Vec<_>>()
        };
        let is_same = ["acme", "beta"].iter().all(|of| of_client(&all, of) == of_client(&before, of));
        prop_assert_eq!(verify(&all, &heads).is_ok(), is_same);
    }
}
