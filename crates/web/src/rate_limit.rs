//! How many requests a caller may send: by token, and by address where there is no valid token.
//!
//! The answers say how many are left (`RateLimit`, `RateLimit-Policy`: draft-ietf-httpapi-ratelimit-headers).

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use spillway_serve::Problem;

use crate::problems::RATE_LIMITED;

/// The most requests of one token within [`TOKEN_WINDOW_SECS`].
const TOKEN_REQUESTS_MAX: NonZeroU32 = NonZeroU32::new(5_000).unwrap();
const TOKEN_WINDOW_SECS: u64 = 10;
/// The most requests of one address without a valid token within [`ADDRESS_WINDOW_SECS`].
const ADDRESS_REQUESTS_MAX: NonZeroU32 = NonZeroU32::new(2_000).unwrap();
const ADDRESS_WINDOW_SECS: u64 = 10;
/// With fewer callers than this, those that have sent nothing lately are not forgotten.
const PRUNE_CALLERS_MIN: usize = 1_024;

/// How many requests callers may send.
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// For each token.
    pub token: Rate,
    /// For each address, an IPv6 one with its /64, of requests without a valid token.
    pub address: Rate,
}

/// A number of requests at once, which a caller has again after a window without any. Meanwhile requests come back evenly.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// The number of requests.
    pub requests: NonZeroU32,
    /// The window.
    pub window: Duration,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            token: Rate { requests: TOKEN_REQUESTS_MAX, window: Duration::from_secs(TOKEN_WINDOW_SECS) },
            address: Rate {
                requests: ADDRESS_REQUESTS_MAX,
                window: Duration::from_secs(ADDRESS_WINDOW_SECS),
            },
        }
    }
}

/// Counts the requests of all callers.
pub(crate) struct Limiters {
    tokens: Limiter<String>,
    addresses: Limiter<IpAddr>,
}

impl Limiters {
    pub(crate) fn new(limits: RateLimits) -> Self {
        Self {
            tokens: Limiter::new("token", limits.token),
            addresses: Limiter::new("address", limits.address),
        }
    }

    /// Counts a request of a token, whose author is given.
    pub(crate) fn of_token(&self, author: &str) -> Standing {
        self.tokens.count(&author.to_owned())
    }

    /// Counts a request without a valid token.
    pub(crate) fn of_address(&self, address: IpAddr) -> Standing {
        self.addresses.count(&network_of(address))
    }
}

/// The addresses that one host can choose from freely.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

/// Counts the requests of callers of one sort.
struct Limiter<K: Hash + Eq + Clone> {
    name: &'static str,
    rate: Rate,
    counts: RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>,
    /// With more callers than this, those whose requests are all back are forgotten.
    prune_callers: AtomicUsize,
}

/// What a caller may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    name: &'static str,
    rate_requests: u32,
    window_secs: u64,
    /// How many requests are left.
    left: u32,
    /// When all of them are back, in seconds.
    reset_secs: u64,
    /// When the next request is allowed, in seconds, if this one is not.
    retry_after_secs: Option<u64>,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn new(name: &'static str, rate: Rate) -> Self {
        // A rate that is too fast to count is one request a nanosecond.
        let interval = (rate.window / rate.requests.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(interval).unwrap_or_else(|| Quota::per_second(rate.requests));
        let counts = RateLimiter::keyed(quota.allow_burst(rate.requests)).with_middleware();
        Self { name, rate, counts, prune_callers: AtomicUsize::new(PRUNE_CALLERS_MIN) }
    }

    fn count(&self, caller: &K) -> Standing {
        self.prune();
        let (left, retry_after_secs) = match self.counts.check_key(caller) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(until) => {
                let wait = until.wait_time_from(self.counts.clock().now());
                (0, Some(secs_up(wait).max(1)))
            }
        };
        let Rate { requests, window } = self.rate;
        let used = requests.get().saturating_sub(left);
        let (name, rate_requests, window_secs) = (self.name, requests.get(), secs_up(window));
        let reset_secs = secs_up(window / requests.get() * used);
        Standing { name, rate_requests, window_secs, left, reset_secs, retry_after_secs }
    }

    /// Forgets callers whose requests are all back. Each time looks at all of them, so the next one is when they have doubled.
    fn prune(&self) {
        if self.counts.len() <= self.prune_callers.load(Ordering::Relaxed) {
            return;
        }
        self.counts.retain_recent();
        self.counts.shrink_to_fit();
        self.prune_callers.store(PRUNE_CALLERS_MIN.max(2 * self.counts.len()), Ordering::Relaxed);
    }
}

/// In whole seconds, rounded up.
fn secs_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

impl Standing {
    /// The answer if the request is one too many.
    pub(crate) fn refusal(&self) -> Option<Problem> {
        let secs = self.retry_after_secs?;
        let Self { name, rate_requests, window_secs, .. } = self;
        let detail = format!(
            "this {name} has sent more than {rate_requests} requests within {window_secs} s; send the next one in {secs} s"
        );
        Some(Problem::new(&RATE_LIMITED, detail).with_retry_after(secs))
    }

    /// Says it in the headers of an answer.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let Self { name, rate_requests, window_secs, left, reset_secs, .. } = self;
        for (header, text) in [
            ("ratelimit-policy", format!("\"{name}\";q={rate_requests};w={window_secs}")),
            ("ratelimit", format!("\"{name}\";r={left};t={reset_secs}")),
        ] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(header, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_whose_requests_are_back_are_forgotten() {
        let rate = Rate { requests: NonZeroU32::MIN, window: Duration::from_nanos(1) };
        let limiter = Limiter::new("token", rate);
        for caller in 0..100_000 {
            limiter.count(&caller);
        }
        assert!(limiter.counts.len() <= PRUNE_CALLERS_MIN + 1, "{}", limiter.counts.len());
    }

    #[test]
    fn a_host_of_ipv6_is_its_network() {
        let of = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3::4"), "2001:db8:1:2::");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
