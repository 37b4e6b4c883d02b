//! Agreements: the document that a party proposes. Its versions are made and moved by commands of their own.

mod billing;
mod service_level;

use canon_json::CanonJsonSerialize;
use serde::{Deserialize, Serialize};
use spillway_events::{
    Agreement, AgreementName, CdnName, CdnsIn, ClientName, Micros, NetworkName, ObjectKind, OnSilence, Party,
    Sha256, SilentRoute, SiteName, Stage, Terms, format_duration, parse_duration,
};

use super::kind::Kind;
use super::site::objective::{ObjectiveSpec, read_objective};
use crate::field_path::FieldPath;
use crate::fields::{Field, List, Rules, list, optional};
use crate::limits::{
    CDNS_PER_SITE_MAX, DWELL_US_MAX, HOLD_US_MAX, NETWORKS_PER_AGREEMENT_MAX, NOTICE_US_MAX,
    OBJECTIVES_PER_SITE_MAX, SITES_PER_AGREEMENT_MAX,
};
use crate::object::{Claim, ObjectId, Reference};
use crate::standing::{NO_BOUNDARY, is_boundary};
use crate::values::{Integer, Quantity, TimeText};
use billing::{BillingSpec, read_billing};
use service_level::{ServiceLevelSpec, read_service_level};

const SECOND_US: u64 = 1_000_000;

/// The fields of an agreement's document.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AgreementSpec {
    name: Field<AgreementName>,
    client: Field<ClientName>,
    sites: List<SiteName>,
    effective_from: Field<TimeText>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    until: Field<TimeText>,
    notice: Field<Quantity>,
    objectives: List<ObjectiveSpec>,
    cdns: List<CdnName>,
    cdns_in: List<CdnsInSpec>,
    return_band_permille: Field<Integer<0, 500>>,
    dwell: Field<Quantity>,
    graded_return: Field<bool>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    on_silence: Field<OnSilenceSpec>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    service_level: Field<ServiceLevelSpec>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    billing: Field<BillingSpec>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, expecting = "a mapping")]
struct CdnsInSpec {
    network: Field<NetworkName>,
    cdns: List<CdnName>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, expecting = "a mapping")]
struct OnSilenceSpec {
    hold: Field<Quantity>,
    then: Field<SilentRoute>,
}

/// Reads the document of a version that has no number yet.
pub(super) fn read(spec: AgreementSpec, rules: &mut Rules) -> Option<Agreement> {
    let name = rules.required("name", spec.name);
    let client = rules.required("client", spec.client);
    let sites = read_sites(spec.sites, rules);
    let effective_from = rules.required("effective_from", spec.effective_from);
    let until = rules.optional("until", spec.until);
    let bounds = [("effective_from", effective_from), ("until", until.flatten())];
    for (key, TimeText(at)) in bounds.into_iter().filter_map(|(key, at)| Some((key, at?))) {
        if !is_boundary(at) {
            rules.broken(key, NO_BOUNDARY);
        }
    }
    if let Some((TimeText(from), TimeText(until))) = effective_from.zip(until.flatten())
        && until <= from
    {
        rules.broken("until", "must be after effective_from");
    }
    let notice = read_duration("notice", spec.notice, 0, NOTICE_US_MAX, rules);
    let objectives = rules.each("objectives", spec.objectives, OBJECTIVES_PER_SITE_MAX, |rules, spec| {
        read_objective(spec, rules)
    });
    if let Some(objectives) = &objectives {
        _ = rules.distinct("objectives", objectives, |_| String::from("the same objective"));
    }
    let cdns = read_cdns(spec.cdns, rules);
    let cdns_in = read_cdns_in(spec.cdns_in, cdns.as_deref(), rules);
    let return_band = rules.or("return_band_permille", spec.return_band_permille, Integer(0));
    let dwell = read_duration("dwell", spec.dwell, 0, DWELL_US_MAX, rules);
    if rules.or("graded_return", spec.graded_return, false) == Some(true) {
        rules.broken("graded_return", "is not available: traffic returns to the origin all at once");
    }
    let on_silence = rules.optional("on_silence", spec.on_silence);
    let on_silence = on_silence.and_then(|spec| match spec {
        None => Some(None),
        Some(spec) => rules.nested("on_silence", |rules| read_on_silence(spec, rules)).map(Some),
    });
    let service_level = rules.optional("service_level", spec.service_level);
    let service_level = service_level.and_then(|spec| match spec {
        None => Some(None),
        Some(spec) => rules.nested("service_level", |rules| read_service_level(spec, rules)).map(Some),
    });
    let billing = rules.optional("billing", spec.billing);
    let billing = billing.and_then(|spec| match spec {
        None => Some(None),
        Some(spec) => rules.nested("billing", |rules| read_billing(spec, rules)).map(Some),
    });
    let terms = Terms {
        sites: sites?,
        effective_from_us: effective_from?.0,
        until_us: until?.map(|TimeText(at)| at),
        notice_us: notice?,
        objectives: objectives?,
        cdns: cdns?,
        cdns_in: cdns_in?,
        return_band_permille: return_band?.0,
        dwell_us: dwell?,
        on_silence: on_silence?,
        service_level: service_level?,
        billing: billing?,
    };
    unnumbered(name?, client?, terms)
}

