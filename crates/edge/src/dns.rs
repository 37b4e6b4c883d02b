//! DNS over UDP and TCP, from the current table.
//!
//! hickory-server decodes and encodes; [`spillway_routing::answer`] computes the answers. This module has its own loops,
//! because those of the library do not bound connections, spawn a task for each query, and answer malformed responses:
//!
//! - UDP: a fixed number of tasks for each socket, each one query at a time; only the kernel queues;
//! - TCP (RFC 7766): a bounded number of connections, in all and for each client; each one query at a time, closed when
//!   it is idle or a query takes too long to arrive.

mod handler;
mod tcp;
mod udp;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use spillway_routing::answer::Zone;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

pub use self::handler::Handler;
use self::tcp::{ConnectionLimits, Timeouts};
use crate::follower::SharedTable;

/// How many attempts are made to find a port that is free for both UDP and TCP, if the configured port is 0.
const BIND_ATTEMPTS_MAX: usize = 16;

/// How DNS is served.
#[derive(Debug, Clone)]
pub struct DnsConfig {
    /// Addresses and ports, each for UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// The id of this node in answers to the NSID option (RFC 5001).
    pub nsid: Option<String>,
    /// The provider's own zone.
    pub zone: Option<Zone>,
    /// Tasks for each UDP socket.
    pub udp_tasks: usize,
    /// The maximum number of TCP connections over all addresses; further ones are closed at once.
    pub tcp_connections_max: usize,
    /// The maximum number of TCP connections of one client: an IPv4 address, or the first 64 bits of an IPv6 address.
    pub tcp_connections_per_client_max: usize,
    /// How long a TCP connection may stay open without a query.
    pub tcp_idle_max: Duration,
    /// How long a query may take from its first byte to its last, and an answer to be accepted.
    pub tcp_message_max: Duration,
}

/// The maximum number of TCP connections, whatever the limit of open files is.
const TCP_CONNECTIONS_MAX: u64 = 8_192;
/// The limit of open files divided by this is the maximum number of TCP connections.
const FILES_PER_TCP_CONNECTION: u64 = 4;
/// The maximum number of connections divided by this is the maximum of one client.
const CLIENTS_MIN: usize = 8;

impl DnsConfig {
    /// Bounds the TCP connections by the limit of open files of the process.
    #[must_use]
    pub fn with_files_max(mut self, files_max: u64) -> Self {
        let connections = (files_max / FILES_PER_TCP_CONNECTION).clamp(1, TCP_CONNECTIONS_MAX);
        self.tcp_connections_max = usize::try_from(connections).unwrap_or(1);
        self.tcp_connections_per_client_max = (self.tcp_connections_max / CLIENTS_MIN).max(1);
        self
    }
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            nsid: None,
            zone: None,
            udp_tasks: 4,
            tcp_connections_max: 256,
            tcp_connections_per_client_max: 32,
            tcp_idle_max: Duration::from_secs(10),
            tcp_message_max: Duration::from_secs(5),
        }
    }
}

/// Why DNS is not served.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// There is no table yet, and a node that cannot answer does not bind.
    #[error("there is no routing table yet")]
    NoTable,
    /// No address to listen on.
    #[error("there is no address to listen on")]
    NoAddress,
    /// An address cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A task that serves a socket ended unexpectedly.
    #[error("a task that serves DNS ended: {0}")]
    Ended(String),
}

/// Bound sockets, ready to serve.
#[derive(Debug)]
pub struct Dns {
    config: DnsConfig,
    sockets: Vec<(UdpSocket, TcpListener)>,
    handler: Arc<Handler>,
}

/// Binds and serves until `shutdown` is ready.
///
/// # Errors
/// See [`DnsError`].
pub async fn serve(
    config: DnsConfig,
    table: SharedTable,
    shutdown: impl Future<Output = ()>,
) -> Result<(), DnsError> {
    Dns::bind(config, table).await?.run(shutdown).await
}

impl Dns {
    /// Binds UDP and TCP on every address, if there is a table.
    ///
    /// # Errors
    /// When there is no table, no address, or an address is taken.
    pub async fn bind(config: DnsConfig, table: SharedTable) -> Result<Self, DnsError> {
        if table.load().is_none() {
            return Err(DnsError::NoTable);
        }
        if config.listen.is_empty() {
            return Err(DnsError::NoAddress);
        }
        let mut sockets = Vec::new();
        for address in &config.listen {
            let bound = bind_both(*address).await;
            sockets.push(bound.map_err(|source| DnsError::Bind { address: *address, source })?);
        }
        let handler = Arc::new(Handler::new(table, config.zone.clone(), config.nsid.clone()));
        Ok(Self { config, sockets, handler })
    }

    /// The addresses bound, in the order of the configuration; UDP and TCP have the same port.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|(udp, _)| udp.local_addr().ok()).collect()
    }

    /// Serves until `shutdown` is ready, and then stops at once; resolvers retry.
    ///
    /// # Errors
    /// When a task ends unexpectedly.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), DnsError> {
        let mut tasks = JoinSet::new();
        let limits = Arc::new(ConnectionLimits::new(&self.config));
        let timeouts = Timeouts::new(&self.config);
        for (udp, tcp) in self.sockets {
            let udp = Arc::new(udp);
            for _ in 0..self.config.udp_tasks.max(1) {
                tasks.spawn(udp::serve(Arc::clone(&udp), Arc::clone(&self.handler)));
            }
            tasks.spawn(tcp::serve(tcp, Arc::clone(&self.handler), Arc::clone(&limits), timeouts));
        }
        tokio::select! {
            () = shutdown => Ok(()),
            Some(ended) = tasks.join_next() => Err(DnsError::Ended(match ended {
                Ok(never) => match never {},
                Err(error) => error.to_string(),
            })),
        }
    }
}

async fn bind_both(address: SocketAddr) -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut attempts = 1;
    loop {
        let tcp = TcpListener::bind(address).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(_) if address.port() == 0 && attempts < BIND_ATTEMPTS_MAX => attempts += 1,
            Err(error) => return Err(error),
        }
    }
}
