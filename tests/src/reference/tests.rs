//! The rule by examples, each worked out by hand.

use std::fmt::Write as _;
use std::path::Path;

use spillway_events::{Metric, Outcome, Value, Verdict};

use super::number::{Permille, middle, percentile, permille, rounded};
use super::route::{Standing, choose};
use super::{Columns, Objects, Row, read_rows, reference};

const NETWORKS: &str = "\
kind: client
name: acme
---
kind: network
name: region
---
kind: network
name: n1
parent: region
---
kind: network
name: n2
parent: region
---
kind: network
name: n3
---
kind: probe
agent: a
network: n1
---
kind: probe
agent: b
network: n2
---
kind: probe
agent: c
network: n2
";

/// One site `s` with the origin `o`, the CDNs given, and the objectives given.
fn objects(cdns: &str, objectives: &[&str]) -> Objects {
    let mut text = format!(
        "{NETWORKS}---\nkind: site\nclient: acme\nname: s\nhosts: [s.example.com]\norigin: {{name: o}}\n\
         cdns: [{cdns}]\nobjectives:\n"
    );
    for objective in objectives {
        writeln!(text, "  - {{{objective}}}").expect("a string takes everything");
    }
    if objectives.is_empty() {
        text = text.replace("objectives:\n", "");
    }
    Objects::from_documents(&text).expect("the documents are well formed")
}

/// Ten panes of one second; two samples make a value, of which the median of two is the better.
const SHORT: &str =
    "metric: response_time, threshold: 150ms, percentile: 50, window: 10s, samples_min: 2, probes_min: 1";

fn agent_network(agent: &str) -> &'static str {
    if agent == "a" { "n1" } else { "n2" }
}

/// An attempt that tried response time; none is a failure.
fn row(at_secs: f64, agent: &str, target: &str, response_time_ms: Option<u64>) -> Row {
    #[expect(clippy::cast_possible_truncation, reason = "the times of these tests are small")]
    let at_us = (at_secs * 1_000_000.0).round() as i64;
    Row {
        at_us,
        agent: agent.to_owned(),
        network: agent_network(agent).to_owned(),
        site: String::from("s"),
        target: target.to_owned(),
        outcome: if response_time_ms.is_some() { Outcome::Ok } else { Outcome::Failed },
        response_time_us: response_time_ms.map(|ms| ms * 1_000),
        throughput_bps: None,
        tried_response_time: true,
        tried_bandwidth: false,
    }
}

/// The lines of one network as `second route verdict reason value samples/probes`.
fn seen(objects: &Objects, rows: &[Row], network: &str) -> Vec<String> {
    let lines = reference(objects, rows).into_iter().filter(|line| line.network == network);
    lines
        .map(|line| {
            assert_eq!(line.at_us % 1_000_000, 0);
            let reason = line.reason.as_deref().unwrap_or("-");
            let value = match (line.value, line.failed) {
                (Some(value), false) => value.to_string(),
                (None, true) => String::from("failed"),
                (None, false) => String::from("-"),
                (Some(_), true) => panic!("{line:?} has a value and failed"),
            };
            format!(
                "{} {} {} {reason} {value} {}/{}",
                line.at_us / 1_000_000,
                line.route,
                line.verdict,
                line.samples,
                line.probes
            )
        })
        .collect()
}

#[test]
fn response_time_rounds_down_and_throughput_up_to_three_digits() {
    let cases = [(0, 0, 0), (999, 999, 999), (1_000, 1_000, 1_000), (1_001, 1_000, 1_010)];
    let more =
        [(150_999, 150_000, 151_000), (9_991, 9_990, 10_000), (3_600_000_000, 3_600_000_000, 3_600_000_000)];
    for (number, down, up) in cases.into_iter().chain(more) {
        assert_eq!(rounded(Metric::ResponseTime, number), down, "{number}");
        assert_eq!(rounded(Metric::AvailableBandwidth, number), up, "{number}");
    }
}

