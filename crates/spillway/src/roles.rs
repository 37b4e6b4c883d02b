//! Roles of a running system in one process: all of them (`up`), or one.
//!
//! The DNS node starts first, from the table on disk. It needs neither the log nor another role, and no failure of these
//! ends it.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use spillway_control::Provisioner;
use spillway_dataflow::Config;
use spillway_edge::dns::{Dns, DnsConfig};
use spillway_edge::follower::{Follower, SharedTable, follow};
use spillway_eventlog::{Connector, EmbeddedLog};
use spillway_runtime::process::{self, Process};
use spillway_runtime::{ClockStatus, TAKEOVER_TIMEOUT, drop_expired, topics::specs};
use spillway_serve::{Limits, Tls};
use spillway_web::{Api, ReadyBody, router};
use tokio_util::sync::CancellationToken;

use crate::clock::now;
use crate::ready::{self, Node};
use crate::settings::{ClusterOptions, Kafka, RoleOptions, Settings};
use crate::supervise::{OnFailure, Supervisor};
use crate::topics::described;
use crate::{first_token, open_files, probe};

/// How often expired records of an embedded log are deleted.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);
/// How often the size of an embedded log is logged.
const SIZE_LOG_INTERVAL: Duration = Duration::from_secs(3_600);
/// How often a waiting role checks whether it is cancelled.
const CANCEL_INTERVAL: Duration = Duration::from_millis(200);
/// How often a DNS node without a table checks whether there is one.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug, Args)]
#[command(after_help = "\
Flags override environment variables, which override the configuration file. With --kafka the log is a Kafka \
cluster whose topics `spillway topics create` has created; without it, an embedded log in the folder given by \
--data.

Examples:
  spillway up --data ./data
  spillway up --data ./data --dns 127.0.0.1:5353 --probe-allow 127.0.0.0/8
  spillway up --data ./data --api 0.0.0.0:5380 --api-cert cert.pem --api-key key.pem --api-name api.example
  spillway apply -f site.yaml")]
pub(crate) struct UpOptions {
    #[command(flatten)]
    options: RoleOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Runs one role of an installation on Kafka until stopped. All roles read the same configuration file.

Examples:
  spillway topics create --kafka 127.0.0.1:9092
  # keeps its last table in ./node
  spillway dns --kafka 127.0.0.1:9092 --data ./node
  spillway web --config spillway.yaml
  spillway probe --config spillway.yaml")]
pub(crate) struct OneRoleOptions {
    #[command(flatten)]
    options: RoleOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The first dataflow ticks. A second one stands by, and takes over if there has been no tick for 3 s.

Worker threads use the cores of one machine. For more than one machine, several processes form one dataflow: \
give each the same list of hosts and its own number. The processes communicate without encryption or passwords, \
so give them a separate network. If one of them ends, all of them end; started again, they continue from the \
last checkpoint.

Examples:
  spillway dataflow --kafka 127.0.0.1:9092 --workers 2
  # on host a, which ticks, and on host b
  spillway dataflow --kafka k:9092 --hosts a:5391,b:5391 --process 0
  spillway dataflow --kafka k:9092 --hosts a:5391,b:5391 --process 1")]
pub(crate) struct DataflowOptions {
    #[command(flatten)]
    options: RoleOptions,
    #[command(flatten)]
    cluster: ClusterOptions,
}

/// The roles of a process.
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
    run_until_signal(&settings, Roles::All)
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
    run_until_signal(settings, role)
}

fn run_until_signal(settings: &Settings, roles: Roles) -> anyhow::Result<ExitCode> {
    // A DNS node starts even if the cluster cannot be reached.
    if let Some(kafka) = settings.kafka.as_ref().filter(|_| roles != Roles::Dns) {
        check_topics(kafka)?;
    }
    let cancel = CancellationToken::new();
    let signals = runtime()?;
    ignore_file_size_signal(&signals);
    signals.spawn(cancel_on_signal(cancel.clone()));
    let open = || settings.connector();
    run(settings, roles, &open, cancel, &|address| eprintln!("DNS on {address}"))
}

/// A write beyond the limit on the size of files (`ulimit -f`) fails like one on a full disk, and does not end the process.
fn ignore_file_size_signal(signals: &tokio::runtime::Runtime) {
    use tokio::signal::unix::{SignalKind, signal};
    let _context = signals.enter();
    // The handler stays in place for as long as the process runs.
    if let Err(error) = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())) {
        eprintln!("error: cannot handle SIGXFSZ: {error}");
    }
}

