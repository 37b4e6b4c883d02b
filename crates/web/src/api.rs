//! What the calls of the API use.

use std::sync::Arc;

use spillway_control::{Access, Changes, Explainer, Feed, History, Provisioner, Recent};
use spillway_eventlog::EventLog;
use spillway_events::TimeMicros;

use crate::in_flight::InFlight;
use crate::rate_limit::{Limiters, RateLimits};

/// Makes the body of `GET /ready`.
pub type ReadyBody = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// The parts that the API uses.
#[derive(Clone)]
pub struct Api {
    pub(crate) explainer: Arc<Explainer>,
    pub(crate) history: Arc<History>,
    pub(crate) changes: Arc<Changes>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) provisioner: Arc<Provisioner>,
    pub(crate) access: Arc<Access>,
    pub(crate) recent: Arc<Recent>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) limiters: Arc<Limiters>,
    pub(crate) ready: ReadyBody,
    /// The host names of the API besides `localhost` and addresses.
    pub(crate) names: Arc<[String]>,
    pub(crate) now: fn() -> TimeMicros,
}

impl Api {
    /// The API of a log. `ready` says how the process is.
    #[must_use]
    pub fn new(
        log: Arc<dyn EventLog>,
        provisioner: Arc<Provisioner>,
        ready: ReadyBody,
        now: fn() -> TimeMicros,
    ) -> Self {
        let history = Arc::new(History::new(Arc::clone(&log)));
        let changes = Arc::new(Changes::new(Arc::clone(&log)));
        let feed = Arc::new(Feed::new(Arc::clone(&log)));
        let (explainer, recent) = (Arc::new(Explainer::new(Arc::clone(&log))), Arc::new(Recent::new(log)));
        let access = Arc::new(Access::new(Arc::clone(&provisioner)));
        let (in_flight, names) = (Arc::default(), Arc::default());
        let limiters = Arc::new(Limiters::new(RateLimits::default()));
        Self {
            explainer,
            history,
            changes,
            feed,
            provisioner,
            access,
            recent,
            in_flight,
            limiters,
            ready,
            names,
            now,
        }
    }

    /// Lets callers send so many requests.
    #[must_use]
    pub fn with_rate_limits(mut self, limits: RateLimits) -> Self {
        self.limiters = Arc::new(Limiters::new(limits));
        self
    }

    /// Answers to these host names as well, besides `localhost` and addresses.
    #[must_use]
    pub fn with_names(mut self, names: Vec<String>) -> Self {
        self.names = names.into();
        self
    }
}
