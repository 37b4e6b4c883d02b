//! The ticks of recorded rows: whole seconds of event time in which something can change.
//!
//! Rows are taken in file order; the tick at T reads those of event time in (T − 1 s, T]; a row earlier than that
//! joins the tick being gathered. Between them stand ticks at the seconds in which a pane leaves a window.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use spillway_events::topics::INPUT_RECORD_BYTES_MAX;
use spillway_events::{
    AgentName, BATCH_RECORDS_MAX, DecodeError, Measurement, MeasurementBatch, PartitionOffset, Series,
    SourceName, Tick, TimeMicros, encode, format_time, topics,
};
use spillway_provisioning::State;
use spillway_runtime::RuntimeError;
use spillway_steering::Panes;

use crate::jumps::{WITNESSES, is_wrong_jump};
use crate::rows::{Row, Rows};

const SECOND_US: i64 = 1_000_000;
/// The maximum number of rows in a batch. With names and a target of the maximum size in each row, the batch still fits the
/// maximum record of its topic.
const BATCH_ROWS_MAX: usize = 1_000;
const _: () =
    assert!(BATCH_ROWS_MAX <= BATCH_RECORDS_MAX && BATCH_ROWS_MAX * 1_024 <= INPUT_RECORD_BYTES_MAX);

/// A tick with the measurement records that it reads beyond the one before.
pub(crate) struct RecordedTick {
    pub(crate) tick: Tick,
    pub(crate) batches: Vec<Vec<u8>>,
}

/// Gathers rows into ticks.
pub struct Ticks {
    pub(crate) rows: Rows,
    panes: BTreeSet<Panes>,
    /// Whole seconds at which a pane leaves a window or an override ends.
    losses: BTreeSet<TimeMicros>,
    next_row: Option<Row>,
    /// Rows read ahead, to confirm or refute a jump in time.
    ahead: VecDeque<Row>,
    /// The time of the last row taken.
    previous_at: Option<TimeMicros>,
    number: u64,
    measurements_end: u64,
    sequence: u64,
}

impl Ticks {
    /// The ticks of rows under the policy of a state.
    #[must_use]
    pub fn new(rows: Rows, state: &State) -> Self {
        let objectives = state.sites().flat_map(|site| &site.site.objectives);
        let panes = objectives.map(Panes::of).collect();
        let (losses, number, measurements_end, sequence) = (BTreeSet::new(), 0, 0, 0);
        let (next_row, ahead, previous_at) = (None, VecDeque::new(), None);
        let mut ticks =
            Self { rows, panes, losses, next_row, ahead, previous_at, number, measurements_end, sequence };
        ticks.next_row = ticks.read_row();
        if let Some(first) = ticks.first_at() {
            let ends = state.overrides().map(|of| second_of(of.expires_at_us));
            ticks.losses.extend(ends.filter(|end| *end > first));
        }
        ticks
    }

    /// The time of the first tick, as long as no tick has been taken; nothing if there are no rows.
    #[must_use]
    pub fn first_at(&self) -> Option<TimeMicros> {
        self.next_row.as_ref().map(tick_of)
    }

    /// The next row whose time can be right.
    fn read_row(&mut self) -> Option<Row> {
        loop {
            while self.ahead.len() <= WITNESSES {
                let Some(row) = self.rows.next() else { break };
                self.ahead.push_back(row);
            }
            let row = self.ahead.pop_front()?;
            if !is_wrong_jump(self.previous_at, &row, &self.ahead) {
                self.previous_at = self.previous_at.max(Some(row.measurement.at_us));
                return Some(row);
            }
            self.rows.counts.kept -= 1;
            let at = format_time(row.measurement.at_us);
            self.rows.wrong(row.line, "the time is more than a day ahead of the rows around it", &at);
        }
    }

