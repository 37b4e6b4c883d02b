//! Name resolution by the operating system, bounded.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock};

use tokio::sync::Semaphore;

use crate::limits::RESOLUTIONS_AT_ONCE_MAX;

/// A resolution cannot be cancelled: it holds its permit until the operating system returns, even if its attempt has ended.
static PERMITS: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(RESOLUTIONS_AT_ONCE_MAX)));

/// The addresses of a name, in the operating system's order, each once.
pub(crate) async fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    let permit = Arc::clone(&PERMITS).acquire_owned().await.map_err(|_| ErrorKind::Other)?;
    let host = host.to_owned();
    let lookup = move || {
        let _permit = permit;
        let mut addresses: Vec<IpAddr> = Vec::new();
        for found in (host.as_str(), 0).to_socket_addrs()? {
            if !addresses.contains(&found.ip()) {
                addresses.push(found.ip());
            }
        }
        Ok(addresses)
    };
    tokio::task::spawn_blocking(lookup).await.map_err(|_| ErrorKind::Other)?
}
