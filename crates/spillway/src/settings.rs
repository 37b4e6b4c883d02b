//! Settings of roles: flags override environment variables, which override the configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;
use spillway_dataflow::PERFORMANCE_PERIOD_US;
use spillway_eventlog::{Connector, EmbeddedLog, KafkaLog, KafkaSecurity, KafkaSettings};
use spillway_events::Prefix;
use spillway_runtime::OUTPUT_PARTITIONS;
use spillway_runtime::topics::INPUT_PARTITIONS;
use tokio_util::sync::CancellationToken;

const DNS: &str = "127.0.0.1:5300";
/// The default address of the API.
pub(crate) const API: &str = "127.0.0.1:5380";
const PROCESSES_MAX: usize = 64;
/// The ports at which the processes of a dataflow on one machine listen for each other, one for each.
const FIRST_PEER_PORT: u16 = 5391;

#[derive(Debug, Args)]
pub(crate) struct RoleOptions {
    /// Folder of the embedded log, the last routing table and the index of commands; created if it does not exist
    #[arg(long, env = "SPILLWAY_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the DNS node listens, UDP and TCP [default: 127.0.0.1:5300]
    #[arg(long, env = "SPILLWAY_DNS", value_name = "ADDRESS")]
    dns: Option<SocketAddr>,
    /// Where the API listens [default: 127.0.0.1:5380]
    #[arg(long, env = "SPILLWAY_API", value_name = "ADDRESS")]
    api: Option<SocketAddr>,
    /// PEM file of the API's certificate, and those that lead to its authority: the API then speaks TLS
    #[arg(long, env = "SPILLWAY_API_CERT", value_name = "FILE")]
    api_cert: Option<PathBuf>,
    /// PEM file of the certificate's private key
    #[arg(long, env = "SPILLWAY_API_KEY", value_name = "FILE")]
    api_key: Option<PathBuf>,
    /// Host name under which clients reach the API, besides localhost and addresses; may be repeated
    #[arg(long = "api-name", value_name = "NAME")]
    api_names: Vec<String>,
    /// File with the first operator's token, for an installation that has none [default: a new one in operator-token in --data]
    #[arg(long, env = "SPILLWAY_FIRST_TOKEN_FILE", value_name = "FILE")]
    first_token_file: Option<PathBuf>,
    /// Worker threads of the dataflow [default: 1]
    #[arg(long, env = "SPILLWAY_WORKERS", value_name = "N")]
    workers: Option<usize>,
    /// Prefix that probes may connect to although it is not public; may be repeated
    #[arg(long, value_name = "PREFIX")]
    probe_allow: Vec<Prefix>,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}

/// The processes of one dataflow.
#[derive(Debug, Default, Args)]
pub(crate) struct ClusterOptions {
    /// Where each process of the dataflow listens for the others: HOST:PORT,…; the same list for all
    #[arg(long, env = "SPILLWAY_HOSTS", value_name = "HOSTS", value_delimiter = ',')]
    hosts: Vec<String>,
    /// The number of this process, from 0; the first one ticks
    #[arg(long, env = "SPILLWAY_PROCESS", value_name = "N")]
    process: Option<usize>,
    /// Number of processes, on this machine at ports 5391 and up, if there is no list of hosts
    #[arg(long, env = "SPILLWAY_PROCESSES", value_name = "N")]
    processes: Option<usize>,
}

impl ClusterOptions {
    /// The hosts of all processes and the number of this one; no hosts if it is the only one.
    fn of(&self, file: Vec<String>) -> anyhow::Result<(Vec<String>, usize)> {
        let mut hosts = if self.hosts.is_empty() { file } else { self.hosts.clone() };
        if let Some(processes) = self.processes {
            if hosts.is_empty() && (2..=PROCESSES_MAX).contains(&processes) {
                let ports = FIRST_PEER_PORT..;
                hosts = ports.take(processes).map(|port| format!("127.0.0.1:{port}")).collect();
            }
            if processes != hosts.len().max(1) {
                bail!("processes: {processes}, but there are {} hosts", hosts.len());
            }
        }
        if hosts.len() > PROCESSES_MAX {
            bail!("hosts: {} are more than {PROCESSES_MAX}", hosts.len());
        }
        let process = match (self.process, hosts.len()) {
            (process, 0 | 1) => process.unwrap_or(0),
            (process, _) => process.context("give the number of this process with --process")?,
        };
        if process >= hosts.len().max(1) {
            bail!("process: {process} is not from 0 to {}", hosts.len().max(1) - 1);
        }
        if hosts.len() == 1 {
            hosts.clear();
        }
        Ok((hosts, process))
    }
}

