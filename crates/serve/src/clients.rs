//! Counts connections, in all and by client address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The open connections.
pub(crate) struct Clients {
    connections_max: usize,
    connections_per_client_max: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// A connection that counts until it is dropped.
pub(crate) struct Admitted {
    clients: Arc<Clients>,
    client: IpAddr,
}

impl Clients {
    pub(crate) fn new(connections_max: usize, connections_per_client_max: usize) -> Self {
        Self { connections_max, connections_per_client_max, open: Mutex::default() }
    }

    /// Counts a connection; nothing if a cap is reached.
    pub(crate) fn admit(clients: &Arc<Self>, client: IpAddr) -> Option<Admitted> {
        let mut open = clients.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_client = open.by_client.get(&client).copied().unwrap_or(0);
        if open.all >= clients.connections_max || of_client >= clients.connections_per_client_max {
            return None;
        }
        open.all += 1;
        open.by_client.insert(client, of_client + 1);
        Some(Admitted { clients: Arc::clone(clients), client })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.clients.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        if let Some(of_client) = open.by_client.get_mut(&self.client) {
            *of_client -= 1;
            if *of_client == 0 {
                open.by_client.remove(&self.client);
            }
        }
    }
}
