//! Runs roles, and restarts those that fail.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use spillway_eventlog::LogError;
use spillway_runtime::RuntimeError;
use tokio_util::sync::CancellationToken;

/// How long to wait before a role is restarted the first time; doubled each time.
const RESTART_DELAY_MIN: Duration = Duration::from_secs(1);
/// The longest delay. A role that has run this long without failing starts over with the shortest one.
const RESTART_DELAY_MAX: Duration = Duration::from_secs(60);
/// How often a delay checks whether it is cancelled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// What to do when a role fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Start it again after a delay: the roles of `spillway up`.
    Restart,
    /// Cancel all other roles: the role of a process of its own.
    EndProcess,
}

/// The roles that have failed and not recovered, each with the reason.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<BTreeMap<&'static str, String>>);

impl Failures {
    fn set(&self, role: &'static str, reason: Option<String>) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => failures.insert(role, reason),
            None => failures.remove(role),
        };
    }

    /// The names of the roles that have failed, with their reasons.
    pub(crate) fn list(&self) -> Vec<String> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.iter().map(|(role, reason)| format!("{role}: {reason}")).collect()
    }
}

/// Runs the roles of one process.
pub(crate) struct Supervisor {
    /// Ends all roles.
    pub(crate) cancel: CancellationToken,
    pub(crate) failures: Failures,
}

impl Supervisor {
    pub(crate) fn new(cancel: CancellationToken) -> Self {
        Self { cancel, failures: Failures::default() }
    }

    /// Runs a role until all roles are cancelled. Each run has a token of its own, which `run` may cancel.
    pub(crate) fn run(
        &self,
        role: &'static str,
        on_failure: OnFailure,
        run: impl Fn(&CancellationToken) -> anyhow::Result<()>,
    ) {
        let mut delay = RESTART_DELAY_MIN;
        while !self.cancel.is_cancelled() {
            let started = Instant::now();
            let Err(error) = run(&self.cancel.child_token()) else {
                // A role ends by itself only when it is cancelled.
                self.failures.set(role, None);
                if on_failure == OnFailure::EndProcess {
                    self.cancel.cancel();
                }
                return;
            };
            if self.cancel.is_cancelled() && is_cancelled(&error) {
                return;
            }
            let reason = describe(&error);
            self.failures.set(role, Some(reason.clone()));
            if on_failure == OnFailure::EndProcess {
                eprintln!("error: {role}: {reason}");
                self.cancel.cancel();
                return;
            }
            if started.elapsed() >= RESTART_DELAY_MAX {
                delay = RESTART_DELAY_MIN;
            }
            eprintln!("error: {role}: {reason}; it is restarted in {} s", delay.as_secs());
            self.sleep(delay);
            delay = (2 * delay).min(RESTART_DELAY_MAX);
        }
    }

    fn sleep(&self, delay: Duration) {
        let started = Instant::now();
        while started.elapsed() < delay && !self.cancel.is_cancelled() {
            std::thread::sleep(POLL_INTERVAL.min(delay));
        }
    }
}

/// The chain of causes, and what the operator can do about it.
fn describe(error: &anyhow::Error) -> String {
    match error.downcast_ref() {
        Some(RuntimeError::MissingRecords(missing)) => format!(
            "{error:#}; restore them, or accept their loss, so that what they measured is unknown: {}",
            missing.command()
        ),
        _ => format!("{error:#}"),
    }
}

/// Whether a call on the log ended because it was cancelled, which is not a failure.
fn is_cancelled(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref::<LogError>(), Some(LogError::Cancelled)))
}
