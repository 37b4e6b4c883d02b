//! `demo`: everything in one process, with real sockets on loopback.

mod observer;
mod web_server;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use spillway_control::{CommandHead, Provisioner};
use spillway_eventlog::{Connector, EmbeddedLog, EventLog};
use spillway_events::Prefix;
use spillway_provisioning::SourceFile;
use tokio_util::sync::CancellationToken;

use crate::clock::now;
use crate::output::line;
use crate::roles::{self, Roles};
use crate::settings::Settings;
use observer::Observer;
use web_server::WebServer;

/// The response times of the origin; the threshold is 100 ms.
const SLOW: Duration = Duration::from_millis(250);
const FAST: Duration = Duration::from_millis(10);
/// The timeout of each change, much longer than the window of 4 s.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(25);
/// How long each state is shown: more than a window.
const HOLD: Duration = Duration::from_secs(5);
/// How long the DNS node may take to get its first table.
const START_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
#[command(after_help = "\
The window is 4 seconds here, so that you can watch; real windows are minutes.

Exit status: 0 the answer changed to the CDN and back; 2 it did not.")]
pub(crate) struct Options {}

pub(crate) fn run(_options: &Options) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let log: Arc<EmbeddedLog> = Arc::new(EmbeddedLog::create(folder.path())?);
    spillway_runtime::topics::create(log.as_ref(), spillway_runtime::topics::INPUT_PARTITIONS)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (origin, one, two) = runtime.block_on(web_servers())?;
    provision(&log, &documents(&origin, &one, &two))?;
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let settings = Settings {
        data: Some(folder.path().to_owned()),
        dns: loopback(0),
        api: loopback(0),
        api_tls: None,
        api_names: Vec::new(),
        first_token_file: None,
        workers: 1,
        hosts: Vec::new(),
        process: 0,
        probe_allow: vec![Prefix::containing(IpAddr::V4(Ipv4Addr::LOCALHOST), 8)],
        // Performance values every second, so that a person can watch them.
        performance_period_us: 1_000_000,
        kafka: None,
    };
    let cancel = CancellationToken::new();
    let (to, bound) = sync_channel(1);
    let played = std::thread::scope(|scope| {
        let (settings, log, cancelled) = (&settings, &log, cancel.clone());
        let running = scope.spawn(move || {
            let open = || Ok(Connector::Embedded(Arc::clone(log)));
            let on_dns = |address| {
                // Only the first address is waited for.
                let _ = to.try_send(address);
            };
            roles::run(settings, Roles::All, &open, cancelled, &on_dns)
        });
        let played =
            wait_for_dns(&bound, &cancel).and_then(|server| play(log.as_ref(), server, &origin, &cancel));
        cancel.cancel();
        let ran = running.join().map_err(|_| anyhow!("the roles ended with a panic"))?.map(drop);
        played.and(ran)
    });
    played?;
    line(format_args!(
        "\nThe answer turned to the CDN and back. `spillway backtest --help` tries a threshold on recorded traffic."
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn wait_for_dns(bound: &Receiver<SocketAddr>, cancel: &CancellationToken) -> anyhow::Result<SocketAddr> {
    match bound.recv_timeout(START_TIMEOUT) {
        Ok(address) => Ok(address),
        Err(RecvTimeoutError::Timeout) if !cancel.is_cancelled() => {
            bail!("the DNS node has no table after {} s", START_TIMEOUT.as_secs())
        }
        Err(_) => bail!("the DNS node did not start"),
    }
}

async fn web_servers() -> anyhow::Result<(WebServer, WebServer, WebServer)> {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let start = || WebServer::start(anywhere);
    let (origin, one, two) = (start().await?, start().await?, start().await?);
    [&origin, &one].into_iter().for_each(|server| server.set_delay(FAST));
    two.set_delay(FAST * 3);
    Ok((origin, one, two))
}

fn documents(origin: &WebServer, one: &WebServer, two: &WebServer) -> String {
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

fn provision(log: &Arc<EmbeddedLog>, text: &str) -> anyhow::Result<()> {
    let provisioner = Provisioner::new(Arc::<EmbeddedLog>::clone(log));
    let file = SourceFile { name: "demo", bytes: text.as_bytes() };
    provisioner.apply(&[file], CommandHead::on_log("demo", now()))?;
    Ok(())
}

/// The origin is fast, then slow, then fast again.
fn play(
    log: &dyn EventLog,
    server: SocketAddr,
    origin: &WebServer,
    cancel: &CancellationToken,
) -> anyhow::Result<()> {
    let mut observer = Observer::new(log, server, "www.acme.example")?;
    line(format_args!("DNS on {server}; try: dig -p {} @{} www.acme.example A", server.port(), server.ip()))?;
    line(format_args!(
        "Agreed: 75 % of measurements under 100 ms. Window 4 s, so that you can watch; real ones are minutes.\n"
    ))?;
    observer.until("the origin is fast", false, CHANGE_TIMEOUT, cancel)?;
    observer.watch(HOLD, cancel)?;
    observer.note("the origin slows down to 250 ms")?;
    origin.set_delay(SLOW);
    observer.until("the answer turns to the CDN", true, CHANGE_TIMEOUT, cancel)?;
    observer.watch(HOLD, cancel)?;
    observer.note("the origin recovers")?;
    origin.set_delay(FAST);
    observer.until("the answer turns back to the origin", false, CHANGE_TIMEOUT, cancel)?;
    observer.watch(HOLD, cancel)?;
    observer.sum_up()
}
