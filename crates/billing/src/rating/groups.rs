//! The groups of an item: one for each value of the dimensions that it keeps.

use std::collections::{BTreeMap, BTreeSet};

use spillway_events::{Meter, RateBy, RateItem, SiteName, TargetName};

use super::Part;
use crate::percentile::Percentile;
use crate::usage::Counted;
use crate::wide::TooGreat;

/// The site and the target of a group, as far as its item keeps them.
pub(super) type Group = (Option<SiteName>, Option<TargetName>);

/// What was counted in each group of an item. A group without an increment does not exist.
pub(super) fn counted(
    part: &Part<'_>,
    item: &RateItem,
    meter: Meter,
) -> Result<BTreeMap<Group, Counted>, TooGreat> {
    let mut groups: BTreeMap<Group, Counted> = BTreeMap::new();
    for (site, target, counted) in part.usage.of_meter(meter) {
        if covers_site(item, site) && target.is_none_or(|target| covers_target(item, target)) {
            let group = group_of(item, site, target);
            let sum = match groups.get(&group) {
                None => *counted,
                Some(sum) => sum.and(*counted)?,
            };
            groups.insert(group, sum);
        }
    }
    Ok(groups)
}

/// When the sites of a flat item's groups exist within the part, in ms; without sites the whole part counts.
pub(super) fn active(part: &Part<'_>, item: &RateItem) -> BTreeMap<Group, u64> {
    let span = part.usage.part();
    if item.by != RateBy::Site {
        return BTreeMap::from([((None, None), span.ms())]);
    }
    let covered = part.sites.iter().filter(|(site, _)| covers_site(item, site));
    let active = covered.map(|(site, spans)| {
        let ms = spans.iter().map(|exists| exists.overlap(span).ms()).sum();
        ((Some(site.clone()), None), ms)
    });
    active.filter(|(_, ms)| *ms > 0).collect()
}

/// The percentiles of each group: of all covered targets, or of one each. A target that the item names has a group also without
/// traffic, because its commitment is paid in any case.
pub(super) fn percentiles(
    part: &Part<'_>,
    item: &RateItem,
) -> Result<BTreeMap<Group, Vec<Percentile>>, TooGreat> {
    let (span, missing) = (part.usage.part(), part.terms.missing_slots);
    let mut groups = BTreeMap::new();
    if item.by == RateBy::None {
        groups.insert((None, None), Vec::new());
    }
    let seen = part.usage.targets().filter(|target| covers_target(item, target));
    let targets: BTreeSet<&TargetName> = seen.chain(&item.targets).collect();
    for target in targets {
        let percentile = Percentile::of(target, part.usage.egress(target), span, missing)?;
        let kept = (item.by != RateBy::None).then(|| target.clone());
        groups.entry((None, kept)).or_default().push(percentile);
    }
    Ok(groups)
}

fn group_of(item: &RateItem, site: &SiteName, target: Option<&TargetName>) -> Group {
    let keeps_site = matches!(item.by, RateBy::Site | RateBy::Both);
    let keeps_target = matches!(item.by, RateBy::Target | RateBy::Both);
    (keeps_site.then(|| site.clone()), target.filter(|_| keeps_target).cloned())
}

fn covers_site(item: &RateItem, site: &SiteName) -> bool {
    item.sites.is_empty() || item.sites.contains(site)
}

fn covers_target(item: &RateItem, target: &TargetName) -> bool {
    item.targets.is_empty() || item.targets.contains(target)
}
