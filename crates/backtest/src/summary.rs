//! What the routes of a backtest come to: changes a day, shares of time.

use std::collections::BTreeMap;
use std::io::Write;

use spillway_events::{Decision, NetworkName, SiteName, TimeMicros, Verdict};

use crate::Counts;

const DAY_US: i64 = 86_400_000_000;

/// Sums decisions up by site and network.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    lines: BTreeMap<(SiteName, NetworkName), Line>,
    pub(crate) ended_at: Option<TimeMicros>,
}

#[derive(Debug)]
struct Line {
    since: TimeMicros,
    route: String,
    at_or_above: bool,
    unknown: bool,
    first: TimeMicros,
    changes: u64,
    by_route_us: BTreeMap<String, i64>,
    at_or_above_us: i64,
    unknown_us: i64,
}

impl Summary {
    pub(crate) fn take(&mut self, decision: &Decision) {
        let key = (decision.site.clone(), decision.network.clone());
        let route = decision.route.to_string();
        let line = self.lines.entry(key).or_insert_with(|| Line {
            since: decision.at_us,
            route: route.clone(),
            at_or_above: false,
            unknown: true,
            first: decision.at_us,
            changes: 0,
            by_route_us: BTreeMap::new(),
            at_or_above_us: 0,
            unknown_us: 0,
        });
        line.pass(decision.at_us);
        line.changes += u64::from(line.route != route);
        line.route = route;
        line.at_or_above = decision.verdict == Verdict::AtOrAbove;
        line.unknown = decision.verdict == Verdict::Unknown;
    }

    pub(crate) fn print(mut self, out: &mut impl Write) -> std::io::Result<()> {
        for ((site, network), line) in &mut self.lines {
            let end = self.ended_at.unwrap_or(line.since).max(line.since);
            line.pass(end);
            let total_us = (end.0 - line.first.0).max(1);
            let shares =
                line.by_route_us.iter().map(|(route, us)| format!("{route} {}", percent(*us, total_us)));
            writeln!(
                out,
                "{site} in {network}: {} route changes, {} a day; time on {}; at or above the level {}, unknown {}",
                line.changes,
                per_day(line.changes, total_us),
                shares.collect::<Vec<_>>().join(", "),
                percent(line.at_or_above_us, total_us),
                percent(line.unknown_us, total_us),
            )?;
        }
        Ok(())
    }
}

impl Line {
    fn pass(&mut self, to: TimeMicros) {
        let us = to.0 - self.since.0;
        *self.by_route_us.entry(self.route.clone()).or_default() += us;
        self.at_or_above_us += if self.at_or_above { us } else { 0 };
        self.unknown_us += if self.unknown { us } else { 0 };
        self.since = to;
    }
}

/// A share in percent with two places, rounded down.
fn percent(part: i64, whole: i64) -> String {
    let share = i128::from(part) * 10_000 / i128::from(whole);
    format!("{}.{:02} %", share / 100, share % 100)
}

/// How often a day with two places, rounded down.
fn per_day(count: u64, of_us: i64) -> String {
    let rate = i128::from(count) * i128::from(DAY_US) * 100 / i128::from(of_us);
    format!("{}.{:02}", rate / 100, rate % 100)
}

impl Counts {
    /// Whether a row was wrong or late, or there was none.
    #[must_use]
    pub fn is_imperfect(&self) -> bool {
        !self.wrong.is_empty() || self.late.0 > 0 || self.rows == 0
    }

    /// Prints the counts.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "{} rows read, {} used", self.rows, self.kept)?;
        if self.rows == 0 {
            writeln!(out, "  the input has no rows")?;
        }
        for (why, count) in &self.skipped {
            writeln!(out, "  {count} skipped: {why}")?;
        }
        for (why, (count, line)) in &self.wrong {
            writeln!(out, "  {count} wrong: {why}, first in line {line}")?;
        }
        let (count, line) = self.late;
        if count > 0 {
            writeln!(
                out,
                "  {count} used late: earlier than the second being gathered, first in line {line}"
            )?;
            if count.saturating_mul(100) > self.kept {
                writeln!(
                    out,
                    "warning: more than 1 % of the rows are late, so the decisions are not those of the time recorded: sort \
                     the rows by time first, for example with `(head -n 1 FILE; tail -n +2 FILE | sort -t, -k N,N)`, N \
                     being the number of the time's column"
                )?;
            }
        }
        Ok(())
    }
}
