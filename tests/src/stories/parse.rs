//! Reads a story.

use std::collections::BTreeMap;
use std::fmt;

use spillway_events::{
    AggregateStatistics, CdnName, Micros, NetworkName, ObjectKind, SiteName, SourceName, StatisticsBatch,
    TimeMicros, parse_duration, parse_throughput,
};

use super::agreement::Agreement;
use super::answers;
use super::decided::Decided;
use super::provisioning::{Documents, TIME_MARK};
use super::story::{Change, Command, Expected, Moment, Names, Story};

mod measurements;

/// A line of a story that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    file: String,
    line: usize,
    reason: String,
}

/// Writes `FILE:LINE: REASON`.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

/// Begins a line that expects a refusal.
const REFUSED: &str = "refused: ";

pub(super) fn parse(file: &str, text: &str) -> Result<Story, Mistake> {
    let mistake = |line: usize, reason: String| Mistake { file: file.to_owned(), line, reason };
    let mut lines = (1..).zip(text.lines());
    let rule = lines.next().map(|(_, line)| line.trim()).unwrap_or_default();
    if !rule.ends_with('.') {
        return Err(mistake(1, String::from("the first line is the rule, a sentence with a full stop")));
    }
    let mut parser = Parser::default();
    for (number, line) in lines.by_ref().take_while(|(_, line)| !line.trim().is_empty()) {
        if line.starts_with("at ") {
            return Err(mistake(number, String::from("an empty line ends what is said of the rule")));
        }
    }
    let mut last_line = 1;
    for (number, line) in lines {
        last_line = number;
        parser.line(number, line).map_err(|reason| mistake(number, reason))?;
    }
    let moments = parser.finish().map_err(|reason| mistake(last_line, reason))?;
    Ok(Story { file: file.to_owned(), rule: rule.to_owned(), is_live: parser.is_live, moments })
}

#[derive(Default)]
struct Parser {
    is_live: bool,
    names: Names,
    documents: Documents,
    agreement: Option<Agreement>,
    /// The commands before the first `at`.
    setup: Vec<Command>,
    moments: Vec<Moment>,
    last: Last,
    /// How many batches each source has sent.
    sent: BTreeMap<String, u64>,
}

/// What the line before was: some lines belong to it.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Last {
    Change,
    Ask,
    #[default]
    Other,
}

impl Parser {
    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        let mut rest = line.trim();
        if rest.is_empty() || rest.starts_with('#') {
            return Ok(());
        }
        if rest == "also live" {
            self.is_live = true;
            return Ok(());
        }
        if let Some(timed) = line.strip_prefix("at ") {
            let (time, after) = timed.split_once(' ').unwrap_or((timed, ""));
            self.start_moment(number, time)?;
            rest = after;
        } else if !self.moments.is_empty() && !line.starts_with(' ') {
            return Err(String::from("a line of the timeline begins with `at TIME`, or is indented"));
        }
        if rest.starts_with(REFUSED) {
            // The text of a refusal may hold a semicolon.
            return self.statement(number, rest);
        }
        for statement in rest.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            self.statement(number, statement)?;
        }
        Ok(())
    }

    fn start_moment(&mut self, line: usize, time: &str) -> Result<(), String> {
        self.end_documents();
        self.last = Last::Other;
        let Micros(at_us) = parse_duration(time).map_err(|error| error.to_string())?;
        let at_us = i64::try_from(at_us).map_err(|error| error.to_string())?;
        if self.moments.last().is_some_and(|before| before.at_us >= at_us) {
            return Err(String::from("the times of a story rise"));
        }
        let commands = std::mem::take(&mut self.setup);
        self.moments.push(Moment { line, at_us, commands, ..Moment::default() });
        Ok(())
    }

    fn end_documents(&mut self) {
        if let Some(agreement) = self.agreement.take() {
            let line = agreement.line;
            self.push_command(Command { line, change: Change::Agree(agreement.document()), refused: None });
        }
        if let Some((line, text)) = self.documents.finish() {
            self.push_command(Command { line, change: Change::Apply(text), refused: None });
        }
    }

    fn push_command(&mut self, command: Command) {
        self.moments.last_mut().map_or(&mut self.setup, |moment| &mut moment.commands).push(command);
    }

    fn finish(&mut self) -> Result<Vec<Moment>, String> {
        self.end_documents();
        let moments = std::mem::take(&mut self.moments);
        if moments.iter().all(|moment| moment.decisions.is_empty()) {
            return Err(String::from("the story expects no decision"));
        }
        Ok(moments)
    }

    fn statement(&mut self, line: usize, text: &str) -> Result<(), String> {
        if let Some(agreement) = &mut self.agreement
            && agreement.take(text)?
        {
            return Ok(());
        }
        if let Some(rest) = text.strip_prefix("agree on ") {
            self.end_documents();
            self.agreement = Some(Agreement::begin(line, rest, &self.names)?);
            self.last = Last::Change;
            return Ok(());
        }
        if self.agreement.is_some() {
            self.end_documents();
        }
        if self.documents.take(line, text, &mut self.names, self.is_live)? {
            self.last = Last::Change;
            return Ok(());
        }
        self.end_documents();
        if let Some(refused) = text.strip_prefix(REFUSED) {
            let commands = self.moments.last_mut().map_or(&mut self.setup, |moment| &mut moment.commands);
            let command = commands.last_mut().filter(|_| self.last == Last::Change);
            command.ok_or("`refused:` follows a change")?.refused = Some(refused.to_owned());
            self.last = Last::Other;
            return Ok(());
        }
        if let Some(object) = text.strip_prefix("delete ") {
            let change = read_delete(object)?;
            self.push_command(Command { line, change, refused: None });
            self.last = Last::Change;
            return Ok(());
        }
        if let Some((site, at)) = text.strip_prefix("terminate ").and_then(|rest| rest.split_once(" at ")) {
            let site = SiteName::new(site).map_err(|error| error.to_string())?;
            let change = Change::Terminate(site, format!("{TIME_MARK}{at}{TIME_MARK}"));
            self.push_command(Command { line, change, refused: None });
            self.last = Last::Change;
            return Ok(());
        }
        let last = std::mem::take(&mut self.last);
        let moment = self.moments.last_mut().ok_or_else(|| {
            format!("`{text}` is not provisioning, which is all that comes before the first `at TIME`")
        })?;
        if let Some(ask) = text.strip_prefix("ask ") {
            moment.asks.push(answers::read_ask(line, ask)?);
            self.last = Last::Ask;
        } else if answers::is_answer(text) {
            let ask = moment.asks.last_mut().filter(|_| last == Last::Ask);
            ask.ok_or("an answer follows what was asked")?.answer.push(text.to_owned());
            self.last = Last::Ask;
        } else if let Some((probe, measured)) = text.split_once(" measures ") {
            let at_us = moment.at_us;
            let mut batch = measurements::read(&self.names, at_us, probe, measured)?;
            batch.sequence = next(&mut self.sent, &batch.source);
            moment.measurements.push(batch);
        } else if let Some((cdn, report)) = text.split_once(" reports ") {
            let mut batch = read_report(&self.names, moment.at_us, cdn, report)?;
            batch.sequence = next(&mut self.sent, &batch.source);
            moment.statistics.push(batch);
        } else if let Some((of, outcome)) = text.split_once(": ") {
            moment.decisions.push(read_expected(&self.names, line, of, outcome)?);
        } else {
            return Err(format!("`{text}` is not understood"));
        }
        Ok(())
    }
}

