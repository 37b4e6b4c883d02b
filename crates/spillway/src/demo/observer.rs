//! Watches the demo from outside: asks the DNS node as a resolver would, reads decisions and values.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use spillway_eventlog::{EventLog, FrameReader};
use spillway_events::{Decision, Metric, Performance, TimeMicros, Verdict, format_time, topics};
use spillway_runtime::OUTPUT_PARTITIONS;
use tokio_util::sync::CancellationToken;

use crate::clock::now;
use crate::output::line;

const ASK_INTERVAL: Duration = Duration::from_millis(20);
const LINE_INTERVAL: Duration = Duration::from_secs(1);
/// The network that is watched.
const NETWORK: &str = "loopback";

/// Watches until a condition is true, and records the time of each change.
pub(super) struct Observer<'a> {
    server: SocketAddr,
    socket: UdpSocket,
    host: &'static str,
    /// By partition.
    decisions: Vec<FrameReader<'a, Decision>>,
    performance: Vec<FrameReader<'a, Performance>>,
    /// The latest value of each target, by its name.
    values: BTreeMap<String, String>,
    latest: Option<Decision>,
    changes: Vec<Change>,
}

/// A changed answer.
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
            server,
            socket,
            host,
            decisions: (0..OUTPUT_PARTITIONS)
                .map(|partition| FrameReader::new(log, topics::DECISIONS, partition, 0))
                .collect(),
            performance: (0..OUTPUT_PARTITIONS)
                .map(|partition| FrameReader::new(log, topics::PERFORMANCE, partition, 0))
                .collect(),
            values: BTreeMap::new(),
            latest: None,
            changes: Vec::new(),
        })
    }

    pub(super) fn note(&self, what: &str) -> anyhow::Result<()> {
        line(format_args!("{}  -- {what} --", clock(now())))
    }

    /// Waits until the site's verdict is known and the answer is a CNAME, or not.
    pub(super) fn until(
        &mut self,
        what: &str,
        cname: bool,
        timeout: Duration,
        cancel: &CancellationToken,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut line_at = started;
        loop {
            if cancel.is_cancelled() {
                bail!("a role has ended");
            }
            let (answer, is_cname) = self.ask()?;
            self.read()?;
            let known = self.latest.as_ref().filter(|decision| decision.verdict != Verdict::Unknown);
            let is_so =
                is_cname == cname && known.is_some_and(|decision| decision.route.cdn.is_some() == cname);
            if is_so || line_at.elapsed() >= LINE_INTERVAL {
                line_at = Instant::now();
                self.print(&answer)?;
            }
            if is_so {
                let decided_at = known.map_or(TimeMicros(0), |decision| decision.at_us);
                self.changes.push(Change { decided_at, answered_at: now(), answer });
                return Ok(());
            }
            if started.elapsed() > timeout {
                bail!("{what}: that did not happen within {} s", timeout.as_secs());
            }
            std::thread::sleep(ASK_INTERVAL);
        }
    }

    /// Shows the present state for a while.
    pub(super) fn watch(&mut self, how_long: Duration, cancel: &CancellationToken) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut line_at = started;
        while started.elapsed() < how_long {
            if cancel.is_cancelled() {
                bail!("a role has ended");
            }
            let (answer, _) = self.ask()?;
            self.read()?;
            if line_at.elapsed() >= LINE_INTERVAL {
                line_at = Instant::now();
                self.print(&answer)?;
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

    /// Reads the decisions and values that were appended since.
    fn read(&mut self) -> anyhow::Result<()> {
        for frame in self.decisions.iter_mut().flatten() {
            for decision in frame?.1.into_iter().filter(|decision| decision.network.as_str() == NETWORK) {
                line(format_args!("{}  decided: {}", clock(decision.at_us), described(&decision)))?;
                self.latest = Some(decision);
            }
        }
        for frame in self.performance.iter_mut().flatten() {
            for item in frame?.1.into_iter().filter(|item| item.network.as_str() == NETWORK) {
                self.values.insert(item.target, value_text(item.metric, item.value, item.failed));
            }
        }
        Ok(())
    }

    /// The present state: the value of each target, the route with its reason, and the answer.
    fn print(&self, answer: &str) -> anyhow::Result<()> {
        let values: Vec<String> =
            self.values.iter().map(|(target, value)| format!("{target} {value}")).collect();
        line(format_args!("{}  values:   {}", clock(now()), values.join(", ")))?;
        if let Some(decision) = &self.latest {
            line(format_args!("              decided:  {}", standing(decision)))?;
        }
        line(format_args!("              answer:   {answer}"))
    }

    /// The time of each change, and how long it took.
    pub(super) fn sum_up(&self) -> anyhow::Result<()> {
        line(format_args!(""))?;
        for change in self.changes.iter().skip(1) {
            let took_ms = (change.answered_at.0 - change.decided_at.0) / 1_000;
            line(format_args!(
                "{}  level crossed; first changed answer {} after {took_ms} ms: {}",
                clock(change.decided_at),
                clock(change.answered_at),
                change.answer
            ))?;
        }
        Ok(())
    }
}

/// A decision with the value that it was made on.
fn described(decision: &Decision) -> String {
    let value = decision.objectives.first().map_or_else(String::new, |objective| {
        format!("value {}, ", value_text(objective.metric, objective.value, objective.failed))
    });
    format!("{value}{}", standing(decision))
}

/// The part of a decision that is valid until the next one.
fn standing(decision: &Decision) -> String {
    let threshold = decision.objectives.first().map_or_else(String::new, |objective| {
        format!("threshold {}, ", objective.metric.format(objective.threshold))
    });
    let reason = decision.reason.map_or_else(String::new, |reason| format!(", reason {reason}"));
    format!("{threshold}{}{reason}: route {}", decision.verdict, decision.route)
}

fn value_text(metric: Metric, value: Option<u64>, failed: bool) -> String {
    match value {
        Some(value) => metric.format(value),
        None if failed => String::from("failed"),
        None => String::from("none yet"),
    }
}

/// The time of day in UTC, to the millisecond.
fn clock(at: TimeMicros) -> String {
    let text = format_time(TimeMicros(at.0 - at.0.rem_euclid(1_000) + 1));
    text.get(11..23).unwrap_or_default().to_owned()
}
