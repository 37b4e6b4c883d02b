//! The state of steering as a checkpoint holds it: by names, because numbers and indexes may change.

use spillway_events::{SeriesWindows, SiteName, SiteRoutes, TimeMicros};

use crate::error::RestoreError;
use crate::site::SiteState;
use crate::steering::{Steering, reschedule, site_mut};

/// How many samples, about, are collected at once when windows are saved.
const SAVED_SAMPLES_MAX: u64 = 8_000_000;

impl Steering {
    /// The routes of all sites that are steered here, in records of bounded size.
    pub fn save_routes(&self) -> impl Iterator<Item = SiteRoutes> + '_ {
        self.states().flat_map(|state| state.save_routes(&self.topology))
    }

    /// The windows of all sites that are steered here, one record for each series.
    pub fn save_windows(&self) -> impl Iterator<Item = SeriesWindows> + '_ {
        let mut rest = self.sites.iter().flatten().peekable();
        let pieces = std::iter::from_fn(move || {
            // Each piece reads all panes, and holds the samples of its windows: few pieces, but of bounded size.
            let (mut sites, mut ids, mut samples) = (Vec::new(), Vec::new(), 0);
            while let Some(state) = rest.next_if(|_| samples < SAVED_SAMPLES_MAX) {
                sites.push(&**state);
                let before = ids.len();
                ids.extend(state.window_ids());
                samples += ids[before..].iter().map(|id| self.windows.samples(*id)).sum::<u64>();
            }
            (!sites.is_empty()).then(|| (sites, self.windows.samples_by_window(&ids)))
        });
        pieces.flat_map(move |(sites, counts)| {
            let saved = move |state: &SiteState| state.save_windows(&self.directory, &self.windows, &counts);
            sites.into_iter().flat_map(saved)
        })
    }

    /// Restores the saved state of all sites as of a tick's time, beside which comes the greatest one so far, after
    /// [`Steering::provision`]. Sites that are steered
    /// elsewhere are skipped. What was decided before the checkpoint is not decided again.
    ///
    /// # Errors
    /// With the site whose state does not fit what is provisioned.
    pub fn restore(
        &mut self,
        (at, greatest_at): (TimeMicros, TimeMicros),
        routes: &[SiteRoutes],
        windows: &[SeriesWindows],
    ) -> Result<(), (SiteName, RestoreError)> {
        self.windows.set_now(at);
        self.settle(greatest_at);
        self.restore_overrides();
        for saved in routes {
            self.restore_routes(saved).map_err(|error| (saved.site.clone(), error))?;
        }
        for saved in windows {
            self.restore_windows(saved).map_err(|error| (saved.site.clone(), error))?;
        }
        self.mark_frozen_dirty();
        self.mark_lost_dirty();
        for (number, state) in (0..).zip(&mut self.sites) {
            if let Some(state) = state.as_deref_mut() {
                reschedule(&mut self.due, number, state, at);
            }
        }
        Ok(())
    }

    fn restore_routes(&mut self, saved: &SiteRoutes) -> Result<(), RestoreError> {
        let number = self.directory.number(saved.site.as_str()).ok_or(RestoreError::Site)?;
        let Some(state) = site_mut(&mut self.sites, number) else { return Ok(()) };
        state.restore_routes(saved, &self.topology)?;
        self.dirty.remove(&number);
        Ok(())
    }

    fn restore_windows(&mut self, saved: &SeriesWindows) -> Result<(), RestoreError> {
        let number = self.directory.number(saved.site.as_str()).ok_or(RestoreError::Site)?;
        let Some(state) = site_mut(&mut self.sites, number) else { return Ok(()) };
        let probe = self.directory.probe(&saved.agent, &saved.network).ok_or(RestoreError::Probe)?;
        state.restore_windows(saved, (number, probe), &mut self.windows)
    }
}
