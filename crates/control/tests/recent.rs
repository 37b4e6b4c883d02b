//! What probes have tried lately, read from an embedded log that the test has written.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;

use spillway_control::{CommandHead, ProbesReport, Provisioner, Recent, SeriesReport};
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::{
    AgentName, Measurement, MeasurementBatch, Metric, Micros, NetworkName, Outcome, Performance, Series,
    SiteName, SourceName, Tick, TimeMicros, Tried, Verdict, encode, encode_frame, topics,
};
use spillway_provisioning::SourceFile;

const DOCUMENTS: &str = "\
kind: client
name: acme
---
kind: network
name: region
---
kind: network
name: net
parent: region
prefixes: [192.0.2.0/24]
---
kind: network
name: other
parent: region
prefixes: [198.51.100.0/24]
---
kind: probe
agent: agent
network: net
---
kind: probe
agent: quiet
network: other
---
kind: cdn
name: cdn
type: operated
dns_name: acme.edge.example
---
kind: site
name: shop
client: acme
hosts: [www.acme.example]
origin: {addresses: [192.0.2.1]}
cdns: [cdn]
";

/// The time of the last tick in seconds.
const NOW: i64 = 1_800_000_000;

struct Installation {
    log: Arc<dyn EventLog>,
    provisioner: Provisioner,
    _folder: tempfile::TempDir,
}

impl Installation {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::create(folder.path()).unwrap());
        for topic in [topics::PROVISIONING, topics::TICKS, topics::PERFORMANCE] {
            log.create_topic(topic, 1).unwrap();
        }
        log.create_topic(topics::MEASUREMENTS, 2).unwrap();
        let provisioner = Provisioner::new(Arc::clone(&log));
        let file = SourceFile { name: "documents", bytes: DOCUMENTS.as_bytes() };
        provisioner.apply(&[file], CommandHead::on_log("one", seconds(NOW))).unwrap();
        let tick = Tick {
            number: 0,
            at_us: seconds(NOW),
            rules: 1,
            restart: false,
            installation: String::new(),
            offsets: Vec::new(),
        };
        log.append_at(topics::TICKS, 0, &encode(&tick).unwrap()).unwrap();
        Self { log, provisioner, _folder: folder }
    }

    fn append(&self, partition: u32, batch: &MeasurementBatch) {
        self.log.append(topics::MEASUREMENTS, partition, &[&encode(batch).unwrap()]).unwrap();
    }

    fn probes(&self) -> ProbesReport {
        Recent::new(Arc::clone(&self.log)).probes(&self.provisioner.state().unwrap()).unwrap()
    }
}

fn seconds(seconds: i64) -> TimeMicros {
    TimeMicros(seconds * 1_000_000)
}

/// A batch of an agent in `net` with attempts on one target of the site: times in seconds, outcomes and errors.
fn batch(
    agent: &str,
    sequence: u64,
    target: &str,
    attempts: &[(i64, Outcome, Option<&str>)],
) -> MeasurementBatch {
    let measurement = |(at, outcome, error): &(i64, Outcome, Option<&str>)| Measurement {
        series: 0,
        at_us: seconds(*at),
        tried: Tried::ResponseTime,
        outcome: *outcome,
        response_time_us: (*outcome == Outcome::Ok).then_some(Micros(1_000)),
        throughput_bps: None,
        bytes: None,
        phases: None,
        error: error.map(str::to_owned),
    };
    MeasurementBatch {
        source: SourceName::new(agent).unwrap(),
        boot: 1,
        sequence,
        series: vec![Series {
            site: SiteName::new("shop").unwrap(),
            target: target.to_owned(),
            agent: AgentName::new(agent).unwrap(),
            network: NetworkName::new("net").unwrap(),
        }],
        measurements: attempts.iter().map(measurement).collect(),
    }
}

fn counts(series: &SeriesReport) -> (&str, [u64; 4]) {
    (&series.target, [series.ok, series.failed, series.refused, series.cut_off])
}

