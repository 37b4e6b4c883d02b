//! Objects as they are read: what was provisioned, and what is known of them beside it.

use std::sync::Arc;

use serde::Serialize;
use spillway_events::{
    Agreement, ObjectKind, Party, Sha256, SiteName, TimeMicros, format_duration, format_time,
};

use crate::kinds::Spec;
use crate::kinds::site::objective::{detection_and_return, measured_every};
use crate::object::ObjectId;
use crate::standing::{Standing, ends_at, standing};
use crate::state::{InForce, State};

/// An object of a [`State`]. Serialized, its `spec` is the object's document.
#[derive(Debug, Serialize)]
pub struct Resource {
    kind: ObjectKind,
    name: Arc<str>,
    revision: u64,
    spec: Spec,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

/// What is known of an object beside its fields.
#[derive(Debug, Serialize)]
struct Status {
    /// The number of objects that refer to it. It cannot be deleted while there are any.
    users: usize,
    /// The number of the record that set what is agreed for a site.
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<u64>,
    /// Where that is agreed: a version of an agreement, or [`OWN`] for the site's own document; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    agreed_in: Option<String>,
    /// How far a version of an agreement has come.
    #[serde(flatten)]
    version: Option<VersionStatus>,
}

/// What a site's document says, as an operator agreed on both sides.
pub const OWN: &str = "own";

/// How far a version of an agreement has come.
#[derive(Debug, Serialize)]
struct VersionStatus {
    version: u32,
    standing: Standing,
    proposed_by: Party,
    terms_sha256: Sha256,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    /// How soon each objective shows an outage and its end, for each site.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    times: Vec<Times>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suspensions: Vec<[Option<String>; 2]>,
}

/// How soon an objective shows an outage and its end.
#[derive(Debug, Serialize)]
struct Times {
    site: SiteName,
    objective: usize,
    detection: String,
    r#return: String,
}

impl Resource {
    /// The number of the record that last changed the object.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The same without what is known of each site of an agreement, of which there may be many.
    #[must_use]
    pub fn without_times(mut self) -> Self {
        if let Some(version) = self.status.as_mut().and_then(|status| status.version.as_mut()) {
            version.times.clear();
        }
        self
    }

    /// The same without its status, which is that of the present.
    #[must_use]
    pub fn without_status(self) -> Self {
        Self { status: None, ..self }
    }
}

impl State {
    /// An object as it is read at a time.
    #[must_use]
    pub fn resource(&self, id: &ObjectId, at: TimeMicros) -> Option<Resource> {
        let stored = self.stored(id.kind, &id.name)?;
        let site = stored.object.as_site().and_then(|site| self.agreed(&site.name, at));
        let (agreement, agreed_in) = site.map_or((None, None), |(number, place)| (Some(number), place));
        let version = self.agreement(id).map(|version| self.version_status(version, at));
        let status = Status { users: self.users(id).count(), agreement, agreed_in, version };
        Some(Resource {
            kind: id.kind,
            name: Arc::clone(&id.name),
            revision: stored.changed,
            spec: stored.object.spec(),
            status: Some(status),
        })
    }

    /// The record and the place of what is agreed for a site.
    fn agreed(&self, site: &SiteName, at: TimeMicros) -> Option<(u64, Option<String>)> {
        Some(match self.in_force(site, at)? {
            InForce::Version { agreement, accepted } => {
                (accepted, Some(format!("{}/{}", agreement.name, agreement.version)))
            }
            InForce::Own(own) if !own.site.objectives.is_empty() => (own.agreement, Some(OWN.to_owned())),
            InForce::Own(own) | InForce::Nothing(own) => (own.agreement, None),
        })
    }

    fn version_status(&self, agreement: &Agreement, at: TimeMicros) -> VersionStatus {
        let sites = agreement.terms.sites.iter().filter_map(|site| self.site(site));
        let times = sites.flat_map(|found| {
            agreement.terms.objectives.iter().enumerate().map(|(index, objective)| {
                let interval = measured_every(found.site, objective.metric);
                let (detection, back) = detection_and_return(objective, interval);
                Times {
                    site: found.site.name.clone(),
                    objective: index,
                    detection: format_duration(detection),
                    r#return: format_duration(back),
                }
            })
        });
        let text = |at: TimeMicros| Some(format_time(at));
        let suspensions =
            agreement.suspensions.iter().map(|of| [text(of.from_us), of.until_us.and_then(text)]);
        VersionStatus {
            version: agreement.version,
            standing: standing(agreement, at),
            proposed_by: agreement.proposed_by,
            terms_sha256: agreement.terms_sha256,
            reason: agreement.reason.clone(),
            ends_at: ends_at(agreement).map(format_time),
            times: times.collect(),
            suspensions: suspensions.collect(),
        }
    }
}
