//! Content distribution networks.

use serde::{Deserialize, Serialize};
use spillway_events::{Address, Cdn, CdnKind, CdnName, ObjectKind};

use super::kind::Kind;
use super::probed::warn_of_unprobed;
use crate::field_path::FieldPath;
use crate::fields::{Field, List, Rules, list, optional};
use crate::limits::ADDRESSES_PER_TARGET_MAX;
use crate::object::{Claim, ObjectId, Reference};
use crate::values::{AddressText, HostName, ProbeUrl, Title};

/// The fields of a CDN.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CdnSpec {
    name: Field<CdnName>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    title: Field<Title>,
    r#type: Field<CdnKind>,
    dns_name: Field<HostName>,
    addresses: List<AddressText>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    probe_url: Field<ProbeUrl>,
}

pub(super) fn read(spec: CdnSpec, rules: &mut Rules) -> Option<Cdn> {
    let name = rules.required("name", spec.name);
    let title = rules.optional("title", spec.title);
    let kind = rules.required("type", spec.r#type);
    let dns_name = rules.required("dns_name", spec.dns_name);
    let addresses = read_addresses(spec.addresses, rules);
    let probe_url = rules.optional("probe_url", spec.probe_url);
    // Probes connect to a CDN by the name in the URL.
    warn_of_unprobed(&[], probe_url.as_ref().and_then(Option::as_ref), rules);
    Some(Cdn {
        name: name?,
        title: title?.map(String::from),
        kind: kind?,
        dns_name: dns_name?.into(),
        addresses: addresses?,
        probe_url: probe_url?.map(String::from),
    })
}

/// Reads the field `addresses` of an origin or a CDN, in the given order.
pub(super) fn read_addresses(field: List<AddressText>, rules: &mut Rules) -> Option<Vec<Address>> {
    let addresses = rules.list("addresses", field, ADDRESSES_PER_TARGET_MAX)?;
    let addresses: Vec<Address> = addresses.into_iter().map(|AddressText(address)| address).collect();
    rules.distinct("addresses", &addresses, ToString::to_string)?;
    Some(addresses)
}

impl From<&Cdn> for CdnSpec {
    fn from(cdn: &Cdn) -> Self {
        let Cdn { name, title, kind, dns_name, addresses, probe_url } = cdn.clone();
        Self {
            name: name.into(),
            title: optional(title, Title),
            r#type: kind.into(),
            dns_name: HostName(dns_name).into(),
            addresses: list(addresses, AddressText),
            probe_url: optional(probe_url, ProbeUrl),
        }
    }
}

impl Kind for Cdn {
    fn id(&self) -> ObjectId {
        ObjectId::new(ObjectKind::Cdn, self.name.as_str())
    }

    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    fn claims(&self) -> Vec<(FieldPath, Claim)> {
        vec![(FieldPath::of("name"), Claim::name(&self.id()))]
    }
}
