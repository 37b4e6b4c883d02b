//! An installation on a real Kafka broker, each role a process of its own: it is provisioned, answers, survives kills,
//! pauses and a broker that goes away, and what it derived is what a replay of its log derives.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::{Manifest, decode};
use spillway_tests::binary::spillway;
use spillway_tests::installation::{Installation, free_address, until};
use spillway_tests::load::Load;

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
    let at = Installation::new("kafka-roles", 1);
    let mut web = at.role("web");
    let mut probe = at.role("probe");
    let mut dns = at.role("dns");
    let first = at.role("dataflow");
    at.apply(&documents("first-edge"));
    until("the CDN's name", || at.answers_with("www.acme.example", "first-edge"));
    let (code, explained) = at.client(&["explain", "shop", "--network", "net"]);
    assert!(code == Some(0) && explained.contains("cdn:cdn"), "{explained}");

    // A standby takes over from one that is killed.
    let mut second = at.role("dataflow");
    std::thread::sleep(Duration::from_secs(2));
    drop(first);
    at.until_it_ticks();
    assert!(second.is_running());

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
        assert!(at.answers_with("www.acme.example", "first-edge"));
        std::thread::sleep(Duration::from_millis(100));
    }
    // A node that is started meanwhile serves the last table.
    dns.signal("-TERM");
    assert_eq!(dns.ended(), Some(0));
    let mut dns = at.role("dns");
    until("an answer from disk", || at.answers_with("www.acme.example", "first-edge"));
    at.cluster.restart();
    at.until_it_ticks();
    at.apply(&documents("second-edge"));
    until("the CDN's new name", || at.answers_with("www.acme.example", "second-edge"));

    // A CDN says that it is ill, with a plain Kafka client: traffic goes to the other one. It can't say so of that one.
    at.kcat(
        "cdn",
        r#"{"source":"cdn","boot":1,"sequence":1,"aggregates":[{"cdn":"cdn","at_us":NOW,"healthy":false}]}"#,
    );
    until("the other CDN's name", || at.answers_with("www.acme.example", "other-edge"));
    let rejected = at.log().end("rejected", 0).unwrap();
    at.kcat("cdn", r#"{"source":"cdn","boot":1,"sequence":2,"aggregates":[{"cdn":"other","at_us":NOW,"healthy":false}]}"#);
    until("the lie is rejected", || at.log().end("rejected", 0).unwrap() > rejected);
    assert!(at.answers_with("www.acme.example", "other-edge"));

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
    // The first token, the documents, and a change of them.
    assert_eq!(count("provisioning", "ProvisioningRecord"), 3, "{said}");
    assert!(count("ticks", "Tick") > 30 && count("snapshots", "Frame") > 20, "{said}");
    assert!(count("measurements", "MeasurementBatch") > 10 && count("decisions", "Frame") > 0, "{said}");
}

/// An embedded installation moves to Kafka: the same records at the same offsets, a truncated head included; the dataflow
/// goes on there, and all of it is what a replay derives.
#[test]
fn an_embedded_log_moves_to_kafka() {
    let at = Installation::bare("kafka-copy", 1);
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
    let config = format!("kafka: {{bootstrap: '{}', input_partitions: 1}}\n", at.cluster.bootstrap);
    std::fs::write(at.folder.join("spillway.yaml"), config).unwrap();
    let mut dataflow = at.role("dataflow");
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
    assert!(kafka.end("ticks", 0).unwrap() >= embedded.end("ticks", 0).unwrap() + 5);
}

/// Measurements, sent on and on.
struct Sender<'a> {
    log: &'a dyn EventLog,
    sent: usize,
}

impl Sender<'_> {
    const LOAD: Load = Load { sites: 100, partitions: 4, boot: 1 };

    fn send(&mut self, batches: usize) {
        for number in self.sent..self.sent + batches {
            let (partition, bytes) = Self::LOAD.batch(number);
            self.log.append("measurements", partition, &[&bytes]).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
        self.sent += batches;
    }
}

/// Runs a dataflow of one process for a while.
fn run_alone(at: &Installation, sender: &mut Sender<'_>) {
    let mut alone = at.role("dataflow");
    at.until_it_ticks();
    sender.send(20);
    at.until_it_ticks();
    alone.signal("-TERM");
    assert_eq!(alone.ended(), Some(0));
}

