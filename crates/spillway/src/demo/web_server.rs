//! The origin and the CDNs of the demo: web servers on loopback with a configurable response time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;

/// The bytes of a body.
const BODY_BYTES: usize = 16 * 1024;

/// A web server that answers every request with the same body, after a delay. It serves until its runtime ends.
pub(super) struct WebServer {
    address: SocketAddr,
    delay_us: Arc<AtomicU64>,
}

impl WebServer {
    /// Starts a server on a free port.
    pub(super) async fn start(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let delay_us = Arc::new(AtomicU64::new(0));
        let delay = Arc::clone(&delay_us);
        let router = Router::new().fallback(move || {
            let delay = Duration::from_micros(delay.load(Ordering::Relaxed));
            async move {
                tokio::time::sleep(delay).await;
                vec![b'.'; BODY_BYTES]
            }
        });
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("error: a web server of the demo: {error}");
            }
        });
        Ok(Self { address, delay_us })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets how long each answer takes from now on.
    pub(super) fn set_delay(&self, delay: Duration) {
        self.delay_us.store(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