/// Where the log is.
#[derive(Debug, Args)]
pub(crate) struct LogOptions {
    /// Configuration file (YAML: data, dns, api, api_cert, api_key, api_names, first_token_file, workers, hosts, probe_allow, and under kafka:
    /// bootstrap, replication, input_partitions, output_partitions, ca_file, user, password_file)
    #[arg(long, env = "SPILLWAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Brokers of the Kafka cluster that holds the log: HOST:PORT,…
    #[arg(long, env = "SPILLWAY_KAFKA", value_name = "SERVERS")]
    kafka: Option<String>,
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data: Option<PathBuf>,
    dns: Option<SocketAddr>,
    api: Option<SocketAddr>,
    api_cert: Option<PathBuf>,
    api_key: Option<PathBuf>,
    api_names: Vec<String>,
    first_token_file: Option<PathBuf>,
    workers: Option<usize>,
    hosts: Vec<String>,
    probe_allow: Vec<Prefix>,
    kafka: Option<KafkaFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct KafkaFile {
    bootstrap: Option<String>,
    replication: Option<u32>,
    input_partitions: Option<u32>,
    output_partitions: Option<u32>,
    ca_file: Option<PathBuf>,
    user: Option<String>,
    password_file: Option<PathBuf>,
}

pub(crate) struct Settings {
    pub(crate) data: Option<PathBuf>,
    pub(crate) dns: SocketAddr,
    pub(crate) api: SocketAddr,
    /// The files of the API's certificate and its key, if it speaks TLS.
    pub(crate) api_tls: Option<(PathBuf, PathBuf)>,
    pub(crate) workers: usize,
    /// Where each process of the dataflow listens for the others; empty if there is one process. Other roles ignore it.
    pub(crate) hosts: Vec<String>,
    pub(crate) process: usize,
    pub(crate) probe_allow: Vec<Prefix>,
    /// How often performance values are emitted, in microseconds.
    pub(crate) performance_period_us: i64,
    /// The host names of the API besides `localhost` and addresses.
    pub(crate) api_names: Vec<String>,
    pub(crate) first_token_file: Option<PathBuf>,
    pub(crate) kafka: Option<Kafka>,
}

/// A cluster, and the numbers of partitions of its topics.
#[derive(Clone)]
pub(crate) struct Kafka {
    pub(crate) settings: KafkaSettings,
    pub(crate) input_partitions: u32,
    pub(crate) output_partitions: u32,
}

impl Settings {
    /// Of any role but a dataflow of its own.
    pub(crate) fn of(options: &RoleOptions) -> anyhow::Result<Self> {
        Self::from(options, File::read(options.log.config.as_deref())?)
    }

    /// Of a dataflow, which may have several processes.
    pub(crate) fn of_dataflow(options: &RoleOptions, cluster: &ClusterOptions) -> anyhow::Result<Self> {
        let mut file = File::read(options.log.config.as_deref())?;
        let (hosts, process) = cluster.of(std::mem::take(&mut file.hosts))?;
        Ok(Self { hosts, process, ..Self::from(options, file)? })
    }

