//! `demo`: everything in one process, with real sockets on loopback.

mod observer;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use spillway_dataflow::Config;
use spillway_edge::dns::DnsConfig;
use spillway_edge::follower::Follower;
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::{AgentName, NetworkName, Prefix, Probe, encode, topics};
use spillway_probe::assignments;
use spillway_probe::standin::StandIn;
use spillway_provisioning::State;
use tokio::sync::watch;

use crate::settings::Connector;
use crate::{engine, live, provisioning_file};
use observer::Observer;

/// How slow the origin gets; the threshold is 100 ms.
const SLOW: Duration = Duration::from_millis(250);
const FAST: Duration = Duration::from_millis(10);
/// How long each change may take: the window is 4 s, so that this is far more than enough.
const PATIENCE: Duration = Duration::from_secs(25);

/// How long each state is shown: more than a window.
const HOLD: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(after_help = "\
The window is 4 seconds here, so that a person can wait for it; real ones are minutes.
Exit status: 0 the answer turned to the CDN and back, 2 it did not.")]
pub(crate) struct Options {}

pub(crate) fn run(_options: &Options) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let log: Arc<EmbeddedLog> = Arc::new(EmbeddedLog::create(folder.path())?);
    engine::topics::create(log.as_ref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (origin, one, two) = runtime.block_on(stand_ins())?;
    let text = documents(&origin, &one, &two);
    let state = provision(log.as_ref(), &text)?;

    let stop = Arc::new(AtomicBool::new(false));
    let follower = Follower::default();
    let table = follower.table();
    // Values every second, for the person who watches.
    let config = Config { performance_period_us: 1_000_000, ..live::dataflow::config(1) };
    let outcome = std::thread::scope(|scope| {
        let (connector, follower_log) = (Connector::Embedded(Arc::clone(&log)), &log);
        let stop_all = &stop;
        scope.spawn(move || {
            live::role("dataflow", stop_all, |stop| {
                live::dataflow::run(&connector, config, &[], Duration::ZERO, stop)
            })
        });
        let file = folder.path().join("table");
        scope.spawn(move || {
            live::role("follower", stop_all, |stop| {
                live::follow(follower_log.as_ref(), follower, &file, stop)
            })
        });
        let (stop_probe, probe_stopped) = watch::channel(false);
        let probing = runtime.spawn(probe(Arc::clone(&log), state, probe_stopped));
        let outcome = (|| {
            let listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
            let dns = runtime
                .block_on(live::bind(DnsConfig { listen, ..DnsConfig::default() }, table, &stop))?
                .context("a role has ended")?;
            let server = *dns.local_addresses().first().context("the DNS node has no address")?;
            let (stop_dns, dns_stopped) = tokio::sync::oneshot::channel::<()>();
            let serving = runtime.spawn(dns.run(async move {
                // A sender that is gone says stop as well.
                let _ = dns_stopped.await;
            }));
            let outcome = play(log.as_ref(), server, &origin, &stop);
            drop(stop_dns);
            runtime.block_on(serving)??;
            outcome
        })();
        // The probe has gone already if it failed.
        let _ = stop_probe.send(true);
        let probed = runtime.block_on(probing).map_err(anyhow::Error::from);
        stop.store(true, Ordering::Release);
        outcome.and_then(|()| probed.map(drop))
    });
    outcome?;
    println!(
        "\nThe answer turned to the CDN and back. `spillway backtest --help` tries a threshold on recorded traffic."
    );
    Ok(ExitCode::SUCCESS)
}

async fn stand_ins() -> anyhow::Result<(StandIn, StandIn, StandIn)> {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let start = || StandIn::start(anywhere, 16 * 1024);
    let (origin, one, two) = (start().await?, start().await?, start().await?);
    [&origin, &one].into_iter().for_each(|server| server.set_delay(FAST));
    two.set_delay(FAST * 3);
    Ok((origin, one, two))
}

fn documents(origin: &StandIn, one: &StandIn, two: &StandIn) -> String {
    format!(
        "kind: client\nname: acme\n---\nkind: network\nname: loopback\nprefixes: [127.0.0.0/8]\n---\n\
         kind: probe\nagent: demo-probe\nnetwork: loopback\n---\n\
         kind: cdn\nname: edge-one\ntype: operated\ndns_name: acme.edge-one.example\nprobe_url: http://{}/object\n---\n\
         kind: cdn\nname: edge-two\ntype: partner\ndns_name: acme.edge-two.example\nprobe_url: http://{}/object\n---\n\
         kind: site\nname: shop\nclient: acme\nhosts: [www.acme.example]\nttl_secs: 1\nprobe_interval_ms: 200\n\
         origin: {{name: origin, addresses: [127.0.0.1], probe_url: 'http://{}/object'}}\ncdns: [edge-one, edge-two]\n\
         objectives: [{{metric: response_time, threshold: 100ms, percentile: 75, window: 4s, samples_min: 5, probes_min: 1}}]\n",
        one.address(),
        two.address(),
        origin.address()
    )
}

fn provision(log: &dyn EventLog, text: &str) -> anyhow::Result<State> {
    let parsed = spillway_provisioning::parse("demo", text);
    let parsed = parsed
        .map_err(|mistakes| anyhow!("{}", mistakes.iter().map(ToString::to_string).collect::<String>()))?;
    let record = provisioning_file::first_record(&parsed, live::now())?;
    log.append_at(topics::PROVISIONING, 0, &encode(&record)?)?;
    let mut state = State::default();
    state.apply(&record)?;
    Ok(state)
}

/// Measures all targets until told to stop.
async fn probe(log: Arc<EmbeddedLog>, state: State, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let probe = Probe { agent: AgentName::new("demo-probe")?, network: NetworkName::new("loopback")? };
    let sites = state.sites().map(|site| site.site);
    let assigned = assignments(sites, |cdn| state.cdn(cdn), &probe);
    let loopback = Prefix::containing(IpAddr::V4(Ipv4Addr::LOCALHOST), 8);
    let (_assigner, assigned) = watch::channel(Arc::new(assigned));
    live::probe::run(log, &probe.agent, vec![loopback], assigned, stop).await
}

/// The story: fast, slow, fast again.
fn play(log: &dyn EventLog, server: SocketAddr, origin: &StandIn, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut observer = Observer::new(log, server, "www.acme.example")?;
    println!("DNS on {server}; try: dig -p {} @{} www.acme.example A", server.port(), server.ip());
    println!(
        "Agreed: 75 % of measurements under 100 ms. Window 4 s, so that you can watch; real ones are minutes.\n"
    );
    observer.until("the origin is fast", false, PATIENCE, stop)?;
    observer.watch(HOLD, stop)?;
    observer.note("the origin slows down to 250 ms");
    origin.set_delay(SLOW);
    observer.until("the answer turns to the CDN", true, PATIENCE, stop)?;
    observer.watch(HOLD, stop)?;
    observer.note("the origin recovers");
    origin.set_delay(FAST);
    observer.until("the answer turns back to the origin", false, PATIENCE, stop)?;
    observer.watch(HOLD, stop)?;
    observer.sum_up();
    Ok(())
}