/// Cancels at SIGINT or SIGTERM.
pub(crate) async fn cancel_on_signal(cancel: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await.map_or((), |()| ()),
            Err(error) => eprintln!("error: cannot wait for SIGTERM: {error}"),
        }
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => {
            if let Err(error) = interrupted {
                eprintln!("error: cannot wait for SIGINT: {error}");
            }
        }
        () = terminated => {}
    }
    cancel.cancel();
}

/// Refuses a cluster with wrong topics or settings.
fn check_topics(kafka: &Kafka) -> anyhow::Result<()> {
    let log = kafka.connect_for_a_command()?;
    let found = log.check(&specs(kafka.input_partitions, kafka.output_partitions))?;
    if found.is_empty() {
        return Ok(());
    }
    let found: Vec<String> = found.iter().map(|m| described(m, &kafka.settings.bootstrap)).collect();
    bail!("topics or settings are wrong:\n{}", found.join("\n"))
}

/// Runs roles until cancelled. `open` opens the log; it is called again if the roles that use the log could not be started.
/// `on_dns` is called with each address at which the DNS node listens.
pub(crate) fn run(
    settings: &Settings,
    roles: Roles,
    open: &(dyn Fn() -> anyhow::Result<Connector> + Sync),
    cancel: CancellationToken,
    on_dns: &(dyn Fn(SocketAddr) + Sync),
) -> anyhow::Result<ExitCode> {
    let follower = if roles.has(Roles::Dns) { Some(Follower::start(&settings.table_file()?)) } else { None };
    let files_max = open_files::raise_limit();
    let has_table = follower.as_ref().is_some_and(|follower| follower.current().is_some());
    let supervisor = Supervisor::new(cancel);
    let (states, node) = (Arc::clone(&supervisor.roles), follower.as_ref().map(Node::of));
    let clock = ClockStatus::default();
    let shown_clock = clock.clone();
    let ready: ReadyBody = Arc::new(move || ready::body(&states, node.as_ref(), &shown_clock));
    std::thread::scope(|scope| {
        if let Some(follower) = &follower {
            let (table, supervisor) = (follower.table(), &supervisor);
            // If DNS itself fails, the process has nothing left to do.
            scope.spawn(move || {
                supervisor.run("dns", OnFailure::EndProcess, |cancel| {
                    runtime()?.block_on(dns(settings.dns, files_max, Arc::clone(&table), cancel, on_dns))
                });
            });
        }
        let on_failure = if has_table {
            // DNS is served, so opening the log is retried.
            OnFailure::Restart
        } else {
            OnFailure::EndProcess
        };
        let follower = Mutex::new(follower);
        supervisor.run("log", on_failure, |_| {
            let connector = open()?;
            let shown = Shown { ready: &ready, clock: &clock };
            run_on_log(settings, roles, &connector, &follower, &supervisor, shown)
        });
    });
    let failed = supervisor.roles.failed_roles();
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    // Why was printed when they failed.
    if roles == Roles::All {
        eprintln!("roles had failed at the end: {}", failed.join(", "));
    }
    Ok(ExitCode::from(2))
}

/// What `/ready` shows, and the part of it that the dataflow sets.
#[derive(Clone, Copy)]
struct Shown<'a> {
    ready: &'a ReadyBody,
    clock: &'a ClockStatus,
}

