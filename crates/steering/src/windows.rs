//! All windows of one worker, in one list: what they hold, and what enters and leaves them by pane.
//!
//! A sample costs an entry in its pane's list and one in the sorted ranks of its window: 8 bytes. When a pane leaves, its list is
//! read once, which says what each window loses.

mod pane_log;
mod ranks;
mod saved;

use spillway_events::{Objective, TimeMicros};

pub(crate) use self::saved::SamplesByWindow;
use crate::evidence::ProbeStat;
use crate::panes::Panes;
use crate::rank::Rank;
use crate::sample::SeriesId;
use pane_log::PaneLog;
use ranks::Ranks;

/// The index of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct WindowId(u32);

/// The index of the log of all windows of one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogId(u16);

/// All windows of one worker.
#[derive(Debug)]
pub(crate) struct Windows {
    /// One for each length of a window.
    logs: Vec<PaneLog>,
    windows: Vec<Window>,
    /// Windows that are not in use, and that no pane lists.
    free: Vec<WindowId>,
    /// The windows that gained or lost since the last [`Windows::restat`].
    touched: Vec<WindowId>,
    now: TimeMicros,
}

/// The window of one series for one objective.
#[derive(Debug)]
struct Window {
    ranks: Ranks,
    /// As of the last [`Windows::restat`].
    stat: ProbeStat,
    of: WindowOf,
    threshold: Rank,
    samples_min: u32,
    log: LogId,
    percentile: u8,
    state: WindowState,
    is_touched: bool,
}

/// ```text
///          create            remove               last of its samples leaves
///   Free ─────────► Live ─────────────► Removed ─────────────────────────────► Free
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WindowState {
    Live,
    /// Not in use, but panes still list this many of its samples.
    Removed(u32),
    Free,
}

/// Whose window it is: the series, and the objective's index among those of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WindowOf {
    pub(crate) series: SeriesId,
    pub(crate) objective: u16,
}

/// How the result of a window changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) window: WindowId,
    pub(crate) of: WindowOf,
    /// Whether the value is on another side of the threshold than before, or became or ceased to be known.
    pub(crate) crosses: bool,
    /// Whether it holds a success now but did not before, or the reverse.
    pub(crate) success_changes: bool,
    /// Whether value or success changed at all.
    pub(crate) changes: bool,
    /// Whether it holds no sample now.
    pub(crate) is_empty: bool,
}

impl Default for Windows {
    fn default() -> Self {
        let (logs, windows, free, touched) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { logs, windows, free, touched, now: TimeMicros(0) }
    }
}

impl Windows {
    /// The log of the windows of an objective.
    pub(crate) fn log(&mut self, objective: &Objective) -> LogId {
        let panes = Panes::of(objective);
        let index = self.logs.iter().position(|log| log.panes == panes).unwrap_or_else(|| {
            self.logs.push(PaneLog::new(panes, self.now));
            self.logs.len() - 1
        });
        // Windows are whole seconds up to 60 s and whole minutes up to 6 h: there are fewer lengths than 2^16.
        LogId(u16::try_from(index).unwrap_or(u16::MAX))
    }

    /// Sets the present time, for [`Windows::pane`].
    pub(crate) fn set_now(&mut self, now: TimeMicros) {
        if self.now != now {
            self.now = now;
            self.logs.iter_mut().for_each(|log| log.set_now(now));
        }
    }

    /// The pane of a sample in the windows of a log; `None` if it has left them.
    #[inline]
    pub(crate) fn pane(&mut self, log: LogId, at: TimeMicros) -> Option<i64> {
        self.logs.get_mut(usize::from(log.0))?.pane(at)
    }

    /// An empty window.
    pub(crate) fn create(&mut self, of: WindowOf, objective: &Objective, log: LogId) -> WindowId {
        let window = Window {
            ranks: Ranks::default(),
            stat: ProbeStat::default(),
            of,
            threshold: Rank::of(objective.metric, objective.threshold),
            samples_min: objective.samples_min,
            log,
            percentile: u8::try_from(objective.percentile).unwrap_or(u8::MAX),
            state: WindowState::Live,
            is_touched: false,
        };
        if let Some(id) = self.free.pop() {
            self.windows[id.0 as usize] = window;
            return id;
        }
        self.windows.push(window);
        WindowId(u32::try_from(self.windows.len() - 1).unwrap_or(u32::MAX))
    }

