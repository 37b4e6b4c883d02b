//! Whether an agreement fits what is provisioned.

use spillway_events::{Agreement, CdnName, CdnsIn, ObjectKind, Site, SiteName, format_duration};

use crate::fault::Fault;
use crate::field_path::FieldPath;
use crate::kinds::site::objective::{measured_every, too_few_beyond};
use crate::object::{Claim, ObjectId};
use crate::state::State;

/// What does not fit.
pub(super) fn faults(state: &State, agreement: &Agreement) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |field, rule| faults.push(Fault { field, rule });
    let id = agreement_id(agreement);
    if state.owner_besides(&Claim::agreement(agreement.name.as_str()), &id).is_some()
        || state.versions(&agreement.name).any(|version| version.client != agreement.client)
    {
        fault(FieldPath::of("name"), String::from("is the name of another agreement"));
    }
    let client = ObjectId::new(ObjectKind::Client, agreement.client.as_str());
    if !state.exists(&client) {
        fault(FieldPath::of("client"), format!("there is no {client}"));
    }
    for (index, list) in agreement.terms.cdns_in.iter().enumerate() {
        let network = ObjectId::new(ObjectKind::Network, list.network.as_str());
        if !state.exists(&network) {
            let field = FieldPath::of("cdns_in").index(index).key("network");
            fault(field, format!("there is no {network}"));
        }
    }
    for (index, name) in agreement.terms.sites.iter().enumerate() {
        let field = FieldPath::of("sites").index(index);
        // A site of another client is none, as far as this client can know.
        match state.site(name).filter(|found| found.site.client == agreement.client) {
            None => fault(field, format!("client {} has no site {name}", agreement.client)),
            Some(found) => site_faults(found.site, agreement, &mut fault),
        }
    }
    faults
}

fn agreement_id(agreement: &Agreement) -> ObjectId {
    ObjectId::of_agreement(&agreement.name, agreement.version)
}

fn site_faults(site: &Site, agreement: &Agreement, fault: &mut impl FnMut(FieldPath, String)) {
    let other = |cdn: &CdnName| !site.cdns.iter().any(|of| of.cdn == *cdn);
    let lacks = |cdn: &CdnName, site: &SiteName| format!("site {site} has no CDN {cdn}");
    for (index, cdn) in agreement.terms.cdns.iter().enumerate().filter(|(_, cdn)| other(cdn)) {
        fault(FieldPath::of("cdns").index(index), lacks(cdn, &site.name));
    }
    for (list, CdnsIn { cdns, .. }) in agreement.terms.cdns_in.iter().enumerate() {
        for (index, cdn) in cdns.iter().enumerate().filter(|(_, cdn)| other(cdn)) {
            let field = FieldPath::of("cdns_in").index(list).key("cdns").index(index);
            fault(field, lacks(cdn, &site.name));
        }
    }
    for (index, objective) in agreement.terms.objectives.iter().enumerate() {
        let interval = measured_every(site, objective.metric);
        if let Some(rule) = too_few_beyond(objective, interval) {
            let every = format_duration(interval);
            fault(
                FieldPath::of("objectives").index(index),
                format!("{rule}: site {} is probed every {every}", site.name),
            );
        }
    }
}
