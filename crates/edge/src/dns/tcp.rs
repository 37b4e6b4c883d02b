//! The TCP loop (RFC 7766): two bytes of length before each message.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_server::net::xfer::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::handler::Handler;

/// So that an error that stays, such as too many open files, does not burn a core.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// Accepts connections while there are slots; others are closed at once, so that the backlog does not fill.
pub(super) async fn serve(
    listener: TcpListener,
    handler: Arc<Handler>,
    slots: Arc<Semaphore>,
    idle_max: Duration,
) -> Infallible {
    // Dropped with this task, which ends the connections.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept over TCP");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
        let handler = Arc::clone(&handler);
        connections.spawn(async move {
            if let Err(error) = converse(stream, peer, &handler, idle_max).await {
                tracing::debug!(%error, %peer, "a TCP connection ended");
            }
            drop(slot);
        });
    }
}

/// One query at a time until the peer closes, is silent too long, or sends what gets no reply.
async fn converse(
    mut stream: TcpStream,
    peer: SocketAddr,
    handler: &Handler,
    idle_max: Duration,
) -> io::Result<()> {
    loop {
        let Some(query) = timeout(idle_max, receive(&mut stream)).await?? else { return Ok(()) };
        let Some(reply) = handler.respond(&query, peer, Protocol::Tcp) else { return Ok(()) };
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        let mut message = Vec::with_capacity(reply.len() + 2);
        message.extend(length.to_be_bytes());
        message.extend(reply);
        timeout(idle_max, stream.write_all(&message)).await??;
    }
}

/// The next message, or nothing at the connection's orderly end.
async fn receive(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u16().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(Some(message))
}
