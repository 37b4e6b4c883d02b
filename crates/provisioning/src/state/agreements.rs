//! The agreements of a state.

use std::sync::Arc;

use spillway_events::{Agreement, AgreementName, ObjectKind, SiteName, TimeMicros};

use super::{ProvisionedSite, State, Stored};
use crate::kinds::Object;
use crate::object::ObjectId;
use crate::standing::{has_begun_by, has_ended_by, is_in_force, spans};

/// What is agreed for a site at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InForce<'a> {
    /// The objectives of the site's document: the operator agreed on both sides.
    Own(ProvisionedSite<'a>),
    /// A version that provider and client agreed on.
    Version {
        /// The version.
        agreement: &'a Arc<Agreement>,
        /// The number of the record that accepted it.
        accepted: u64,
    },
    /// Nothing: the last version has ended, or is suspended.
    Nothing(ProvisionedSite<'a>),
}

impl State {
    /// A version of an agreement.
    #[must_use]
    pub fn agreement(&self, id: &ObjectId) -> Option<&Arc<Agreement>> {
        agreement_of(self.object(id)?)
    }

    /// The versions of an agreement, in the order of their names: 10 before 2.
    pub fn versions<'a>(
        &'a self,
        name: &AgreementName,
    ) -> impl Iterator<Item = &'a Arc<Agreement>> + use<'a> {
        let first: Arc<str> = format!("{name}/").into();
        let versions = self.kinds.get(&ObjectKind::Agreement).into_iter();
        let from = versions.flat_map(move |versions| versions.range(first.clone()..));
        let name = name.clone();
        from.filter_map(|(_, stored)| agreement_of(&stored.object)).take_while(move |of| of.name == name)
    }

    /// The versions that were accepted for a site, ended ones included, in the order of their names.
    pub fn accepted_versions(&self, site: &SiteName) -> impl Iterator<Item = &Arc<Agreement>> {
        self.accepted_of(site).filter_map(|stored| agreement_of(&stored.object))
    }

    fn accepted_of(&self, site: &SiteName) -> impl Iterator<Item = &Stored> {
        let id = ObjectId::new(ObjectKind::Site, site.as_str());
        // Only accepted versions refer to sites.
        let users: Vec<&ObjectId> = self.users_after(&id, ObjectKind::Agreement, "").collect();
        users.into_iter().filter_map(|user| self.stored(user.kind, &user.name))
    }

    /// What is agreed for a site at a time: the objectives of its document until the first version begins, then what the versions
    /// say. Objectives that were set after the last version had ended count again.
    #[must_use]
    pub fn in_force(&self, site: &SiteName, at: TimeMicros) -> Option<InForce<'_>> {
        let own = self.site(site)?;
        let mut has_begun = false;
        for stored in self.accepted_of(site) {
            let Some(agreement) = agreement_of(&stored.object) else { continue };
            if is_in_force(agreement, at) {
                return Some(InForce::Version { agreement, accepted: stored.agreement });
            }
            has_begun |= stored.changed > own.agreement && has_begun_by(agreement, at);
        }
        Some(if has_begun { InForce::Nothing(own) } else { InForce::Own(own) })
    }

    /// The version of a site that a record accepted.
    #[must_use]
    pub fn version_of_record(&self, site: &SiteName, record: u64) -> Option<&Arc<Agreement>> {
        let accepted = self.accepted_of(site).find(|stored| stored.agreement == record);
        accepted.and_then(|stored| agreement_of(&stored.object))
    }

    /// A warning for each site whose objectives have no effect because others are agreed.
    #[must_use]
    pub fn unused_objectives(&self, objects: &[Object]) -> Vec<String> {
        let sites = objects.iter().filter_map(Object::as_site).filter(|site| !site.objectives.is_empty());
        // Others than before are refused, or replace what has ended.
        let same = sites.filter(|site| {
            self.site(&site.name).is_some_and(|before| before.site.objectives == site.objectives)
        });
        let unused = same.filter_map(|site| Some((site, self.replaced_by(&site.name)?)));
        unused
            .map(|(site, by)| {
                format!("site {}: objectives: have no effect, agreement {} has", site.name, by.name)
            })
            .collect()
    }

    /// A version that replaces the objectives of a site's document, or has: they were not set after it ended.
    pub(crate) fn replaced_by(&self, site: &SiteName) -> Option<&Arc<Agreement>> {
        let own = self.site(site).map_or(0, |own| own.agreement);
        let later = self.accepted_of(site).filter(|stored| stored.changed > own);
        let mut versions = later.filter_map(|stored| agreement_of(&stored.object));
        versions.find(|agreement| !has_ended_by(agreement, agreement.terms.effective_from_us))
    }
}

/// The times at which an accepted version comes into force or goes out of it, as far as they are known.
#[must_use]
pub fn boundaries(agreement: &Agreement) -> Vec<TimeMicros> {
    spans(agreement).into_iter().flat_map(|(from, until)| std::iter::once(from).chain(until)).collect()
}

fn agreement_of(object: &Object) -> Option<&Arc<Agreement>> {
    match object {
        Object::Agreement(agreement) => Some(agreement),
        _ => None,
    }
}