/// Repeats, unknown agents, unknown targets and what is older than 10 minutes are not counted.
#[test]
fn attempts_are_counted_once_by_outcome_and_cause() {
    let at = Installation::new();
    let (ok, failed, refused) = (Outcome::Ok, Outcome::Failed, Outcome::Refused);
    at.append(0, &batch("agent", 1, "origin", &[(NOW - 601, failed, Some("old")), (NOW - 600, ok, None)]));
    let second = batch(
        "agent",
        2,
        "origin",
        &[(NOW - 3, failed, Some("reset")), (NOW - 2, failed, Some("reset")), (NOW - 1, refused, Some("no"))],
    );
    at.append(0, &second);
    at.append(1, &second);
    at.append(1, &batch("stranger", 1, "origin", &[(NOW, ok, None)]));
    at.append(1, &batch("agent", 3, "nothing", &[(NOW, ok, None)]));
    at.append(1, &batch("agent", 4, "cdn", &[(NOW - 700, failed, Some("x".repeat(1_000).as_str()))]));
    at.log.append(topics::MEASUREMENTS, 1, &[b"junk"]).unwrap();

    let report = at.probes();
    assert_eq!((report.as_of_us, report.from_us), (Some(seconds(NOW)), Some(seconds(NOW - 600))));
    let found: Vec<_> = report.series.iter().map(counts).collect();
    assert_eq!(found, [("cdn", [0; 4]), ("origin", [1, 2, 1, 0])]);
    let [cdn, origin] = &report.series[..] else { panic!("{report:?}") };
    assert_eq!((cdn.last.at_us, cdn.last.error.as_ref().unwrap().len()), (seconds(NOW - 700), 200));
    assert_eq!((origin.last.at_us, origin.last.outcome), (seconds(NOW - 1), refused));
    let causes: Vec<_> =
        origin.causes.iter().map(|c| (c.outcome, c.error.as_str(), c.count, c.last_at_us)).collect();
    assert_eq!(causes, [(failed, "reset", 2, seconds(NOW - 2)), (refused, "no", 1, seconds(NOW - 1))]);
    let silent: Vec<_> = report.silent.iter().map(|probe| probe.agent.as_str()).collect();
    assert_eq!((silent, report.is_cut), (vec!["quiet"], false));
}

#[test]
fn causes_of_one_series_are_bounded() {
    let at = Installation::new();
    let errors: Vec<String> = (0..40).map(|n| format!("error {n}")).collect();
    let attempts: Vec<_> = errors.iter().map(|error| (NOW, Outcome::Failed, Some(error.as_str()))).collect();
    at.append(0, &batch("agent", 1, "origin", &attempts));
    let report = at.probes();
    let series = &report.series[0];
    assert_eq!((series.causes.len(), series.other_causes, series.failed), (16, 24, 40));
}

/// 40 batches of almost a MiB each, one a second: more bytes than one call reads. What was read says from when on it counts.
#[test]
fn reading_stops_at_its_budget_of_bytes() {
    let at = Installation::new();
    // The longest errors, all different, because each stands once in a batch.
    let errors: Vec<String> = (0..976).map(|n| format!("{n:0>1024}")).collect();
    for n in 0..40 {
        let attempts: Vec<_> =
            errors.iter().map(|error| (NOW - 40 + n, Outcome::Failed, Some(error.as_str()))).collect();
        at.append(0, &batch("agent", u64::try_from(n).unwrap() + 1, "origin", &attempts));
    }
    let report = at.probes();
    // Pieces of 1, 2, 4, 8 and 16 records have less than 32 MiB; the 9 records before them do not fit.
    assert_eq!(report.series[0].failed, 31 * 976);
    assert_eq!(report.from_us, Some(seconds(NOW - 31)));
}

/// A partition of more records than one call reads, all of them recent, beside a quiet one that is still read whole.
#[test]
fn reading_stops_at_its_budget_of_records_and_leaves_no_partition_out() {
    let at = Installation::new();
    at.append(1, &batch("agent", 1, "cdn", &[(NOW - 500, Outcome::Ok, None)]));
    let records: Vec<Vec<u8>> = (0..70_000_u64)
        .map(|n| encode(&batch("agent", n + 2, "origin", &[(NOW - 1, Outcome::Ok, None)])).unwrap())
        .collect();
    for chunk in records.chunks(5_000) {
        let chunk: Vec<&[u8]> = chunk.iter().map(Vec::as_slice).collect();
        at.log.append(topics::MEASUREMENTS, 0, &chunk).unwrap();
    }
    let report = at.probes();
    let found: Vec<_> = report.series.iter().map(counts).collect();
    assert_eq!(found, [("cdn", [1, 0, 0, 0]), ("origin", [65_535, 0, 0, 0])]);
    assert_eq!(report.from_us, Some(seconds(NOW - 1)));
}

/// Reading ends before the start of a log whose records are old; a few late ones at its end do not end it.
#[test]
fn reading_ends_where_records_are_old() {
    let at = Installation::new();
    let append = |sequences: std::ops::Range<u64>, second: i64| {
        let records: Vec<Vec<u8>> = sequences
            .map(|n| encode(&batch("agent", n, "origin", &[(second, Outcome::Ok, None)])).unwrap())
            .collect();
        at.log
            .append(topics::MEASUREMENTS, 0, &records.iter().map(Vec::as_slice).collect::<Vec<_>>())
            .unwrap();
    };
    // A piece that holds this record is never read: pieces end at the old ones.
    at.append(0, &batch("agent", 1, "cdn", &[(NOW, Outcome::Ok, None)]));
    append(2..1_002, NOW - 1_000);
    append(1_002..1_012, NOW);
    append(1_012..1_014, NOW - 700);
    let report = at.probes();
    let found: Vec<_> = report.series.iter().map(counts).collect();
    assert_eq!(found, [("origin", [10, 0, 0, 0])]);
    assert_eq!(report.from_us, Some(seconds(NOW - 600)));
}

