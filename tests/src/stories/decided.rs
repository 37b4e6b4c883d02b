//! A decision in the words of a story: `cdn edge-one, at-or-above, 150ms`.

use std::fmt;

use spillway_events::{
    Candidate, Decision, Metric, NetworkName, ObjectiveEvidence, PassedOver, Reason, Verdict, parse_duration,
    parse_throughput,
};

/// What a line tells of a decision. Route, verdict, reason and values are always told; samples and the CDNs passed over
/// only where the story tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decided {
    route: String,
    verdict: String,
    reason: Option<String>,
    /// One an objective; empty if none has a value.
    values: Vec<String>,
    samples: Option<String>,
    passed_over: Option<Vec<String>>,
}

impl Decided {
    /// Reads the part of a line after `SITE in NETWORK: `.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parts = split_outside_parentheses(text);
        let [route, verdict, details @ ..] = parts.as_slice() else {
            return Err(String::from("a decision is a route, a verdict and values: `origin, below, 100ms`"));
        };
        if *route != "origin" && route.strip_prefix("cdn ").is_none_or(|cdn| cdn.contains(' ')) {
            return Err(format!("`{route}` is not a route: `origin` or `cdn NAME`"));
        }
        let (verdict, reason) = match verdict.split_once(" (") {
            Some((verdict, reason)) => (verdict, Some(reason.trim_end_matches(')').to_owned())),
            None => (*verdict, None),
        };
        if !VERDICTS.iter().any(|known| words(known.as_str()) == words(verdict)) {
            return Err(format!("`{verdict}` is not a verdict: `below`, `at-or-above` or `unknown`"));
        }
        if let Some(reason) =
            reason.as_ref().filter(|reason| !REASONS.iter().any(|of| words(of.as_str()) == **reason))
        {
            return Err(format!("`{reason}` is not a reason such as `cold start` or `unknown hold`"));
        }
        let (route, verdict) = ((*route).to_owned(), verdict.to_owned());
        let mut decided =
            Self { route, verdict, reason, values: Vec::new(), samples: None, passed_over: None };
        for detail in details {
            decided.detail(detail)?;
        }
        Ok(decided)
    }

    fn detail(&mut self, detail: &str) -> Result<(), String> {
        if let Some(passed_over) = detail.strip_prefix("not ") {
            if !passed_over.ends_with(')') {
                return Err(format!("`{detail}` does not say why: `not NAME (at-or-above, 1200 permille)`"));
            }
            self.passed_over.get_or_insert_default().push(passed_over.to_owned());
        } else if detail.contains(" sample") {
            self.samples = Some(read_samples(detail)?);
        } else if self.values.is_empty() {
            self.values = detail.split(" and ").map(read_value).collect::<Result<_, _>>()?;
        } else {
            return Err(format!("`{detail}` comes after the values, which `and` connects"));
        }
        Ok(())
    }

    /// A decision with the details that `like` tells, or none of them.
    pub(super) fn of(decision: &Decision, like: Option<&Self>) -> Self {
        let value = |objective: &ObjectiveEvidence| value_text(objective, &decision.network);
        let values: Vec<String> = decision.objectives.iter().map(value).collect();
        let has_values = values.iter().any(|value| value != NO_VALUE);
        let samples = like.is_some_and(|like| like.samples.is_some());
        let passed_over = like.is_some_and(|like| like.passed_over.is_some());
        Self {
            route: decision
                .route
                .cdn
                .as_ref()
                .map_or_else(|| String::from("origin"), |cdn| format!("cdn {cdn}")),
            verdict: decision.verdict.as_str().replace('_', "-"),
            reason: decision.reason.map(|reason| words(reason.as_str())),
            values: if has_values { values } else { Vec::new() },
            samples: samples.then(|| {
                let of = decision.objectives.first();
                samples_text(of.map_or(0, |of| of.samples), of.map_or(0, |of| of.probes_count))
            }),
            passed_over: passed_over
                .then(|| decision.candidates.iter().filter_map(passed_over_text).collect()),
        }
    }
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.route, self.verdict)?;
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        if !self.values.is_empty() {
            write!(f, ", {}", self.values.join(" and "))?;
        }
        if let Some(samples) = &self.samples {
            write!(f, ", {samples}")?;
        }
        for passed_over in self.passed_over.iter().flatten() {
            write!(f, ", not {passed_over}")?;
        }
        Ok(())
    }
}

const VERDICTS: [Verdict; 3] = [Verdict::Below, Verdict::AtOrAbove, Verdict::Unknown];
const REASONS: [Reason; 11] = [
    Reason::UnknownHold,
    Reason::ColdStart,
    Reason::NoAgreement,
    Reason::Pinned,
    Reason::Drained,
    Reason::NoUsableCdn,
    Reason::ReturnBand,
    Reason::Dwell,
    Reason::Graded,
    Reason::Frozen,
    Reason::Guarded,
];
const NO_VALUE: &str = "no value";

fn words(text: &str) -> String {
    text.replace(['_', '-'], " ")
}

/// At `, `, but not within parentheses.
fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// `150ms`, `20Mbit/s`, `failed` or `no value`; `150ms from europe` where another network gave the evidence.
fn read_value(text: &str) -> Result<String, String> {
    if text == NO_VALUE {
        return Ok(text.to_owned());
    }
    let (number, from) = match text.split_once(" from ") {
        Some((number, from)) => (number, format!(" from {from}")),
        None => (text, String::new()),
    };
    let number = if number == "failed" {
        number.to_owned()
    } else if let Ok(time) = parse_duration(number) {
        Metric::ResponseTime.format(time.0)
    } else if let Ok(throughput) = parse_throughput(number) {
        Metric::AvailableBandwidth.format(throughput.0)
    } else {
        return Err(format!("`{text}` is not a value such as `150ms`, `20Mbit/s`, `failed` or `no value`"));
    };
    Ok(number + &from)
}

fn value_text(objective: &ObjectiveEvidence, network: &NetworkName) -> String {
    let number = match objective.value {
        Some(number) => objective.metric.format(number),
        None if objective.failed => String::from("failed"),
        None => return String::from(NO_VALUE),
    };
    match objective.evidence_from.as_ref().filter(|from| *from != network) {
        Some(from) => format!("{number} from {from}"),
        None => number,
    }
}

/// `6 samples of 2 probes`.
fn read_samples(text: &str) -> Result<String, String> {
    let words: Vec<&str> = text.split(' ').collect();
    if let [samples, "sample" | "samples", "of", probes, "probe" | "probes"] = words.as_slice()
        && let (Ok(samples), Ok(probes)) = (samples.parse(), probes.parse())
    {
        return Ok(samples_text(samples, probes));
    }
    Err(format!("`{text}` is not like `6 samples of 2 probes`"))
}

fn samples_text(samples: u64, probes: u64) -> String {
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    format!("{samples} sample{} of {probes} probe{}", plural(samples), plural(probes))
}

fn passed_over_text(candidate: &Candidate) -> Option<String> {
    let why = match candidate.passed_over? {
        PassedOver::NotUsable => "not usable",
        PassedOver::AtOrAbove => "at-or-above",
        PassedOver::Unknown => "unknown",
        PassedOver::Preferred => "below",
    };
    let permille = candidate.permille.map(|permille| format!(", {permille} permille")).unwrap_or_default();
    Some(format!("{} ({why}{permille})", candidate.cdn))
}