#[test]
fn ranks_count_from_the_best_and_failures_are_the_worst() {
    let values = |numbers: &[u64]| numbers.iter().map(|number| Value::Number(*number)).collect::<Vec<_>>();
    let (time, bandwidth) = (Metric::ResponseTime, Metric::AvailableBandwidth);
    // Of 20, rank ⌈95 · 20 / 100⌉ = 19; of 21, ⌈19.95⌉ = 20.
    assert_eq!(percentile(time, values(&(1..=20).collect::<Vec<_>>()), 95), Some(Value::Number(19)));
    assert_eq!(percentile(time, values(&(1..=21).collect::<Vec<_>>()), 95), Some(Value::Number(20)));
    assert_eq!(percentile(bandwidth, values(&(1..=20).collect::<Vec<_>>()), 95), Some(Value::Number(2)));
    assert_eq!(percentile(time, values(&[7, 5]), 1), Some(Value::Number(5)));
    assert_eq!(percentile(time, vec![Value::Failed, Value::Number(9)], 51), Some(Value::Failed));
    assert_eq!(percentile(time, vec![Value::Failed, Value::Number(9)], 50), Some(Value::Number(9)));
    assert_eq!(percentile(time, Vec::new(), 50), None);
    // Of 4, rank 2; of 3, rank 2: at-or-above exactly when more than half are.
    assert_eq!(middle(time, values(&[4, 3, 2, 1])), Some(Value::Number(2)));
    assert_eq!(middle(time, values(&[3, 2, 1])), Some(Value::Number(2)));
    assert_eq!(middle(bandwidth, values(&[4, 3, 2, 1])), Some(Value::Number(3)));
}

#[test]
fn permille_rounds_down_and_is_infinite_for_nothing() {
    assert_eq!(permille(Metric::ResponseTime, Value::Number(149), 150), Permille::Finite(993));
    assert_eq!(permille(Metric::ResponseTime, Value::Number(150), 150), Permille::Finite(1_000));
    assert_eq!(permille(Metric::AvailableBandwidth, Value::Number(15), 20), Permille::Finite(1_333));
    assert_eq!(permille(Metric::AvailableBandwidth, Value::Number(0), 20), Permille::Infinite);
    assert_eq!(permille(Metric::ResponseTime, Value::Failed, 150), Permille::Infinite);
}

#[test]
fn the_cdn_is_chosen_by_the_four_rules() {
    let below = |permille: u128| -> Standing { (Verdict::Below, Some(Permille::Finite(permille))) };
    let above = |permille: u128| -> Standing { (Verdict::AtOrAbove, Some(Permille::Finite(permille))) };
    let dead: Standing = (Verdict::AtOrAbove, Some(Permille::Infinite));
    let unknown: Standing = (Verdict::Unknown, None);
    let cases: [(&[Standing], Option<usize>, Option<usize>); 19] = [
        (&[], None, None),
        // 1
        (&[below(901), below(500)], Some(1), Some(1)),
        (&[below(900), below(500)], Some(1), Some(0)),
        (&[below(950), below(900), below(999)], Some(2), Some(1)),
        (&[unknown, below(999)], Some(1), Some(1)),
        (&[below(999), below(1)], Some(0), Some(0)),
        // 2
        (&[unknown, below(999), below(1)], None, Some(1)),
        (&[above(1_000), unknown, below(999)], Some(0), Some(2)),
        // 3
        (&[above(1_000), unknown, unknown], None, Some(1)),
        (&[unknown, unknown], Some(1), Some(0)),
        // 4
        (&[above(1_200), above(1_100), above(1_100)], None, Some(1)),
        (&[above(1_200), above(1_333)], Some(1), Some(1)),
        (&[above(1_200), above(1_334)], Some(1), Some(0)),
        (&[above(1_800), above(2_000)], Some(1), Some(0)),
        (&[above(1_801), above(2_000)], Some(1), Some(1)),
        (&[above(9_000), dead], Some(1), Some(0)),
        (&[dead, above(9_000)], Some(1), Some(1)),
        (&[dead, dead], None, Some(0)),
        (&[dead, dead], Some(1), Some(1)),
    ];
    for (number, (cdns, present, expected)) in cases.into_iter().enumerate() {
        assert_eq!(choose(cdns, present), expected, "case {number}");
    }
}

#[test]
fn the_first_tick_decides_everywhere_and_panes_leave_between_rows() {
    let objects = objects("x", &[SHORT]);
    // Panes 100 and 101 leave at 110 and 111. Only what row comes after makes time pass.
    let mut rows = vec![row(100.5, "a", "o", Some(150)), row(101.0, "a", "o", Some(200))];
    let lines = reference(&objects, &rows);
    let networks: Vec<&str> = lines.iter().map(|line| line.network.as_str()).collect();
    assert_eq!(networks, ["everywhere", "n1", "n2", "n3", "region"]);
    for network in ["everywhere", "n1", "n2", "n3", "region"] {
        assert_eq!(seen(&objects, &rows, network), ["101 cdn:x at_or_above - 150000 2/1"]);
    }
    rows.push(row(120.0, "a", "x", Some(1)));
    let expected = ["101 cdn:x at_or_above - 150000 2/1", "110 cdn:x unknown unknown_hold - 0/0"];
    assert_eq!(seen(&objects, &rows, "n1"), expected);
    // At 110 itself the pane has left before the row of 110 counts.
    rows[2] = row(110.0, "a", "o", Some(149));
    let expected = ["101 cdn:x at_or_above - 150000 2/1", "110 origin below - 149000 2/1"];
    assert_eq!(seen(&objects, &rows, "n1"), expected);
}

