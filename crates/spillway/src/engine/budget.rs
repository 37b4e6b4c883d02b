//! A bound on the records that wait within the dataflow.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};

/// How many bytes of records ticks may bring in before their frames are out.
const WAITING_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How many ticks may wait, empty ones too: other processes may not go on.
const WAITING_TICKS_MAX: usize = 1_000;

/// What waits, by tick.
#[derive(Default)]
pub(crate) struct Budget {
    waiting: Mutex<Waiting>,
    less: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: usize,
    by_tick: BTreeMap<u64, usize>,
    /// Nothing more will be taken off.
    is_closed: bool,
}

impl Budget {
    /// Takes a tick's records in, once there is room or no other records wait.
    pub(crate) fn take_in(&self, tick: u64, bytes: usize) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |waiting: &mut Waiting| {
            let is_too_much = waiting.bytes > 0 && waiting.bytes.saturating_add(bytes) > WAITING_BYTES_MAX;
            (is_too_much || waiting.by_tick.len() >= WAITING_TICKS_MAX) && !waiting.is_closed
        };
        let mut waiting = self.less.wait_while(waiting, is_full).unwrap_or_else(PoisonError::into_inner);
        waiting.bytes = waiting.bytes.saturating_add(bytes);
        waiting.by_tick.insert(tick, bytes);
    }

    /// Takes off what the ticks before this one brought.
    pub(crate) fn take_off_before(&self, tick: u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let later = waiting.by_tick.split_off(&tick);
        let done = std::mem::replace(&mut waiting.by_tick, later);
        waiting.bytes -= done.values().sum::<usize>();
        self.less.notify_all();
    }

    /// Lets everything in from now on: nobody takes anything off any more.
    pub(crate) fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.less.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_too_much_waits_until_others_are_done() {
        let (budget, (to, taken)) = (Budget::default(), channel());
        std::thread::scope(|scope| {
            // More than fits at all goes in alone.
            budget.take_in(1, WAITING_BYTES_MAX + 1);
            let budget = &budget;
            scope.spawn(move || {
                for tick in 2..5 {
                    budget.take_in(tick, WAITING_BYTES_MAX / 2);
                    to.send(tick).unwrap();
                }
            });
            let moment = Duration::from_millis(50);
            assert_eq!(taken.recv_timeout(moment), Err(RecvTimeoutError::Timeout));
            budget.take_off_before(2);
            assert_eq!((taken.recv(), taken.recv()), (Ok(2), Ok(3)));
            assert_eq!(taken.recv_timeout(moment), Err(RecvTimeoutError::Timeout));
            budget.take_off_before(4);
            assert_eq!(taken.recv(), Ok(4));
            budget.take_in(5, WAITING_BYTES_MAX / 2);
            budget.close();
            budget.take_in(6, usize::MAX);
        });
    }

    #[test]
    fn empty_ticks_wait_too_once_they_are_many() {
        let (budget, (to, taken)) = (Budget::default(), channel());
        (0..WAITING_TICKS_MAX as u64).for_each(|tick| budget.take_in(tick, 0));
        std::thread::scope(|scope| {
            let budget = &budget;
            scope.spawn(move || {
                budget.take_in(WAITING_TICKS_MAX as u64, 0);
                to.send(()).unwrap();
            });
            assert_eq!(taken.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout));
            budget.take_off_before(1);
            assert_eq!(taken.recv(), Ok(()));
        });
    }
}
