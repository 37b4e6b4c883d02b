//! What a layer gave, held against what a story expects.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use spillway_events::{Decision, Micros, NetworkName, SiteName, TimeMicros, format_duration};

use super::Layer;
use super::decided::Decided;
use super::script::Script;
use super::story::{Expected, Moment, Story};

/// What a layer gave.
pub(super) struct Got {
    base: TimeMicros,
    pub(super) decisions: Vec<Decision>,
    /// By the line of the query; those that were not asked are absent.
    pub(super) answers: BTreeMap<usize, Vec<String>>,
}

impl Got {
    pub(super) fn new(base: TimeMicros) -> Self {
        Self { base, decisions: Vec::new(), answers: BTreeMap::new() }
    }
}

/// Where a layer differs from a story: both as lines of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    file: String,
    line: usize,
    layer: Layer,
    at_us: i64,
    expected: Vec<String>,
    got: Vec<String>,
}

/// Writes what is expected and what a layer gave, so that the latter can replace the former in the story:
///
/// ```text
/// tests/stories/threshold.story:12: the dataflow, at 5s
///   expected  shop in carrier-a: cdn edge-one, at-or-above, 150ms
///   got       shop in carrier-a: origin, below, 149ms
/// ```
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layer = match self.layer {
            Layer::Core => "the core",
            Layer::Dataflow => "the dataflow",
            Layer::Live => "the live process",
        };
        write!(f, "{}:{}: {layer}, at {}", self.file, self.line, time_text(self.at_us))?;
        for (what, lines) in [("expected", &self.expected), ("got", &self.got)] {
            for (index, line) in lines.iter().enumerate() {
                write!(f, "\n  {:8}  {line}", if index == 0 { what } else { "" })?;
            }
        }
        Ok(())
    }
}

/// Every difference, in the order of time.
///
/// A decision in a network that the story never names is not looked at. In those that it names, every decision must be
/// expected, also at the ticks between the story's moments.
pub(super) fn compare(story: &Story, layer: Layer, script: &Script, got: &Got) -> Vec<Difference> {
    let mut named: BTreeSet<Key<'_>> = BTreeSet::new();
    let mut expected: BTreeMap<(i64, Key<'_>), &Expected> = BTreeMap::new();
    for moment in &story.moments {
        for line in &moment.decisions {
            named.insert((&line.site, &line.network));
            expected.insert((moment.at_us, (&line.site, &line.network)), line);
        }
    }
    let decided: BTreeMap<(i64, Key<'_>), &Decision> = got
        .decisions
        .iter()
        .map(|decision| ((decision.at_us.0 - got.base.0, (&decision.site, &decision.network)), decision))
        .filter(|((_, key), _)| named.contains(key))
        .collect();
    let keys: BTreeSet<_> = expected.keys().chain(decided.keys()).copied().collect();
    let mut differences = Vec::new();
    for (at_us, key) in keys {
        let (line, decision) = (expected.get(&(at_us, key)), decided.get(&(at_us, key)));
        let of_line = line.and_then(|line| line.outcome.as_ref());
        let of_layer = decision.map(|decision| Decided::of(decision, of_line));
        let number = line.map_or_else(|| moment_before(story, at_us).line, |line| line.line);
        differences.push((number, at_us, vec![text(key, of_line)], vec![text(key, of_layer.as_ref())]));
    }
    for moment in &story.moments {
        differences.extend(answers(moment, got));
        differences.extend(refusals(moment, script));
    }
    differences.retain(|(_, _, expected, got)| expected != got);
    differences.sort_by_key(|(line, at_us, ..)| (*at_us, *line));
    let file = &story.file;
    let difference =
        |(line, at_us, expected, got)| Difference { file: file.clone(), line, layer, at_us, expected, got };
    differences.into_iter().map(difference).collect()
}

type Key<'a> = (&'a SiteName, &'a NetworkName);

/// Line, time, expected and got, which may be equal.
type Pair = (usize, i64, Vec<String>, Vec<String>);

fn answers<'a>(moment: &'a Moment, got: &'a Got) -> impl Iterator<Item = Pair> + 'a {
    let asked = |ask: &&super::story::Ask| got.answers.contains_key(&ask.line);
    moment
        .asks
        .iter()
        .filter(asked)
        .map(|ask| (ask.line, moment.at_us, ask.answer.clone(), got.answers[&ask.line].clone()))
}

fn refusals<'a>(moment: &'a Moment, script: &'a Script) -> impl Iterator<Item = Pair> + 'a {
    let text = |refused: Option<&String>| match refused {
        Some(refused) => vec![format!("refused: {refused}")],
        None => vec![String::from("(not refused)")],
    };
    moment.commands.iter().map(move |command| {
        (command.line, moment.at_us, text(command.refused.as_ref()), text(script.refusals.get(&command.line)))
    })
}

fn text((site, network): Key<'_>, outcome: Option<&Decided>) -> String {
    match outcome {
        Some(outcome) => format!("{site} in {network}: {outcome}"),
        None => format!("{site} in {network}: unchanged"),
    }
}

fn moment_before(story: &Story, at_us: i64) -> &Moment {
    let before = story.moments.iter().rev().find(|moment| moment.at_us <= at_us);
    before.unwrap_or_else(|| panic!("{}: a tick before the first moment", story.file))
}

fn time_text(at_us: i64) -> String {
    match u64::try_from(at_us) {
        Ok(0) | Err(_) => String::from("0s"),
        Ok(micros) => format_duration(Micros(micros)),
    }
}