    fn from(options: &RoleOptions, file: File) -> anyhow::Result<Self> {
        let workers = options.workers.or(file.workers).unwrap_or(1);
        if !(1..=256).contains(&workers) {
            bail!("workers: {workers} is not from 1 to 256");
        }
        let certificate = options.api_cert.clone().or(file.api_cert);
        let api_tls = match (certificate, options.api_key.clone().or(file.api_key)) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(_), None) => bail!("name the file of the certificate's private key with --api-key, too"),
            (None, Some(_)) => bail!("name the file of the API's certificate with --api-cert, too"),
        };
        Ok(Self {
            data: options.data.clone().or(file.data),
            dns: options.dns.or(file.dns).map_or_else(|| DNS.parse(), Ok)?,
            api: options.api.or(file.api).map_or_else(|| API.parse(), Ok)?,
            api_tls,
            api_names: if options.api_names.is_empty() { file.api_names } else { options.api_names.clone() },
            first_token_file: options.first_token_file.clone().or(file.first_token_file),
            workers,
            hosts: file.hosts,
            process: 0,
            probe_allow: if options.probe_allow.is_empty() {
                file.probe_allow
            } else {
                options.probe_allow.clone()
            },
            performance_period_us: PERFORMANCE_PERIOD_US,
            kafka: Kafka::of(&options.log, file.kafka)?,
        })
    }

    /// The folder in which this process keeps its data.
    pub(crate) fn data(&self) -> anyhow::Result<&Path> {
        self.data.as_deref().context("name the folder to keep data in with --data")
    }

    /// Where a DNS node keeps its last table.
    pub(crate) fn table_file(&self) -> anyhow::Result<PathBuf> {
        Ok(self.data()?.join("table"))
    }

    /// Where the index of commands is kept, if this process keeps data.
    pub(crate) fn command_index_file(&self) -> Option<PathBuf> {
        Some(self.data.as_ref()?.join("commands.redb"))
    }

    pub(crate) fn connector(&self) -> anyhow::Result<Connector> {
        match &self.kafka {
            Some(kafka) => Ok(Connector::Kafka(kafka.settings.clone())),
            None => {
                let log = EmbeddedLog::create(self.data()?)?;
                spillway_runtime::topics::create(&log, INPUT_PARTITIONS)?;
                Ok(Connector::Embedded(Arc::new(log)))
            }
        }
    }
}

impl File {
    fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_saphyr::from_str(&text).with_context(|| path.display().to_string())
    }
}

impl Kafka {
    /// The cluster that flags, environment and file name; an error if they name none.
    pub(crate) fn required(options: &LogOptions) -> anyhow::Result<Self> {
        let file = File::read(options.config.as_deref())?;
        Self::of(options, file.kafka)?.context("name the brokers with --kafka, or in a file with --config")
    }

    fn of(options: &LogOptions, file: Option<KafkaFile>) -> anyhow::Result<Option<Self>> {
        let named = options.kafka.clone().or_else(|| file.as_ref()?.bootstrap.clone());
        let file = file.unwrap_or_default();
        let Some(bootstrap) = named else { return Ok(None) };
        let replication = file.replication.unwrap_or(1);
        let input_partitions = file.input_partitions.unwrap_or(INPUT_PARTITIONS);
        let output_partitions = file.output_partitions.unwrap_or(OUTPUT_PARTITIONS);
        let security = if file.ca_file.is_some() || file.user.is_some() {
            let password = match (&file.user, &file.password_file) {
                (None, _) => None,
                (Some(_), Some(path)) => {
                    let text = std::fs::read_to_string(path)
                        .with_context(|| format!("cannot read {}", path.display()))?;
                    Some(text.trim_end_matches(['\r', '\n']).to_owned())
                }
                (Some(_), None) => Some(std::env::var("SPILLWAY_KAFKA_PASSWORD").context(
                    "kafka.user needs its password: in a file named by kafka.password_file, or in the \
                     environment as SPILLWAY_KAFKA_PASSWORD",
                )?),
            };
            Some(KafkaSecurity { ca_file: file.ca_file, user: file.user, password })
        } else {
            None
        };
        let settings = KafkaSettings { bootstrap, security, replication, retry_timeout: None };
        Ok(Some(Self { settings, input_partitions, output_partitions }))
    }

    /// A connection for a command, with a short timeout, because a person waits for it.
    pub(crate) fn connect_for_a_command(&self) -> anyhow::Result<KafkaLog> {
        self.connect_for_a_command_until(CancellationToken::new())
    }

    /// The same; calls end once it is cancelled.
    pub(crate) fn connect_for_a_command_until(&self, cancel: CancellationToken) -> anyhow::Result<KafkaLog> {
        const RETRY_TIMEOUT: Duration = Duration::from_secs(10);
        let settings = KafkaSettings { retry_timeout: Some(RETRY_TIMEOUT), ..self.settings.clone() };
        Ok(KafkaLog::connect(settings, cancel)?)
    }
}
