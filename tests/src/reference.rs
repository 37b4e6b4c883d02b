//! The rule over recorded rows: ticks, windows, and a line for every change.

mod evidence;
mod number;
mod objects;
mod route;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use spillway_events::{Objective, RESPONSE_TIME_MAX, Site, THROUGHPUT_MAX};

pub use objects::Objects;
pub use rows::{Columns, Row, read_rows};

use evidence::{Judgement, Series, Windows, judge, votes};
use objects::Tree;
use route::{Held, decide};

const SECOND_US: i64 = 1_000_000;

/// A change of route, verdict or reason of a site in a network; all of them at the first tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The tick's time, in microseconds since 1970.
    pub at_us: i64,
    /// The site.
    pub site: String,
    /// The network, inner ones and `everywhere` included.
    pub network: String,
    /// `origin` or `cdn:NAME`.
    pub route: String,
    /// `below`, `at_or_above` or `unknown`.
    pub verdict: String,
    /// `unknown_hold`, `cold_start`, `no_agreement` or `no_usable_cdn`, where route and verdict differ.
    pub reason: Option<String>,
    /// The value by the deciding objective: the first in the site's order with the verdict of them all.
    /// Nothing where there is no evidence, or it failed.
    pub value: Option<u64>,
    /// Whether that value is a failure.
    pub failed: bool,
    /// The deciding objective's threshold; 0 where the site has no objectives.
    pub threshold: u64,
    /// The samples of the probes that have a value, in the network that gave the evidence; without evidence, in the
    /// network itself.
    pub samples: u64,
    /// How many probes those are.
    pub probes: usize,
}

/// Routes every site in every network over recorded rows, taken in the order given, and tells every change by tick
/// time, site, network.
///
/// Rows that no provisioned site, target and probe can have made, or with a number out of range, are passed over
/// before anything.
#[must_use]
pub fn reference(objects: &Objects, rows: &[Row]) -> Vec<Line> {
    let mut run = Run::new(objects);
    let mut gathered: Vec<Kept<'_>> = Vec::new();
    let mut gathering_us: Option<i64> = None;
    for row in rows {
        let Some(kept) = run.keep(row) else { continue };
        let own_tick_us = whole_second_at_or_after(kept.row.at_us);
        match gathering_us {
            Some(tick_us) if own_tick_us > tick_us => {
                run.tick(tick_us, &gathered);
                run.let_time_pass(own_tick_us);
                gathered.clear();
                gathering_us = Some(own_tick_us);
            }
            Some(_) => {}
            None => gathering_us = Some(own_tick_us),
        }
        gathered.push(kept);
    }
    if let Some(tick_us) = gathering_us {
        run.tick(tick_us, &gathered);
    }
    run.lines
}

/// The tick at T reads the rows of (T − 1 s, T].
fn whole_second_at_or_after(at_us: i64) -> i64 {
    (at_us + SECOND_US - 1).div_euclid(SECOND_US) * SECOND_US
}

/// A row of a provisioned site, target and probe.
struct Kept<'r> {
    row: &'r Row,
    site: usize,
    /// 0 is the origin; CDN i of the site is i + 1.
    target: usize,
    probe: usize,
}

struct Run<'a> {
    /// By name.
    sites: Vec<&'a Site>,
    tree: Tree,
    windows: Windows,
    /// When a pane leaves a window, and of which sites.
    leaving: BTreeMap<i64, BTreeSet<usize>>,
    /// Per site and network.
    held: BTreeMap<(usize, usize), Held>,
    is_first_tick: bool,
    lines: Vec<Line>,
}

impl<'a> Run<'a> {
    fn new(objects: &'a Objects) -> Self {
        let mut sites: Vec<&Site> = objects.sites.iter().collect();
        sites.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        Self {
            sites,
            tree: Tree::new(objects),
            windows: Windows::default(),
            leaving: BTreeMap::new(),
            held: BTreeMap::new(),
            is_first_tick: true,
            lines: Vec::new(),
        }
    }

