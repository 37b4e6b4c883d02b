//! Watches the demo from outside: asks the DNS node as a resolver would, reads decisions and measurements.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use spillway_eventlog::EventLog;
use spillway_events::{
    Decision, MeasurementBatch, TimeMicros, Verdict, decode, format_time, read_frames, topics,
};

use crate::engine::OUTPUT_PARTITIONS;
use crate::live;

const ASK_INTERVAL: Duration = Duration::from_millis(20);
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Watches until something is so, and remembers what changed when.
pub(super) struct Observer<'a> {
    log: &'a dyn EventLog,
    server: SocketAddr,
    socket: UdpSocket,
    host: &'static str,
    decisions_read: Vec<u64>,
    measurements_read: u64,
    /// The latest response time of each target, in the order first seen.
    times: Vec<(String, String)>,
    latest: Option<Decision>,
    changes: Vec<Change>,
}

/// An answer that turned.
struct Change {
    decided_at: TimeMicros,
    answered_at: TimeMicros,
    answer: String,
}

impl<'a> Observer<'a> {
    pub(super) fn new(log: &'a dyn EventLog, server: SocketAddr, host: &'static str) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        Ok(Self {
            log,
            server,
            socket,
            host,
            decisions_read: vec![0; OUTPUT_PARTITIONS as usize],
            measurements_read: 0,
            times: Vec::new(),
            latest: None,
            changes: Vec::new(),
        })
    }

    pub(super) fn note(&self, what: &str) {
        println!("{}  -- {what} --", clock(live::now()));
    }

    /// Waits until the site's verdict is known and the answer is a CNAME, or not.
    pub(super) fn until(
        &mut self,
        what: &str,
        cname: bool,
        patience: Duration,
        stop: &AtomicBool,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut line_at = started;
        loop {
            if stop.load(Ordering::Acquire) {
                bail!("a role has ended");
            }
            let (answer, is_cname) = self.ask()?;
            self.read()?;
            let known = self.latest.as_ref().filter(|decision| decision.verdict != Verdict::Unknown);
            let is_so =
                is_cname == cname && known.is_some_and(|decision| decision.route.cdn.is_some() == cname);
            if is_so || line_at.elapsed() >= LINE_INTERVAL {
                line_at = Instant::now();
                self.line(&answer);
            }
            if is_so {
                let decided_at = known.map_or(TimeMicros(0), |decision| decision.at_us);
                self.changes.push(Change { decided_at, answered_at: live::now(), answer });
                return Ok(());
            }
            if started.elapsed() > patience {
                bail!("{what}: that did not happen within {} s", patience.as_secs());
            }
            std::thread::sleep(ASK_INTERVAL);
        }
    }

    /// Shows what is, for a while.
    pub(super) fn watch(&mut self, how_long: Duration, stop: &AtomicBool) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut line_at = started;
        while started.elapsed() < how_long {
            if stop.load(Ordering::Acquire) {
                bail!("a role has ended");
            }
            let (answer, _) = self.ask()?;
            self.read()?;
            if line_at.elapsed() >= LINE_INTERVAL {
                line_at = Instant::now();
                self.line(&answer);
            }
            std::thread::sleep(ASK_INTERVAL);
        }
        Ok(())
    }

    /// One real query over UDP: the answer as `dig` shows it, and whether it is a CNAME.
    fn ask(&self) -> anyhow::Result<(String, bool)> {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(self.host)?, RecordType::A));
        self.socket.send_to(&message.to_vec()?, self.server)?;
        let mut reply = [0; 1_232];
        let (length, _) = self.socket.recv_from(&mut reply).context("the DNS node does not answer")?;
        let reply = Message::from_vec(reply.get(..length).unwrap_or_default())?;
        let text: Vec<String> = reply.answers.iter().map(ToString::to_string).collect();
        let is_cname = reply.answers.first().is_some_and(|record| record.record_type() == RecordType::CNAME);
        Ok((text.join("; "), is_cname))
    }

    /// Reads what the log has more of.
    fn read(&mut self) -> anyhow::Result<()> {
        for (partition, read) in (0..).zip(&mut self.decisions_read) {
            for entry in self.log.read(topics::DECISIONS, partition, *read, 1_000, 1 << 20)? {
                *read = entry.offset + 1;
                let frames = read_frames::<Decision>([&entry.bytes]).map_err(|(_, error)| error)?;
                let of_network = |decision: &Decision| decision.network.as_str() == "loopback";
                let decisions = frames.into_iter().flat_map(|(_, decisions)| decisions).filter(of_network);
                for decision in decisions {
                    println!("{}  decided: {}", clock(decision.at_us), described(&decision));
                    self.latest = Some(decision);
                }
            }
        }
        for entry in self.log.read(topics::MEASUREMENTS, 0, self.measurements_read, 1_000, 1 << 20)? {
            self.measurements_read = entry.offset + 1;
            let batch: MeasurementBatch = decode(&entry.bytes)?;
            for measurement in &batch.measurements {
                let series =
                    usize::try_from(measurement.series).ok().and_then(|place| batch.series.get(place));
                let Some(series) = series else { continue };
                let time = measurement.response_time_us.filter(|_| measurement.ok);
                let text =
                    time.map_or_else(|| String::from("failed"), |time| format!("{} ms", time.0 / 1_000));
                match self.times.iter_mut().find(|(target, _)| *target == series.target) {
                    Some((_, latest)) => *latest = text,
                    None => self.times.push((series.target.clone(), text)),
                }
            }
        }
        self.times.sort();
        Ok(())
    }

    fn line(&self, answer: &str) {
        let times: Vec<String> = self.times.iter().map(|(target, time)| format!("{target} {time}")).collect();
        println!("{}  measured: {}", clock(live::now()), times.join(", "));
        println!("              answer:   {answer}");
    }

    /// What changed when, and how long each change took.
    pub(super) fn sum_up(&self) {
        println!();
        for change in self.changes.iter().skip(1) {
            let took_ms = (change.answered_at.0 - change.decided_at.0) / 1_000;
            println!(
                "{}  level crossed; first changed answer {} after {took_ms} ms: {}",
                clock(change.decided_at),
                clock(change.answered_at),
                change.answer
            );
        }
    }
}

fn described(decision: &Decision) -> String {
    let reason = decision.reason.map_or(String::new(), |reason| format!(", reason {reason}"));
    let Some(objective) = decision.objectives.first() else { return decision.route.to_string() };
    let threshold = objective.metric.format(objective.threshold);
    let value = match objective.value {
        Some(value) => objective.metric.format(value),
        None if objective.failed => String::from("failed"),
        None => String::from("none yet"),
    };
    format!("value {value}, threshold {threshold}, {}{reason}: route {}", decision.verdict, decision.route)
}

/// The time of day in UTC, to the millisecond.
fn clock(at: TimeMicros) -> String {
    let text = format_time(TimeMicros(at.0 - at.0.rem_euclid(1_000) + 1));
    text.get(11..23).unwrap_or_default().to_owned()
}
