//! The agreements of a state.

use std::sync::Arc;

use spillway_events::{Agreement, AgreementName, ObjectKind, SiteName, TimeMicros};

use super::{ProvisionedSite, State, Stored};
use crate::kinds::Object;
use crate::kinds::agreement::spans;
use crate::object::ObjectId;
use crate::standing::is_in_force;

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
        agreement_of(
            &self
                .stored(ObjectKind::Agreement, &id.name)
                .filter(|_| id.kind == ObjectKind::Agreement)?
                .object,
        )
    }

    /// The versions of an agreement.
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

    /// The versions that were accepted for a site, ended ones included.
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
    /// say.
    #[must_use]
    pub fn in_force(&self, site: &SiteName, at: TimeMicros) -> Option<InForce<'_>> {
        let own = self.site(site)?;
        let mut has_begun = false;
        for stored in self.accepted_of(site) {
            let Some(agreement) = agreement_of(&stored.object) else { continue };
            if is_in_force(agreement, at) {
                return Some(InForce::Version { agreement, accepted: stored.agreement });
            }
            has_begun |= spans(agreement).first().is_some_and(|(from, _)| *from <= at);
        }
        Some(if has_begun { InForce::Nothing(own) } else { InForce::Own(own) })
    }

    /// The version that ever was or will be in force for a site, so that the objectives of its document no longer count.
    pub(crate) fn negotiated(&self, site: &SiteName) -> Option<&Arc<Agreement>> {
        self.accepted_versions(site).find(|agreement| !spans(agreement).is_empty())
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
