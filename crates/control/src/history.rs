//! What was provisioned as of a record or a time, read from the start of the log.

use std::sync::{Arc, Mutex, PoisonError};

use spillway_eventlog::{EventLog, RecordReader};
use spillway_events::{ProvisioningRecord, TimeMicros, topics};
use spillway_provisioning::State;

use crate::ProvisionError;

/// The last provisioning record that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The record of this number, or the last one if there are fewer.
    Number(u64),
    /// The last record before the first one that is later than this time. So a record whose writer's clock was behind that of an
    /// earlier one counts as of the time of that one, and times never go back.
    Time(TimeMicros),
}

/// The past of a log's provisioning.
///
/// The log is read up to the wanted record each time. The last answer that no later record can change is kept, because the
/// pages of one listing ask for the same moment. One call reads at a time, which bounds the memory.
pub struct History {
    log: Arc<dyn EventLog>,
    last: Mutex<Option<(Moment, State)>>,
}

impl History {
    /// The past of a log.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, last: Mutex::default() }
    }

    /// The provisioning as of a moment; nothing is provisioned before the first record.
    ///
    /// # Errors
    /// When the log does not read.
    pub fn state(&self, moment: Moment) -> Result<State, ProvisionError> {
        // Only whole answers are kept, so a panic elsewhere left none half made.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, state)) = last.as_ref().filter(|(of, _)| *of == moment) {
            return Ok(state.clone());
        }
        let (state, is_final) = self.read(moment)?;
        if is_final {
            *last = Some((moment, state.clone()));
        }
        Ok(state)
    }

    /// The state as of a moment, and whether there is a record after that moment.
    fn read(&self, moment: Moment) -> Result<(State, bool), ProvisionError> {
        let mut state = State::default();
        for record in RecordReader::<ProvisioningRecord>::new(self.log.as_ref(), topics::PROVISIONING, 0, 0) {
            let (_, record) = record?;
            let is_after = match moment {
                Moment::Number(number) => record.number > number,
                Moment::Time(wanted) => record.at_us > wanted,
            };
            if is_after {
                return Ok((state, true));
            }
            state.apply(&record)?;
        }
        Ok((state, false))
    }
}
