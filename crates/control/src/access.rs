//! Who calls: finds the holder of a token.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use spillway_events::{Sha256, TimeMicros};
use spillway_provisioning::{Caller, State};

use crate::provisioner::Provisioner;

/// How old the provisioning may be that a token is looked up in: a token is refused this long after it was revoked at the latest.
const STATE_AGE_MAX: Duration = Duration::from_secs(2);
/// How long a call waits for the log.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// How old it may be while the log cannot be read.
const STALE_AGE_MAX: Duration = Duration::from_secs(15 * 60);

/// What every token begins with, so that people and scanners of source code recognise one.
const PREFIX: &str = "spillway_";
const SECRET_BYTES: usize = 32;
/// Hexadecimal digits of the secret, then of its CRC-32.
const DIGITS: usize = 2 * SECRET_BYTES + 8;

/// Finds the holders of tokens.
pub struct Access {
    provisioner: Arc<Provisioner>,
    stale_age_max: Duration,
    /// Whether a thread reads the log for this, and how its end is told.
    reading: Arc<(Mutex<bool>, Condvar)>,
}

/// Who calls, and with which token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The holder.
    pub caller: Caller,
    /// The token's role and id, as the author of commands: `operator 0123456789abcdef`.
    pub author: String,
}

/// Why nobody is let in.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The text is not that of a token.
    #[error(
        "this is not a token: a token is `{PREFIX}` and {DIGITS} hexadecimal digits; is it cut or mistyped?"
    )]
    Malformed,
    /// The token is not known, or not accepted any more.
    #[error("the token is not accepted: it is unknown, has expired or was revoked")]
    Refused,
    /// Whether the token is accepted cannot be told.
    #[error("whether the token is accepted cannot be told: the log cannot be read")]
    Unavailable,
}

impl Access {
    /// The tokens that a provisioner knows.
    #[must_use]
    pub fn new(provisioner: Arc<Provisioner>) -> Self {
        Self { provisioner, stale_age_max: STALE_AGE_MAX, reading: Arc::default() }
    }

    /// While the log cannot be read, tokens are accepted as they were this long ago instead of 15 minutes.
    #[must_use]
    pub fn with_stale_age_max(mut self, age_max: Duration) -> Self {
        self.stale_age_max = age_max;
        self
    }

    /// The holder of a token.
    ///
    /// # Errors
    /// When the token is not accepted, or that cannot be told.
    pub fn identify(&self, token: &str, now: TimeMicros) -> Result<Identity, AccessError> {
        let digest = digest_of(token).ok_or(AccessError::Malformed)?;
        let state = self.state()?;
        let (token, caller) = state.caller(digest, now).ok_or(AccessError::Refused)?;
        Ok(Identity { caller, author: format!("{} {}", token.role.as_str(), token.id) })
    }

    /// The provisioning, which is read again if it is old; but nobody waits long for that.
    fn state(&self) -> Result<State, AccessError> {
        let latest = |age_max: Duration| {
            let found = self.provisioner.latest().filter(|(_, age)| *age <= age_max);
            found.map(|(state, _)| state)
        };
        if let Some(state) = latest(STATE_AGE_MAX) {
            return Ok(state);
        }
        self.read_again();
        latest(STATE_AGE_MAX).or_else(|| latest(self.stale_age_max)).ok_or(AccessError::Unavailable)
    }

    /// Reads the log, or waits for a while for the one who does: a log that does not answer may never return.
    fn read_again(&self) {
        let (is_reading, ended) = &*self.reading;
        let mut reading = is_reading.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *reading, true) {
            let (provisioner, shared) = (Arc::clone(&self.provisioner), Arc::clone(&self.reading));
            std::thread::spawn(move || {
                if let Err(error) = provisioner.state() {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "tokens cannot be looked up in the log");
                }
                let (is_reading, ended) = &*shared;
                *is_reading.lock().unwrap_or_else(PoisonError::into_inner) = false;
                ended.notify_all();
            });
        }
        // Whether it ended in time shows in the age of the state.
        let _ended = ended.wait_timeout_while(reading, READ_TIMEOUT, |reading| *reading);
    }
}

/// The text of a new token: 256 random bits and their CRC-32, in hexadecimal.
///
/// # Errors
/// When the system has no random numbers.
pub fn new_token() -> Result<String, getrandom::Error> {
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret)?;
    let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{PREFIX}{digits}{:08x}", crc32fast::hash(digits.as_bytes())))
}

/// The digest that stands for a token on the log; none if the text is not that of a token.
#[must_use]
pub fn digest_of(token: &str) -> Option<Sha256> {
    let digits = token.strip_prefix(PREFIX)?;
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != DIGITS || !digits.as_bytes().iter().all(is_digit) {
        return None;
    }
    let (secret, checksum) = digits.split_at(2 * SECRET_BYTES);
    let is_whole = checksum == format!("{:08x}", crc32fast::hash(secret.as_bytes()));
    is_whole.then(|| Sha256::of(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_a_changed_character_is_noticed() {
        let (one, two) = (new_token().unwrap(), new_token().unwrap());
        assert_ne!(one, two);
        assert_eq!(digest_of(&one), Some(Sha256::of(one.as_bytes())));
        for index in 0..one.len() {
            let mut changed = one.clone().into_bytes();
            changed[index] = if changed[index] == b'0' { b'1' } else { b'0' };
            assert_eq!(digest_of(std::str::from_utf8(&changed).unwrap()), None, "{index}");
        }
        for bad in
            ["", "spillway_", &one[1..], &one[..one.len() - 1], &one.to_uppercase(), &format!("{one}0")]
        {
            assert_eq!(digest_of(bad), None, "{bad}");
        }
        assert_eq!(digest_of(&"é".repeat(40)), None);
    }
}