fn next(sent: &mut BTreeMap<String, u64>, source: &SourceName) -> u64 {
    let sent = sent.entry(source.to_string()).or_default();
    *sent += 1;
    *sent
}

/// `probe AGENT in NETWORK`, or kind and name.
fn read_delete(text: &str) -> Result<Change, String> {
    let kinds = [
        ("network ", ObjectKind::Network),
        ("probe ", ObjectKind::Probe),
        ("cdn ", ObjectKind::Cdn),
        ("site ", ObjectKind::Site),
        ("override ", ObjectKind::Override),
    ];
    let of_kind = kinds.iter().find_map(|(word, kind)| Some((*kind, text.strip_prefix(word)?)));
    let (kind, name) =
        of_kind.ok_or("what is deleted is a network, a probe, a cdn, a site or an override")?;
    Ok(Change::Delete(kind, name.replace(" in ", "/")))
}

/// `healthy`, `unhealthy`, `accepting`, `not accepting`, or `90Mbit/s of 100Mbit/s`.
fn read_report(names: &Names, at_us: i64, cdn: &str, text: &str) -> Result<StatisticsBatch, String> {
    let (text, at_us) = measurements::split_event_time(text, at_us)?;
    let cdn = CdnName::new(cdn).ok().filter(|cdn| names.cdns.contains(cdn));
    let cdn = cdn.ok_or("what reports is a CDN of the story")?;
    let source = SourceName::new(cdn.as_str()).map_err(|error| error.to_string())?;
    let mut report = AggregateStatistics {
        cdn,
        at_us: TimeMicros(at_us),
        healthy: None,
        accepting: None,
        egress_bps: None,
        capacity_bps: None,
    };
    match text {
        "healthy" => report.healthy = Some(true),
        "unhealthy" => report.healthy = Some(false),
        "accepting" => report.accepting = Some(true),
        "not accepting" => report.accepting = Some(false),
        _ => {
            let (egress, capacity) = text.split_once(" of ").ok_or(
                "a report is `healthy`, `unhealthy`, `accepting`, `not accepting` or `90Mbit/s of 100Mbit/s`",
            )?;
            let read = |text: &str| parse_throughput(text).map_err(|error| error.to_string());
            report.egress_bps = Some(read(egress)?.0);
            report.capacity_bps = Some(read(capacity)?.0);
        }
    }
    Ok(StatisticsBatch { source, boot: 1, sequence: 0, aggregates: vec![report] })
}

/// `SITE in NETWORK`, and `unchanged` or a decision.
fn read_expected(names: &Names, line: usize, of: &str, outcome: &str) -> Result<Expected, String> {
    let (site, network) =
        of.split_once(" in ").ok_or_else(|| format!("`{of}: {outcome}` is not understood"))?;
    let site = SiteName::new(site).ok().filter(|site| names.sites.contains(site));
    let site = site.ok_or_else(|| format!("`{of}` names no site of the story"))?;
    let is_known = |name: &NetworkName| names.networks.contains(name) || *name == NetworkName::everywhere();
    let network = NetworkName::new(network).ok().filter(is_known);
    let network = network.ok_or_else(|| format!("`{of}` names no network of the story"))?;
    let outcome = if outcome == "unchanged" { None } else { Some(Decided::parse(outcome)?) };
    Ok(Expected { line, site, network, outcome })
}
