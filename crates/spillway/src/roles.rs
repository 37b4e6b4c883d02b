//! Roles of a running system in one process: all of them (`up`), or one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use spillway_dataflow::Config;
use spillway_edge::dns::DnsConfig;
use spillway_edge::follower::{Follower, SharedTable};
use spillway_eventlog::EventLog;
use spillway_events::{AgentName, Prefix};
use spillway_probe::{Assignment, assignments};
use spillway_provisioning::State;
use spillway_web::{Api, Provisioner, router};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::engine::topics::specs;
use crate::live::{self, ticker};
use crate::settings::{ClusterOptions, Connector, Kafka, RoleOptions, Settings};
use crate::topics::described;

/// How often provisioning is looked at for what probes should measure, and whether to stop.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[command(after_help = "\
Flags go before the environment, that before the configuration file. With --kafka the log is a Kafka cluster whose
topics `spillway topics create` has made; without it, an embedded log in the folder named by --data.

Examples:
  spillway up --data ./data
  spillway up --data ./data --dns 127.0.0.1:5353 --probe-allow 127.0.0.0/8
  spillway apply -f site.yaml")]
pub(crate) struct UpOptions {
    #[command(flatten)]
    options: RoleOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
One role of an installation on Kafka, until stopped. All roles take the same configuration file.

Examples:
  spillway topics create --kafka 127.0.0.1:9092
  spillway dns --kafka 127.0.0.1:9092 --data ./node        keeps its last table in ./node
  spillway web --config spillway.yaml
  spillway probe --config spillway.yaml")]
pub(crate) struct OneRoleOptions {
    #[command(flatten)]
    options: RoleOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The first dataflow ticks; a second one stands by, and takes over when nobody has ticked for 3 s. More cores of a machine
are worker threads; past one machine, several processes make one dataflow: each is given the same list of hosts, and its
own place in it. They speak to each other without encryption or passwords, so give them a network of their own. When one
of them ends all do; started again, they go on from the last checkpoint.

Examples:
  spillway dataflow --kafka 127.0.0.1:9092 --workers 2
  spillway dataflow --kafka k:9092 --hosts a:5391,b:5391 --process 0     on a; it ticks
  spillway dataflow --kafka k:9092 --hosts a:5391,b:5391 --process 1     on b")]
pub(crate) struct DataflowOptions {
    #[command(flatten)]
    options: RoleOptions,
    #[command(flatten)]
    cluster: ClusterOptions,
}

/// Which roles a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roles {
    /// All of them.
    All,
    /// Ticks and derives, or stands by.
    Dataflow,
    /// Follows snapshots and answers queries.
    Dns,
    /// The API.
    Web,
    /// Measures.
    Probe,
}

impl Roles {
    fn has(self, role: Self) -> bool {
        self == Self::All || self == role
    }
}

pub(crate) fn up(options: &UpOptions) -> anyhow::Result<ExitCode> {
    let settings = Settings::of(&options.options)?;
    if !settings.hosts.is_empty() {
        bail!(
            "`spillway up` runs a dataflow of one process: leave hosts out, or run each role as a process of its own"
        );
    }
    run(&settings, Roles::All)
}

pub(crate) fn dataflow(options: &DataflowOptions) -> anyhow::Result<ExitCode> {
    run_one(&Settings::of_dataflow(&options.options, &options.cluster)?, Roles::Dataflow)
}

pub(crate) fn one(options: &OneRoleOptions, role: Roles) -> anyhow::Result<ExitCode> {
    run_one(&Settings::of(&options.options)?, role)
}

fn run_one(settings: &Settings, role: Roles) -> anyhow::Result<ExitCode> {
    if settings.kafka.is_none() {
        bail!(
            "a role of its own needs a log that processes share: name it with --kafka, or run `spillway up`"
        );
    }
    run(settings, role)
}

fn run(settings: &Settings, roles: Roles) -> anyhow::Result<ExitCode> {
    // A DNS node starts whatever the cluster says.
    if let Some(kafka) = settings.kafka.as_ref().filter(|_| roles != Roles::Dns) {
        check_topics(kafka)?;
    }
    let connector = settings.connector()?;
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // A DNS node serves its last table whatever the log says.
    let table_file = if roles.has(Roles::Dns) { Some(settings.table_file()?) } else { None };
    let follower = table_file.as_deref().map(load).transpose()?;
    let table = follower.as_ref().map(Follower::table);
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        let (connector, stop) = (&connector, &stop);
        if roles.has(Roles::Dataflow) {
            let silence = if settings.kafka.is_some() { ticker::SILENCE } else { Duration::ZERO };
            let (processes, process) = (settings.hosts.len().max(1), settings.process);
            let config = Config { processes, process, ..live::dataflow::config(settings.workers) };
            let hosts = &settings.hosts;
            let run =
                move |stop: &Arc<AtomicBool>| live::dataflow::run(connector, config, hosts, silence, stop);
            threads.push(scope.spawn(move || live::role("dataflow", stop, run)));
        }
        if let (Some(follower), Some(file)) = (follower, table_file) {
            let run = move |stop: &Arc<AtomicBool>| {
                live::follow(connector.connect(stop)?.as_ref(), follower, &file, stop)
            };
            threads.push(scope.spawn(move || live::role("follower", stop, run)));
        }
        let served = runtime.block_on(serve(settings, roles, connector, table, stop));
        stop.store(true, Ordering::Release);
        // Each is waited for, whatever became of the others.
        let ended: Vec<bool> = threads.into_iter().map(|role| role.join().unwrap_or(false)).collect();
        served?;
        if ended.iter().all(|well| *well) { Ok(ExitCode::SUCCESS) } else { bail!("a role has failed") }
    })
}

