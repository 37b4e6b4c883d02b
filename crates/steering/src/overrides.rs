//! What operators do instead of the rule, as of a tick.

use std::collections::{BTreeMap, BTreeSet};

use spillway_events::{CdnName, Override, OverrideKind, SiteName, TimeMicros};

/// The overrides in effect at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Overrides {
    /// The target that a site is pinned to.
    pins: BTreeMap<SiteName, String>,
    frozen: BTreeSet<SiteName>,
    is_everything_frozen: bool,
    drained_origins: BTreeSet<SiteName>,
    pub(crate) drained_cdns: BTreeSet<CdnName>,
    /// When the first of them ends.
    pub(crate) ends_at: Option<TimeMicros>,
}

/// The overrides of one site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OfSite<'a> {
    /// The target that the site is pinned to.
    pub(crate) pin: Option<&'a str>,
    pub(crate) is_frozen: bool,
    pub(crate) is_origin_drained: bool,
}

impl Overrides {
    /// Those that have not ended at a time: the first tick at or after its expiry ends an override.
    pub(crate) fn at<'a>(all: impl Iterator<Item = &'a Override>, now: TimeMicros) -> Self {
        let mut overrides = Self::default();
        for of in all.filter(|of| now < of.expires_at_us) {
            overrides.ends_at =
                Some(overrides.ends_at.map_or(of.expires_at_us, |end| end.min(of.expires_at_us)));
            match (of.kind, &of.site, &of.cdn) {
                (OverrideKind::Pin, Some(site), _) => {
                    overrides.pins.insert(site.clone(), of.to.clone().unwrap_or_default());
                }
                (OverrideKind::Drain, _, Some(cdn)) => _ = overrides.drained_cdns.insert(cdn.clone()),
                (OverrideKind::Drain, Some(site), None) => _ = overrides.drained_origins.insert(site.clone()),
                (OverrideKind::Freeze, Some(site), _) => _ = overrides.frozen.insert(site.clone()),
                (OverrideKind::Freeze, None, _) => overrides.is_everything_frozen = true,
                // Provisioning makes neither.
                (OverrideKind::Pin, None, _) | (OverrideKind::Drain, None, None) => {}
            }
        }
        overrides
    }

    /// Whether one of them has ended by a time.
    pub(crate) fn has_ended(&self, now: TimeMicros) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }

    pub(crate) fn of_site(&self, site: &SiteName) -> OfSite<'_> {
        OfSite {
            pin: self.pins.get(site).map(String::as_str),
            is_frozen: self.is_everything_frozen || self.frozen.contains(site),
            is_origin_drained: self.drained_origins.contains(site),
        }
    }

    /// Which sites are decided anew because these are in effect instead of others: none for all.
    pub(crate) fn sites_changed<'a>(&'a self, others: &'a Self) -> Option<BTreeSet<&'a SiteName>> {
        if self.is_everything_frozen != others.is_everything_frozen {
            return None;
        }
        let named = |of: &'a Self| of.pins.keys().chain(&of.frozen).chain(&of.drained_origins);
        let all: BTreeSet<&SiteName> = named(self).chain(named(others)).collect();
        Some(all.into_iter().filter(|site| self.of_site(site) != others.of_site(site)).collect())
    }
}
