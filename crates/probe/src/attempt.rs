//! The result of an attempt.

use std::fmt;
use std::io::ErrorKind;
use std::net::IpAddr;

use spillway_events::{Measurement, Micros, Outcome, Phases, TimeMicros, Tried};

use crate::target::TargetError;

/// The result of one attempt on one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Connect start to last byte, in microseconds; only of an attempt that succeeded.
    pub response_time: Option<Micros>,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The address connected to.
    pub address: Option<IpAddr>,
    /// Bytes of content received, without chunk headers; absent before the head was complete.
    pub bytes: Option<u64>,
    /// The duration of each phase that was completed.
    pub phases: Phases,
    /// Why it did not succeed; absent if a status from 200 to 399 and the complete body were received.
    pub error: Option<AttemptError>,
}

/// The phase of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Resolving the name.
    Resolve,
    /// Connecting.
    Connect,
    /// Sending the request and waiting for the head of the answer.
    Answer,
    /// Reading the body.
    Body,
}

/// Why an attempt did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttemptError {
    /// The target cannot be measured; nothing was tried.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The probe is not allowed to connect to any of the target's addresses.
    #[error("address not allowed")]
    NotAllowed,
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// The operating system reported an error.
    #[error("{0}: {1}")]
    Io(Stage, ErrorKind),
    /// The timeout passed.
    #[error("{0}: timed out")]
    TimedOut(Stage),
    /// The connection ended before the answer did.
    #[error("{0}: ended early")]
    EndedEarly(Stage),
    /// The answer is not HTTP/1.
    #[error("the answer is not HTTP/1")]
    NotHttp,
    /// The head has more than [`HEAD_BYTES_MAX`](crate::HEAD_BYTES_MAX) bytes.
    #[error("the head of the answer is too long")]
    HeadTooLong,
    /// The status is not one from 200 to 399.
    #[error("status {0}")]
    Status(u16),
    /// The body is chunked, and a chunk is malformed.
    #[error("the body has a malformed chunk")]
    BadChunk,
    /// The body is longer than the limits allow.
    #[error("the body is too long")]
    BodyTooLong,
}

impl AttemptError {
    /// Failed if the target failed, refused if nothing was tried. A target that cannot be asked, or whose addresses the
    /// probe is not allowed to connect to, is misconfigured: that is no evidence about its performance.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Target(_) | Self::NotAllowed => Outcome::Refused,
            Self::NoAddress
            | Self::Io(..)
            | Self::TimedOut(_)
            | Self::EndedEarly(_)
            | Self::NotHttp
            | Self::HeadTooLong
            | Self::Status(_)
            | Self::BadChunk
            | Self::BodyTooLong => Outcome::Failed,
        }
    }
}

impl Attempt {
    /// An attempt without a result yet.
    pub(crate) fn new() -> Self {
        let phases = Phases {
            resolve_us: None,
            connect_us: None,
            tls_us: None,
            first_byte_us: None,
            last_byte_us: None,
        };
        Self { response_time: None, status: None, address: None, bytes: None, phases, error: None }
    }

    /// The outcome of the attempt.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.error.map_or(Outcome::Ok, AttemptError::outcome)
    }

    /// The attempt as a measurement of a batch's series, ended at `at_us`.
    #[must_use]
    pub fn measurement(&self, series: u32, at_us: TimeMicros) -> Measurement {
        Measurement {
            series,
            at_us,
            tried: Tried::ResponseTime,
            outcome: self.outcome(),
            response_time_us: self.response_time,
            throughput_bps: None,
            bytes: self.bytes,
            phases: Some(self.phases),
            error: self.error.map(|error| error.to_string()),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Answer => "answer",
            Self::Body => "body",
        })
    }
}
