//! `up`: all roles in one process on a durable embedded log.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;
use spillway_edge::dns::DnsConfig;
use spillway_edge::follower::{Follower, SharedTable};
use spillway_eventlog::EmbeddedLog;
use spillway_events::{AgentName, Prefix};
use spillway_probe::{Assignment, assignments};
use spillway_provisioning::State;
use spillway_web::{Api, Provisioner, router};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{engine, live};

const DNS: &str = "127.0.0.1:5300";
/// Where the API listens unless told otherwise.
pub(crate) const API: &str = "127.0.0.1:5380";
/// How often provisioning is looked at for what probes should measure, and whether to stop.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[command(after_help = "\
Flags go before the environment, that before the configuration file (YAML: data, dns, api, workers, probe_allow).

Examples:
  spillway up --data ./data
  spillway up --data ./data --dns 127.0.0.1:5353 --probe-allow 127.0.0.0/8
  spillway apply -f site.yaml")]
pub(crate) struct Options {
    /// Folder of the log and of the last routing table; made if it is not there
    #[arg(long, env = "SPILLWAY_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Configuration file
    #[arg(long, env = "SPILLWAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the DNS node listens, UDP and TCP [default: 127.0.0.1:5300]
    #[arg(long, env = "SPILLWAY_DNS", value_name = "ADDRESS")]
    dns: Option<SocketAddr>,
    /// Where the API listens; it has no tokens yet [default: 127.0.0.1:5380]
    #[arg(long, env = "SPILLWAY_API", value_name = "ADDRESS")]
    api: Option<SocketAddr>,
    /// Worker threads of the dataflow [default: 1]
    #[arg(long, env = "SPILLWAY_WORKERS", value_name = "N")]
    workers: Option<usize>,
    /// Prefix that probes may connect to although it is not public; may be repeated
    #[arg(long, value_name = "PREFIX")]
    probe_allow: Vec<Prefix>,
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data: Option<PathBuf>,
    dns: Option<SocketAddr>,
    api: Option<SocketAddr>,
    workers: Option<usize>,
    probe_allow: Vec<Prefix>,
}

struct Settings {
    data: PathBuf,
    dns: SocketAddr,
    api: SocketAddr,
    workers: usize,
    probe_allow: Vec<Prefix>,
}

impl Settings {
    fn of(options: &Options) -> anyhow::Result<Self> {
        let file: File = match &options.config {
            None => File::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?
            }
        };
        let data = options.data.clone().or(file.data).context("name the folder of the log with --data")?;
        let workers = options.workers.or(file.workers).unwrap_or(1);
        if !(1..=256).contains(&workers) {
            bail!("workers: {workers} is not from 1 to 256");
        }
        Ok(Self {
            data,
            dns: options.dns.or(file.dns).map_or_else(|| DNS.parse(), Ok)?,
            api: options.api.or(file.api).map_or_else(|| API.parse(), Ok)?,
            workers,
            probe_allow: if options.probe_allow.is_empty() {
                file.probe_allow
            } else {
                options.probe_allow.clone()
            },
        })
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let settings = Settings::of(options)?;
    let log = Arc::new(EmbeddedLog::create(&settings.data)?);
    engine::log::create_topics(log.as_ref())?;
    let table_file = settings.data.join("table");
    let follower = load(&table_file)?;
    let table = follower.table();
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    std::thread::scope(|scope| {
        let (log, stop, workers) = (&log, &stop, settings.workers);
        let roles = [
            scope.spawn(move || live::role("ticker", stop, |stop| live::ticker(log.as_ref(), stop))),
            scope.spawn(move || {
                live::role("dataflow", stop, |stop| live::dataflow(log.as_ref(), live::config(workers), stop))
            }),
            scope.spawn(move || {
                live::role("follower", stop, |stop| live::follow(log.as_ref(), follower, &table_file, stop))
            }),
        ];
        let served = runtime.block_on(serve(&settings, log, table, stop));
        stop.store(true, Ordering::Release);
        // Each is waited for, whatever became of the others.
        let ended: Vec<bool> = roles.into_iter().map(|role| role.join().unwrap_or(false)).collect();
        served?;
        if ended.iter().all(|well| *well) { Ok(ExitCode::SUCCESS) } else { bail!("a role has failed") }
    })
}

