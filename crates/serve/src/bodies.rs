//! Bounds the memory of all request bodies together.
//!
//! The first bytes of every body come from one pool, and what exceeds them from another one, so that a few large bodies do not
//! keep small ones out. Bytes count when they arrive, until the request is answered: a client that announces a large body and
//! does not send it takes nothing.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};

/// The memory of the bodies of one server.
pub(crate) struct Bodies {
    small_body_bytes: usize,
    small: Pool,
    large: Pool,
}

struct Pool {
    bytes_max: usize,
    used_bytes: AtomicUsize,
}

/// What one request has taken; given back when it is dropped.
pub(crate) struct Taken {
    bodies: Arc<Bodies>,
    bytes: Mutex<TakenBytes>,
    /// Whether a pool had too little.
    is_refused: AtomicBool,
}

#[derive(Default)]
struct TakenBytes {
    small: usize,
    large: usize,
}

/// There is no memory for the rest of the body.
#[derive(Debug, thiserror::Error)]
#[error("the server has no memory for the rest of the body")]
struct Refused;

impl Bodies {
    pub(crate) fn new(small_body_bytes: usize, small_bytes_max: usize, large_bytes_max: usize) -> Self {
        let pool = |bytes_max| Pool { bytes_max, used_bytes: AtomicUsize::new(0) };
        Self { small_body_bytes, small: pool(small_bytes_max), large: pool(large_bytes_max) }
    }
}

impl Pool {
    fn take(&self, bytes: usize) -> bool {
        let taken = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.bytes_max);
        self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Taken {
    pub(crate) fn nothing(bodies: &Arc<Bodies>) -> Arc<Self> {
        let (bytes, is_refused) = (Mutex::default(), AtomicBool::new(false));
        Arc::new(Self { bodies: Arc::clone(bodies), bytes, is_refused })
    }

    /// Whether the body was cut off because the server had no memory for it.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> Result<(), Refused> {
        let mut taken = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let small = bytes.min(self.bodies.small_body_bytes - taken.small);
        let large = bytes - small;
        let is_small_taken = self.bodies.small.take(small);
        if is_small_taken {
            taken.small += small;
        }
        if !is_small_taken || !self.bodies.large.take(large) {
            self.is_refused.store(true, Ordering::Relaxed);
            return Err(Refused);
        }
        taken.large += large;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let taken = self.bytes.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.bodies.small.give_back(taken.small);
        self.bodies.large.give_back(taken.large);
    }
}

/// A body whose bytes are taken from the pools as they arrive.
pub(crate) struct Counted {
    body: Body,
    taken: Arc<Taken>,
}

impl Counted {
    pub(crate) fn new(body: Body, taken: Arc<Taken>) -> Self {
        Self { body, taken }
    }
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        polled.map(|frame| {
            frame.map(|frame| {
                let frame = frame?;
                self.taken.take(frame.data_ref().map_or(0, Bytes::len))?;
                Ok(frame)
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
