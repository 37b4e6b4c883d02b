use expect_test::expect;

use super::{outcome, with, world};
use crate::{State, export};

#[test]
fn an_export_reads_back_as_the_same_state() {
    let state = world();
    let text = export(&state).expect("objects can be written");
    assert_eq!(with(State::default(), "world", &text), state);
    assert_eq!(outcome(&state, &text), "");
}

#[test]
fn an_export_is_written_as_people_write() {
    let text = export(&world()).expect("objects can be written");
    expect![[r#"
        kind: client
        name: acme
        ---
        kind: network
        name: as64500
        parent: region
        prefixes:
        - 192.0.2.0/24
        - 2001:db8::/32
        ---
        kind: network
        name: region
        parent: everywhere
        prefixes: []
        ---
        kind: cdn
        name: own
        type: operated
        dns_name: own.example.net
        addresses:
        - "198.51.100.7"
        probe_url: http://own.example.net/probe
        ---
        kind: cdn
        name: rented
        type: partner
        dns_name: rented.example.org
        addresses: []
        ---
        kind: probe
        agent: a1
        network: as64500
        ---
        kind: site
        client: acme
        name: shop
        hosts:
        - shop.example.com
        - www.shop.example.com
        origin:
          name: origin
          addresses:
          - "203.0.113.1"
          - "203.0.113.2"
          probe_url: https://shop.example.com:8443/probe
        cdns:
        - own
        - cdn: rented
          dns_name: shop.rented.example.org
        ttl_secs: 20
        probe_interval_ms: 10000
        objectives:
        - metric: response_time
          threshold: 150ms
          percentile: 95
          window: 600s
          samples_min: 20
          probes_min: 3
        - metric: available_bandwidth
          threshold: 20Mbit/s
          percentile: 90
          window: 3600s
          samples_min: 20
          probes_min: 1
    "#]]
    .assert_eq(&text);
}

#[test]
fn nothing_is_exported_as_nothing() {
    assert_eq!(export(&State::default()).expect("nothing is written"), "");
}

#[test]
fn a_name_that_only_begins_like_a_number_is_text() {
    for name in ["0o", "0x", "0o8", "0xg"] {
        let text = format!("kind: client\nname: {name}\n");
        assert_eq!(outcome(&State::default(), &text), format!("+ client {name}\n"));
    }
}
