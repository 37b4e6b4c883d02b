//! The columns of a batch of measurements are Avro that any library reads: a script in Python, which has only the schema file,
//! reads what was written.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use spillway_events::{
    AgentName, BitsPerSecond, Measurement, MeasurementBatch, Micros, NetworkName, Outcome, Phases, Series,
    SiteName, SourceName, TimeMicros, Tried, encode,
};

/// Numbers that need every width of a column, and none.
const NUMBERS: [Option<u64>; 6] =
    [None, Some(0), Some(254), Some(70_000), Some(5_000_000_000), Some(u64::MAX - 1)];

fn batch(sequence: u64, measurements: u32) -> MeasurementBatch {
    let series = |number: u32| Series {
        site: SiteName::new(format!("site-{}", number / 3)).unwrap(),
        target: ["origin", "cdn-ä", "edge"][number as usize % 3].to_owned(),
        agent: AgentName::new("agent").unwrap(),
        network: NetworkName::new(format!("net-{}", number % 2)).unwrap(),
    };
    // A batch uses the first `sequence` of the numbers, so that its columns have another width than those of the others.
    let number = |at: u32| NUMBERS[at as usize % usize::try_from(sequence).unwrap()];
    let measurement = |at: u32| Measurement {
        series: at % 300,
        at_us: TimeMicros(
            1_700_000_000_000_000 + i64::from(at) * 10_i64.pow(u32::try_from(sequence).unwrap()),
        ),
        tried: [Tried::ResponseTime, Tried::AvailableBandwidth, Tried::Both][at as usize % 3],
        outcome: Outcome::ALL[at as usize % 4],
        response_time_us: number(at).map(Micros),
        throughput_bps: number(at + 1).map(BitsPerSecond),
        bytes: number(at + 2),
        phases: at.is_multiple_of(5).then(|| Phases {
            resolve_us: number(at + 3).map(Micros),
            connect_us: Some(Micros(u64::from(at))),
            tls_us: None,
            first_byte_us: number(at + 4).map(Micros),
            last_byte_us: Some(Micros(7)),
        }),
        error: (at % 4 == 1).then(|| format!("error \"{}\" é", at % 6)),
    };
    MeasurementBatch {
        source: SourceName::new("agent").unwrap(),
        boot: 1 << 62,
        sequence,
        series: (0..300).map(series).collect(),
        measurements: (0..measurements).map(measurement).collect(),
    }
}

/// A measurement as the script prints it.
fn row(batch: &MeasurementBatch, measurement: &Measurement) -> Value {
    let series = &batch.series[measurement.series as usize];
    let phases = measurement.phases.unwrap_or_default();
    json!({
        "source": batch.source, "boot": batch.boot, "sequence": batch.sequence,
        "site": series.site, "target": series.target, "agent": series.agent, "network": series.network,
        "at_us": measurement.at_us, "tried": measurement.tried, "outcome": measurement.outcome,
        "response_time_us": measurement.response_time_us, "throughput_bps": measurement.throughput_bps,
        "bytes": measurement.bytes, "resolve_us": phases.resolve_us, "connect_us": phases.connect_us,
        "tls_us": phases.tls_us, "first_byte_us": phases.first_byte_us, "last_byte_us": phases.last_byte_us,
        "error": measurement.error,
    })
}

#[test]
fn python_reads_every_measurement_of_a_batch() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let python = root.join("target/python/bin/python");
    assert!(python.exists(), "{} is not there: scripts/test installs it", python.display());
    let batches: Vec<MeasurementBatch> =
        (1..).zip([0, 1, 600, 601, 7, 999]).map(|(n, count)| batch(n, count)).collect();
    let mut child = Command::new(python)
        .arg(root.join("tests/python/read_measurements.py"))
        .arg(root.join("schemas/measurement_batch.v1.avsc"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let records: Vec<Vec<u8>> = batches.iter().map(|batch| encode(batch).unwrap()).collect();
    let writer = std::thread::spawn(move || {
        for record in records {
            let text: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(input, "{text}").unwrap();
        }
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut lines = printed.lines();
    for batch in &batches {
        for measurement in &batch.measurements {
            let line: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
            assert_eq!(line, row(batch, measurement));
        }
    }
    assert_eq!(lines.next(), None);
}