/// Runs the roles that use the log, until all are cancelled.
fn run_on_log(
    settings: &Settings,
    roles: Roles,
    connector: &Connector,
    follower: &Mutex<Option<Follower>>,
    supervisor: &Supervisor,
    shown: Shown<'_>,
) -> anyhow::Result<()> {
    let on_failure = if roles == Roles::All { OnFailure::Restart } else { OnFailure::EndProcess };
    let log = connector.connect(&supervisor.cancel)?;
    let provisioner = Arc::new(match settings.command_index_file() {
        Some(file) => Provisioner::with_index(Arc::clone(&log), file),
        None => Provisioner::new(Arc::clone(&log)),
    });
    let dataflow = |cancel: &CancellationToken| {
        Ok(dataflow_process(settings, connector, shown.clock.clone()).run(cancel)?)
    };
    let follower = |cancel: &CancellationToken| {
        let mut follower = follower.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(follower) = follower.as_mut() else { return Ok(()) };
        Ok(follow(connector.connect(cancel)?.as_ref(), follower, &settings.table_file()?, cancel)?)
    };
    let web = |cancel: &CancellationToken| {
        first_token::ensure(&provisioner, settings.first_token_file.as_deref(), settings.data.as_deref())?;
        let api = Api::new(Arc::clone(&log), Arc::clone(&provisioner), Arc::clone(shown.ready), now)
            .with_names(settings.api_names.clone());
        runtime()?.block_on(web(settings, api, cancel.clone()))
    };
    let probe = |cancel: &CancellationToken| {
        let (log, provisioner) = (Arc::clone(&log), Arc::clone(&provisioner));
        let allowed = settings.probe_allow.clone();
        runtime()?.block_on(probe::run(log, provisioner, allowed, cancel.clone()))
    };
    std::thread::scope(|scope| {
        if roles.has(Roles::Dataflow) {
            scope.spawn(|| supervisor.run("dataflow", on_failure, dataflow));
        }
        if roles.has(Roles::Dns) {
            // The DNS node serves its table without the follower.
            scope.spawn(|| supervisor.run("follower", OnFailure::Restart, follower));
        }
        if let Connector::Embedded(log) = connector {
            let retention = |cancel: &CancellationToken| retention(log, cancel);
            scope.spawn(move || supervisor.run("retention", on_failure, retention));
        }
        if roles.has(Roles::Web) {
            scope.spawn(|| supervisor.run("web", on_failure, web));
        }
        if roles.has(Roles::Probe) {
            scope.spawn(|| supervisor.run("probe", on_failure, probe));
        }
    });
    Ok(())
}

/// Deletes records of an embedded log that are older than the retention of their topic, and logs the size of the log.
fn retention(log: &EmbeddedLog, cancel: &CancellationToken) -> anyhow::Result<()> {
    let mut logged_at: Option<Instant> = None;
    let mut checked_at: Option<Instant> = None;
    while !cancel.is_cancelled() {
        if checked_at.is_none_or(|checked_at| checked_at.elapsed() >= RETENTION_INTERVAL) {
            while !cancel.is_cancelled() && drop_expired(log, now())? {}
            checked_at = Some(Instant::now());
        }
        if logged_at.is_none_or(|logged_at| logged_at.elapsed() >= SIZE_LOG_INTERVAL) {
            let size = log.size();
            let (file_bytes, stored_bytes) = (size.file_bytes, size.stored_bytes);
            tracing::info!(file_bytes, stored_bytes, "the size of the log");
            logged_at = Some(Instant::now());
        }
        std::thread::sleep(CANCEL_INTERVAL);
    }
    Ok(())
}

fn dataflow_process(settings: &Settings, connector: &Connector, clock_status: ClockStatus) -> Process {
    let (processes, process) = (settings.hosts.len().max(1), settings.process);
    let performance_period_us = settings.performance_period_us;
    let config = Config { processes, process, performance_period_us, ..process::config(settings.workers) };
    // Only this process can tick on an embedded log, so it does not wait for another one.
    let takeover_timeout = if connector.has_inboxes() { TAKEOVER_TIMEOUT } else { Duration::ZERO };
    let (connector, hosts) = (connector.clone(), settings.hosts.clone());
    Process { connector, config, hosts, takeover_timeout, now, clock_status }
}

async fn web(settings: &Settings, api: Api, cancel: CancellationToken) -> anyhow::Result<()> {
    let address = settings.api;
    let files = settings.api_tls.as_ref();
    let tls = files.map(|(certificate, key)| Tls::from_files(certificate, key)).transpose()?;
    let listener = spillway_serve::listen(address).await;
    let listener = listener.with_context(|| format!("the API cannot listen on {address}"))?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    eprintln!("API on {scheme}://{}", listener.local_addr()?);
    spillway_serve::serve(listener, tls, router(api), Limits::default(), cancel).await;
    Ok(())
}

/// Serves DNS once there is a table, until cancelled.
async fn dns(
    address: SocketAddr,
    files_max: u64,
    table: SharedTable,
    cancel: &CancellationToken,
    on_dns: &(dyn Fn(SocketAddr) + Sync),
) -> anyhow::Result<()> {
    while table.load().is_none() {
        if cancel.is_cancelled() {
            return Ok(());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let config = DnsConfig { listen: vec![address], ..DnsConfig::default() };
    let dns = Dns::bind(config.with_files_max(files_max), table).await?;
    dns.local_addresses().into_iter().for_each(on_dns);
    Ok(dns.run(cancel.clone().cancelled_owned()).await?)
}

pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
