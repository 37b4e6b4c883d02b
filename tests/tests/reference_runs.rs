//! Runs the reference on real measurements where they are at hand, and on generated ones elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use spillway_events::Outcome;
use spillway_tests::{Columns, Line, Objects, Row, read_rows, reference};

const ORIGIN: &str = "dns.circl.lu";
const CDNS: [&str; 2] = ["dns.google", "doh.mullvad.net"];
const NETWORKS: [(&str, &str); 3] =
    [("aws-ohio", "ec2-ohio"), ("aws-frankfurt", "ec2-frankfurt"), ("aws-seoul", "ec2-seoul")];
const SITES: [&str; 2] = ["google.com", "netflix.com"];

fn objects(percentile: u32) -> Objects {
    let mut text = String::from("kind: client\nname: acme\n---\nkind: network\nname: europe\n");
    for (network, agent) in NETWORKS {
        let parent = if network == "aws-frankfurt" { "europe" } else { "everywhere" };
        text.push_str(&format!("---\nkind: network\nname: {network}\nparent: {parent}\n"));
        text.push_str(&format!("---\nkind: probe\nagent: {agent}\nnetwork: {network}\n"));
    }
    for site in SITES {
        text.push_str(&format!(
            "---\nkind: site\nclient: acme\nname: {site}\nhosts: [www.{site}]\norigin: {{name: '{ORIGIN}'}}\n\
             cdns: ['{}', '{}']\nobjectives:\n  - {{metric: response_time, threshold: 150ms, percentile: \
             {percentile}, window: 1h, samples_min: 3, probes_min: 1}}\n",
            CDNS[0], CDNS[1]
        ));
    }
    Objects::from_documents(&text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// Two days, a row of each kind every five minutes: the origin is slow every other three hours, the first CDN fails
/// through the second day.
fn generated() -> Vec<Row> {
    let mut rows = Vec::new();
    for minute in (0..2 * 24 * 60).step_by(5) {
        for (network, agent) in NETWORKS {
            for site in SITES {
                for target in [ORIGIN, CDNS[0], CDNS[1]] {
                    let failed = target == CDNS[0] && minute >= 24 * 60;
                    let slow = target == ORIGIN && minute / 180 % 2 == 1;
                    rows.push(Row {
                        at_us: 1_634_331_482_000_000 + minute * 60_000_000,
                        agent: agent.to_owned(),
                        network: network.to_owned(),
                        site: site.to_owned(),
                        target: target.to_owned(),
                        outcome: if failed { Outcome::Failed } else { Outcome::Ok },
                        response_time_us: (!failed).then_some(if slow { 400_000 } else { 20_000 }),
                        throughput_bps: None,
                        tried_response_time: true,
                        tried_bandwidth: false,
                    });
                }
            }
        }
    }
    rows
}

fn measured_or_generated() -> Vec<Row> {
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    if !data.exists() {
        return generated();
    }
    let columns = Columns {
        at: "at",
        agent: "agent",
        network: "access_network",
        target: "target",
        site: "page",
        response_time_ms: Some("response_time_ms"),
        throughput_bps: None,
        ok: Some("ok"),
    };
    // The rows name a target by its URL; here its name is the URL's host.
    let by_host = |site: &str, target: &str| {
        let host = target.strip_prefix("https://").unwrap_or(target);
        (site.to_owned(), host.split('/').next().unwrap_or(host).to_owned())
    };
    read_rows(&data.join("doh-measurements.csv.gz"), columns, by_host)
}

/// Checks what holds of the lines of any input: order, words, and that each line is a change.
fn check(lines: &[Line]) {
    assert!(lines.is_sorted_by_key(|line| (line.at_us, line.site.clone(), line.network.clone())));
    for (number, line) in lines.iter().enumerate() {
        let is_same_place = |other: &&Line| (&other.site, &other.network) == (&line.site, &line.network);
        if let Some(before) = lines[..number].iter().rev().find(is_same_place) {
            let shown = |line: &Line| (line.route.clone(), line.verdict.clone(), line.reason.clone());
            assert_ne!(shown(before), shown(line), "{line:?} changes nothing");
        }
        match (line.verdict.as_str(), line.reason.as_deref()) {
            ("below", None) => assert_eq!(line.route, "origin"),
            ("at_or_above", None) => assert!(line.route.starts_with("cdn:"), "{line:?}"),
            ("unknown", Some("cold_start")) => assert_eq!(line.route, "origin"),
            ("unknown", Some("unknown_hold")) => {}
            _ => panic!("{line:?} has no such words"),
        }
        match line.value {
            Some(value) => assert_eq!(value >= line.threshold, line.verdict == "at_or_above", "{line:?}"),
            None => assert!(line.failed || line.verdict == "unknown", "{line:?}"),
        }
    }
}

fn check_routes_change(lines: &[Line]) {
    for site in SITES {
        for (network, _) in NETWORKS {
            let of_pair = || lines.iter().filter(|line| line.site == site && line.network == network);
            assert!(of_pair().count() > 2, "the route of {site} in {network} never changes");
            assert!(of_pair().any(|line| line.route == "origin"), "{site} in {network}");
            assert!(of_pair().any(|line| line.route.starts_with("cdn:")), "{site} in {network}");
        }
    }
}

#[test]
fn measured_rows_change_routes() {
    let rows = measured_or_generated();
    for percentile in [50, 95] {
        let lines = reference(&objects(percentile), &rows);
        check(&lines);
        // The first tick decides two sites in three networks, their region and the root.
        let first = lines.first().map(|line| line.at_us);
        assert_eq!(lines.iter().filter(|line| Some(line.at_us) == first).count(), 10);
        assert!(route_changes(&lines) > 10, "percentile {percentile}: {} lines", lines.len());
    }
}

/// How often a route of a site in a network differs from the one before it.
fn route_changes(lines: &[Line]) -> usize {
    let mut held = BTreeMap::new();
    let mut changes = 0;
    for line in lines {
        let before = held.insert((&line.site, &line.network), &line.route);
        changes += usize::from(before.is_some_and(|before| *before != line.route));
    }
    changes
}

#[test]
fn generated_rows_change_routes_as_they_are_made_to() {
    let lines = reference(&objects(50), &generated());
    check(&lines);
    check_routes_change(&lines);
    let at_minute = |minute: i64| 1_634_331_482_000_000 + minute * 60_000_000;
    // Routes to the first CDN begin on the first day only: on the second all of its hour has failed.
    let to = |cdn: &str| -> Vec<i64> {
        let route = format!("cdn:{cdn}");
        lines.iter().filter(|line| line.route == route).map(|line| line.at_us).collect()
    };
    assert!(to(CDNS[0]).iter().all(|at_us| *at_us < at_minute(24 * 60 + 60)));
    assert!(to(CDNS[1]).iter().all(|at_us| *at_us > at_minute(24 * 60)));
    assert!(!to(CDNS[0]).is_empty() && !to(CDNS[1]).is_empty());
}
