//! An installation on a real Kafka broker, each role a process of its own: it is provisioned, answers, survives kills,
//! pauses and a broker that goes away, and what it derived is what a replay of its log derives.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use spillway_eventlog::cluster::Cluster;
use spillway_eventlog::{EmbeddedLog, EventLog, KafkaLog, KafkaSettings};
use spillway_tests::binary::{binary, folder, spillway};

struct Installation {
    cluster: Cluster,
    folder: PathBuf,
    dns: String,
    api: String,
}

/// A process that is killed at the end of the test, whatever becomes of it.
struct Role(Child);

impl Drop for Role {
    fn drop(&mut self) {
        // One that has ended needs no killing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Role {
    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Its exit status, which it must come to within a minute.
    fn ended(&mut self) -> Option<i32> {
        for _ in 0..600 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("a role did not end");
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

impl Installation {
    /// A broker without topics.
    fn bare(name: &str) -> Self {
        let (cluster, folder) = (Cluster::start(1), folder(name));
        Self { cluster, folder, dns: free_address(), api: free_address() }
    }

    fn new(name: &str) -> Self {
        let installation = Self::bare(name);
        assert_eq!(installation.spillway(&["topics", "check"]).0, Some(1));
        assert_eq!(installation.spillway(&["topics", "create"]).0, Some(0));
        assert_eq!(installation.spillway(&["topics", "create"]).0, Some(0));
        let (code, said) = installation.spillway(&["topics", "check"]);
        assert_eq!(code, Some(0), "{said}");
        installation
    }

    fn role(&self, role: &str) -> Role {
        let child = Command::new(binary())
            .args([role, "--kafka", &self.cluster.bootstrap, "--dns", &self.dns, "--api", &self.api])
            .args([Path::new("--data"), &self.folder.join("node")])
            .args(["--probe-allow", "127.0.0.0/8"])
            .stderr(Stdio::inherit())
            .spawn();
        Role(child.unwrap())
    }

    fn spillway(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = spillway(arguments.iter().copied().chain(["--kafka", &self.cluster.bootstrap]));
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    fn client(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = spillway(arguments.iter().copied().chain(["--api", &self.api]));
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// Applies documents, once the API is there.
    fn apply(&self, documents: &str) {
        let file = self.folder.join("site.yaml");
        std::fs::write(&file, documents).unwrap();
        until("apply", || self.client(&["apply", "-f", file.to_str().unwrap()]).0 == Some(0));
    }

    /// Writes a line to a CDN's inbox as the CDN would, with no code of ours.
    fn kcat(&self, cdn: &str, line: &str) {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros().to_string();
        let mut kcat = Command::new("kcat")
            .args(["-P", "-b", &self.cluster.bootstrap, "-t", &format!("inbox.{cdn}")])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut kcat.stdin.take().unwrap(), line.replace("NOW", &now).as_bytes())
            .unwrap();
        assert!(kcat.wait().unwrap().success());
    }

    fn log(&self) -> KafkaLog {
        KafkaLog::connect(KafkaSettings::plain(&self.cluster.bootstrap), std::sync::Arc::default()).unwrap()
    }

    /// Waits for ten more ticks.
    fn until_it_ticks(&self) {
        let log = self.log();
        let end = log.end("ticks", 0).unwrap();
        until("ticks", || log.end("ticks", 0).unwrap() >= end + 10);
    }

    /// Everything derived is what one worker makes of the log now.
    fn verify(&self) {
        let (code, said) = self.spillway(&["replay", "verify", "--json"]);
        assert_eq!(code, Some(0), "{said}");
        let found: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(found["frames_not_yet_emitted"], 0, "{said}");
        assert!(found["frames_equal"].as_u64().unwrap() > 20, "{said}");
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what}: not within a minute");
}

/// Whether the answer for a host of the provisioned site has a label in it.
fn answers_with(dns: &str, host: &str, label: &str) -> bool {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in host.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket.send_to(&query, dns).unwrap();
    let mut reply = [0; 512];
    let Ok(length) = socket.recv(&mut reply) else { return false };
    reply[..length].windows(label.len()).any(|bytes| bytes == label.as_bytes())
}

/// A site whose origin and CDN nobody serves: probes fail, and traffic leaves the origin.
fn documents(cdn_name: &str) -> String {
    format!(
        "kind: client\nname: acme\n---\nkind: network\nname: net\nprefixes: [127.0.0.0/8]\n---\n\
         kind: probe\nagent: agent\nnetwork: net\n---\nkind: cdn\nname: cdn\ntype: operated\n\
         dns_name: {cdn_name}.example\nprobe_url: http://127.0.0.1:1/\n---\n\
         kind: cdn\nname: other\ntype: partner\ndns_name: other-edge.example\nprobe_url: http://127.0.0.1:1/\n---\n\
         kind: site\nname: shop\nclient: acme\nhosts: [www.acme.example]\nprobe_interval_ms: 200\n\
         origin: {{addresses: [127.0.0.1], probe_url: 'http://127.0.0.1:1/'}}\ncdns: [cdn, other]\n\
         objectives: [{{metric: response_time, threshold: 100ms, percentile: 75, window: 10s, samples_min: 3, \
         probes_min: 1}}]\n"
    )
}

#[test]
fn roles_are_processes_and_survive_each_other() {
    let at = Installation::new("kafka-roles");
    let mut web = at.role("web");
    let mut probe = at.role("probe");
    let mut dns = at.role("dns");
    let first = at.role("dataflow");
    at.apply(&documents("first-edge"));
    until("the CDN's name", || answers_with(&at.dns, "www.acme.example", "first-edge"));
    let (code, explained) = at.client(&["explain", "shop", "--network", "net"]);
    assert!(code == Some(0) && explained.contains("cdn:cdn"), "{explained}");

    // A standby takes over from one that is killed.
    let mut second = at.role("dataflow");
    std::thread::sleep(Duration::from_secs(2));
    drop(first);
    at.until_it_ticks();
    assert!(second.0.try_wait().unwrap().is_none());

    // One that is stopped for ten seconds finds that it was replaced, and ends.
    let mut third = at.role("dataflow");
    std::thread::sleep(Duration::from_secs(2));
    second.signal("-STOP");
    std::thread::sleep(Duration::from_secs(10));
    at.until_it_ticks();
    second.signal("-CONT");
    assert_eq!(second.ended(), Some(2), "it lost its number");
    at.until_it_ticks();

    // The broker goes away: DNS answers on, and goes on with what comes afterwards.
    at.cluster.stop();
    for _ in 0..30 {
        assert!(answers_with(&at.dns, "www.acme.example", "first-edge"));
        std::thread::sleep(Duration::from_millis(100));
    }
    // A node that is started meanwhile serves the last table.
    dns.signal("-TERM");
    assert_eq!(dns.ended(), Some(0));
    let mut dns = at.role("dns");
    until("an answer from disk", || answers_with(&at.dns, "www.acme.example", "first-edge"));
    at.cluster.restart();
    at.until_it_ticks();
    at.apply(&documents("second-edge"));
    until("the CDN's new name", || answers_with(&at.dns, "www.acme.example", "second-edge"));

    // A CDN says that it is ill, with a plain Kafka client: traffic goes to the other one. It can't say so of that one.
    at.kcat(
        "cdn",
        r#"{"source":"cdn","boot":1,"sequence":1,"aggregates":[{"cdn":"cdn","at_us":NOW,"healthy":false}]}"#,
    );
    until("the other CDN's name", || answers_with(&at.dns, "www.acme.example", "other-edge"));
    let rejected = at.log().end("rejected", 0).unwrap();
    at.kcat("cdn", r#"{"source":"cdn","boot":1,"sequence":2,"aggregates":[{"cdn":"other","at_us":NOW,"healthy":false}]}"#);
    until("the lie is rejected", || at.log().end("rejected", 0).unwrap() > rejected);
    assert!(answers_with(&at.dns, "www.acme.example", "other-edge"));

    for role in [&mut web, &mut probe, &mut dns, &mut third] {
        role.signal("-TERM");
        assert_eq!(role.ended(), Some(0));
    }
    // Told to stop, a dataflow derives what it has ticked first.
    at.verify();
    read_by_python(&at.cluster.bootstrap);
}

/// Every record of every topic, read by another language's Avro library with the files of `schemas/` and nothing else.
fn read_by_python(bootstrap: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let python = root.join("target/python/bin/python");
    assert!(python.exists(), "{} is not there: scripts/test installs it", python.display());
    let output = Command::new(python)
        .args([root.join("tests/python/read_topics.py"), "--schemas".into(), root.join("schemas")])
        .args(["--bootstrap", bootstrap])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let counts: serde_json::Value = serde_json::from_str(&said).unwrap();
    let count = |topic: &str, kind: &str| counts[topic][kind].as_u64().unwrap_or(0);
    assert_eq!(count("provisioning", "ProvisioningRecord"), 2, "{said}");
    assert!(count("ticks", "Tick") > 30 && count("snapshots", "Frame") > 20, "{said}");
    assert!(count("measurements", "MeasurementBatch") > 10 && count("decisions", "Frame") > 0, "{said}");
}

/// An embedded installation moves to Kafka: the same records at the same offsets, a truncated head included; the dataflow
/// goes on there, and all of it is what a replay derives.
#[test]
fn an_embedded_log_moves_to_kafka() {
    let at = Installation::bare("kafka-copy");
    let data = at.folder.join("data");
    let (data_text, rows) = (data.to_str().unwrap(), at.folder.join("rows.csv"));
    let mut text = String::from("at,agent,network,target,site,response_time_ms,ok\n");
    for row in 0..3_000 {
        let time = if row / 300 % 2 == 1 { 250 } else { 20 };
        text += &format!("{},agent,net,origin,shop,{time},1\n", 1_600_000_000 + row * 2);
    }
    std::fs::write(&rows, text).unwrap();
    let file = at.folder.join("site.yaml");
    std::fs::write(&file, documents("edge").replace("origin: {", "origin: {name: origin, ")).unwrap();
    let recorded =
        ["backtest", "--quiet", "-f", file.to_str().unwrap(), "--log", data_text, rows.to_str().unwrap()];
    assert_eq!(spillway(recorded).status.code(), Some(0));
    {
        let log = EmbeddedLog::open(&data).unwrap();
        let partition = (0..4).find(|partition| log.end("performance", *partition).unwrap() > 20).unwrap();
        log.truncate_before("performance", partition, 17).unwrap();
    }
    let (code, said) = at.spillway(&["log", "copy", "--from", data_text, "--to", "kafka"]);
    assert!(code == Some(0) && said.contains("offsets 17 to"), "{said}");
    assert_eq!(at.spillway(&["log", "copy", "--from", data_text]).0, Some(2), "the topics are not empty");

    // The copy is the log: its own ticks make the same decisions.
    let again = spillway(["backtest", "--format", "csv", "--log", data_text]);
    let decisions = String::from_utf8(again.stdout).unwrap();
    assert!(decisions.lines().count() > 10);
    let config = at.folder.join("spillway.yaml");
    std::fs::write(&config, "kafka: {input_partitions: 1}\n").unwrap();
    let child = Command::new(binary())
        .args(["dataflow", "--kafka", &at.cluster.bootstrap, "--config", config.to_str().unwrap()])
        .spawn();
    let mut dataflow = Role(child.unwrap());
    at.until_it_ticks();
    dataflow.signal("-TERM");
    assert_eq!(dataflow.ended(), Some(0));
    let embedded = EmbeddedLog::open(&data).unwrap();
    let kafka = at.log();
    for partition in 0..4 {
        let all = |log: &dyn EventLog| log.read("decisions", partition, 0, usize::MAX, usize::MAX).unwrap();
        let (was, is) = (all(&embedded), all(&kafka));
        assert_eq!(is[..was.len()], was);
    }
    assert!(kafka.end("ticks", 0).unwrap() >= embedded.end("ticks", 0).unwrap() + 10);
}
