//! DNS over UDP and TCP, from the present table.
//!
//! hickory-server decodes and encodes; what is said is [`spillway_routing::answer`]'s. The loops around it are ours,
//! because its own have no cap on connections, spawn a task for each query, and answer malformed responses:
//!
//! - UDP: a fixed number of tasks a socket, each one query at a time, nothing queued but in the kernel;
//! - TCP (RFC 7766): at most `tcp_connections_max` connections, each one query at a time, closed when idle.

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
use crate::follower::SharedTable;

/// How often a free port is looked for when the port is 0, since UDP and TCP need the same.
const BIND_ATTEMPTS_MAX: usize = 16;

/// How DNS is served.
#[derive(Debug, Clone)]
pub struct DnsConfig {
    /// Addresses and ports, each for UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// What this node calls itself to whoever asks (RFC 5001).
    pub nsid: Option<String>,
    /// The provider's own zone.
    pub zone: Option<Zone>,
    /// Tasks for each UDP socket.
    pub udp_tasks: usize,
    /// TCP connections over all addresses; more are closed at once.
    pub tcp_connections_max: usize,
    /// How long a TCP connection may be silent, and a reply may take to be accepted.
    pub tcp_idle_max: Duration,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            nsid: None,
            zone: None,
            udp_tasks: 4,
            tcp_connections_max: 1_024,
            tcp_idle_max: Duration::from_secs(10),
        }
    }
}

/// Why DNS is not served.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// There is no table yet; a node that cannot answer does not bind.
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
        /// What the system says.
        source: std::io::Error,
    },
    /// A task that serves a socket ended, which is a defect.
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

    /// Serves until `shutdown` is ready; then everything is dropped at once, since resolvers ask again.
    ///
    /// # Errors
    /// When a task ends, which none should.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), DnsError> {
        let mut tasks = JoinSet::new();
        let slots = Arc::new(tokio::sync::Semaphore::new(self.config.tcp_connections_max));
        for (udp, tcp) in self.sockets {
            let udp = Arc::new(udp);
            for _ in 0..self.config.udp_tasks.max(1) {
                tasks.spawn(udp::serve(Arc::clone(&udp), Arc::clone(&self.handler)));
            }
            let idle_max = self.config.tcp_idle_max;
            tasks.spawn(tcp::serve(tcp, Arc::clone(&self.handler), Arc::clone(&slots), idle_max));
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
