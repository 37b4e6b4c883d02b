//! Every bound of the agent. Those that depend on each other are checked at compile time.

use std::net::IpAddr;
use std::time::Duration;

use spillway_events::{
    BATCH_RECORDS_MAX, BATCH_SERIES_MAX, NAME_BYTES_MAX, Prefix, is_public, topics::INPUT_RECORD_BYTES_MAX,
};

/// The longest head of an answer, interim answers included.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The longest URL of a target.
pub const URL_BYTES_MAX: usize = 2_048;
/// The most addresses of a target that one attempt tries to connect to, one after the other.
pub const ADDRESSES_TRIED_MAX: usize = 4;
/// The longest that an attempt may take.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(300);
/// The most names that are resolved at once, including those whose attempt has ended.
pub const RESOLUTIONS_AT_ONCE_MAX: usize = 256;
/// The most attempts at once.
pub const ATTEMPTS_AT_ONCE_MAX: usize = 128;
/// The most assignments of an agent; further ones are left out, and a warning is logged.
pub const ASSIGNMENTS_MAX: usize = 65_536;
/// The shortest interval; a shorter one counts as this one.
pub const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The longest interval; a longer one counts as this one.
pub const INTERVAL_MAX: Duration = Duration::from_secs(86_400);
/// The most measurements of a batch, whatever the settings are.
pub const BATCH_RECORDS_LIMIT: usize = 512;
/// The most batches that wait for the sink, whatever the settings are.
pub const QUEUE_BATCHES_LIMIT: usize = 4_096;

/// The longest pause before a batch is handed over again.
pub(crate) const RETRY_INTERVAL_MAX: Duration = Duration::from_secs(10);
/// A slot is late by at most this part of the interval.
pub(crate) const JITTER_PART: u64 = 10;
/// The maximum number of bytes that one read from a connection returns.
pub(crate) const READ_BYTES: usize = 16 * 1024;

/// The maximum size of one measurement with its own series in a batch, error text included.
const MEASUREMENT_BYTES_MAX: usize = 4 * NAME_BYTES_MAX + 300;

const _: () = assert!(TIMEOUT_MAX.as_micros() <= spillway_events::RESPONSE_TIME_MAX.0 as u128);
const _: () = assert!(BATCH_RECORDS_LIMIT <= BATCH_RECORDS_MAX && BATCH_RECORDS_LIMIT <= BATCH_SERIES_MAX);
const _: () = assert!(BATCH_RECORDS_LIMIT * MEASUREMENT_BYTES_MAX <= INPUT_RECORD_BYTES_MAX);
// Resolutions that hang must not block the attempts that run now.
const _: () = assert!(ATTEMPTS_AT_ONCE_MAX < RESOLUTIONS_AT_ONCE_MAX);
const _: () = assert!(JITTER_PART > 1);

/// The bounds of an attempt, and the addresses that it may connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long an attempt may take, name resolution included; at most [`TIMEOUT_MAX`].
    pub timeout: Duration,
    /// The longest body, in bytes on the wire; a longer one fails the attempt.
    pub bytes_max: u64,
    /// Prefixes that probes may connect to although they are not public.
    pub allowed: Vec<Prefix>,
}

impl Default for Limits {
    /// Ten seconds, 64 MiB, public addresses only.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), bytes_max: 64 * 1024 * 1024, allowed: Vec::new() }
    }
}

impl Limits {
    /// Whether an attempt may connect to an address: a public one, or one in an allowed prefix.
    ///
    /// An IPv4 address mapped into IPv6 counts as the IPv4 address.
    #[must_use]
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address)
            || self.allowed.iter().any(|prefix| Prefix::containing(address, prefix.length()) == *prefix)
    }
}
