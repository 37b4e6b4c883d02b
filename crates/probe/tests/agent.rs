//! Runs agents against test servers on real sockets, with sinks that record their batches.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use common::StandIn;
use spillway_events::{
    Address, AgentName, Cdn, CdnKind, CdnName, CdnOfSite, ClientName, MeasurementBatch, NetworkName, Origin,
    Outcome, Probe, Record, Series, Site, SiteName, SourceName, TimeMicros, decode, encode,
};
use spillway_probe::{Agent, AgentCounts, AgentSettings, Assignment, Limits, Target, assignments};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

fn settings(batch_records_max: usize, queue_batches_max: usize) -> AgentSettings {
    AgentSettings {
        source: SourceName::new("a1").unwrap(),
        boot: 42,
        seed: 7,
        limits: Limits {
            timeout: TEST_TIMEOUT,
            allowed: vec!["127.0.0.0/8".parse().unwrap()],
            ..Limits::default()
        },
        flush_interval: Duration::from_millis(50),
        batch_records_max,
        queue_batches_max,
        retry_interval: Duration::from_millis(1),
        stop_timeout: TEST_TIMEOUT,
        now: || TimeMicros(1_000_000),
    }
}

fn assignment(target: &str, url: String) -> Assignment {
    Assignment {
        series: Series {
            site: SiteName::new("shop").unwrap(),
            target: String::from(target),
            agent: AgentName::new("a1").unwrap(),
            network: NetworkName::new("n1").unwrap(),
        },
        target: Target { url, addresses: Vec::new(), host_header: String::from("www.shop.example") },
        interval: Duration::from_millis(100),
    }
}

/// A running agent, and the calls of its sink: each batch, and whether the sink accepted it.
struct Running {
    agent: JoinHandle<AgentCounts>,
    assignments: watch::Sender<Arc<Vec<Assignment>>>,
    cancel: CancellationToken,
    given: mpsc::Receiver<(MeasurementBatch, bool)>,
    counts: watch::Receiver<AgentCounts>,
}