    /// Adds a sample to a window, in a pane that [`Windows::pane`] returned.
    #[inline]
    pub(crate) fn add(&mut self, id: WindowId, pane: i64, rank: Rank) {
        let window = &mut self.windows[id.0 as usize];
        if let Some(log) = self.logs.get_mut(usize::from(window.log.0)) {
            log.push(pane, id, rank);
            window.ranks.add(rank);
            touch(&mut self.touched, window, id);
        }
    }

    /// Removes the samples of panes that have left by the present time.
    pub(crate) fn expire(&mut self) {
        for log in &mut self.logs {
            while let Some(pane) = log.pop_left() {
                for (&id, rank) in pane.windows.iter().zip(pane.ranks) {
                    let window = &mut self.windows[id.0 as usize];
                    match &mut window.state {
                        WindowState::Live => {
                            window.ranks.remove(rank);
                            touch(&mut self.touched, window, id);
                        }
                        WindowState::Removed(1) => {
                            window.state = WindowState::Free;
                            self.free.push(id);
                        }
                        WindowState::Removed(listed) => *listed -= 1,
                        WindowState::Free => {}
                    }
                }
            }
        }
    }

    /// The windows that gained or lost since the last call.
    pub(crate) fn take_touched(&mut self) -> Vec<WindowId> {
        std::mem::take(&mut self.touched)
    }

    /// Computes the result of a touched window again; `None` if it is not in use.
    pub(crate) fn restat(&mut self, id: WindowId) -> Option<Change> {
        let window =
            self.windows.get_mut(id.0 as usize).filter(|window| window.state == WindowState::Live)?;
        window.is_touched = false;
        let new = window.ranks.stat(window.percentile, window.samples_min);
        let old = std::mem::replace(&mut window.stat, new);
        let side = |stat: ProbeStat| stat.value.map(|value| value >= window.threshold);
        Some(Change {
            window: id,
            of: window.of,
            crosses: side(new) != side(old),
            success_changes: new.has_success != old.has_success,
            changes: new != old,
            is_empty: window.ranks.samples() == 0,
        })
    }

    /// The result of a window as of the last [`Windows::restat`].
    #[inline]
    pub(crate) fn stat(&self, id: WindowId) -> ProbeStat {
        self.windows[id.0 as usize].stat
    }

    /// The number of samples in a window, including failures.
    #[inline]
    pub(crate) fn samples(&self, id: WindowId) -> u64 {
        self.windows[id.0 as usize].ranks.samples() as u64
    }

    /// Moves a window to another index of its target or its objective.
    pub(crate) fn rename(&mut self, id: WindowId, of: WindowOf) {
        self.windows[id.0 as usize].of = of;
    }

    /// Forgets a window. Its index is used again when no pane lists it any more.
    pub(crate) fn remove(&mut self, id: WindowId) {
        let window = &mut self.windows[id.0 as usize];
        window.state = match u32::try_from(std::mem::take(&mut window.ranks).samples()) {
            Ok(0) => {
                self.free.push(id);
                WindowState::Free
            }
            listed => WindowState::Removed(listed.unwrap_or(u32::MAX)),
        };
    }

    /// Forgets all windows.
    pub(crate) fn clear(&mut self) {
        self.logs.iter_mut().for_each(|log| *log = PaneLog::new(log.panes, self.now));
        self.windows.clear();
        self.free.clear();
        self.touched.clear();
    }

    /// How many windows are in use or still listed by panes.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.windows.len() - self.free.len()
    }

    #[cfg(test)]
    pub(crate) fn of(&self, id: WindowId) -> WindowOf {
        self.windows[id.0 as usize].of
    }

    /// The entries of all panes, and the panes.
    #[cfg(test)]
    pub(crate) fn listed(&self) -> (usize, usize) {
        let panes = || self.logs.iter().flat_map(PaneLog::panes);
        (panes().map(|(_, pane)| pane.windows.len()).sum(), panes().count())
    }

    /// How many windows there is memory for.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.windows.len()
    }
}

#[inline]
fn touch(touched: &mut Vec<WindowId>, window: &mut Window, id: WindowId) {
    if !std::mem::replace(&mut window.is_touched, true) {
        touched.push(id);
    }
}

#[cfg(test)]
mod tests;
