//! The parts of the benchmark of sliding percentiles, which `scripts/bench/sliding` runs in turn. Each prints one line of
//! `key=value` pairs. Times are CPU time.
//!
//! - `generate FOLDER MEASUREMENTS` writes the same measurements as CSV rows and as records of the log.
//! - `expect MEASUREMENTS` prints what the dataflow must find, by a plain loop that follows its ticks.
//! - `slide FOLDER` runs the plain loop over the rows.
//! - `spillway FOLDER PERIOD_S` runs the dataflow over the records, on one worker.
//! - `keys KEYS` measures memory a key.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark may stop, and reads files and /proc"
)]

mod keys;
mod log;
mod plain;
mod recorded;
mod rows;
mod spillway;
mod usage;
mod windows;
mod writer;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use windows::Values;

/// As the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["generate", folder, measurements] => generate(Path::new(folder), measurements.parse().unwrap()),
        ["expect", measurements] => {
            let expected = plain::as_read(rows::rows(measurements.parse().unwrap()), [1, 10]);
            let [each_second, each_10_s] = expected.map(text);
            println!("each_1s={each_second} each_10s={each_10_s}");
        }
        ["slide", folder] => {
            let values = plain::slide(&Path::new(folder).join("rows.csv"));
            println!("cpu_ns={} values={}", usage::own_time().as_nanos(), text(values));
        }
        ["spillway", folder, period_s] => spillway(Path::new(folder), period_s.parse().unwrap()),
        ["keys", keys] => keys::keys(keys.parse().unwrap()),
        _ => panic!("unknown arguments: {arguments:?}"),
    }
}

fn text(values: Values) -> String {
    format!("{}:{:016x}", values.count, values.checksum)
}

fn generate(folder: &Path, measurements: u64) {
    let mut csv = BufWriter::new(File::create(folder.join("rows.csv")).unwrap());
    let mut records =
        writer::Writer::create(&folder.join("records"), &log::provisioning(rows::SITES, log::MINUTE));
    let (mut batches, mut bytes) = (0, 0);
    let rows = rows::rows(measurements).inspect(|(_, row)| writeln!(csv, "{row}").unwrap());
    for (at_us, groups) in rows::Ticks::new(rows) {
        let record = |group: &rows::Group| (u32::from(group.network), log::batch_record(group));
        let tick = (at_us, groups.iter().map(record).collect::<Vec<_>>());
        batches += tick.1.len();
        bytes += tick.1.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        records.tick(&tick);
    }
    records.finish();
    csv.flush().unwrap();
    println!("batches={batches} bytes={bytes}");
}

fn spillway(folder: &Path, period_s: i64) {
    let file = folder.join("records");
    let last = recorded::Reader::open(&file).1.count() as u64 - 1;
    // The thread that feeds reads on, and frames are dropped once they are read, so that their memory is used again, as that of
    // a running system is.
    let (provisioning, ticks) = recorded::Reader::open(&file);
    let mut reader = spillway::ValuesReader::default();
    let read = |frame: Vec<Vec<u8>>| reader.read(&frame);
    let marked = spillway::run(period_s, &provisioning, ticks, &[last], || (), read);
    println!("cpu_ns={} values={}", marked[0].0.as_nanos(), text(reader.values));
}
