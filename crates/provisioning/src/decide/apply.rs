//! Creates and replaces objects that fit each other and what is provisioned.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use spillway_events::{Agreement, Event, ObjectKind, Override, Site, TimeMicros};

use super::rate_card;
use crate::command::Refusal;
use crate::fault::{Fault, ObjectFault};
use crate::field_path::FieldPath;
use crate::fields::Rules;
use crate::kinds::overriding::check_pin;
use crate::kinds::{Kind, Object};
use crate::limits::{MISTAKES_LISTED_MAX, OBJECTS_PER_COMMAND_MAX, OBJECTS_PER_KIND_MAX};
use crate::object::ObjectId;
use crate::standing::has_ended_by;
use crate::state::{State, override_of};
use crate::tree;

/// The events that set the objects that differ from the state's, while those of `gone` are deleted.
pub(super) fn apply(
    state: &State,
    objects: &[Object],
    gone: &[ObjectId],
    now: TimeMicros,
) -> Result<Vec<Event>, Refusal> {
    if objects.len() > OBJECTS_PER_COMMAND_MAX {
        return Err(Refusal::TooManyInCommand(objects.len()));
    }
    let objects: Vec<Object> = objects.iter().map(|object| with_objectives_kept(state, object)).collect();
    let (before, after, indexes, faults) = (state, state.clone(), HashMap::new(), Vec::new());
    let mut check = Check { before, after, now, indexes, faults, unlisted: 0 };
    for (index, object) in objects.iter().enumerate() {
        check.put(index, object);
    }
    gone.iter().for_each(|id| _ = check.after.remove(id));
    for (index, object) in objects.iter().enumerate() {
        check.object(index, object);
    }
    let Check { after, mut faults, unlisted, .. } = check;
    if !faults.is_empty() {
        faults.sort_by_key(|fault| fault.index);
        return Err(Refusal::Faults { faults, unlisted });
    }
    check_counts(&after)?;
    let mut changed: Vec<&Object> =
        objects.iter().filter(|object| state.object(&object.id()) != Some(object)).collect();
    changed.sort_by_cached_key(|object| {
        let id = object.id();
        (id.kind, rank(object, &after), id.name)
    });
    Ok(changed.into_iter().cloned().map(Object::into_event).collect())
}

/// The place of an object among those of its kind: networks behind their parents, versions of rate cards in order.
fn rank(object: &Object, after: &State) -> usize {
    match object {
        Object::RateCard(card) => card.version as usize,
        _ => tree::depth(object, after),
    }
}

/// Finds the faults of a command's objects.
struct Check<'a> {
    /// The state before the command.
    before: &'a State,
    /// The state with all objects of the command.
    after: State,
    now: TimeMicros,
    /// The first index of each object in the command.
    indexes: HashMap<ObjectId, usize>,
    faults: Vec<ObjectFault>,
    unlisted: usize,
}

