//! The state of steering as a checkpoint holds it: by names, because numbers and indexes may change.

use spillway_events::{SeriesWindows, SiteName, SiteRoutes};

use crate::error::RestoreError;
use crate::steering::{Steering, schedule, site_mut};

impl Steering {
    /// The routes of all sites that are steered here, in records of bounded size.
    pub fn save_routes(&self) -> impl Iterator<Item = SiteRoutes> + '_ {
        self.states().flat_map(|state| state.save_routes(&self.topology))
    }

    /// The windows of all sites that are steered here, one record for each series.
    pub fn save_windows(&self) -> impl Iterator<Item = SeriesWindows> + '_ {
        self.states().flat_map(|state| state.save_windows(&self.directory))
    }

    /// Restores the saved state of all sites, after [`Steering::provision`]. Sites that are steered elsewhere are skipped.
    /// What was decided before the checkpoint is not decided again.
    ///
    /// # Errors
    /// With the site whose state does not fit what is provisioned.
    pub fn restore(
        &mut self,
        routes: &[SiteRoutes],
        windows: &[SeriesWindows],
    ) -> Result<(), (SiteName, RestoreError)> {
        for saved in routes {
            self.restore_routes(saved).map_err(|error| (saved.site.clone(), error))?;
        }
        for saved in windows {
            self.restore_windows(saved).map_err(|error| (saved.site.clone(), error))?;
        }
        for (number, state) in (0..).zip(&self.sites) {
            if let Some(state) = state {
                schedule(&mut self.calendar, number, state);
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
        state.restore_windows(saved, probe)
    }
}
