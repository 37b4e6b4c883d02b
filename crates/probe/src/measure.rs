//! One attempt: resolve, vet, connect, ask, read to the last byte.

use std::net::{IpAddr, SocketAddr};

use spillway_events::Micros;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::attempt::{Attempt, AttemptError, Stage};
use crate::body::Body;
use crate::head::{Head, HeadReader};
use crate::limits::{ADDRESSES_TRIED_MAX, Limits, READ_BYTES, TIMEOUT_MAX};
use crate::resolve::resolve;
use crate::target::{Parts, Target};

/// Measures a target's response time once, over plain HTTP/1.1.
///
/// The attempt succeeds if a status from 200 to 399 and the complete body are received in time. Response time is from the
/// start of the first connect to the last byte of the body. Redirects are not followed. The probe connects only to addresses
/// that [`Limits`] allow; it skips the others, and if none is left the attempt is refused. This function never fails: an
/// error is part of the attempt.
pub async fn measure(target: &Target, limits: &Limits) -> Attempt {
    let mut run = Run { limits, attempt: Attempt::new(), stage: Stage::Resolve };
    let outcome = timeout(limits.timeout.min(TIMEOUT_MAX), run.all(target)).await;
    match outcome {
        Ok(Ok(response_time)) => run.attempt.response_time = Some(response_time),
        Ok(Err(error)) => run.attempt.error = Some(error),
        Err(_) => run.attempt.error = Some(AttemptError::TimedOut(run.stage)),
    }
    run.attempt
}

/// An attempt in flight. Its results so far are kept if the timeout passes.
struct Run<'a> {
    limits: &'a Limits,
    attempt: Attempt,
    stage: Stage,
}

impl Run<'_> {
    async fn all(&mut self, target: &Target) -> Result<Micros, AttemptError> {
        let parts = target.parts()?;
        let addresses = self.addresses(target, parts).await?;
        self.stage = Stage::Connect;
        let start = Instant::now();
        let mut stream = self.connect(&addresses, parts.port).await?;
        self.attempt.phases.connect_us = Some(micros_since(start));
        self.stage = Stage::Answer;
        let asked = Instant::now();
        let request = target.request(parts);
        stream.write_all(request.as_bytes()).await.map_err(|error| self.io(&error))?;
        let (head, first_byte, rest) = self.read_head(&mut stream, asked).await?;
        if !(200..=399).contains(&head.status) {
            return Err(AttemptError::Status(head.status));
        }
        self.stage = Stage::Body;
        self.read_body(&mut stream, head, &rest).await?;
        self.attempt.phases.last_byte_us = Some(micros_since(first_byte));
        Ok(micros_since(start))
    }

    /// The addresses to try, all of them allowed.
    async fn addresses(&mut self, target: &Target, parts: Parts<'_>) -> Result<Vec<IpAddr>, AttemptError> {
        let found = if !target.addresses.is_empty() {
            target.addresses.clone()
        } else if let Ok(address) = parts.host.parse::<IpAddr>() {
            vec![address]
        } else {
            let start = Instant::now();
            let found = resolve(parts.host).await.map_err(|error| self.io(&error))?;
            self.attempt.phases.resolve_us = Some(micros_since(start));
            found
        };
        if found.is_empty() {
            return Err(AttemptError::NoAddress);
        }
        let canonical = found.into_iter().map(|address| address.to_canonical());
        let allowed = canonical.filter(|address| self.limits.allow(*address)).take(ADDRESSES_TRIED_MAX);
        let allowed: Vec<IpAddr> = allowed.collect();
        if allowed.is_empty() { Err(AttemptError::NotAllowed) } else { Ok(allowed) }
    }

    /// Connects to the first address that answers; the error is that of the last.
    async fn connect(&mut self, addresses: &[IpAddr], port: u16) -> Result<TcpStream, AttemptError> {
        let mut last = AttemptError::NoAddress;
        for address in addresses {
            self.attempt.address = Some(*address);
            match TcpStream::connect(SocketAddr::new(*address, port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = self.io(&error),
            }
        }
        Err(last)
    }

    /// Returns the head, when its first byte came, and the bytes of the body that came with it.
    async fn read_head(
        &mut self,
        stream: &mut TcpStream,
        asked: Instant,
    ) -> Result<(Head, Instant, Vec<u8>), AttemptError> {
        let mut reader = HeadReader::default();
        let mut first_byte = None;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let length = stream.read(&mut buffer).await.map_err(|error| self.io(&error))?;
            let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
                return Err(AttemptError::EndedEarly(self.stage));
            };
            let first_byte = *first_byte.get_or_insert_with(Instant::now);
            self.attempt.phases.first_byte_us = Some(micros(first_byte - asked));
            if let Some((head, rest)) = reader.take(bytes)? {
                self.attempt.status = Some(head.status);
                return Ok((head, first_byte, rest));
            }
        }
    }

    async fn read_body(
        &mut self,
        stream: &mut TcpStream,
        head: Head,
        rest: &[u8],
    ) -> Result<(), AttemptError> {
        let mut body = Body::new(head.framing);
        let mut content = body.take(rest)?;
        let mut wire = rest.len() as u64;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            self.attempt.bytes = Some(content);
            let declared = if let Body::Length(left) = body { content.saturating_add(left) } else { wire };
            if declared > self.limits.bytes_max {
                return Err(AttemptError::BodyTooLong);
            }
            if body.is_complete() {
                return Ok(());
            }
            let length = stream.read(&mut buffer).await.map_err(|error| self.io(&error))?;
            if length == 0 {
                return if body.may_end() { Ok(()) } else { Err(AttemptError::EndedEarly(self.stage)) };
            }
            wire = wire.saturating_add(length as u64);
            content = content.saturating_add(body.take(buffer.get(..length).unwrap_or(&[]))?);
        }
    }

    fn io(&self, error: &std::io::Error) -> AttemptError {
        AttemptError::Io(self.stage, error.kind())
    }
}

fn micros_since(start: Instant) -> Micros {
    micros(start.elapsed())
}

fn micros(time: std::time::Duration) -> Micros {
    Micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}
