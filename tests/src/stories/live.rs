//! A story in the live process: a log folder that holds its records and ticks, and `spillway up` on it.
//!
//! The story's last moment lies in the last two minutes, so that its windows still hold when the process is asked; that of a
//! story with an agreement in the last six.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use hickory_proto::op::Message;
use spillway_eventlog::{Appended, EmbeddedLog, EventLog, FrameReader};
use spillway_events::{Decision, Record, TimeMicros, encode, topics};

use super::answers::{from_message, message};
use super::compare::Got;
use super::script::Script;
use super::story::{Ask, Story};
use crate::binary::{command, folder};

/// How often, and how many times, the process is asked until it answers as expected.
const ASK_INTERVAL: Duration = Duration::from_millis(100);
const ASKS_MAX: usize = 300;
const MINUTE_US: i64 = 60_000_000;

pub(super) fn run(story: &Story) -> (Script, Got) {
    let now_us = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap();
    let last = story.moments.last().unwrap();
    // Whole minutes, so that panes begin where they do in the other layers, and agreements where they can.
    let whole_us = if story.has_agreement() { 5 * MINUTE_US } else { MINUTE_US };
    let script = Script::new(story, TimeMicros((now_us - last.at_us) / whole_us * whole_us));
    let name = Path::new(&story.file).file_stem().unwrap().to_string_lossy();
    let data = folder(&format!("story-{name}")).join("data");
    write_log(&data, &script);
    let mut got = Got::new(script.base);
    let up = Up::start(&data);
    for ask in &last.asks {
        got.answers.insert(ask.line, up.ask_until_as_expected(ask));
    }
    up.stop();
    let log = EmbeddedLog::open(&data).unwrap();
    let ticks = script.ticks.len() as u64;
    for partition in 0..log.partitions(topics::DECISIONS).unwrap() {
        for frame in FrameReader::<Decision>::all(&log, topics::DECISIONS, partition).unwrap() {
            let (tick, decisions) = frame.unwrap();
            if tick < ticks {
                got.decisions.extend(decisions);
            }
        }
    }
    (script, got)
}

/// The log as it would be if the process had read the story's records at the story's ticks, and had derived nothing.
fn write_log(data: &Path, script: &Script) {
    let log = EmbeddedLog::create(data).unwrap();
    spillway_runtime::topics::create(&log, 1).unwrap();
    for tick in &script.ticks {
        for record in &tick.provisioning {
            append_at(&log, topics::PROVISIONING, record.number, record);
        }
        tick.measurements.iter().for_each(|batch| append(&log, topics::MEASUREMENTS, batch));
        tick.statistics.iter().for_each(|batch| append(&log, topics::STATISTICS, batch));
        append_at(&log, topics::TICKS, tick.tick.number, &tick.tick);
    }
}

fn append<R: Record>(log: &EmbeddedLog, topic: &str, record: &R) {
    log.append(topic, 0, &[&encode(record).unwrap()]).unwrap();
}

fn append_at<R: Record>(log: &EmbeddedLog, topic: &str, number: u64, record: &R) {
    let appended = log.append_at(topic, number, &encode(record).unwrap()).unwrap();
    assert!(matches!(appended, Appended::Won(_)), "{topic} {number}: {appended:?}");
}

/// A running `spillway up`, which is killed if the test fails.
struct Up {
    child: Child,
    dns: String,
}

impl Drop for Up {
    fn drop(&mut self) {
        // One that has stopped needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Up {
    fn start(data: &Path) -> Self {
        let address = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let (dns, api) = (address(), address());
        let child = command()
            .args([Path::new("up"), Path::new("--data"), data])
            .args(["--dns", &dns, "--api", &api])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, dns }
    }

    /// The first answer that is as expected, or else the last one.
    fn ask_until_as_expected(&self, ask: &Ask) -> Vec<String> {
        let mut answer = vec![String::from("no answer")];
        for _ in 0..ASKS_MAX {
            if let Some(answered) = self.ask(ask) {
                answer = answered;
            }
            if answer == ask.answer {
                break;
            }
            std::thread::sleep(ASK_INTERVAL);
        }
        answer
    }

    fn ask(&self, ask: &Ask) -> Option<Vec<String>> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(ASK_INTERVAL)).unwrap();
        socket.send_to(&message(ask).to_vec().unwrap(), &self.dns).unwrap();
        let mut reply = [0; 1_232];
        let length = socket.recv(&mut reply).ok()?;
        Some(from_message(&Message::from_vec(&reply[..length]).unwrap(), ask))
    }

    fn stop(mut self) {
        let stopped = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(stopped.success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "spillway up: {status}");
    }
}
