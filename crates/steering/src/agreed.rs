//! What is agreed for a site at a time, as far as it bears on windows and routes.

use std::collections::BTreeMap;
use std::sync::Arc;

use spillway_events::{Agreement, CdnName, NetworkName, Objective, OnSilence, Site, SiteName, TimeMicros};
use spillway_provisioning::{InForce, State};

use crate::topology::Topology;

/// A site with the objectives that are in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) site: Arc<Site>,
    /// The provisioning record that set what is agreed: the `agreement` of decisions.
    pub(crate) agreement: u64,
    /// None where only objectives are agreed.
    pub(crate) terms: Option<Arc<RouteTerms>>,
}

/// The terms that bear on routes beside the objectives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RouteTerms {
    /// The CDNs that may be used, by their indexes in the site's list, in order of preference.
    order: Vec<usize>,
    /// Those that may be used in some networks and below them, likewise.
    order_in: BTreeMap<NetworkName, Vec<usize>>,
    pub(crate) return_band_permille: u64,
    pub(crate) dwell_us: i64,
    pub(crate) on_silence: Option<OnSilence>,
}

impl Agreed {
    /// What is agreed for a site at a time; none if there is no such site.
    pub(crate) fn at(state: &State, site: &SiteName, at: TimeMicros) -> Option<Self> {
        let own = state.site(site)?;
        Some(match state.in_force(site, at)? {
            InForce::Own(own) => Self { site: Arc::clone(own.site), agreement: own.agreement, terms: None },
            InForce::Nothing(own) => {
                Self { site: with_objectives(own.site, &[]), agreement: own.agreement, terms: None }
            }
            InForce::Version { agreement, accepted } => Self {
                site: with_objectives(own.site, &agreement.terms.objectives),
                agreement: accepted,
                terms: Some(Arc::new(RouteTerms::of(agreement, own.site))),
            },
        })
    }
}

fn with_objectives(site: &Arc<Site>, objectives: &[Objective]) -> Arc<Site> {
    if site.objectives == objectives {
        return Arc::clone(site);
    }
    Arc::new(Site { objectives: objectives.to_vec(), ..(**site).clone() })
}

impl RouteTerms {
    fn of(agreement: &Agreement, site: &Site) -> Self {
        let terms = &agreement.terms;
        let index = |cdn: &CdnName| site.cdns.iter().position(|of| of.cdn == *cdn);
        let order: Vec<usize> = match terms.cdns.is_empty() {
            true => (0..site.cdns.len()).collect(),
            false => terms.cdns.iter().filter_map(index).collect(),
        };
        let order_in = terms.cdns_in.iter().map(|list| {
            let is_listed = |at: &&usize| site.cdns.get(**at).is_some_and(|cdn| list.cdns.contains(&cdn.cdn));
            (list.network.clone(), order.iter().filter(is_listed).copied().collect())
        });
        let order_in = order_in.collect();
        Self {
            order,
            order_in,
            return_band_permille: u64::from(terms.return_band_permille),
            dwell_us: i64::try_from(terms.dwell_us.0).unwrap_or(i64::MAX),
            on_silence: terms.on_silence,
        }
    }

    /// The CDNs that may be used in a network, by their indexes in the site's list: its own list, or that of its nearest ancestor
    /// that has one, in the agreed order.
    pub(crate) fn order(&self, topology: &Topology, network: usize) -> &[usize] {
        let mut at = Some(network).filter(|_| !self.order_in.is_empty());
        while let Some(network) = at {
            if let Some(order) = self.order_in.get(topology.name(network)) {
                return order;
            }
            at = topology.parent(network);
        }
        &self.order
    }
}
