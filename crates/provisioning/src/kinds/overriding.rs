//! Overrides: what an operator does instead of the rule, for a time.

use serde::{Deserialize, Serialize};
use spillway_events::{CdnName, ObjectKind, Override, OverrideKind, OverrideName, SiteName};

use super::kind::Kind;
use crate::field_path::FieldPath;
use crate::fields::{Field, Rules, optional};
use crate::object::{Claim, ObjectId, Reference};
use crate::values::{ReasonText, TimeText};

/// The fields of an override.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OverrideSpec {
    name: Field<OverrideName>,
    r#type: Field<OverrideKind>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    site: Field<SiteName>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    cdn: Field<CdnName>,
    /// A target's name keeps the rule of a CDN's.
    #[serde(skip_serializing_if = "Field::is_absent")]
    to: Field<CdnName>,
    reason: Field<ReasonText>,
    expires: Field<TimeText>,
}

pub(super) fn read(spec: OverrideSpec, rules: &mut Rules) -> Option<Override> {
    let name = rules.required("name", spec.name);
    let kind = rules.required("type", spec.r#type);
    let site = rules.optional("site", spec.site);
    let cdn = rules.optional("cdn", spec.cdn);
    let to = rules.optional("to", spec.to);
    let reason = rules.required("reason", spec.reason);
    let expires = rules.required("expires", spec.expires);
    let (kind, site, cdn, to) = (kind?, site?, cdn?, to?);
    match kind {
        OverrideKind::Pin => {
            needs(rules, "site", site.is_some(), "is missing: name the site that is pinned");
            needs(rules, "to", to.is_some(), "is missing: name the site's origin or one of its CDNs");
            needs(rules, "cdn", cdn.is_none(), "a pin names its target with `to`");
        }
        OverrideKind::Drain => {
            let is_one = site.is_some() != cdn.is_some();
            needs(rules, "cdn", is_one, "a drain names either a CDN, or the site whose origin is drained");
            needs(rules, "to", to.is_none(), "only a pin has a target");
        }
        OverrideKind::Freeze => {
            needs(rules, "cdn", cdn.is_none(), "a freeze names a site, or nothing to freeze everything");
            needs(rules, "to", to.is_none(), "only a pin has a target");
        }
    }
    Some(Override {
        name: name?,
        kind,
        site,
        cdn,
        to: to.map(|to| to.to_string()),
        reason: reason?.into(),
        expires_at_us: expires?.0,
    })
}

fn needs(rules: &mut Rules, key: &str, is_met: bool, rule: &str) {
    if !is_met {
        rules.broken(key, rule);
    }
}

impl From<&Override> for OverrideSpec {
    fn from(of: &Override) -> Self {
        let Override { name, kind, site, cdn, to, reason, expires_at_us } = of.clone();
        Self {
            name: name.into(),
            r#type: kind.into(),
            site: optional(site, |site| site),
            cdn: optional(cdn, |cdn| cdn),
            to: to.and_then(|to| CdnName::new(to).ok()).map_or(Field::Absent, Field::Given),
            reason: ReasonText(reason).into(),
            expires: TimeText(expires_at_us).into(),
        }
    }
}

impl Kind for Override {
    fn id(&self) -> ObjectId {
        ObjectId::new(ObjectKind::Override, self.name.as_str())
    }

    fn references(&self) -> Vec<Reference> {
        let site = self.site.iter().map(|site| ("site", ObjectId::new(ObjectKind::Site, site.as_str())));
        let cdn = self.cdn.iter().map(|cdn| ("cdn", ObjectId::new(ObjectKind::Cdn, cdn.as_str())));
        site.chain(cdn).map(|(field, target)| Reference { field: FieldPath::of(field), target }).collect()
    }

    fn claims(&self) -> Vec<(FieldPath, Claim)> {
        let of = match (&self.site, &self.cdn) {
            (_, Some(cdn)) => format!("cdn {cdn}"),
            (Some(site), None) if self.kind == OverrideKind::Drain => format!("the origin of site {site}"),
            (Some(site), None) => format!("site {site}"),
            (None, None) => String::from("everything"),
        };
        vec![
            (FieldPath::of("name"), Claim::name(&self.id())),
            (FieldPath::of("type"), Claim::Override(self.kind, of.into())),
        ]
    }
}

/// What is wrong with the pin of a site that has these targets.
pub(crate) fn check_pin(pin: &Override, targets: &[&str], rules: &mut Rules) {
    let Some(to) = pin.to.as_deref().filter(|to| !targets.contains(to)) else { return };
    rules.broken("to", format!("the site has no target {to}: it has {}", targets.join(", ")));
}
