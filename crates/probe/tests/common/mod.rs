//! A test server for an origin or a CDN: a real HTTP server on a real socket.
#![allow(dead_code, reason = "each test file uses a part")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// The most connections at once; further ones wait to be accepted.
pub(crate) const CONNECTIONS_MAX: usize = 256;
/// The longest request.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// The longest that a connection may take, the delay not counted.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// The bytes of a body.
const PATTERN: [u8; 4096] = [b'.'; 4096];

/// A server that answers every request with a body of one size, after a delay or with a failure if configured.
///
/// Dropping it closes all its connections.
#[derive(Debug)]
pub(crate) struct StandIn {
    address: SocketAddr,
    behaviour: Arc<Behaviour>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Behaviour {
    body_bytes: u64,
    delay_us: AtomicU64,
    failing: AtomicBool,
    requests: AtomicU64,
}

impl StandIn {
    /// Starts a server that answers with `body_bytes` bytes; with port 0 the system chooses a free port.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub(crate) async fn start(address: SocketAddr, body_bytes: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let behaviour = Arc::new(Behaviour {
            body_bytes,
            delay_us: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            requests: AtomicU64::new(0),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&behaviour)));
        Ok(Self { address, behaviour, server })
    }

    /// Where it listens.
    #[must_use]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long it waits from now on between a request and the answer, in whole microseconds.
    pub(crate) fn set_delay(&self, delay: Duration) {
        let delay_us = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.behaviour.delay_us.store(delay_us, Ordering::Relaxed);
    }

    /// Whether it answers from now on with status 500.
    pub(crate) fn set_failing(&self, failing: bool) {
        self.behaviour.failing.store(failing, Ordering::Relaxed);
    }

    /// How many requests it has read.
    #[must_use]
    pub(crate) fn requests(&self) -> u64 {
        self.behaviour.requests.load(Ordering::Relaxed)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, behaviour: Arc<Behaviour>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let behaviour = Arc::clone(&behaviour);
                connections.spawn(async move {
                    let _permit = permit;
                    // The client sees how the connection ended; nothing else needs to know.
                    let _ = answer(stream, &behaviour).await;
                });
            }
            // Too many open files, for example: accepting again at once would loop without progress.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn answer(mut stream: TcpStream, behaviour: &Behaviour) -> io::Result<()> {
    timeout(CONNECTION_TIMEOUT, read_request(&mut stream)).await??;
    behaviour.requests.fetch_add(1, Ordering::Relaxed);
    sleep(Duration::from_micros(behaviour.delay_us.load(Ordering::Relaxed))).await;
    let failing = behaviour.failing.load(Ordering::Relaxed);
    let (status, length) =
        if failing { ("500 Internal Server Error", 0) } else { ("200 OK", behaviour.body_bytes) };
    timeout(CONNECTION_TIMEOUT, write_answer(&mut stream, status, length)).await?
}

/// Reads up to the empty line.
async fn read_request(stream: &mut TcpStream) -> io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        let length = stream.read(&mut buffer).await?;
        request.extend_from_slice(buffer.get(..length).unwrap_or(&[]));
        if length == 0 || request.len() > REQUEST_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(())
}

async fn write_answer(stream: &mut TcpStream, status: &str, length: u64) -> io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut left = length;
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(PATTERN.len());
        stream.write_all(PATTERN.get(..size).unwrap_or(&PATTERN)).await?;
        left -= size as u64;
    }
    stream.shutdown().await
}