/// A version that nobody has proposed yet; none if its document cannot be written.
fn unnumbered(name: AgreementName, client: ClientName, terms: Terms) -> Option<Agreement> {
    let mut agreement = Agreement {
        name,
        version: 0,
        client,
        terms,
        terms_sha256: Sha256::of(b""),
        proposed_by: Party::Provider,
        stage: Stage::Draft,
        reason: None,
        end: None,
        suspensions: Vec::new(),
    };
    agreement.terms_sha256 = Sha256::of(canonical_json(&agreement)?.as_bytes());
    Some(agreement)
}

/// The document with all its fields as canonical JSON (RFC 8785): what the parties agree on, byte for byte. None if it cannot
/// be written, which no document of texts, whole numbers and truth values is.
#[must_use]
pub fn canonical_json(agreement: &Agreement) -> Option<String> {
    AgreementSpec::from(agreement).to_canon_json_string().ok()
}

fn read_sites(field: List<SiteName>, rules: &mut Rules) -> Option<Vec<SiteName>> {
    let sites = rules.list("sites", field, SITES_PER_AGREEMENT_MAX)?;
    if sites.is_empty() {
        rules.broken("sites", "must list at least one site");
    }
    rules.distinct("sites", &sites, ToString::to_string)?;
    Some(sites)
}

fn read_cdns(field: List<CdnName>, rules: &mut Rules) -> Option<Vec<CdnName>> {
    let cdns = rules.list("cdns", field, CDNS_PER_SITE_MAX)?;
    rules.distinct("cdns", &cdns, ToString::to_string)?;
    Some(cdns)
}

/// The CDNs of networks, which are some of those that may be used anywhere.
fn read_cdns_in(
    field: List<CdnsInSpec>,
    anywhere: Option<&[CdnName]>,
    rules: &mut Rules,
) -> Option<Vec<CdnsIn>> {
    let lists = rules.each("cdns_in", field, NETWORKS_PER_AGREEMENT_MAX, |rules, spec| {
        let network = rules.required("network", spec.network);
        let cdns = read_cdns(spec.cdns, rules);
        let anywhere = anywhere.filter(|anywhere| !anywhere.is_empty());
        let other = |cdn: &&CdnName| anywhere.is_some_and(|anywhere| !anywhere.contains(cdn));
        if let Some(cdn) = cdns.iter().flatten().find(other) {
            rules.broken("cdns", format!("{cdn} is not among the `cdns` that may be used at all"));
        }
        Some(CdnsIn { network: network?, cdns: cdns? })
    })?;
    rules.distinct("cdns_in", lists.iter().map(|list| &list.network), ToString::to_string)?;
    Some(lists)
}

fn read_on_silence(spec: OnSilenceSpec, rules: &mut Rules) -> Option<OnSilence> {
    if spec.hold.is_absent() {
        rules.broken("hold", "is missing");
    }
    let hold_us = read_duration("hold", spec.hold, SECOND_US, HOLD_US_MAX, rules);
    let then = rules.required("then", spec.then);
    Some(OnSilence { hold_us: hold_us?, then: then? })
}