fn value(site: &str, target: &str, network: &str, at: i64, value: u64) -> Performance {
    Performance {
        site: SiteName::new(site).unwrap(),
        target: target.to_owned(),
        network: NetworkName::new(network).unwrap(),
        at_us: seconds(at),
        metric: Metric::ResponseTime,
        threshold: 150_000,
        percentile: 95,
        window_us: Micros(600_000_000),
        verdict: Verdict::Below,
        value: Some(value),
        failed: false,
        samples: 60,
    }
}

/// The newest frame has several chunks; behind it are the first chunk of a frame that is not complete, and junk.
#[test]
fn the_values_of_a_site_are_those_of_the_newest_complete_frame() {
    let at = Installation::new();
    let frame = |tick: u64, second: i64, shift: u64| {
        let long = "x".repeat(200);
        let others = |letter: char| {
            (0..5_000).map(|n| value(&format!("{letter}{n:06}"), &long, "net", second, 1)).collect::<Vec<_>>()
        };
        let shop = [
            value("shop", "cdn", "net", second, 20 + shift),
            value("shop", "origin", "everywhere", second, 30 + shift),
            value("shop", "origin", "region", second, 40 + shift),
        ];
        encode_frame(tick, &[others('s'), shop.to_vec(), others('t')].concat()).unwrap()
    };
    let append = |records: &[Vec<u8>]| {
        for record in records {
            at.log.append(topics::PERFORMANCE, 0, &[record]).unwrap();
        }
    };
    let (older, newer, next) = (frame(1, NOW - 20, 0), frame(2, NOW - 10, 1), frame(3, NOW, 2));
    assert!(newer.len() > 3, "{} chunks", newer.len());
    append(&older);
    append(&newer);
    append(&next[..2]);
    at.log.append(topics::PERFORMANCE, 0, &[b"junk"]).unwrap();
    let recent = Recent::new(Arc::clone(&at.log));
    let state = at.provisioner.state().unwrap();
    let shop = SiteName::new("shop").unwrap();
    let values = |network: Option<&str>| {
        let network = network.map(|name| NetworkName::new(name).unwrap());
        let now = recent.site(&state, &shop, network.as_ref()).unwrap();
        let values = now.values.into_iter();
        values.map(|v| format!("{} {} {}", v.target, v.network, v.value.unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(values(None), ["origin everywhere 31", "origin region 41", "cdn net 21"]);
    assert_eq!(values(Some("net")), ["origin region 41", "cdn net 21"]);
    assert_eq!(values(Some("other")), ["origin region 41"]);
    append(&next);
    assert_eq!(values(None), ["origin everywhere 32", "origin region 42", "cdn net 22"]);
}

/// Evidence that has gone leaves no newer frame: an old value does not hold now.
#[test]
fn a_value_of_long_ago_does_not_hold_now() {
    let at = Installation::new();
    for record in encode_frame(1, &[value("shop", "origin", "net", NOW - 61, 1)]).unwrap() {
        at.log.append(topics::PERFORMANCE, 0, &[&record]).unwrap();
    }
    let state = at.provisioner.state().unwrap();
    let now = Recent::new(Arc::clone(&at.log)).site(&state, &SiteName::new("shop").unwrap(), None).unwrap();
    assert_eq!((now.values, now.targets), (Vec::new(), vec![String::from("origin"), String::from("cdn")]));
}

/// In one network the failures are those of the probes that count there: of its own, or of the nearest ancestor with any.
#[test]
fn failures_are_those_of_the_probes_that_count() {
    let at = Installation::new();
    at.append(0, &batch("agent", 1, "origin", &[(NOW - 1, Outcome::Refused, Some("not allowed"))]));
    let state = at.provisioner.state().unwrap();
    let recent = Recent::new(Arc::clone(&at.log));
    let count = |network: &str| {
        let network = NetworkName::new(network).unwrap();
        let now = recent.site(&state, &SiteName::new("shop").unwrap(), Some(&network)).unwrap();
        now.failures.iter().map(|failure| failure.cause.count).sum::<u64>()
    };
    assert_eq!(["net", "other", "region", "everywhere"].map(count), [1, 0, 1, 1]);
}
