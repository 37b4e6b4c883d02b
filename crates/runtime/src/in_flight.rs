//! A bound on the records that are in flight in the dataflow.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};

/// How many bytes of input records may be in flight: fed to the dataflow, while the frames of their tick are not out yet.
const BYTES_MAX: usize = 256 * 1024 * 1024;
/// How many ticks may be in flight, empty ones included: another process may have stopped.
const TICKS_MAX: usize = 1_000;

/// The ticks in flight. The feeder acquires, the thread that takes outputs releases.
#[derive(Default)]
pub(crate) struct InFlight {
    ticks: Mutex<Ticks>,
    released: Condvar,
}

#[derive(Default)]
struct Ticks {
    bytes: usize,
    bytes_by_tick: BTreeMap<u64, usize>,
    /// Nothing will be released any more.
    is_closed: bool,
}

impl InFlight {
    /// Waits until a tick's records fit within the bounds, or until no other records are in flight.
    pub(crate) fn acquire(&self, tick: u64, bytes: usize) {
        let ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |ticks: &mut Ticks| {
            let is_over = ticks.bytes > 0 && ticks.bytes.saturating_add(bytes) > BYTES_MAX;
            (is_over || ticks.bytes_by_tick.len() >= TICKS_MAX) && !ticks.is_closed
        };
        let mut ticks = self.released.wait_while(ticks, is_full).unwrap_or_else(PoisonError::into_inner);
        ticks.bytes = ticks.bytes.saturating_add(bytes);
        ticks.bytes_by_tick.insert(tick, bytes);
    }

    /// Releases all ticks before this one.
    pub(crate) fn release_before(&self, tick: u64) {
        let mut ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        let later = ticks.bytes_by_tick.split_off(&tick);
        let done = std::mem::replace(&mut ticks.bytes_by_tick, later);
        ticks.bytes -= done.values().sum::<usize>();
        self.released.notify_all();
    }

    /// Lifts the bounds: nothing will be released any more.
    pub(crate) fn close(&self) {
        self.ticks.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.released.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_tick_waits_until_enough_bytes_are_released() {
        let (in_flight, (to, taken)) = (InFlight::default(), channel());
        std::thread::scope(|scope| {
            // A tick over the bound is accepted while nothing else is in flight.
            in_flight.acquire(1, BYTES_MAX + 1);
            let in_flight = &in_flight;
            scope.spawn(move || {
                for tick in 2..5 {
                    in_flight.acquire(tick, BYTES_MAX / 2);
                    to.send(tick).unwrap();
                }
            });
            let moment = Duration::from_millis(50);
            assert_eq!(taken.recv_timeout(moment), Err(RecvTimeoutError::Timeout));
            in_flight.release_before(2);
            assert_eq!((taken.recv(), taken.recv()), (Ok(2), Ok(3)));
            assert_eq!(taken.recv_timeout(moment), Err(RecvTimeoutError::Timeout));
            in_flight.release_before(4);
            assert_eq!(taken.recv(), Ok(4));
            in_flight.acquire(5, BYTES_MAX / 2);
            in_flight.close();
            in_flight.acquire(6, usize::MAX);
        });
    }

    #[test]
    fn empty_ticks_count_towards_the_bound_on_ticks() {
        let (in_flight, (to, taken)) = (InFlight::default(), channel());
        (0..TICKS_MAX as u64).for_each(|tick| in_flight.acquire(tick, 0));
        std::thread::scope(|scope| {
            let in_flight = &in_flight;
            scope.spawn(move || {
                in_flight.acquire(TICKS_MAX as u64, 0);
                to.send(()).unwrap();
            });
            assert_eq!(taken.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout));
            in_flight.release_before(1);
            assert_eq!(taken.recv(), Ok(()));
        });
    }
}
