//! Columns hold what the measurements hold, in the least width, and bytes that contradict themselves are refused.

use proptest::prelude::*;

use super::*;
use crate::codec::{Record, decode, encode};

/// A batch in which every field is drawn; `numbers` sets the widths of the columns.
fn batch() -> impl Strategy<Value = MeasurementBatch> {
    let number = prop_oneof![0_u64..3, 0_u64..300, 0_u64..70_000, 0_u64..1 << 40, Just(u64::MAX - 1)];
    let optional = prop::option::of(number.clone());
    let micros = || prop::option::of(number.clone().prop_map(Micros));
    let phases = (micros(), micros(), micros(), micros(), micros()).prop_map(
        |(resolve_us, connect_us, tls_us, first_byte_us, last_byte_us)| {
            let phases = Phases { resolve_us, connect_us, tls_us, first_byte_us, last_byte_us };
            // "No phase is known" is written as "no phases".
            (phases != Phases::default()).then_some(phases)
        },
    );
    let error = prop::option::of(prop::sample::select(vec!["", "refused", "é\n"]).prop_map(String::from));
    let attempt = (
        prop::sample::select(vec![Tried::ResponseTime, Tried::AvailableBandwidth, Tried::Both]),
        prop::sample::select(Outcome::ALL.to_vec()),
    );
    let at_us = prop_oneof![1_700_000_000_000_000_i64..1_700_000_001_000_000, any::<i64>()];
    let measurement = (any::<u32>(), at_us, attempt, micros(), optional.clone(), optional, phases, error);
    let names = prop::sample::select(vec!["a", "b", "shop", "n.1"]);
    let series = prop::collection::vec((names.clone(), "[a-é]{0,3}", names.clone(), names.clone()), 1..5);
    let measurements = prop::collection::vec(measurement, 0..40);
    (names, 0..1_u64 << 63, 1..1_u64 << 63, series, measurements).prop_map(
        |(source, boot, sequence, series, measurements)| {
            let series: Vec<Series> = series
                .into_iter()
                .map(|(site, target, agent, network)| Series {
                    site: SiteName::new(site).unwrap(),
                    target,
                    agent: AgentName::new(agent).unwrap(),
                    network: NetworkName::new(network).unwrap(),
                })
                .collect();
            let count = u32::try_from(series.len()).unwrap();
            let measurements = measurements.into_iter().map(
                |(number, at_us, (tried, outcome), response_time_us, throughput, bytes, phases, error)| {
                    Measurement {
                        series: number % count,
                        at_us: TimeMicros(at_us),
                        tried,
                        outcome,
                        response_time_us,
                        throughput_bps: throughput.map(BitsPerSecond),
                        bytes,
                        phases,
                        error,
                    }
                },
            );
            let measurements = measurements.collect();
            let source = SourceName::new(source).unwrap();
            MeasurementBatch { source, boot, sequence, series, measurements }
        },
    )
}

