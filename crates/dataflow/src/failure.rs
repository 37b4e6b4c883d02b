//! The first failure of a dataflow's workers, and how it ends them all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use timely::scheduling::SyncActivator;

use crate::error::DataflowError;

/// Shared by the workers of one process: a worker that fails records its error here, and the others end.
#[derive(Default)]
pub(crate) struct Failure {
    has_failed: AtomicBool,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    first: Option<DataflowError>,
    /// Wake the workers.
    activators: Vec<SyncActivator>,
}

impl Failure {
    /// Adds a worker that must be woken if another one fails.
    pub(crate) fn register(&self, activator: SyncActivator) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).activators.push(activator);
    }

    /// Keeps the error if it is the first one, and wakes all workers.
    pub(crate) fn fail(&self, error: DataflowError) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.first.get_or_insert(error);
        // Set before the workers are woken, and before workers that register later read it.
        self.has_failed.store(true, Ordering::SeqCst);
        for activator in shared.activators.drain(..) {
            // A worker that has ended does not need to be woken.
            let _ = activator.activate();
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::SeqCst)
    }

    /// The first error, if there is one.
    pub(crate) fn first(&self) -> Option<DataflowError> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).first.clone()
    }
}
