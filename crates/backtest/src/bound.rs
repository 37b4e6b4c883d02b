//! A bound on the bytes of one row, so that a file cannot make the reader take more memory.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The longest row, in bytes.
pub(crate) const ROW_BYTES_MAX: usize = 1024 * 1024;
/// How much the CSV reader reads ahead.
pub(crate) const BUFFER_BYTES: usize = 64 * 1024;

/// What may still be read before a row must be complete.
#[derive(Debug, Clone)]
pub(crate) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(ROW_BYTES_MAX + BUFFER_BYTES)))
    }

    /// A row is complete: the next one may be as long.
    pub(crate) fn renew(&self) {
        self.0.store(ROW_BYTES_MAX + BUFFER_BYTES, Ordering::Relaxed);
    }
}

/// A reader that fails when a row is not complete within the allowance.
pub(crate) struct Bounded<R> {
    pub(crate) input: R,
    pub(crate) allowance: Allowance,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.allowance.0.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other(
                "the row has more than 1 MiB; is a quote in it not closed, or the file not CSV?",
            ));
        }
        let most = buffer.len().min(left);
        let read = self.input.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.allowance.0.store(left - read, Ordering::Relaxed);
        Ok(read)
    }
}