proptest! {
    #[test]
    fn columns_hold_what_the_measurements_hold(batch in batch()) {
        let bytes = encode(&batch).unwrap();
        prop_assert_eq!(decode::<MeasurementBatch>(&bytes), Ok(batch.clone()));
        let columns = MeasurementColumns::decode(&bytes).unwrap();
        prop_assert_eq!((columns.source(), columns.boot(), columns.sequence()),
            (batch.source.as_str(), batch.boot, batch.sequence));
        prop_assert_eq!(columns.measurements_count(), batch.measurements.len());
        for (names, series) in columns.series().zip(&batch.series) {
            prop_assert_eq!((names.site, names.target), (series.site.as_str(), series.target.as_str()));
            prop_assert_eq!((names.agent, names.network), (series.agent.as_str(), series.network.as_str()));
        }
        prop_assert_eq!(columns.series().count(), batch.series.len());
        for (row, measurement) in columns.rows().zip(&batch.measurements) {
            let expected = AttemptRow {
                series: measurement.series,
                at_us: measurement.at_us,
                tried: measurement.tried,
                outcome: measurement.outcome,
                response_time_us: measurement.response_time_us,
                throughput_bps: measurement.throughput_bps,
            };
            prop_assert_eq!(row, expected);
        }
    }

    // JSON holds measurements in a list, and is read to the same batch.
    #[test]
    fn json_reads_to_the_same_batch(batch in batch()) {
        let json = serde_json::to_vec(&batch).unwrap();
        prop_assert_eq!(decode::<MeasurementBatch>(&json), Ok(batch));
    }

    // Whatever is changed in a record, it is refused or read, without a panic, and what is read can be written.
    #[test]
    fn damaged_columns_do_not_panic(batch in batch(), at in any::<prop::sample::Index>(), bit in 0_u8..8, cut in any::<bool>()) {
        let mut bytes = encode(&batch).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        if let Ok(columns) = MeasurementColumns::decode(&bytes) {
            prop_assert!(columns.rows().all(|row| (row.series as usize) < columns.series().count()));
        }
        if let Ok(batch) = decode::<MeasurementBatch>(&bytes) {
            prop_assert_eq!(decode::<MeasurementBatch>(&encode(&batch).unwrap()), Ok(batch));
        }
    }
}