    fn keep<'r>(&self, row: &'r Row) -> Option<Kept<'r>> {
        if row.response_time_us.is_some_and(|time| time > RESPONSE_TIME_MAX.0)
            || row.throughput_bps.is_some_and(|throughput| throughput > THROUGHPUT_MAX.0)
        {
            return None;
        }
        let site = self.sites.iter().position(|site| site.name.as_str() == row.site)?;
        let probe = self.tree.probe(&row.agent, &row.network)?;
        let mut targets = targets(self.sites[site]);
        let target = targets.position(|target| target == row.target)?;
        Some(Kept { row, site, target, probe })
    }

    /// The ticks strictly before a time at which a pane leaves a window.
    fn let_time_pass(&mut self, until_us: i64) {
        while let Some(tick_us) = self.leaving.keys().next().copied().filter(|at_us| *at_us < until_us) {
            self.tick(tick_us, &[]);
        }
    }

    fn tick(&mut self, tick_us: i64, rows: &[Kept<'_>]) {
        let mut changed: BTreeSet<usize> = BTreeSet::new();
        if self.is_first_tick {
            self.is_first_tick = false;
            changed.extend(0..self.sites.len());
        }
        while let Some(entry) = self.leaving.first_entry().filter(|entry| *entry.key() <= tick_us) {
            changed.extend(entry.remove());
        }
        for kept in rows {
            self.count(tick_us, kept);
            changed.insert(kept.site);
        }
        for site in changed {
            self.decide_site(tick_us, site);
        }
    }

    fn count(&mut self, tick_us: i64, kept: &Kept<'_>) {
        for (number, objective) in self.sites[kept.site].objectives.iter().enumerate() {
            let Some(value) = kept.row.value(objective.metric) else { continue };
            let (pane_us, panes) = panes(objective);
            let pane = kept.row.at_us.div_euclid(pane_us);
            if pane < oldest_pane(tick_us, objective) {
                continue;
            }
            let series =
                Series { site: kept.site, target: kept.target, probe: kept.probe, objective: number };
            self.windows.entry(series).or_default().push((pane, value));
            self.leaving.entry((pane + panes) * pane_us).or_default().insert(kept.site);
        }
    }

    fn decide_site(&mut self, tick_us: i64, number: usize) {
        let site = self.sites[number];
        for (series, samples) in self.windows.range_mut(Series::of_site(number)) {
            let oldest = oldest_pane(tick_us, &site.objectives[series.objective]);
            samples.retain(|(pane, _)| *pane >= oldest);
        }
        let votes: Vec<_> = (0..targets(site).count())
            .map(|target| votes(&self.tree, &self.windows, site, number, target))
            .collect();
        for network in 0..self.tree.networks.len() {
            let judged: Vec<Vec<Judgement>> =
                votes.iter().map(|votes| judge(&self.tree, site, votes, network)).collect();
            let before = self.held.get(&(number, network));
            let now = decide(&judged, before);
            if before.is_none_or(|before| !now.looks_like(before)) {
                self.lines.push(line(tick_us, site, &self.tree.networks[network], &now, &judged[0]));
            }
            self.held.insert((number, network), now);
        }
    }
}

/// The targets' names: the origin, then the CDNs in the site's order.
fn targets(site: &Site) -> impl Iterator<Item = &str> {
    std::iter::once(site.origin.name.as_str()).chain(site.cdns.iter().map(|cdn| cdn.cdn.as_str()))
}

/// The length of a pane, and how many make the window.
fn panes(objective: &Objective) -> (i64, i64) {
    let window_us = i64::try_from(objective.window_us.0).unwrap_or(i64::MAX);
    let pane_us = (window_us / 60).max(SECOND_US);
    (pane_us, window_us / pane_us)
}

/// The first pane of the window at a tick.
fn oldest_pane(tick_us: i64, objective: &Objective) -> i64 {
    let (pane_us, panes) = panes(objective);
    tick_us.div_euclid(pane_us) - panes + 1
}

fn line(tick_us: i64, site: &Site, network: &str, now: &Held, origin: &[Judgement]) -> Line {
    let deciding = origin.iter().find(|judgement| judgement.verdict == now.verdict);
    Line {
        at_us: tick_us,
        site: site.name.to_string(),
        network: network.to_owned(),
        route: match now.cdn {
            None => String::from("origin"),
            Some(cdn) => format!("cdn:{}", site.cdns[cdn].cdn),
        },
        verdict: now.verdict.to_string(),
        reason: now.reason.map(|reason| reason.to_string()),
        value: deciding.and_then(Judgement::number),
        failed: deciding.is_some_and(Judgement::failed),
        threshold: deciding.map_or(0, |judgement| judgement.threshold),
        samples: deciding.map_or(0, |judgement| judgement.samples),
        probes: deciding.map_or(0, |judgement| judgement.probes),
    }
}
