//! `backtest` and `replay verify` as a user runs them: durable runs that are killed, wrong input of every kind,
//! damaged logs; and `demo`.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use spillway_eventlog::{EmbeddedLog, EventLog, RecordReader};
use spillway_events::{Tick, TimeMicros, encode, topics};
use spillway_tests::binary::{command, folder, spillway};

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
kind: cdn
name: edge
type: operated
dns_name: edge.example
---
kind: site
name: shop
client: acme
hosts: [www.acme.example]
cdns: [edge]
objectives: [{metric: response_time, threshold: 100ms, percentile: 75, window: 30s, samples_min: 3, probes_min: 1}]
";

const HEADER: &str = "at,agent,network,target,site,response_time_ms,ok\n";

/// A row each two seconds for origin and CDN; the origin is slow every other ten minutes.
fn rows(count: u64) -> String {
    let mut text = HEADER.to_owned();
    for number in 0..count {
        let at = 1_600_000_000 + number * 2;
        let time = if number / 300 % 2 == 1 { 250 } else { 20 + number % 30 };
        writeln!(text, "{at},agent,net,origin,shop,{time}.25,1\n{at},agent,net,edge,shop,30,1").unwrap();
    }
    text
}

struct Case {
    folder: PathBuf,
}

impl Case {
    fn new(name: &str) -> Self {
        let folder = folder(name);
        std::fs::write(folder.join("site.yaml"), PROVISIONING).unwrap();
        Self { folder }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Exit status, standard output and standard error of a backtest as JSON lines.
    fn backtest(&self, arguments: &[&str]) -> (i32, String, String) {
        let file = self.folder.join("site.yaml");
        let common = ["backtest", "--format", "json", "-f", file.to_str().unwrap()];
        let output = spillway(common.iter().chain(arguments));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

fn verify(log: &Path) -> (i32, serde_json::Value) {
    let output = spillway(["replay", "verify", "--json", "--log", log.to_str().unwrap()]);
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

#[test]
fn a_durable_run_killed_again_and_again_ends_as_if_it_had_not_been() {
    let case = Case::new("killed");
    let input = case.write("rows.csv", rows(40_000));
    let (code, whole, _) = case.backtest(&[&input]);
    assert_eq!(code, 0);
    assert!(whole.lines().count() > 100);
    let log = case.folder.join("log");
    let file = case.folder.join("site.yaml");
    for round in 0..12_u64 {
        let mut child = command()
            .args(["backtest", "--quiet", "--workers", if round % 2 == 0 { "2" } else { "1" }])
            .args([Path::new("-f"), &file, Path::new("--log"), &log, Path::new(&input)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Wherever it then is: recording, deriving or printing.
        std::thread::sleep(Duration::from_millis(40 + round * round * 17));
        // A run that has ended already needs no killing.
        let _ = child.kill();
        child.wait().unwrap();
    }
    let log = log.to_str().unwrap();
    let (code, resumed, _) = case.backtest(&["--workers", "3", "--log", log, &input]);
    assert_eq!(code, 0);
    assert!(resumed == whole);
    let (code, found) = verify(Path::new(log));
    assert_eq!((code, found["differences"].as_array().map(Vec::len)), (0, Some(0)), "{found}");
    assert_eq!(found["frames_not_yet_emitted"], 0);
    assert!(found["frames_equal"].as_u64().unwrap() > 1_000);
    // The log's own ticks repeat its decisions.
    let again = spillway(["backtest", "--format", "json", "--log", log]);
    assert!(String::from_utf8(again.stdout).unwrap() == whole);
    // Other input on the same log is refused.
    let other = case.write("other.csv", rows(39_000));
    let (code, _, error) = case.backtest(&["--log", log, &other]);
    assert_eq!(code, 2, "{error}");
    // One number in the middle differs, at the same times.
    let mut changed: Vec<String> = rows(40_000).lines().map(str::to_owned).collect();
    changed[40_000] = changed[40_000].replacen(",shop,", ",shop,1", 1);
    let other = case.write("changed.csv", changed.join("\n"));
    let (code, _, error) = case.backtest(&["--log", log, &other]);
    assert!(code == 2 && error.contains("recorded from another input"), "{error}");
}

#[test]
fn wrong_rows_are_counted_with_their_line_and_the_good_ones_used() {
    let case = Case::new("wrong-rows");
    let good = rows(30);
    let (code, expected, _) = case.backtest(&["--strict", &case.write("good.csv", &good)]);
    assert_eq!(code, 0);
    let mut lines: Vec<&str> = good.lines().collect();
    let wrong = [
        "garbage",
        "yesterday,agent,net,origin,shop,1,1",
        "1600000010,agent,net,origin,shop,-5,1",
        "1600000010,agent,net,origin,shop,99999999999999999999,1",
        "1600000010,agent,net,origin,shop,NaN,1",
        "1600000010,agent,net,origin,shop,1,perhaps",
    ];
    for row in wrong {
        lines.insert(7, row);
    }
    let input = case.write("wrong.csv", lines.join("\n"));
    let (code, output, error) = case.backtest(&[&input]);
    assert_eq!((code, output == expected), (0, true), "{error}");
    for (line, row) in (8..).zip(wrong.iter().rev()) {
        assert!(error.contains(&format!("wrong.csv:{line}: ")), "line {line}, {row}: {error}");
    }
    assert_eq!(case.backtest(&["--strict", &input]).0, 1);
}

#[test]
fn late_rows_are_used_and_counted() {
    let case = Case::new("late");
    let late = rows(30) + "1600000001,agent,net,origin,shop,20,1\n";
    let input = case.write("late.csv", late);
    let (code, _, error) = case.backtest(&["--strict", &input]);
    assert_eq!(code, 1);
    assert!(error.contains("1 used late") && error.contains("first in line 62"), "{error}");
}

/// One row of the year 9999 would make all later rows late. A pause of days in the recording is no such row.
#[test]
fn a_row_that_jumps_ahead_is_wrong_and_the_later_rows_still_count() {
    let case = Case::new("jump");
    let good = rows(600);
    let lines: Vec<&str> = good.lines().collect();
    let (_, expected, _) = case.backtest(&[&case.write("good.csv", &good)]);
    for (line, at) in [(2, "9999-12-31T23:59:59Z"), (700, "9999-12-31T23:59:59Z"), (1_202, "1600090000")] {
        let mut lines = lines.clone();
        let row = format!("{at},agent,net,origin,shop,20,1");
        lines.insert(line - 1, &row);
        let input = case.write("jump.csv", lines.join("\n"));
        let (code, output, error) = case.backtest(&["--strict", &input]);
        assert_eq!((code, output == expected), (1, true), "line {line}: {error}");
        assert!(error.contains(&format!("jump.csv:{line}: the time is more than a day ahead")), "{error}");
        assert!(error.contains("1 wrong: ") && !error.contains("used late"), "{error}");
        assert!(error.contains("1201 rows read, 1200 used"), "{error}");
    }
    let later = good.lines().skip(1).map(|line| format!("17{}\n", &line[2..])).collect::<String>();
    let (code, output, error) = case.backtest(&["--strict", &case.write("pause.csv", good.clone() + &later)]);
    assert_eq!((code, output.starts_with(&expected)), (0, true), "{error}");
    assert!(error.contains("2400 rows read, 2400 used"), "{error}");
}

/// Runs the command that the warning names on the file, too.
#[test]
fn more_than_one_percent_of_late_rows_is_a_warning_that_names_the_command_to_sort() {
    let case = Case::new("many-late");
    let good = rows(1_000);
    let late = "1600000001,agent,net,origin,shop,20,1\n";
    let (_, _, error) = case.backtest(&[&case.write("few.csv", good.clone() + &late.repeat(20))]);
    assert!(error.contains("20 used late") && !error.contains("warning: more than"), "{error}");
    let many = case.write("many.csv", good + &late.repeat(21));
    let (code, _, error) = case.backtest(&[&many]);
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("warning: more than 1 % of the rows are late"), "{error}");
    let (_, command) = error.split_once("for example with `").unwrap();
    let (command, _) = command.split_once('`').unwrap();
    let command = command.replace("FILE", &many).replace("N,N", "1,1");
    let sorted = Command::new("sh").args(["-c", &command]).output().unwrap().stdout;
    let (code, _, error) = case.backtest(&["--strict", &case.write("sorted.csv", sorted)]);
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("2021 rows read, 2021 used"), "{error}");
}

/// The test of the crate `backtest` counts the bytes that are read.
#[test]
fn a_gzip_with_a_row_of_hundreds_of_megabytes_is_used_up_to_that_row() {
    let case = Case::new("gzip-bomb");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(rows(30).as_bytes()).unwrap();
    let zeros = vec![b'0'; 1024 * 1024];
    for _ in 0..300 {
        encoder.write_all(&zeros).unwrap();
    }
    let input = case.write("bomb.csv.gz", encoder.finish().unwrap());
    let (code, output, error) = case.backtest(&["--strict", &input]);
    assert_eq!(code, 1);
    assert!(error.contains("bomb.csv.gz:62: the rest of the file cannot be read: "), "{error}");
    assert!(error.contains("the row has more than 1 MiB") && error.len() < 2_000, "{error}");
    assert!(error.contains("61 rows read, 60 used") && !output.is_empty(), "{error}");
}

#[test]
fn a_row_over_the_bound_is_wrong_and_the_later_rows_still_count() {
    let case = Case::new("long-row");
    let good = rows(30);
    let (_, expected, _) = case.backtest(&[&case.write("good.csv", &good)]);
    let long = format!("1600000010,agent,net,origin,shop,1,{}", "1".repeat(1024 * 1024));
    let mut lines: Vec<&str> = good.lines().collect();
    lines.insert(7, &long);
    let (code, output, error) = case.backtest(&["--strict", &case.write("long.csv", lines.join("\n"))]);
    assert_eq!((code, output == expected), (1, true), "{error}");
    assert!(error.contains("long.csv:8: too long a row: 10486") && error.len() < 2_000, "{error}");
}

#[test]
fn the_columns_of_a_long_header_are_listed_only_in_part() {
    let case = Case::new("long-header");
    for header in ["column,".repeat(100_000), "c".repeat(900_000)] {
        let (code, _, error) = case.backtest(&[&case.write("header.csv", header + "\n")]);
        assert_eq!(code, 2);
        assert!(error.contains("no such column: at=at, agent=agent"), "{error}");
        assert!(error.len() < 2_000, "the message has {} bytes", error.len());
    }
}

#[test]
fn equal_rows_are_not_repeats() {
    let case = Case::new("equal");
    let row = "1600000000,agent,net,origin,shop,20,1\n";
    let (_, output, _) = case.backtest(&[&case.write("equal.csv", HEADER.to_owned() + &row.repeat(3))]);
    assert!(output.contains("\"verdict\":\"below\"") && output.contains("\"samples\":3"), "{output}");
}

#[test]
fn a_gzip_that_ends_early_is_used_up_to_there() {
    let case = Case::new("gzip");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(rows(5_000).as_bytes()).unwrap();
    let bytes = encoder.finish().unwrap();
    let input = case.write("cut.csv.gz", &bytes[..bytes.len() / 2]);
    let (code, output, error) = case.backtest(&["--strict", &input]);
    assert_eq!(code, 1);
    assert!(error.contains("the rest of the file cannot be read") && !output.is_empty(), "{error}");
}

#[test]
fn what_cannot_be_begun_says_why() {
    let case = Case::new("refused");
    let input = case.write("rows.csv", rows(10));
    for (arguments, why) in [
        (vec!["--column", "at=when", input.as_str()], "no such column: at=when"),
        (vec!["--column", "what=at", input.as_str()], "`what` is none of"),
        (vec![case.write("empty.csv", "").as_str()], "the file is empty"),
        (vec!["no-such-file.csv"], "cannot read no-such-file.csv"),
    ] {
        let (code, output, error) = case.backtest(&arguments);
        assert_eq!((code, output.as_str()), (2, ""), "{error}");
        assert!(error.contains(why), "{error}");
    }
    std::fs::write(
        case.folder.join("site.yaml"),
        PROVISIONING.replace("100ms", "100").replace("\nname: edge", "\nnam: edge"),
    )
    .unwrap();
    let (code, _, error) = case.backtest(&[&input]);
    assert_eq!(code, 2);
    for part in ["site.yaml:11", "name: is missing", "nam: is not a known field", "threshold"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn only_a_header_is_an_input_without_rows() {
    let case = Case::new("header");
    let (code, _, error) = case.backtest(&["--strict", &case.write("header.csv", HEADER)]);
    assert_eq!(code, 1);
    assert!(error.contains("the input has no rows"), "{error}");
}

#[test]
fn a_damaged_log_is_refused_by_name() {
    let case = Case::new("damaged");
    let input = case.write("rows.csv", rows(2_000));
    let log = case.folder.join("log");
    assert_eq!(case.backtest(&["--log", log.to_str().unwrap(), &input]).0, 0);
    let file = std::fs::read_dir(&log).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    let needle = b"origin";
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let output = spillway(["replay", "verify", "--log", log.to_str().unwrap()]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("log.redb") || error.contains("offset"), "{error}");
}

/// Two ticks a minute apart are appended, of which nothing is derived: only the last one may lack its output.
#[test]
fn output_that_is_missing_before_the_last_seconds_fails_the_verification() {
    let case = Case::new("missing-output");
    let folder = case.folder.join("log");
    let input = case.write("rows.csv", rows(100));
    assert_eq!(case.backtest(&["--log", folder.to_str().unwrap(), &input]).0, 0);
    assert_eq!(verify(&folder).0, 0);
    let log = EmbeddedLog::open(&folder).unwrap();
    let next = log.end(topics::TICKS, 0).unwrap();
    let last = RecordReader::<Tick>::new(&log, topics::TICKS, 0, next - 1).next().unwrap().unwrap().1;
    for (number, seconds) in [(next, 60), (next + 1, 120)] {
        let at_us = TimeMicros(last.at_us.0 + seconds * 1_000_000);
        let tick = Tick { number, at_us, ..last.clone() };
        log.append_at(topics::TICKS, number, &encode(&tick).unwrap()).unwrap();
    }
    drop(log);
    let (code, found) = verify(&folder);
    let missing = format!("snapshots/0: the frame of tick {next} is missing");
    assert_eq!((code, &found["differences"][0]), (1, &serde_json::json!(missing)), "{found}");
    let all = found["differences"].as_array().unwrap();
    let is_missing = |text: &str| text.ends_with(&format!(": the frame of tick {next} is missing"));
    assert!(all.iter().all(|text| is_missing(text.as_str().unwrap())), "{found}");
    assert!(found["frames_not_yet_emitted"].as_u64().unwrap() > 0, "{found}");
}

#[test]
fn the_demo_turns_to_the_cdn_and_back() {
    let output = spillway(["demo"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let changes: Vec<&str> = text.lines().filter(|line| line.contains("first changed answer")).collect();
    assert_eq!(changes.len(), 2, "{text}");
    assert!(
        changes[0].contains("IN CNAME acme.edge-one.example.") && changes[1].contains("IN A 127.0.0.1"),
        "{text}"
    );
}
