//! Runs roles, and restarts those that fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spillway_eventlog::LogError;
use spillway_events::{TimeMicros, format_time};
use spillway_runtime::RuntimeError;
use tokio_util::sync::CancellationToken;

use crate::clock::now;

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

/// How a role is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RoleState {
    Running {
        /// Why it was restarted, if it was.
        last_failure: Option<Failure>,
    },
    Failed {
        failure: Failure,
        /// When it is restarted; nothing if it has ended the process.
        restart_at: Option<Instant>,
    },
}

/// Why and when a role failed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    reason: String,
    at: TimeMicros,
}

/// The states of the roles of one process. A role that was cancelled is not among them.
#[derive(Debug, Default)]
pub(crate) struct RoleStates(Mutex<BTreeMap<&'static str, RoleState>>);

impl RoleStates {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, RoleState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn started(&self, role: &'static str) {
        let mut roles = self.lock();
        let last_failure = match roles.remove(role) {
            None => None,
            Some(RoleState::Running { last_failure }) => last_failure,
            Some(RoleState::Failed { failure, .. }) => Some(failure),
        };
        roles.insert(role, RoleState::Running { last_failure });
    }

    fn failed(&self, role: &'static str, reason: String, restart_at: Option<Instant>) {
        let failure = Failure { reason, at: now() };
        self.lock().insert(role, RoleState::Failed { failure, restart_at });
    }

    fn ended(&self, role: &'static str) {
        self.lock().remove(role);
    }

    /// The names of the roles that have failed and have not ended well since.
    pub(crate) fn failed_roles(&self) -> Vec<&'static str> {
        let has_failed = |state: &RoleState| *state != RoleState::Running { last_failure: None };
        self.lock().iter().filter(|(_, state)| has_failed(state)).map(|(role, _)| *role).collect()
    }

    /// Each role with its state, for people and programs.
    pub(crate) fn list(&self) -> Vec<Value> {
        let state = |(role, state): (&&'static str, &RoleState)| match state {
            RoleState::Running { last_failure: None } => json!({"role": role, "state": "running"}),
            RoleState::Running { last_failure: Some(Failure { reason, at }) } => json!({
                "role": role, "state": "running", "last_failure": reason, "last_failure_at": format_time(*at),
            }),
            RoleState::Failed { failure: Failure { reason, at }, restart_at } => {
                let wait = restart_at.map(|at| at.saturating_duration_since(Instant::now()));
                let restarts_in_ms = wait.and_then(|wait| u64::try_from(wait.as_millis()).ok());
                json!({
                    "role": role, "state": "failed", "reason": reason, "failed_at": format_time(*at),
                    "restarts_in_ms": restarts_in_ms,
                })
            }
        };
        self.lock().iter().map(state).collect()
    }
}

/// Runs the roles of one process.
pub(crate) struct Supervisor {
    /// Ends all roles.
    pub(crate) cancel: CancellationToken,
    pub(crate) roles: Arc<RoleStates>,
}

impl Supervisor {
    pub(crate) fn new(cancel: CancellationToken) -> Self {
        Self { cancel, roles: Arc::default() }
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
            self.roles.started(role);
            let Err(error) = run(&self.cancel.child_token()) else {
                // A role ends by itself only when it is cancelled.
                self.roles.ended(role);
                if on_failure == OnFailure::EndProcess {
                    self.cancel.cancel();
                }
                return;
            };
            if self.cancel.is_cancelled() && is_cancelled(&error) {
                self.roles.ended(role);
                return;
            }
            let reason = describe(&error);
            if on_failure == OnFailure::EndProcess {
                eprintln!("error: {role}: {reason}");
                self.roles.failed(role, reason, None);
                self.cancel.cancel();
                return;
            }
            if started.elapsed() >= RESTART_DELAY_MAX {
                delay = RESTART_DELAY_MIN;
            }
            eprintln!("error: {role}: {reason}; it is restarted in {} s", delay.as_secs());
            self.roles.failed(role, reason, Some(Instant::now() + delay));
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