/// Refuses a cluster whose topics are not as they should be.
fn check_topics(kafka: &Kafka) -> anyhow::Result<()> {
    let log = kafka.connect_for_a_command()?;
    let found = log.check(&specs(kafka.input_partitions, kafka.output_partitions))?;
    if found.is_empty() {
        return Ok(());
    }
    let found: Vec<String> = found.iter().map(|m| described(m, &kafka.settings.bootstrap)).collect();
    bail!("topics are not as they should be:\n{}", found.join("\n"))
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
    roles: Roles,
    connector: &Connector,
    table: Option<SharedTable>,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let (stop_all, stopped) = watch::channel(false);
    let mut tasks: Vec<JoinHandle<anyhow::Result<()>>> = Vec::new();
    if roles.has(Roles::Web) || roles.has(Roles::Probe) {
        let log = connector.connect(stop)?;
        let provisioner = Arc::new(Provisioner::new(Arc::clone(&log)));
        if roles.has(Roles::Web) {
            let api = Api::new(Arc::clone(&log), Arc::clone(&provisioner), live::now);
            tasks.push(tokio::spawn(web(settings.api, api, stopped.clone())));
        }
        if roles.has(Roles::Probe) {
            let allowed = settings.probe_allow.clone();
            tasks.push(tokio::spawn(probes(allowed, log, provisioner, stopped.clone())));
        }
    }
    if let Some(table) = table {
        let config = DnsConfig { listen: vec![settings.dns], ..DnsConfig::default() };
        tasks.push(tokio::spawn(dns(config, table, Arc::clone(stop), stopped)));
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let ended = async {
        while !stop.load(Ordering::Acquire) && !tasks.iter().any(JoinHandle::is_finished) {
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
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn web(address: SocketAddr, api: Api, mut stopped: watch::Receiver<bool>) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("the API cannot listen on {address}"))?;
    eprintln!("API on http://{}", listener.local_addr()?);
    let stopped = async move {
        // A sender that is gone says stop as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    Ok(axum::serve(listener, router(api)).with_graceful_shutdown(stopped).await?)
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
    log: Arc<dyn EventLog>,
    provisioner: Arc<Provisioner>,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut agents: BTreeMap<AgentName, RunningAgent> = BTreeMap::new();
    let mut revision = None;
    while !*stopped.borrow() {
        let looked = Arc::clone(&provisioner);
        let state = match tokio::task::spawn_blocking(move || looked.state()).await? {
            Ok(state) => state,
            // A call that ended because all roles were told to stop.
            Err(_) if *stopped.borrow() => break,
            Err(error) => return Err(error.into()),
        };
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
        let sites = state.sites().map(|site| site.site);
        let assigned = assignments(sites, |cdn| state.cdn(cdn), probe);
        wanted.entry(probe.agent.clone()).or_default().extend(assigned);
    }
    wanted
}