    /// A tick that reads these rows, in batches of their agents.
    fn cut(&mut self, at_us: TimeMicros, rows: Vec<Row>) -> Result<RecordedTick, RuntimeError> {
        let failed = |source| RuntimeError::Encode { topic: topics::MEASUREMENTS, source };
        let series = self.rows.series();
        let mut by_agent: BTreeMap<&AgentName, Vec<Measurement>> = BTreeMap::new();
        for row in rows {
            if let Some(series) = series.get(row.measurement.series as usize) {
                by_agent.entry(&series.agent).or_default().push(row.measurement);
            }
        }
        let mut batches = Vec::new();
        for (agent, measurements) in by_agent {
            let source = SourceName::new(agent.as_str());
            let invalid = |error| DecodeError::Invalid(format!("source: {error}"));
            let source = source.map_err(invalid).map_err(failed)?;
            let mut measurements = measurements.into_iter().peekable();
            while measurements.peek().is_some() {
                self.sequence += 1;
                let group = measurements.by_ref().take(BATCH_ROWS_MAX);
                batches.push(encode(&batch(&source, self.sequence, series, group)).map_err(failed)?);
            }
        }
        self.measurements_end += batches.len() as u64;
        let offset = |topic: &str, end| PartitionOffset { topic: topic.to_owned(), partition: 0, end };
        let offsets =
            vec![offset(topics::MEASUREMENTS, self.measurements_end), offset(topics::PROVISIONING, 1)];
        let tick = Tick {
            number: self.number,
            at_us,
            rules: spillway_dataflow::RULES_VERSION,
            restart: false,
            // Recorded rows are no installation's.
            installation: String::new(),
            offsets,
        };
        self.number += 1;
        Ok(RecordedTick { tick, batches })
    }
}

impl Ticks {
    /// The next tick; nothing after the last row.
    pub(crate) fn next(&mut self) -> Option<Result<RecordedTick, RuntimeError>> {
        let upcoming = tick_of(self.next_row.as_ref()?);
        if let Some(loss) = self.losses.first().copied().filter(|loss| *loss < upcoming) {
            self.losses.pop_first();
            return Some(self.cut(loss, Vec::new()));
        }
        self.losses.remove(&upcoming);
        let mut rows = Vec::new();
        while let Some(row) = self.next_row.take_if(|row| tick_of(row) <= upcoming) {
            if row.measurement.at_us.0 <= upcoming.0 - SECOND_US {
                let (count, first) = &mut self.rows.counts.late;
                *first = if *count == 0 { row.line } else { *first };
                *count += 1;
            }
            for panes in &self.panes {
                let leaves = panes.leaves_at(panes.pane(row.measurement.at_us));
                if leaves > upcoming {
                    self.losses.insert(leaves);
                }
            }
            rows.push(row);
            self.next_row = self.read_row();
        }
        Some(self.cut(upcoming, rows))
    }
}

/// The first whole second at or after a row.
fn tick_of(row: &Row) -> TimeMicros {
    second_of(row.measurement.at_us)
}

/// The first whole second at or after a time.
fn second_of(at: TimeMicros) -> TimeMicros {
    TimeMicros(-(-at.0).div_euclid(SECOND_US) * SECOND_US)
}

/// A batch of measurements that have the numbers of their series in a list.
fn batch(
    source: &SourceName,
    sequence: u64,
    of_file: &[Series],
    measurements: impl Iterator<Item = Measurement>,
) -> MeasurementBatch {
    let mut series: Vec<Series> = Vec::new();
    let mut indexes: HashMap<u32, u32> = HashMap::new();
    let renumbered = |measurement: Measurement| {
        let next = u32::try_from(series.len()).unwrap_or(u32::MAX);
        let index = *indexes.entry(measurement.series).or_insert_with_key(|number| {
            series.extend(of_file.get(*number as usize).cloned());
            next
        });
        Measurement { series: index, ..measurement }
    };
    let measurements = measurements.map(renumbered).collect();
    MeasurementBatch { source: source.clone(), boot: 1, sequence, series, measurements }
}