impl Check<'_> {
    fn put(&mut self, index: usize, object: &Object) {
        let id = object.id();
        match self.indexes.entry(id.clone()) {
            Entry::Occupied(first) => {
                let first = *first.get();
                let rule = String::from("is described twice in one command");
                self.fault(index, &id, Fault { field: FieldPath::default(), rule }, Some(first));
            }
            Entry::Vacant(entry) => {
                entry.insert(index);
                let revision = self.after.revision();
                self.after.put(revision, object.clone());
            }
        }
    }

    fn object(&mut self, index: usize, object: &Object) {
        let id = object.id();
        if self.indexes.get(&id) != Some(&index) {
            return;
        }
        let kind = object.as_kind();
        for reference in kind.references() {
            if !self.after.exists(&reference.target) {
                let rule = format!("there is no {}", reference.target);
                self.fault(index, &id, Fault { field: reference.field, rule }, None);
            }
        }
        for (field, claim) in kind.claims() {
            if let Some(owner) = self.after.owner_besides(&claim, &id) {
                let rule = claim.broken_by(owner);
                let other = self.indexes.get(owner).copied();
                self.fault(index, &id, Fault { field, rule }, other);
            }
        }
        let mut rules = Rules::default();
        if let Object::Network(network) = object {
            tree::check(network, &self.after, &|id| self.indexes.contains_key(id), &mut rules);
        }
        match object {
            Object::Override(pin) => self.check_pin(pin, &mut rules),
            // Pins that the command brings are checked by themselves.
            Object::Site(site) => {
                self.check_pins_of(site, &mut rules);
                self.check_owner(site, &mut rules);
                self.check_agreements_of(site, &mut rules);
            }
            Object::Agreement(_) => rules.broken_at(FieldPath::default(), NOT_APPLIED),
            Object::RateCard(card) => rate_card::check(card, self.before, &self.after, &mut rules),
            _ => {}
        }
        for fault in rules.faults {
            self.fault(index, &id, fault, None);
        }
    }

    /// A site belongs to one client for ever: what was measured and counted for it is that client's.
    fn check_owner(&self, site: &Site, rules: &mut Rules) {
        let present = self.before.site(&site.name);
        match (present, self.before.former_owner(&site.name)) {
            (Some(found), _) if found.site.client != site.client => {
                let owner = &found.site.client;
                rules.broken("client", format!("must stay {owner}: a site never goes to another client"));
            }
            (None, Some(owner)) if *owner != site.client => {
                rules.broken("name", "was the name of a site of another client");
            }
            _ => {}
        }
    }

    /// Finds out whether the site contradicts what is agreed for it.
    fn check_agreements_of(&self, site: &Site, rules: &mut Rules) {
        let goes_on = |of: &&Arc<Agreement>| !has_ended_by(of, self.now.max(of.terms.effective_from_us));
        let before = self.before.site(&site.name).map(|found| &found.site.objectives[..]).unwrap_or_default();
        let agreement = self.before.accepted_versions(&site.name).find(goes_on);
        if let Some(agreement) = agreement.filter(|_| site.objectives[..] != *before) {
            let rule = format!("are agreed in {}: propose a version with others", agreement.name);
            rules.broken("objectives", rule);
        }
        for agreement in self.before.accepted_versions(&site.name).filter(goes_on) {
            let terms = &agreement.terms;
            let mut named = terms.cdns.iter().chain(terms.cdns_in.iter().flat_map(|list| &list.cdns));
            if let Some(cdn) = named.find(|cdn| !site.cdns.iter().any(|of| of.cdn == **cdn)) {
                let rule = format!("agreement {}/{} names {cdn}", agreement.name, agreement.version);
                rules.broken("cdns", rule);
            }
        }
    }

    fn check_pin(&self, pin: &Override, rules: &mut Rules) {
        let site = pin.site.as_ref().and_then(|site| self.after.site(site));
        if let Some(found) = site {
            check_pin(pin, &targets(found.site), rules);
        }
    }

    /// Finds out whether a pin of the site is left without its target.
    fn check_pins_of(&self, site: &Site, rules: &mut Rules) {
        let id = ObjectId::new(ObjectKind::Site, site.name.as_str());
        let pins = self.after.users_after(&id, ObjectKind::Override, "");
        for pin in pins.filter_map(|pin| self.after.object(pin)).filter_map(override_of) {
            let targets = targets(site);
            let gone = pin.to.as_deref().filter(|to| !targets.contains(to));
            if let Some(to) = gone.filter(|_| !self.indexes.contains_key(&pin.id())) {
                rules.broken("cdns", format!("override {} pins the site to {to}", pin.name));
            }
        }
    }

    fn fault(&mut self, index: usize, object: &ObjectId, fault: Fault, other: Option<usize>) {
        if self.faults.len() < MISTAKES_LISTED_MAX {
            self.faults.push(ObjectFault { index, object: object.clone(), fault, other });
        } else {
            self.unlisted += 1;
        }
    }
}

const NOT_APPLIED: &str = "an agreement is not applied: it is proposed by one party and accepted by the other (`spillway agreement propose`)";

/// A site with the objectives that it has, where its document has none and others are agreed for it.
fn with_objectives_kept(state: &State, object: &Object) -> Object {
    let site = object.as_site().filter(|site| site.objectives.is_empty());
    let Some(site) = site.filter(|site| state.replaced_by(&site.name).is_some()) else {
        return object.clone();
    };
    let Some(before) = state.site(&site.name) else { return object.clone() };
    let objectives = before.site.objectives.clone();
    Object::Site(Arc::new(Site { objectives, ..(**site).clone() }))
}

/// The names of the site's origin and CDNs.
fn targets(site: &Site) -> Vec<&str> {
    let cdns = site.cdns.iter().map(|cdn| cdn.cdn.as_str());
    std::iter::once(site.origin.name.as_str()).chain(cdns).collect()
}

fn check_counts(after: &State) -> Result<(), Refusal> {
    let counts = ObjectKind::ALL.map(|kind| (kind, after.count(kind)));
    match counts.into_iter().find(|(_, count)| *count > OBJECTS_PER_KIND_MAX) {
        Some((kind, count)) => Err(Refusal::TooManyOfKind { kind, count }),
        None => Ok(()),
    }
}
