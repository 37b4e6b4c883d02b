//! The bounds of the input hold before memory is taken: the reader stops after a bounded number of bytes of a row that does
//! not end. The input is a generated stream, which counts the bytes that are read from it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use spillway_backtest::{ColumnNames, Renames, Rows, Ticks, run};
use spillway_events::TimeMicros;
use spillway_provisioning::{Parsed, SourceFile, State, parse_files};

const PROVISIONING: &str = "\
kind: client
name: acme
---
kind: network
name: net
---
kind: probe
agent: agent
network: net
---
kind: site
name: shop
client: acme
hosts: [www.acme.example]
objectives: [{metric: response_time, threshold: 100ms, percentile: 75, window: 30s, samples_min: 3, probes_min: 1}]
";
const HEADER: &str = "at,agent,network,target,site,response_time_ms\n";
const MIB: u64 = 1024 * 1024;
/// The longest row, and what the readers buffer.
const READ_BYTES_MAX: u64 = 2 * MIB;
/// Where the stream ends if no bound stops the reader before.
const STREAM_BYTES: u64 = 64 * MIB;

/// A text, and then one byte again and again.
struct Endless {
    text: &'static [u8],
    then: u8,
    read: Arc<AtomicU64>,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = if self.text.is_empty() {
            let left = STREAM_BYTES - self.read.load(Ordering::Relaxed);
            let most = buffer.len().min(usize::try_from(left).unwrap());
            buffer[..most].fill(self.then);
            most
        } else {
            self.text.read(buffer)?
        };
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn provisioned() -> (Parsed, State) {
    let file = SourceFile { name: "site.yaml", bytes: PROVISIONING.as_bytes() };
    let parsed = parse_files(&[file]).unwrap();
    let mut state = State::default();
    state.apply(&spillway_backtest::first_record(&parsed.objects, TimeMicros(0)).unwrap()).unwrap();
    (parsed, state)
}

/// Opens the stream as the input, and how many bytes of it have been read.
fn open(text: &'static str, then: u8) -> (Result<Rows, String>, Arc<AtomicU64>) {
    let read = Arc::new(AtomicU64::new(0));
    let stream = Endless { text: text.as_bytes(), then, read: Arc::clone(&read) };
    let (_, state) = provisioned();
    // The file is opened but not read.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let progress = |_: File| -> Box<dyn Read + Send> { Box::new(stream) };
    let rows = Rows::open(&file, progress, &ColumnNames::default(), Renames::default(), &state, |_| ());
    let chain = |error: &dyn std::error::Error| {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            text += &format!(": {cause}");
            next = cause.source();
        }
        text
    };
    (rows.map_err(|error| chain(&error)), read)
}

#[test]
fn a_row_without_an_end_is_read_no_further_than_the_bound() {
    // One field that goes on, many empty fields, and a quote that is never closed.
    for (text, then) in [
        ("at,agent,network,target,site,response_time_ms\n1600000000,", b'x'),
        ("at,agent,network,target,site,response_time_ms\n", b','),
        ("at,agent,network,target,site,response_time_ms\n\"1600000000,agent\n", b'\n'),
    ] {
        let (rows, read) = open(text, then);
        let (parsed, state) = provisioned();
        let ticks = Ticks::new(rows.unwrap(), &state);
        let (counts, _) = run(ticks, &parsed.objects, 1, &mut |_| Ok(())).unwrap();
        let mut printed = Vec::new();
        counts.print(&mut printed).unwrap();
        let printed = String::from_utf8(printed).unwrap();
        assert!(
            printed.contains("1 wrong: the rest of the file cannot be read, first in line 2"),
            "{printed}"
        );
        assert!(read.load(Ordering::Relaxed) <= READ_BYTES_MAX, "{read:?} bytes were read");
    }
}

#[test]
fn a_header_without_an_end_is_an_error_with_a_short_message() {
    for then in [b'x', b','] {
        let (rows, read) = open("at,agent,", then);
        let Err(error) = rows else { panic!("the header was accepted") };
        assert!(error.contains("the header is not a row of CSV"), "{error}");
        assert!(error.contains("more than 1 MiB") && error.len() < 1_000, "{error}");
        assert!(read.load(Ordering::Relaxed) <= READ_BYTES_MAX, "{read:?} bytes were read");
    }
    // The same stream with a header that ends is accepted.
    assert!(open(HEADER, b'\n').0.is_ok());
}