#[test]
fn a_late_row_joins_the_tick_being_gathered() {
    let objects = objects("x", &[SHORT]);
    let joined = [row(105.0, "a", "o", Some(1)), row(96.0, "a", "o", Some(2))];
    assert_eq!(seen(&objects, &joined, "n1"), ["105 origin below - 1000 2/1"]);
    // Pane 95 is outside the window of tick 105, panes 96 to 105.
    let too_late = [row(105.0, "a", "o", Some(1)), row(95.999, "a", "o", Some(2))];
    assert_eq!(seen(&objects, &too_late, "n1"), ["105 origin unknown cold_start - 0/0"]);
}

#[test]
fn rows_of_nobody_are_passed_over_before_anything() {
    let objects = objects("x", &[SHORT]);
    let mut rows = vec![row(50.0, "a", "elsewhere", Some(1)), row(60.0, "z", "o", Some(1))];
    let mut slow = row(70.0, "a", "o", Some(1));
    slow.response_time_us = Some(3_600_000_001);
    rows.push(slow);
    assert_eq!(reference(&objects, &rows), []);
    rows.push(row(100.0, "a", "o", Some(1)));
    assert_eq!(seen(&objects, &rows, "n1"), ["100 origin unknown cold_start - 0/0"]);
}

#[test]
fn unknown_holds_the_route_once_something_was_known() {
    let objects = objects("x", &[SHORT]);
    let rows = [
        row(100.0, "a", "o", Some(1)),
        row(101.0, "a", "o", Some(1)),
        row(115.0, "a", "o", None),
        row(116.0, "a", "o", None),
        row(140.0, "a", "x", Some(1)),
    ];
    let expected = [
        "100 origin unknown cold_start - 0/0",
        "101 origin below - 1000 2/1",
        "110 origin unknown unknown_hold - 0/0",
        "116 cdn:x at_or_above - failed 2/1",
        "125 cdn:x unknown unknown_hold - 0/0",
    ];
    assert_eq!(seen(&objects, &rows, "n1"), expected);
}

#[test]
fn evidence_comes_from_the_nearest_ancestor_that_has_some() {
    let two = SHORT.replace("probes_min: 1", "probes_min: 2");
    let objects = objects("x", &[&two]);
    let fast_and_slow: Vec<Row> = [("a", 100), ("a", 100), ("b", 300), ("b", 300)]
        .into_iter()
        .map(|(agent, ms)| row(100.0, agent, "o", Some(ms)))
        .collect();
    // n1 has one probe, so one is enough. n2 has two and one value: not enough; of the region's two values the
    // better is the middle.
    assert_eq!(seen(&objects, &fast_and_slow, "n1"), ["100 origin below - 100000 2/1"]);
    assert_eq!(seen(&objects, &fast_and_slow, "n2"), ["100 origin below - 100000 4/2"]);
    assert_eq!(seen(&objects, &fast_and_slow, "n3"), ["100 origin below - 100000 4/2"]);
    // With the third probe slow as well, more than half are at or above.
    let mut rows = fast_and_slow;
    rows.extend([row(100.0, "c", "o", None), row(100.0, "c", "o", Some(400))]);
    assert_eq!(seen(&objects, &rows, "n2"), ["100 cdn:x at_or_above - 300000 4/2"]);
    assert_eq!(seen(&objects, &rows, "region"), ["100 cdn:x at_or_above - 300000 6/3"]);
    assert_eq!(seen(&objects, &rows, "n3"), ["100 cdn:x at_or_above - 300000 6/3"]);
    // A single value for all: below what the region needs, so its samples are told, but they are no evidence.
    let single = [row(100.0, "b", "o", Some(1)), row(100.0, "b", "o", Some(1))];
    assert_eq!(seen(&objects, &single, "region"), ["100 origin unknown cold_start - 2/1"]);
    assert_eq!(seen(&objects, &single, "n1"), ["100 origin unknown cold_start - 0/0"]);
}

