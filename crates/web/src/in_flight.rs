//! Commands that are being done: a second request with the same key does not start while the first is not answered.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The author and the key of a command.
type Key = (String, String);

/// The keys of the commands in flight. There are at most as many as connections.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<HashSet<Key>>);

/// A key that is in flight until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    in_flight: Arc<InFlight>,
    key: Key,
}

impl InFlight {
    /// Holds a key of an author; none if it is in flight.
    pub(crate) fn hold(in_flight: &Arc<Self>, author: &str, key: &str) -> Option<Held> {
        let key = (author.to_owned(), key.to_owned());
        let mut keys = in_flight.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key.clone()).then(|| Held { in_flight: Arc::clone(in_flight), key })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.in_flight.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