impl Running {
    /// `takes` decides whether the sink accepts its nth batch, counted from 0.
    fn start(settings: AgentSettings, assignments: Vec<Assignment>, takes: fn(u64) -> bool) -> Self {
        let (to_given, given) = mpsc::channel(10_000);
        let cancel = CancellationToken::new();
        let (assignments, assigned) = watch::channel(Arc::new(assignments));
        let count = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let agent = Agent::new(settings);
        let counts = agent.counts();
        let sink = move |batch: MeasurementBatch| {
            let taken = takes(count.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            let to_given = to_given.clone();
            async move {
                let _ = to_given.send((batch, taken)).await;
                if taken { Ok(()) } else { Err(String::from("the log is away")) }
            }
        };
        let agent = tokio::spawn(agent.run(assigned, sink, cancel.clone()));
        Self { agent, assignments, cancel, given, counts }
    }

    async fn next(&mut self) -> (MeasurementBatch, bool) {
        tokio::time::timeout(TEST_TIMEOUT, self.given.recv()).await.unwrap().unwrap()
    }

    async fn stop(self) -> (AgentCounts, Vec<(MeasurementBatch, bool)>) {
        self.cancel.cancel();
        let counts = self.agent.await.unwrap();
        let mut given = self.given;
        let mut rest = Vec::new();
        while let Some(batch) = given.recv().await {
            rest.push(batch);
        }
        (counts, rest)
    }
}

#[tokio::test]
async fn batches_are_counted_from_one_and_hold_every_series() {
    let (good, bad) = (StandIn::start(LOCAL, 10).await.unwrap(), StandIn::start(LOCAL, 10).await.unwrap());
    bad.set_failing(true);
    let urls = [("origin", good.address()), ("own", bad.address())];
    let assigned = urls.map(|(target, address)| assignment(target, format!("http://{address}/"))).to_vec();
    let mut running = Running::start(settings(4, 100), assigned, |_| true);
    let mut batches = Vec::new();
    for _ in 0..5 {
        batches.push(running.next().await.0);
    }
    let (counts, rest) = running.stop().await;
    batches.extend(rest.into_iter().map(|(batch, _)| batch));
    let mut attempts = 0;
    for (at, batch) in batches.iter().enumerate() {
        assert_eq!((batch.source.as_str(), batch.boot, batch.sequence), ("a1", 42, at as u64 + 1));
        assert!(!batch.measurements.is_empty() && batch.measurements.len() <= 4);
        assert_eq!(batch.validate(), Ok(()));
        assert_eq!(decode::<MeasurementBatch>(&encode(batch).unwrap()).as_ref(), Ok(batch));
        for measurement in &batch.measurements {
            let series = &batch.series[usize::try_from(measurement.series).unwrap()];
            let (outcome, error) = if series.target == "origin" {
                (Outcome::Ok, None)
            } else {
                (Outcome::Failed, Some("status 500"))
            };
            assert_eq!((measurement.outcome, measurement.error.as_deref()), (outcome, error));
            assert_eq!(measurement.response_time_us.is_some(), outcome == Outcome::Ok);
            assert_eq!(measurement.at_us, TimeMicros(1_000_000));
            attempts += 1;
        }
    }
    let names =
        |target: &str| batches.iter().flat_map(|batch| &batch.series).any(|series| series.target == target);
    assert!(names("origin") && names("own"));
    assert_eq!((counts.attempts, counts.batches_delivered), (attempts, batches.len() as u64));
    assert_eq!((counts.batches_dropped, counts.deliveries_failed), (0, 0));
}

#[tokio::test]
async fn a_batch_is_repeated_until_the_sink_accepts_it() {
    let server = StandIn::start(LOCAL, 10).await.unwrap();
    let assigned = vec![assignment("origin", format!("http://{}/", server.address()))];
    let mut running = Running::start(settings(1, 100), assigned, |count| count >= 2);
    let first = running.next().await;
    assert_eq!((first.0.sequence, first.1), (1, false));
    assert_eq!(running.next().await, first);
    assert_eq!(running.next().await, (first.0, true));
    let second = running.next().await;
    assert_eq!((second.0.sequence, second.1), (2, true));
    let (counts, _) = running.stop().await;
    assert_eq!((counts.deliveries_failed, counts.batches_dropped), (2, 0));
}

#[tokio::test]
async fn the_oldest_batches_are_dropped_and_counted_while_the_sink_fails() {
    let server = StandIn::start(LOCAL, 10).await.unwrap();
    let assigned = vec![assignment("origin", format!("http://{}/", server.address()))];
    let settings = AgentSettings { stop_timeout: Duration::from_millis(10), ..settings(1, 2) };
    let mut running = Running::start(settings, assigned, |_| false);
    let dropped = running.counts.wait_for(|counts| counts.batches_dropped >= 3);
    tokio::time::timeout(TEST_TIMEOUT, dropped).await.unwrap().unwrap();
    while let Ok((batch, _)) = running.given.try_recv() {
        assert_eq!(batch.sequence, 1, "the batch in hand is kept");
    }
    let (counts, _) = running.stop().await;
    assert_eq!(counts.batches_delivered, 0);
    assert_eq!((counts.batches_dropped, counts.measurements_dropped), (counts.attempts, counts.attempts));
}

#[tokio::test]
async fn batches_fill_while_others_wait() {
    let server = StandIn::start(LOCAL, 10).await.unwrap();
    let assigned = vec![assignment("origin", format!("http://{}/", server.address()))];
    let settings = AgentSettings { stop_timeout: Duration::from_millis(10), ..settings(1_000, 2) };
    let mut running = Running::start(settings, assigned, |_| false);
    // At one measurement each tenth of a second, each would be in a batch of its own.
    let some = running.counts.wait_for(|counts| counts.attempts >= 12);
    tokio::time::timeout(TEST_TIMEOUT, some).await.unwrap().unwrap();
    assert_eq!(running.counts.borrow().batches_dropped, 0);
    let (counts, _) = running.stop().await;
    // The current one, one in the queue, and the open one.
    assert_eq!((counts.batches_dropped, counts.measurements_dropped), (3, counts.attempts));
}

#[tokio::test]
async fn a_stopped_agent_hands_over_what_it_has() {
    let server = StandIn::start(LOCAL, 10).await.unwrap();
    let assigned = vec![assignment("origin", format!("http://{}/", server.address()))];
    let settings = AgentSettings { flush_interval: Duration::from_secs(3_600), ..settings(1_000, 10) };
    let mut running = Running::start(settings, assigned, |count| count > 0);
    let some = running.counts.wait_for(|counts| counts.attempts >= 3);
    tokio::time::timeout(TEST_TIMEOUT, some).await.unwrap().unwrap();
    let (counts, given) = running.stop().await;
    // The sink fails once, at the end of all times.
    assert_eq!(
        given.iter().map(|(batch, taken)| (batch.sequence, *taken)).collect::<Vec<_>>(),
        [(1, false), (1, true)]
    );
    assert_eq!(given[1].0.measurements.len() as u64, counts.attempts);
    assert_eq!(counts.batches_dropped, 0);
}

#[tokio::test]
async fn new_assignments_are_adopted() {
    let server = StandIn::start(LOCAL, 10).await.unwrap();
    let mut running = Running::start(settings(1, 100), Vec::new(), |_| true);
    let known = assignment("origin", format!("http://{}/", server.address()));
    running.assignments.send(Arc::new(vec![known])).unwrap();
    let (batch, _) = running.next().await;
    assert_eq!(batch.series[0].target, "origin");
    let (counts, _) = running.stop().await;
    assert_eq!((counts.assignments, counts.assignments_dropped, counts.attempts_failed), (1, 0, 0));
}

/// A target that cannot be asked, and one whose address the probe may not connect to, and one that fails.
#[tokio::test]
async fn misconfigured_targets_are_refused_and_do_not_fail() {
    let server = StandIn::start(LOCAL, 10).await.unwrap();
    server.set_failing(true);
    let local = format!("http://{}/", server.address());
    let assigned = vec![
        assignment("https", String::from("https://127.0.0.1/")),
        assignment("private", String::from("http://10.1.2.3/")),
        assignment("failing", local),
    ];
    let mut running = Running::start(settings(1, 100), assigned, |_| true);
    let mut found = std::collections::BTreeMap::new();
    while found.len() < 3 {
        let (batch, _) = running.next().await;
        let measurement = batch.measurements[0].clone();
        found.insert(batch.series[0].target.clone(), (measurement.outcome, measurement.error.unwrap()));
    }
    let expected = [
        ("failing", Outcome::Failed, "status 500"),
        ("https", Outcome::Refused, "https is not yet supported"),
        ("private", Outcome::Refused, "address not allowed"),
    ];
    let expected = expected.map(|(target, outcome, error)| (target.to_owned(), (outcome, error.to_owned())));
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
    let (counts, _) = running.stop().await;
    assert_eq!(counts.attempts, counts.attempts_failed + counts.attempts_refused);
    assert!(counts.attempts_failed >= 1 && counts.attempts_refused >= 2, "{counts:?}");
}

#[test]
fn the_origin_and_every_cdn_with_a_url_are_assigned() {
    let cdn = |name: &str, probe_url: Option<&str>| Cdn {
        name: CdnName::new(name).unwrap(),
        title: None,
        kind: CdnKind::Operated,
        dns_name: format!("{name}.example.net"),
        addresses: Vec::new(),
        probe_url: probe_url.map(String::from),
    };
    let cdns =
        [cdn("own", Some("http://own.example.net/p")), cdn("mute", None), cdn("alien", Some("http://x/"))];
    let of_site = |name: &str| CdnOfSite { cdn: CdnName::new(name).unwrap(), dns_name: None };
    let shop = Site {
        name: SiteName::new("shop").unwrap(),
        title: None,
        client: ClientName::new("acme").unwrap(),
        hosts: vec![String::from("www.shop.example"), String::from("shop.example")],
        origin: Origin {
            name: String::from("origin"),
            addresses: vec![Address(LOCAL.ip())],
            probe_url: Some(String::from("http://origin.example/p")),
        },
        cdns: vec![of_site("mute"), of_site("own"), of_site("gone")],
        ttl_secs: 20,
        probe_interval_ms: 10_000,
        objectives: Vec::new(),
    };
    let hostless = Site { hosts: Vec::new(), ..shop.clone() };
    let probe = Probe { agent: AgentName::new("a1").unwrap(), network: NetworkName::new("n1").unwrap() };
    let sites = [shop, hostless];
    let lookup = |name: &CdnName| cdns.iter().find(|cdn| cdn.name == *name);
    let expected = [
        ("origin", "http://origin.example/p", vec![LOCAL.ip()]),
        ("own", "http://own.example.net/p", vec![]),
    ];
    let expected = expected.map(|(target, url, addresses)| {
        let mut assignment = assignment(target, String::from(url));
        assignment.target.addresses = addresses;
        assignment.interval = Duration::from_secs(10);
        assignment
    });
    assert_eq!(assignments(sites.iter(), lookup, &probe), expected);
}
