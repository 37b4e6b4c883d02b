//! Serves HTTP to anybody who can connect: an accept loop with caps and timeouts, and errors as problem details.
//!
//! ```text
//! listener ──► caps: in all, per client ──► TLS: handshake timeout ──► hyper: header timeout ──► request timeout, memory of
//! bodies ──► router
//! ```
//!
//! Every answer has a `Request-Id`, the caller's or a new one, which is in the log line of a request that failed.
//!
//! axum's own `serve` has neither caps nor timeouts, so idle connections would stay for ever and use up file descriptors.
#![warn(missing_docs)]

mod bodies;
mod clients;
mod problem;
mod problem_type;
mod request_id;
mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use self::bodies::{Bodies, Counted, Taken};
use self::clients::Clients;
use self::problem::Detail;
pub use self::problem::{FieldError, Problem, not_found, wrong_method};
pub use self::problem_type::{
    BAD_REQUEST, INTERNAL, NO_SUCH_PATH, PROBLEM_TYPES, ProblemType, UNSUPPORTED_MEDIA_TYPE,
};
use self::problem_type::{NO_ROOM, REQUEST_TIMEOUT};
use self::request_id::REQUEST_ID;
pub use self::tls::{Tls, TlsError};

/// How long a failed accept waits, so that a lack of file descriptors does not spin.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// How long open requests may take once the server is cancelled.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// When a client whose body had no room may try again.
const RETRY_AFTER_SECS: u64 = 5;

/// The bounds of a server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections of all clients together; further ones are closed at once.
    pub connections_max: usize,
    /// Connections of one client address.
    pub connections_per_client_max: usize,
    /// How long the handshake of TLS may take.
    pub handshake_timeout: Duration,
    /// How long a connection may take to send a request head. It counts while a connection is idle, too.
    pub header_timeout: Duration,
    /// How long a request may take, its body included.
    pub request_timeout: Duration,
    /// The longest body, in bytes.
    pub body_bytes_max: usize,
    /// A body of at most this many bytes is small.
    pub small_body_bytes: usize,
    /// The bytes of all small bodies in flight, and of the first part of large ones; further ones are answered with 503.
    pub small_bodies_bytes_max: usize,
    /// The bytes of all large bodies in flight beyond their first part; further ones are answered with 503.
    pub large_bodies_bytes_max: usize,
}

const CONNECTIONS_PER_CLIENT_MAX: usize = 64;
const BODY_BYTES_MAX: usize = 64 * MIB;
const SMALL_BODY_BYTES: usize = MIB;
const SMALL_BODIES_BYTES_MAX: usize = 96 * MIB;
const LARGE_BODIES_BYTES_MAX: usize = 128 * MIB;
const MIB: usize = 1024 * 1024;
// The longest body has room, and the connections of one client cannot take the room of all small bodies.
const _: () = assert!(BODY_BYTES_MAX <= LARGE_BODIES_BYTES_MAX);
const _: () = assert!(CONNECTIONS_PER_CLIENT_MAX * SMALL_BODY_BYTES < SMALL_BODIES_BYTES_MAX);

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            connections_per_client_max: CONNECTIONS_PER_CLIENT_MAX,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(60),
            body_bytes_max: BODY_BYTES_MAX,
            small_body_bytes: SMALL_BODY_BYTES,
            small_bodies_bytes_max: SMALL_BODIES_BYTES_MAX,
            large_bodies_bytes_max: LARGE_BODIES_BYTES_MAX,
        }
    }
}

/// The address of the client that sent a request, among its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// Serves a router until cancelled, over TLS if it is given. Requests that are open then may still end, for a few seconds.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    limits: Limits,
    cancel: CancellationToken,
) {
    let bodies = Arc::new(Bodies::new(
        limits.small_body_bytes,
        limits.small_bodies_bytes_max,
        limits.large_bodies_bytes_max,
    ));
    let router = router.layer(DefaultBodyLimit::max(limits.body_bytes_max)).layer(from_fn(
        move |request: Request, next: Next| {
            let taken = Taken::nothing(&bodies);
            async move { answer(request, next, limits, taken).await }
        },
    ));
    let clients = Arc::new(Clients::new(limits.connections_max, limits.connections_per_client_max));
    let graceful = GracefulShutdown::new();
    let server = Server { router, tls, limits };
    let mut accept_failed = false;
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                accept_failed = false;
                // Over a cap the connection is closed by dropping it.
                let Some(admitted) = Clients::admit(&clients, from.ip()) else { continue };
                let (server, watcher) = (server.clone(), graceful.watcher());
                tokio::spawn(async move {
                    let _admitted = admitted;
                    server.serve_connection(stream, from, watcher).await;
                });
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

/// Answers a request under its id, and logs it if the server failed.
async fn answer(request: Request, next: Next, limits: Limits, taken: Arc<Taken>) -> Response {
    let request_id = request_id::id_of(request.headers());
    let (method, path) = (request.method().clone(), problem::shown(&request));
    let mut response = answer_within(request, next, limits, taken).await;
    let status = response.status().as_u16();
    let detail = response.extensions().get::<Detail>().map_or("", |Detail(detail)| detail);
    if response.status().is_server_error() {
        tracing::warn!(request_id, %method, path, status, detail, "a request failed");
    } else if response.status().is_client_error() {
        tracing::debug!(request_id, %method, path, status, detail, "a request was refused");
    }
    response.headers_mut().insert(REQUEST_ID, request_id::header_value(&request_id));
    response
}

/// Runs a request within its bounds. `taken` holds the memory of its body until it is answered.
async fn answer_within(request: Request, next: Next, limits: Limits, taken: Arc<Taken>) -> Response {
    let request = request.map(|body| Body::new(Counted::new(body, Arc::clone(&taken))));
    let answered = tokio::time::timeout(limits.request_timeout, next.run(request)).await;
    if taken.is_refused() {
        let detail =
            "the server has no memory for this body now, because of other requests; send it again later";
        return Problem::new(&NO_ROOM, detail).with_retry_after(RETRY_AFTER_SECS).into();
    }
    match answered {
        Ok(response) => problem::from_rejection(response, limits.body_bytes_max).await,
        Err(_) => {
            let secs = limits.request_timeout.as_secs();
            let detail = format!("the request took more than {secs} s");
            Problem::new(&REQUEST_TIMEOUT, detail).into()
        }
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Server {
    router: Router,
    tls: Option<Tls>,
    limits: Limits,
}

impl Server {
    async fn serve_connection(self, stream: TcpStream, from: SocketAddr, watcher: Watcher) {
        let Some(tls) = &self.tls else { return self.serve_http(stream, from, watcher).await };
        let handshake = tokio::time::timeout(self.limits.handshake_timeout, tls.accept(stream)).await;
        // A client that takes too long or speaks no TLS is no event.
        let Ok(Some(stream)) = handshake else { return };
        self.serve_http(stream, from, watcher).await;
    }

    async fn serve_http<S>(&self, stream: S, from: SocketAddr, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = TowerToHyperService::new(self.router.clone());
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(ClientAddress(from.ip()));
            hyper::service::Service::call(&router, request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .serve_connection(TokioIo::new(stream), service);
        // A client that breaks off or sends nonsense is no event.
        let _: Result<(), hyper::Error> = watcher.watch(connection).await;
    }
}

/// Listens on an address.
///
/// # Errors
/// If the address is taken or not this machine's.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}
