//! The UDP loop.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hickory_server::net::xfer::Protocol;
use tokio::net::UdpSocket;

use super::handler::Handler;
use crate::log_limit::LogLimit;

/// The longest query that is read; a longer one is truncated, cannot be decoded, and gets FORMERR.
const QUERY_BYTES_MAX: usize = 4_096;
/// The pause after an error, so that a persistent one does not use a full core.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// Answers one query at a time.
pub(super) async fn serve(socket: Arc<UdpSocket>, handler: Arc<Handler>) -> Infallible {
    let mut query = vec![0; QUERY_BYTES_MAX];
    let mut log_limit = LogLimit::default();
    loop {
        let (length, peer) = match socket.recv_from(&mut query).await {
            Ok(received) => received,
            Err(error) => {
                if let Some(suppressed) = log_limit.pass() {
                    tracing::warn!(%error, suppressed, "cannot receive over UDP");
                }
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                continue;
            }
        };
        let Some(bytes) = query.get(..length) else { continue };
        let Some(answer) = handler.respond(bytes, peer, Protocol::Udp) else { continue };
        if let Err(error) = socket.send_to(&answer, peer).await {
            tracing::debug!(%error, %peer, "cannot send over UDP");
        }
    }
}