#[test]
fn of_several_objectives_the_first_with_the_verdict_decides() {
    let bandwidth = "metric: available_bandwidth, threshold: 20Mbit/s, percentile: 50, window: 10s, \
                     samples_min: 1, probes_min: 1";
    let objects = objects("x", &[SHORT, bandwidth]);
    let measured = |at_secs: f64, ms: u64, bps: Option<u64>| {
        let mut measured = row(at_secs, "a", "o", Some(ms));
        measured.throughput_bps = bps;
        measured.tried_bandwidth = true;
        measured
    };
    // 19,900,001 bit/s round up to 20 Mbit/s, which is not above the level agreed.
    let rows = [
        measured(100.0, 100, None),
        measured(101.0, 100, Some(20_000_001)),
        measured(102.0, 100, Some(19_900_001)),
        measured(102.0, 100, Some(1)),
        measured(102.0, 100, None),
    ];
    let expected = ["100 origin unknown cold_start - 0/0", "101 origin below - 100000 2/1"];
    assert_eq!(seen(&objects, &rows[..2], "n1"), expected);
    // Of 20.1, 20.0 and 0.000001 Mbit/s the middle; the second objective's threshold is told.
    assert_eq!(seen(&objects, &rows, "n1")[2..], ["102 cdn:x at_or_above - 20000000 3/1"]);
    let last = reference(&objects, &rows).pop().expect("there are lines");
    assert_eq!(last.threshold, 20_000_000);
    // Failed, it failed for both metrics, and the first decides.
    let mut failed = rows.to_vec();
    for row in &mut failed {
        row.outcome = Outcome::Failed;
    }
    let expected = ["100 cdn:x at_or_above - failed 1/1"];
    assert_eq!(seen(&objects, &failed, "n1"), expected);
}

#[test]
fn without_cdn_or_objective_the_origin_serves_and_says_why() {
    let slow = [row(100.0, "a", "o", None), row(100.0, "a", "o", None), row(120.0, "a", "o", None)];
    let expected =
        ["100 origin at_or_above no_usable_cdn failed 2/1", "110 origin unknown unknown_hold - 0/0"];
    assert_eq!(seen(&objects("", &[SHORT]), &slow, "n1"), expected);
    assert_eq!(seen(&objects("x", &[]), &slow, "n1"), ["100 origin unknown no_agreement - 0/0"]);
}

#[test]
fn the_present_cdn_stays_while_it_is_below() {
    let objects = objects("x, y", &[SHORT]);
    let pair =
        |at_secs: f64, target: &str, ms: u64| [at_secs, at_secs].map(|at| row(at, "a", target, Some(ms)));
    let rows: Vec<Row> = [
        pair(100.0, "o", 500),
        // x is unknown until 102, so the first below is y.
        pair(101.0, "y", 149),
        // 136 of 150 are 906 permille.
        pair(102.0, "x", 136),
        // The better of two in four, rank 2: 135 of 150 are 900 permille.
        pair(103.0, "x", 135),
    ]
    .concat();
    let expected = [
        "100 cdn:x at_or_above - 500000 2/1",
        "101 cdn:y at_or_above - 500000 2/1",
        "103 cdn:x at_or_above - 500000 2/1",
    ];
    assert_eq!(seen(&objects, &rows, "n1"), expected);
}

#[test]
fn a_csv_file_says_what_its_columns_say() {
    let path = std::env::temp_dir().join(format!("spillway-reference-{}.csv", std::process::id()));
    let text = "t,who,net,where,page,ms,bps,ok\n\
                2021-10-15T20:58:02,a,n1,O,S,435.504966,,1\n\
                1970-01-01T00:00:01.5Z,a,n1,O,S,,7,true\n\
                1970-01-01T00:00:02Z,a,n1,O,S,,,0\n\
                1970-01-01T00:00:03Z,a,n1,O,S,,,refused\n\
                yesterday,a,n1,O,S,1,,1\n\
                1970-01-01T00:00:02Z,a,n1,O,S,-1,,1\n";
    std::fs::write(&path, text).expect("the temporary folder can be written");
    let columns = Columns {
        at: "t",
        agent: "who",
        network: "net",
        target: "where",
        site: "page",
        response_time_ms: Some("ms"),
        throughput_bps: Some("bps"),
        ok: Some("ok"),
    };
    let rows =
        read_rows(Path::new(&path), columns, |site, target| (site.to_lowercase(), target.to_lowercase()));
    std::fs::remove_file(&path).expect("the file can be removed");
    let told: Vec<_> =
        rows.iter().map(|row| (row.at_us, row.response_time_us, row.throughput_bps, row.outcome)).collect();
    let expected = [
        (1_634_331_482_000_000, Some(435_504), None, Outcome::Ok),
        (1_500_000, None, Some(7), Outcome::Ok),
        (2_000_000, None, None, Outcome::Failed),
        (3_000_000, None, None, Outcome::Refused),
    ];
    assert_eq!(told, expected);
    assert!(rows.iter().all(|row| row.site == "s" && row.target == "o" && row.tried_response_time));
    assert_eq!(rows[2].value(Metric::AvailableBandwidth), Some(Value::Failed));
    assert_eq!(rows[0].value(Metric::AvailableBandwidth), None);
    assert_eq!(rows[3].value(Metric::AvailableBandwidth), None);
}
