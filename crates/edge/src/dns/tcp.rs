//! The TCP loop (RFC 7766): two bytes of length before each message.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_server::net::xfer::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::DnsConfig;
use super::handler::Handler;
use crate::log_limit::LogLimit;

/// The pause after an error, so that a persistent one, such as too many open files, does not use a full core.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// Accepts connections within the limits; others are closed at once, so that the backlog does not fill.
pub(super) async fn serve(
    listener: TcpListener,
    handler: Arc<Handler>,
    limits: Arc<ConnectionLimits>,
    timeouts: Timeouts,
) -> Infallible {
    // Dropped with this task, which ends the connections.
    let mut connections = JoinSet::new();
    let mut log_limit = LogLimit::default();
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if let Some(suppressed) = log_limit.pass() {
                    tracing::warn!(%error, suppressed, "cannot accept a connection over TCP");
                }
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                continue;
            }
        };
        let Some(slot) = ConnectionLimits::acquire(&limits, peer.ip()) else { continue };
        let handler = Arc::clone(&handler);
        connections.spawn(async move {
            if let Err(error) = converse(stream, peer, &handler, timeouts).await {
                tracing::debug!(%error, %peer, "a TCP connection ended");
            }
            drop(slot);
        });
    }
}

/// How long a connection may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// The maximum time until a query begins.
    idle: Duration,
    /// The maximum time from a query's first byte to its last, and to send an answer.
    message: Duration,
}

impl Timeouts {
    pub(super) fn new(config: &DnsConfig) -> Self {
        Self { idle: config.tcp_idle_max, message: config.tcp_message_max }
    }
}

/// The maximum number of connections, in all and for each client.
#[derive(Debug)]
pub(super) struct ConnectionLimits {
    slots: Arc<Semaphore>,
    per_client_max: usize,
    /// The connections of each client that has any.
    clients: Mutex<HashMap<IpAddr, usize>>,
}

/// A permit for one connection, until dropped.
#[derive(Debug)]
struct Slot {
    limits: Arc<ConnectionLimits>,
    client: IpAddr,
    _slot: OwnedSemaphorePermit,
}

impl ConnectionLimits {
    pub(super) fn new(config: &DnsConfig) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(config.tcp_connections_max)),
            per_client_max: config.tcp_connections_per_client_max,
            clients: Mutex::default(),
        }
    }

    fn acquire(limits: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let slot = Arc::clone(&limits.slots).try_acquire_owned().ok()?;
        let client = client_of(peer);
        let mut clients = limits.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let count = clients.entry(client).or_default();
        // A new entry never stays without connections, because the limit is at least one.
        if *count >= limits.per_client_max.max(1) {
            return None;
        }
        *count += 1;
        drop(clients);
        Some(Slot { limits: Arc::clone(limits), client, _slot: slot })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut clients = self.limits.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = clients.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.client);
            }
        }
    }
}

/// The address by which connections are counted: the first 64 bits of an IPv6 address, because a client usually has all
/// addresses in that prefix.
fn client_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// Answers one query at a time until the peer closes the connection, exceeds a timeout, or sends a message that gets no
/// answer.
async fn converse(
    mut stream: TcpStream,
    peer: SocketAddr,
    handler: &Handler,
    timeouts: Timeouts,
) -> io::Result<()> {
    loop {
        let mut first = [0; 1];
        if timeout(timeouts.idle, stream.read(&mut first)).await?? == 0 {
            return Ok(());
        }
        let query = timeout(timeouts.message, receive(&mut stream, first)).await??;
        let Some(answer) = handler.respond(&query, peer, Protocol::Tcp) else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        let mut message = Vec::with_capacity(answer.len() + 2);
        message.extend(length.to_be_bytes());
        message.extend(answer);
        timeout(timeouts.message, stream.write_all(&message)).await??;
    }
}

/// The message whose length begins with a byte.
async fn receive(stream: &mut TcpStream, [high]: [u8; 1]) -> io::Result<Vec<u8>> {
    let length = u16::from_be_bytes([high, stream.read_u8().await?]);
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}
