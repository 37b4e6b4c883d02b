//! Deleting an object that nothing refers to.

use spillway_events::{Deleted, Event, NetworkName, ObjectKind};

use crate::command::Refusal;
use crate::state::State;

/// The event that an object is gone.
pub(crate) fn delete(state: &State, kind: ObjectKind, name: String) -> Result<Event, Refusal> {
    if kind == ObjectKind::Network && name == NetworkName::everywhere().as_str() {
        return Err(Refusal::Root);
    }
    if !state.contains(kind, &name) {
        return Err(Refusal::NotFound { kind, name });
    }
    let by = referrers(state, kind, &name);
    if by.is_empty() {
        Ok(Event::Deleted(Deleted { object: kind, name }))
    } else {
        Err(Refusal::Referred { kind, name, by })
    }
}

/// Who refers to an object, in order of kind, then name.
fn referrers(state: &State, kind: ObjectKind, name: &str) -> Vec<String> {
    let sites = state.sites.values().map(|present| &present.site);
    match kind {
        ObjectKind::Client => sites
            .filter(|site| site.client.as_str() == name)
            .map(|site| format!("site {}", site.name))
            .collect(),
        ObjectKind::Cdn => sites
            .filter(|site| site.cdns.iter().any(|cdn| cdn.cdn.as_str() == name))
            .map(|site| format!("site {}", site.name))
            .collect(),
        ObjectKind::Network => {
            let below = state.networks.values().filter(|network| network.parent.as_str() == name);
            let probes = state.probes.iter().filter(|probe| probe.network.as_str() == name);
            below
                .map(|network| format!("network {}", network.name))
                .chain(probes.map(|probe| format!("probe {}/{}", probe.agent, probe.network)))
                .collect()
        }
        ObjectKind::Probe | ObjectKind::Site => Vec::new(),
    }
}