/// The last table on disk, at any age.
fn load(file: &Path) -> anyhow::Result<Follower> {
    match Follower::load(file) {
        Ok(follower) => Ok(follower),
        Err(error) if error.is_missing() => Ok(Follower::default()),
        Err(error) => Err(error.into()),
    }
}

/// Serves sockets and measures until a signal, or until a role has ended.
async fn serve(
    settings: &Settings,
    log: &Arc<EmbeddedLog>,
    table: SharedTable,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let provisioner = Arc::new(Provisioner::new(Arc::<EmbeddedLog>::clone(log)));
    let listener = tokio::net::TcpListener::bind(settings.api).await;
    let listener = listener.with_context(|| format!("the API cannot listen on {}", settings.api))?;
    eprintln!("API on http://{}", listener.local_addr()?);
    let (stop_all, stopped) = watch::channel(false);
    let mut api_stopped = stopped.clone();
    let api = router(Api::new(Arc::<EmbeddedLog>::clone(log), Arc::clone(&provisioner), live::now));
    let api = tokio::spawn(async move {
        let stopped = async move {
            // A sender that is gone says stop as well.
            let _ = api_stopped.wait_for(|stop| *stop).await;
        };
        axum::serve(listener, api).with_graceful_shutdown(stopped).await
    });
    let config = DnsConfig { listen: vec![settings.dns], ..DnsConfig::default() };
    let dns = tokio::spawn(dns(config, table, Arc::clone(stop), stopped.clone()));
    let probes = tokio::spawn(probes(settings.probe_allow.clone(), Arc::clone(log), provisioner, stopped));
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let ended = async {
        while !stop.load(Ordering::Acquire) && !dns.is_finished() && !api.is_finished() {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
        () = ended => {}
    }
    stop.store(true, Ordering::Release);
    // Whoever listens no more has ended.
    let _ = stop_all.send(true);
    probes.await??;
    dns.await??;
    Ok(api.await??)
}

async fn dns(
    config: DnsConfig,
    table: SharedTable,
    stop: Arc<AtomicBool>,
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let Some(dns) = live::bind(config, table, &stop).await? else { return Ok(()) };
    for address in dns.local_addresses() {
        eprintln!("DNS on {address}");
    }
    let stopped = async move {
        // A sender that is gone says stop as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    Ok(dns.run(stopped).await?)
}

/// The way to tell an agent what to measure, and its task.
type RunningAgent = (watch::Sender<Arc<Vec<Assignment>>>, JoinHandle<anyhow::Result<()>>);

/// Runs an agent for every agent that is provisioned, with what provisioning says it measures.
async fn probes(
    allowed: Vec<Prefix>,
    log: Arc<EmbeddedLog>,
    provisioner: Arc<Provisioner>,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut agents: BTreeMap<AgentName, RunningAgent> = BTreeMap::new();
    let mut revision = None;
    while !*stopped.borrow() {
        let looked = Arc::clone(&provisioner);
        let state = tokio::task::spawn_blocking(move || looked.state()).await??;
        if revision != Some(state.revision()) {
            revision = Some(state.revision());
            let mut wanted = by_agent(&state);
            for name in agents.keys() {
                wanted.entry(name.clone()).or_default();
            }
            for (name, assigned) in wanted {
                let agent = agents.entry(name.clone()).or_insert_with(|| {
                    let (sender, receiver) = watch::channel(Arc::default());
                    let (log, allowed, stopped) = (Arc::clone(&log), allowed.clone(), stopped.clone());
                    let task = async move { live::probe::run(log, &name, allowed, receiver, stopped).await };
                    (sender, tokio::spawn(task))
                });
                agent.0.send_replace(Arc::new(assigned));
            }
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    for (_, task) in agents.into_values() {
        task.await??;
    }
    Ok(())
}

fn by_agent(state: &State) -> BTreeMap<AgentName, Vec<Assignment>> {
    let mut wanted: BTreeMap<AgentName, Vec<Assignment>> = BTreeMap::new();
    for probe in state.probes() {
        let sites = state.sites().values().map(|site| &site.site);
        let assigned = assignments(sites, |cdn| state.cdns().get(cdn), probe);
        wanted.entry(probe.agent.clone()).or_default().extend(assigned);
    }
    wanted
}