/// Whole seconds within bounds; 0 where the field is absent.
fn read_duration(
    key: &str,
    field: Field<Quantity>,
    us_min: u64,
    us_max: u64,
    rules: &mut Rules,
) -> Option<Micros> {
    let Some(Quantity(text)) = rules.optional(key, field)? else { return Some(Micros(0)) };
    let bounds = || format!("from {} to {}s", us_min / SECOND_US, us_max / SECOND_US);
    match parse_duration(&text) {
        Ok(duration) if duration.0.is_multiple_of(SECOND_US) && (us_min..=us_max).contains(&duration.0) => {
            return Some(duration);
        }
        Ok(_) => rules.broken(key, format!("must be whole seconds {}", bounds())),
        Err(error) => rules.broken(key, error.to_string()),
    }
    None
}

impl From<&Agreement> for AgreementSpec {
    fn from(agreement: &Agreement) -> Self {
        let Agreement { name, client, terms, .. } = agreement.clone();
        let cdns_in =
            |CdnsIn { network, cdns }| CdnsInSpec { network: network.into(), cdns: list(cdns, |cdn| cdn) };
        Self {
            name: name.into(),
            client: client.into(),
            sites: list(terms.sites, |site| site),
            effective_from: TimeText(terms.effective_from_us).into(),
            until: optional(terms.until_us, TimeText),
            notice: Quantity(format_duration(terms.notice_us)).into(),
            objectives: list(terms.objectives, ObjectiveSpec::from),
            cdns: list(terms.cdns, |cdn| cdn),
            cdns_in: list(terms.cdns_in, cdns_in),
            return_band_permille: Integer(terms.return_band_permille).into(),
            dwell: Quantity(format_duration(terms.dwell_us)).into(),
            graded_return: false.into(),
            on_silence: optional(terms.on_silence, |OnSilence { hold_us, then }| OnSilenceSpec {
                hold: Quantity(format_duration(hold_us)).into(),
                then: then.into(),
            }),
            service_level: optional(terms.service_level, ServiceLevelSpec::from),
            billing: optional(terms.billing, BillingSpec::from),
        }
    }
}

impl Kind for Agreement {
    fn id(&self) -> ObjectId {
        ObjectId::of_agreement(&self.name, self.version)
    }

    /// Only what is accepted refers to more than its client: a proposal holds nobody up.
    fn references(&self) -> Vec<Reference> {
        let to = |field: FieldPath, kind, name: &str| Reference { field, target: ObjectId::new(kind, name) };
        let item = |key: &str, index| FieldPath::of(key).index(index);
        let terms = &self.terms;
        let mut references = vec![to(FieldPath::of("client"), ObjectKind::Client, self.client.as_str())];
        if self.stage != Stage::Accepted {
            return references;
        }
        let sites = terms.sites.iter().enumerate();
        references
            .extend(sites.map(|(index, site)| to(item("sites", index), ObjectKind::Site, site.as_str())));
        let cdns = terms.cdns.iter().enumerate();
        references.extend(cdns.map(|(index, cdn)| to(item("cdns", index), ObjectKind::Cdn, cdn.as_str())));
        for (index, CdnsIn { network, cdns }) in terms.cdns_in.iter().enumerate() {
            let at = item("cdns_in", index);
            references.push(to(at.clone().key("network"), ObjectKind::Network, network.as_str()));
            let cdns = cdns.iter().enumerate();
            references.extend(
                cdns.map(|(index, cdn)| {
                    to(at.clone().key("cdns").index(index), ObjectKind::Cdn, cdn.as_str())
                }),
            );
        }
        references.extend(rate_card(self));
        references
    }

    fn claims(&self) -> Vec<(FieldPath, Claim)> {
        vec![(FieldPath::of("name"), Claim::agreement(self.name.as_str()))]
    }
}

/// The rate card that an agreement names.
pub(crate) fn rate_card(agreement: &Agreement) -> Option<Reference> {
    let billing = agreement.terms.billing.as_ref()?;
    let name = format!("{}/{}", billing.rate_card, billing.rate_card_version);
    let field = FieldPath::of("billing").key("rate_card");
    Some(Reference { field, target: ObjectId::new(ObjectKind::RateCard, name) })
}
