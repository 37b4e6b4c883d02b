//! Serves HTTP to anybody who can connect: an accept loop with caps and timeouts, and errors as problem details.
//!
//! ```text
//! listener ──► caps: in all, per client ──► hyper: header timeout ──► request timeout ──► router
//! ```
//!
//! axum's own `serve` has neither caps nor timeouts, so idle connections would stay for ever and use up file descriptors.
#![warn(missing_docs)]

mod clients;
mod problem;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use self::clients::Clients;
pub use self::problem::{Problem, not_found, wrong_method};

/// How long a failed accept waits, so that a lack of file descriptors does not spin.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// How long open requests may take once the server is cancelled.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The bounds of a server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections of all clients together; further ones are closed at once.
    pub connections_max: usize,
    /// Connections of one client address.
    pub connections_per_client_max: usize,
    /// How long a connection may take to send a request head. It counts while a connection is idle, too.
    pub header_timeout: Duration,
    /// How long a request may take, its body included.
    pub request_timeout: Duration,
    /// The longest body, in bytes.
    pub body_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            connections_per_client_max: 64,
            header_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(60),
            body_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// Serves a router until cancelled. Requests that are open then may still end, for a few seconds.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, cancel: CancellationToken) {
    let router = router.layer(DefaultBodyLimit::max(limits.body_bytes_max)).layer(from_fn(
        move |request: Request, next: Next| async move {
            let answered = tokio::time::timeout(limits.request_timeout, next.run(request)).await;
            match answered {
                Ok(response) => problem::from_rejection(response, limits.body_bytes_max).await,
                Err(_) => {
                    let secs = limits.request_timeout.as_secs();
                    let detail = format!("the request took more than {secs} s");
                    Problem::new(StatusCode::REQUEST_TIMEOUT, detail).into()
                }
            }
        },
    ));
    let clients = Arc::new(Clients::new(limits.connections_max, limits.connections_per_client_max));
    let graceful = GracefulShutdown::new();
    let mut accept_failed = false;
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                accept_failed = false;
                serve_connection(stream, from, &router, limits, &clients, &graceful);
            }
            Err(error) => {
                // Logged once for a row of failures, which a stranger can cause.
                if !std::mem::replace(&mut accept_failed, true) {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "connections cannot be accepted");
                }
                tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
            }
        }
    }
    drop(listener);
    // What has not ended by then is closed.
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, graceful.shutdown()).await;
}

fn serve_connection(
    stream: TcpStream,
    from: SocketAddr,
    router: &Router,
    limits: Limits,
    clients: &Arc<Clients>,
    graceful: &GracefulShutdown,
) {
    // Over a cap the connection is closed by dropping it.
    let Some(admitted) = Clients::admit(clients, from.ip()) else { return };
    let service = TowerToHyperService::new(router.clone());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        let _admitted = admitted;
        // A client that breaks off or sends nonsense is no event.
        let _: Result<(), hyper::Error> = connection.await;
    });
}

/// Listens on an address.
///
/// # Errors
/// If the address is taken or not this machine's.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}
