//! Random calls, including restarts, compared with a model: a vector of records and a start offset.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use spillway_eventlog::{Appended, Batch, EmbeddedLog, EventLog, LogError};
use tempfile::TempDir;

#[derive(Debug, Clone)]
enum Call {
    Append(Vec<Vec<Vec<u8>>>),
    AppendAt { back: u64, record: Vec<u8> },
    Read { from: u64, records_max: usize, bytes_max: usize },
    Truncate(u64),
    Restart,
}

fn call() -> impl Strategy<Value = Call> {
    let record = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 2_000..90_000_usize).prop_map(|(byte, length)| vec![byte; length]),
    ];
    let records = prop::collection::vec(record.clone(), 0..12);
    prop_oneof![
        4 => prop::collection::vec(records, 1..4).prop_map(Call::Append),
        2 => (0..4_u64, record).prop_map(|(back, record)| Call::AppendAt { back, record }),
        4 => (0..200_u64, 0..50_usize, 0..100_000_usize)
            .prop_map(|(from, records_max, bytes_max)| Call::Read { from, records_max, bytes_max }),
        1 => (0..200_u64).prop_map(Call::Truncate),
        1 => Just(Call::Restart),
    ]
}

#[derive(Default)]
struct Model {
    records: Vec<Vec<u8>>,
    start: u64,
}

impl Model {
    fn end(&self) -> u64 {
        self.records.len() as u64
    }

    fn at(&self, offset: u64) -> &Vec<u8> {
        &self.records[usize::try_from(offset).unwrap()]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn behaves_like_the_model(calls in prop::collection::vec(call(), 1..60)) {
        let folder = TempDir::new().unwrap();
        let mut log = EmbeddedLog::create(folder.path()).unwrap();
        log.create_topic("ticks", 1).unwrap();
        let mut model = Model::default();
        for call in calls {
            match call {
                Call::Restart => {
                    drop(log);
                    log = EmbeddedLog::open(folder.path()).unwrap();
                }
                call => run(&log, &mut model, call),
            }
            prop_assert_eq!(log.start("ticks", 0).unwrap(), model.start);
            prop_assert_eq!(log.end("ticks", 0).unwrap(), model.end());
        }
    }
}

fn run(log: &EmbeddedLog, model: &mut Model, call: Call) {
    match call {
        Call::Append(batches) => append(log, model, &batches),
        Call::AppendAt { back, record } => {
            let number = (model.end() + 1).saturating_sub(back);
            let appended = log.append_at("ticks", number, &record);
            if number < model.start {
                assert!(matches!(appended, Err(LogError::Truncated { .. })), "{appended:?}");
            } else if number == model.end() {
                assert_eq!(appended.unwrap(), Appended::Won(number));
                model.records.push(record);
            } else if number < model.end() && *model.at(number) == record {
                assert_eq!(appended.unwrap(), Appended::Won(number));
            } else {
                assert_eq!(appended.unwrap(), Appended::Lost { next: model.end() });
            }
        }
        Call::Read { from, records_max, bytes_max } => read(log, model, from, records_max, bytes_max),
        Call::Truncate(offset) => match log.truncate_before("ticks", 0, offset) {
            Ok(()) => {
                assert!(offset <= model.end());
                model.start = model.start.max(offset);
            }
            Err(error) => assert!(matches!(error, LogError::BeyondEnd { .. }) && offset > model.end()),
        },
        Call::Restart => {}
    }
}

fn append(log: &EmbeddedLog, model: &mut Model, batches: &[Vec<Vec<u8>>]) {
    let slices: Vec<Vec<&[u8]>> =
        batches.iter().map(|records| records.iter().map(Vec::as_slice).collect()).collect();
    let batches: Vec<_> =
        slices.iter().map(|records| Batch { topic: "ticks", partition: 0, records }).collect();
    let mut firsts = Vec::new();
    for records in &slices {
        firsts.push(model.end());
        model.records.extend(records.iter().map(|record| record.to_vec()));
    }
    assert_eq!(log.append_many(&batches).unwrap(), firsts);
}

fn read(log: &EmbeddedLog, model: &Model, from: u64, records_max: usize, bytes_max: usize) {
    let found = log.read("ticks", 0, from, records_max, bytes_max);
    if from > model.end() {
        assert!(matches!(found, Err(LogError::BeyondEnd { .. })));
        return;
    }
    // If all records are deleted, start equals end.
    if from < model.start {
        assert!(matches!(found, Err(LogError::Truncated { .. })));
        return;
    }
    let found = found.unwrap();
    let mut bytes = 0;
    for (entry, offset) in found.iter().zip(from..) {
        assert_eq!((entry.offset, &entry.bytes), (offset, model.at(offset)));
        bytes += entry.bytes.len();
    }
    let next = from + found.len() as u64;
    assert!(found.len() <= records_max.max(1) && (found.len() <= 1 || bytes <= bytes_max));
    // It must have stopped at the end or at a bound.
    let fits = || found.len() < records_max && bytes + model.at(next).len() <= bytes_max;
    assert!(next == model.end() || (!found.is_empty() && !fits()), "stopped at {next}");
}