/// Two processes of two workers form one dataflow. If one is killed the other ends; started again they continue from a
/// checkpoint, and so does a single process afterwards. Records that retention has deleted stop it until their loss is accepted.
#[test]
fn processes_make_one_dataflow() {
    let at = Installation::new("kafka-processes", 1);
    let web = at.role("web");
    at.apply(&Sender::LOAD.documents());
    let log = at.log();
    let mut sender = Sender { log: &log, sent: 0 };
    let hosts = [free_address(), free_address()].join(",");
    let process = |workers: &str, number: &str| {
        at.role_with("dataflow", &["--workers", workers, "--hosts", &hosts, "--process", number])
    };

    let (mut first, second) = (process("2", "0"), process("2", "1"));
    at.until_it_ticks();
    sender.send(200);
    // Both parts of a checkpoint, which is due at each full minute.
    until("a checkpoint", || manifests_hold(&log) >= 2);
    sender.send(50);
    drop(second);
    assert_eq!(first.ended(), Some(2));
    let said = first.said();
    assert!(said.contains("the connection to process 1 of the dataflow broke"), "{said}");
    sender.send(50);
    let mut first = process("2", "0");
    let mut other = process("1", "1");
    assert_eq!(other.ended(), Some(2));
    let said = other.said();
    assert!(
        said.contains("all processes of one dataflow must run the same program with the same settings"),
        "{said}"
    );
    // Connected, but not ticking yet: that is noticed as well.
    let second = process("2", "1");
    first.until_it_says("all processes of the dataflow are connected");
    drop(second);
    assert_eq!(first.ended(), Some(2));
    assert!(first.said().contains("process 1 has ended"), "{}", first.said());
    let (mut first, mut second) = (process("2", "0"), process("2", "1"));
    at.until_it_ticks();
    sender.send(50);
    for process in [&first, &second] {
        process.signal("-TERM");
    }
    let ended = (first.ended(), second.ended());
    let said = [first.said(), second.said()];
    assert_eq!(ended, (Some(0), Some(0)), "{said:?}");
    assert!(said.iter().all(|said| said.contains("continuing from the checkpoint of tick ")), "{said:?}");
    assert!(at.verify()["bytes_equal"].as_u64().unwrap() > 10_000);

    run_alone(&at, &mut sender);
    at.verify();
    sender.send(20);
    lose_some(&at, &log);
    run_alone(&at, &mut sender);
    drop(web);
}

/// How many manifests there are; each chunk that they name is where they say.
fn manifests_hold(log: &dyn EventLog) -> usize {
    let entries = log.read("manifests", 0, 0, usize::MAX, usize::MAX).unwrap();
    let manifests: Vec<Manifest> = entries.iter().map(|entry| decode(&entry.bytes).unwrap()).collect();
    let entries = log.read("checkpoints", 0, 0, usize::MAX, usize::MAX).unwrap();
    for digest in manifests.iter().flat_map(|manifest| &manifest.chunks) {
        let chunk = entries.iter().find(|entry| entry.offset == digest.offset).unwrap();
        assert_eq!(crc32fast::hash(&chunk.bytes), digest.crc);
    }
    manifests.len()
}

/// Retention deletes records that the dataflow needs next: it ends and names the command that accepts their loss, which is run.
fn lose_some(at: &Installation, log: &dyn EventLog) {
    let end = |partition| log.end("measurements", partition).unwrap();
    let lost = (0..4).find(|partition| end(*partition) > 20).unwrap();
    log.truncate_before("measurements", lost, end(lost) - 1).unwrap();
    let mut refusing = at.role_with("dataflow", &["--workers", "2"]);
    assert_eq!(refusing.ended(), Some(2));
    let said = refusing.said();
    assert!(
        said.contains(&format!("ticks read topic measurements, partition {lost} from offset ")),
        "{said}"
    );
    let command = said.split("spillway gap ").nth(1).and_then(|rest| rest.lines().next());
    let mut flags: Vec<&str> = command.unwrap_or_else(|| panic!("{said}")).split(' ').collect();
    flags.insert(0, "gap");
    let to = flags.iter().position(|flag| *flag == "--to").unwrap() + 1;
    let more = (flags[to].parse::<u64>().unwrap() + 1).to_string();
    let mut too_much = flags.clone();
    too_much[to] = &more;
    assert_eq!(at.client(&too_much).0, Some(2), "the log still has some of it");
    let (code, said) = at.client(&flags);
    assert!(code == Some(0) && said.contains("is accepted: TEXT"), "{said}");
}

/// A cluster that demands TLS and SCRAM: the roles get in with the password in a file, and say why they don't without.
#[cfg(feature = "kafka-tls")]
#[test]
fn a_secured_cluster_is_reached_with_the_configuration_file() {
    let at = Installation::secure("kafka-secure");
    let wrong = at.folder.join("wrong");
    std::fs::write(&wrong, "not-the-password\n").unwrap();
    at.set_password_file(&wrong);
    let mut refused = at.role_with("dataflow", &[]);
    assert_eq!(refused.ended(), Some(2));
    let said = refused.said();
    assert!(said.contains("uthentication") && !said.contains("not-the-password"), "{said}");

    at.set_password_file(&at.cluster.secrets().join("password"));
    assert_eq!(at.spillway(&["topics", "create"]).0, Some(0));
    let (mut web, mut dataflow, dns) = (at.role("web"), at.role("dataflow"), at.role("dns"));
    at.apply(&documents("secured"));
    until("an answer", || at.answers_with("www.acme.example", "www"));
    for role in [&mut dataflow, &mut web] {
        role.signal("-TERM");
        assert_eq!(role.ended(), Some(0));
    }
    assert_eq!(at.spillway(&["replay", "verify"]).0, Some(0));
    drop(dns);
}