fn columns(change: impl FnOnce(&mut MeasurementColumns<'_>)) -> Result<usize, String> {
    let numbers = |numbers: &[u64]| Column::of(numbers.iter().copied());
    let mut columns = MeasurementColumns {
        source: "agent",
        boot: 1,
        sequence: 1,
        names: vec!["shop", "origin", "agent", "net"],
        series_site: Column(Cow::Borrowed(&[0, 0])),
        series_target: numbers(&[1]),
        series_agent: numbers(&[2]),
        series_network: numbers(&[3]),
        outcome: Column(Cow::Borrowed(&[0x00, 0x21])),
        series: numbers(&[0, 0]),
        first_at_us: 5,
        after_first_us: numbers(&[0, 300]),
        response_time_us: numbers(&[7, 0]),
        throughput_bps: numbers(&[0, 0]),
        bytes: numbers(&[0, 0]),
        resolve_us: numbers(&[0, 0]),
        connect_us: numbers(&[0, 0]),
        tls_us: numbers(&[0, 0]),
        first_byte_us: numbers(&[0, 0]),
        last_byte_us: numbers(&[0, 0]),
        errors: vec!["refused"],
        error: numbers(&[0, 1]),
    };
    change(&mut columns);
    let bytes = encode_columns(&columns);
    match MeasurementColumns::decode(&bytes) {
        Ok(columns) => Ok(columns.rows().count()),
        Err(DecodeError::Invalid(why)) => Err(why),
        Err(other) => Err(format!("not even valid: {other}")),
    }
}

fn encode_columns(columns: &MeasurementColumns<'_>) -> Vec<u8> {
    crate::codec::encode_serialized(columns, MeasurementBatch::schema()).unwrap()
}

/// Each of these would be read as something that nobody wrote.
#[test]
fn columns_that_contradict_each_other_are_refused() {
    assert_eq!(columns(|_| {}), Ok(2));
    let refused = |part: &str, change: fn(&mut MeasurementColumns<'_>)| {
        let why = columns(change).unwrap_err();
        assert!(why.starts_with(part), "{why}");
    };
    refused("series_target: 3 bytes", |c| c.series_target = Column(Cow::Borrowed(&[0; 3])));
    refused("series_target[0]: no such name", |c| c.series_target = Column(Cow::Borrowed(&[4])));
    refused("series_site: 3 bytes", |c| c.series_site = Column(Cow::Borrowed(&[0; 3])));
    refused("series: 3 bytes", |c| c.series = Column(Cow::Borrowed(&[0; 3])));
    refused("series[1]: no such series", |c| c.series = Column(Cow::Borrowed(&[0, 1])));
    refused("series[0]: no such series", |c| {
        for column in [&mut c.series_site, &mut c.series_target, &mut c.series_agent, &mut c.series_network] {
            *column = Column(Cow::Borrowed(&[]));
        }
        c.series = Column(Cow::Borrowed(&[]));
    });
    refused("error[0]: no such error", |c| c.error = Column(Cow::Borrowed(&[2, 0])));
    refused("throughput_bps: 5 bytes", |c| c.throughput_bps = Column(Cow::Borrowed(&[0; 5])));
    refused("outcome[1]: 4 is no outcome", |c| c.outcome = Column(Cow::Borrowed(&[0, 4])));
    refused("outcome[0]: 48 is no outcome", |c| c.outcome = Column(Cow::Borrowed(&[48, 0])));
    refused("after_first_us", |c| c.first_at_us = i64::MAX);
    refused("sequence", |c| c.sequence = 0);
    refused("names, errors", |c| c.names = vec!["n"; NAMES_MAX + 1]);
    refused("names, errors", |c| c.errors = vec!["e"; BATCH_RECORDS_MAX + 1]);
    refused("names, errors: a text", |c| {
        c.errors = vec![Box::leak("e".repeat(TEXT_BYTES_MAX + 1).into_boxed_str())]
    });
    refused("names, errors: a text", |c| {
        c.names[1] = Box::leak("n".repeat(TEXT_BYTES_MAX + 1).into_boxed_str())
    });
    refused("names[0]: a name", |c| c.names[0] = "shop!");
    refused("names[2]: a name", |c| c.names[2] = "");
    refused("names[3]: a name", |c| c.names[3] = "-");
    refused("series_agent[0]: no such name", |c| c.series_agent = Column(Cow::Borrowed(&[4])));
    refused("series_network[0]: no such name", |c| c.series_network = Column(Cow::Borrowed(&[255])));
    refused("series_site, outcome", |c| {
        c.series_site = Column(Cow::Owned(vec![0; 2 * BATCH_SERIES_MAX + 2]));
    });
    refused("series_site, outcome", |c| c.outcome = Column(Cow::Owned(vec![0; BATCH_RECORDS_MAX + 1])));
}

/// What a batch of a probe costs on the log: 500 measurements of 282 series.
#[test]
fn a_measurement_takes_less_than_17_bytes() {
    let series = (0..282).map(|series| Series {
        site: SiteName::new(format!("client-{:04}", series % 100)).unwrap(),
        target: ["origin", "cdn-a", "cdn-b"][series / 100].to_owned(),
        agent: AgentName::new("agent-17").unwrap(),
        network: NetworkName::new("network-17").unwrap(),
    });
    let measurement = |number: u32| Measurement {
        series: number % 282,
        at_us: TimeMicros(1_767_225_600_000_000 + i64::from(number) * 1_500),
        tried: Tried::ResponseTime,
        outcome: Outcome::Ok,
        response_time_us: Some(Micros(20_000 + u64::from(number) * 400)),
        throughput_bps: None,
        bytes: None,
        phases: None,
        error: None,
    };
    let batch = MeasurementBatch {
        source: SourceName::new("agent-17").unwrap(),
        boot: 1_767_225_600_000_000,
        sequence: 1,
        series: series.collect(),
        measurements: (0..500).map(measurement).collect(),
    };
    let bytes = encode(&batch).unwrap().len();
    assert!(bytes < 17 * 500, "{bytes} bytes");
}

#[test]
fn a_number_that_no_column_can_hold_is_not_written() {
    let json = br#"{"source":"s","boot":1,"sequence":1,"series":[{"site":"s","target":"o","agent":"a","network":"n"}],
        "measurements":[{"series":0,"at_us":0,"tried":"both","outcome":"ok","bytes":18446744073709551615}]}"#;
    let batch: MeasurementBatch = decode(json).unwrap();
    assert!(
        matches!(encode(&batch), Err(DecodeError::Datum(why)) if why.contains("than what a column can hold"))
    );
}
