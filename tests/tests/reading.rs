//! What is provisioned and what stands in the log, read from the command line.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::{Tick, TimeMicros, decode, encode, topics};
use spillway_tests::binary::{binary, folder};
use spillway_tests::installation::{Installation, free_address, until};
use spillway_tests::running::{Running, printed, ran, refused, up};

/// The lines of JSON that a command prints.
fn lines(arguments: &[&str]) -> Vec<Value> {
    printed(arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const DOCUMENTS: &str = "\
kind: client
name: acme
title: \"Acme: #1\"
---
kind: client
name: other
---
kind: network
name: net
prefixes: [192.0.2.0/24, 2001:db8::/32]
---
kind: cdn
name: edge-one
type: operated
dns_name: acme.edge-one.example
---
kind: probe
agent: agent-1
network: net
---
kind: site
name: shop
client: acme
hosts: [www.acme.example, shop.acme.example]
cdns: [{cdn: edge-one, dns_name: shop.edge-one.example}]
objectives: [{metric: response_time, threshold: 150ms}]
";

/// More sites than one page of the API holds.
fn stalls() -> String {
    let stall = |index| {
        format!("---\nkind: site\nname: stall-{index:04}\nclient: other\nhosts: [stall-{index}.example]\n")
    };
    (0..1_100).map(stall).collect()
}

#[test]
fn what_is_provisioned_is_printed_as_tables_documents_and_json() {
    let folder = folder("get");
    let api = free_address();
    let _running = up(&folder.join("data"), &api);
    let file = folder.join("all.yaml");
    std::fs::write(&file, format!("{DOCUMENTS}{}", stalls())).unwrap();
    let file = file.to_str().unwrap();
    until("apply", || ran(&["apply", "-f", file, "--api", &api]).0 == Some(0));
    let get = |arguments: &[&str]| printed(&[&["get", "--api", &api], arguments].concat());

    let clients =
        "NAME   TITLE     USED BY  REVISION\nacme   Acme: #1  1        1\nother            1100     1\n";
    for kind in ["client", "clients", "cl", "Clients"] {
        assert_eq!(get(&[kind]), clients, "{kind}");
    }
    let network =
        "NAME  PARENT      PREFIXES                 USED BY\nnet   everywhere  192.0.2.0/24 and 1 more  1\n";
    assert_eq!(get(&["nets"]), network);
    let probe = "NAME         AGENT    NETWORK  REVISION\nagent-1/net  agent-1  net      1\n";
    assert_eq!(get(&["pr"]), probe);
    assert_eq!(get(&["probe", "agent-1/net"]), probe);
    let cdn =
        "NAME      TYPE      DNS NAME               USED BY\nedge-one  operated  acme.edge-one.example  1\n";
    assert_eq!(get(&["cdns"]), cdn);
    let site = "NAME  CLIENT  HOSTS                        CDNS\nshop  acme    www.acme.example and 1 more  edge-one\n";
    assert_eq!(get(&["si", "--client", "acme"]), site);
    assert_eq!(get(&["sites", "--client", "other"]).lines().count(), 1_101);

    // Documents are the same whichever way they are read, and JSON keeps the order of their fields.
    let all = get(&[]);
    let by_kind: Vec<String> =
        ["client", "network", "cdn", "probe", "site"].iter().map(|kind| get(&[kind, "-o", "yaml"])).collect();
    assert_eq!(by_kind.join("---\n"), all);
    assert_eq!(get(&["--at", "1", "-o", "yaml"]), all);
    let shop = get(&["site", "shop", "-o", "json"]);
    assert!(
        shop.starts_with(r#"{"kind":"site","name":"shop","revision":1,"spec":{"kind":"site","client""#),
        "{shop}"
    );
    let sites: Vec<Value> = serde_json::from_str(&get(&["sites", "-o", "json"])).unwrap();
    assert_eq!(
        (sites.len(), sites[0].to_string()),
        (1_101, serde_json::from_str::<Value>(&shop).unwrap().to_string())
    );
    assert_eq!(get(&["-o", "table"]).lines().count(), 8 * 2 + 2 + 1 + 1 + 1 + 1_101);

    std::fs::write(file, "kind: client\nname: acme\n").unwrap();
    printed(&["apply", "-f", file, "--api", &api]);
    assert!(!get(&["client", "acme", "-o", "yaml"]).contains("title"));
    assert!(get(&["client", "acme", "-o", "yaml", "--at", "1"]).contains("title: \"Acme: #1\""));

    let get = |arguments: &[&str]| refused(&[&["get", "--api", &api], arguments].concat());
    assert!(get(&["site", "shopp"]).contains("there is no site shopp; did you mean shop?"));
    assert!(get(&["sitez"]).contains(
        "the kinds are client, network, cdn, probe, site, rate_card, agreement, override; did you mean site"
    ));
    assert!(get(&["client", "--client", "acme"]).contains("client: only sites have a client"));
    assert!(get(&["site", "--client", "acne"]).contains("did you mean acme?"));
    assert!(get(&["--client", "acme"]).contains("<KIND>"));
    assert!(get(&["site", "shop", "--client", "acme"]).contains("cannot be used with"));
    assert!(get(&["site", "--at", "noon"]).contains("at: `noon` is neither"));
    assert!(get(&["site", "-o", "xml"]).contains("[possible values: table, yaml, json]"));
    assert!(refused(&["get", "site", "--api", &free_address()]).contains("no answer from the API"));

    // The log is locked while `up` runs.
    let data = folder.join("data");
    let said = refused(&["log", "read", "provisioning", "--log", data.to_str().unwrap()]);
    assert!(
        said.contains("is locked: another process, such as `spillway up`") && said.contains("Stop it"),
        "{said}"
    );
}

/// A tick and bytes that are none; frames, and bytes that are none, in two of four partitions; and a topic whose first records
/// were deleted.
fn recorded(name: &str) -> (String, Tick) {
    let data = folder(name).join("data");
    let (installation, offsets) = (String::new(), Vec::new());
    let tick = Tick { number: 0, at_us: TimeMicros(1), rules: 1, restart: false, installation, offsets };
    let log = EmbeddedLog::create(&data).unwrap();
    spillway_runtime::topics::create(&log, 1).unwrap();
    log.append_at(topics::TICKS, 0, &encode(&tick).unwrap()).unwrap();
    log.append_at(topics::TICKS, 1, b"junk").unwrap();
    for partition in [0, 2] {
        log.append(
            topics::DECISIONS,
            partition,
            &[br#"{"tick":7,"chunk":0,"chunks":1,"digest":0,"items":[]}"#, b"{"],
        )
        .unwrap();
    }
    let many: Vec<&[u8]> = vec![br#"{"source":"edge-one","boot":1,"sequence":1,"aggregates":[]}"#; 3_000];
    log.append(topics::STATISTICS, 0, &many).unwrap();
    log.truncate_before(topics::STATISTICS, 0, 10).unwrap();
    drop(log);
    (data.to_str().unwrap().to_owned(), tick)
}

#[test]
fn records_of_a_folder_are_printed_as_lines_of_json() {
    let (data, tick) = recorded("log-read");
    let data = data.as_str();
    let read = |arguments: &[&str]| lines(&[&["log", "read", "--log", data], arguments].concat());

    let ticks = read(&["ticks"]);
    assert_eq!((&ticks[0]["partition"], &ticks[0]["offset"]), (&0.into(), &0.into()));
    // What is printed is the record.
    let again: Tick = decode(ticks[0]["record"].to_string().as_bytes()).unwrap();
    assert_eq!(again, tick);
    let junk = json!({"partition": 0, "offset": 1,
        "error": "the record starts neither with the Avro marker C3 01 nor with a JSON object"});
    assert_eq!((ticks.len(), &ticks[1]), (2, &junk));
    assert_eq!(read(&["ticks", "--from", "1"]), [junk]);
    assert_eq!(read(&["ticks", "--from", "2"]), [Value::Null; 0]);
    assert_eq!(read(&["ticks", "--limit", "1"]).len(), 1);
    let place = |line: &Value| {
        (
            line["partition"].as_u64().unwrap(),
            line["offset"].as_u64().unwrap(),
            line["record"]["tick"].as_u64(),
        )
    };
    let decisions: Vec<_> = read(&["decisions"]).iter().map(place).collect();
    assert_eq!(decisions, [(0, 0, Some(7)), (0, 1, None), (2, 0, Some(7)), (2, 1, None)]);
    let decisions: Vec<_> = read(&["decisions", "--limit", "3"]).iter().map(place).collect();
    assert_eq!(decisions, [(0, 0, Some(7)), (0, 1, None), (2, 0, Some(7))]);
    let decisions: Vec<_> =
        read(&["decisions", "--partition", "2", "--from", "1"]).iter().map(place).collect();
    assert_eq!(decisions, [(2, 1, None)]);
    let statistics = read(&["statistics"]);
    assert_eq!((statistics.len(), &statistics[0]["offset"]), (2_990, &10.into()));
    assert_eq!(read(&["rejected"]), [Value::Null; 0]);
    head_closes_the_pipe(&["log", "read", "statistics", "--log", data]);
}

#[test]
fn every_wrong_argument_of_log_read_is_named() {
    let (data, _) = recorded("log-read-wrong");
    let data = data.as_str();
    let refused = |arguments: &[&str]| refused(&[&["log", "read", "--log", data], arguments].concat());
    assert!(
        refused(&["tick"])
            .contains("tick is no topic of Spillway, did you mean ticks?; the topics are provisioning")
    );
    assert!(refused(&["inbox.edge-one"]).contains("topic `inbox.edge-one` does not exist"));
    assert!(refused(&["ticks", "--partition", "1"]).contains("partition 1 does not exist"));
    assert!(refused(&["ticks", "--partition", "4294967295"]).contains("partition 4294967295 does not exist"));
    assert!(
        refused(&["decisions", "--from", "0"]).contains("--from needs --partition: topic decisions has 4")
    );
    assert!(refused(&["ticks", "--from", "3"]).contains("has the offsets 0 to 2, the last one excluded"));
    assert!(
        refused(&["statistics", "--partition", "0", "--from", "9"]).contains("has the offsets 10 to 3000")
    );
    assert!(refused(&["ticks", "--limit", "0"]).contains("--limit"));
    assert!(refused(&["ticks", "--follow"]).contains("cannot be used with"));
    assert!(
        self::refused(&["log", "read", "ticks"]).contains("name the log: a folder with --log, or a cluster")
    );
    assert!(
        self::refused(&["log", "read", "ticks", "--log", &format!("{data}x")]).contains("does not exist")
    );
}

/// Reads one line and closes the pipe, as `head -n 1` does, while there is far more to print than a pipe holds.
fn head_closes_the_pipe(arguments: &[&str]) {
    let mut child =
        Command::new(binary()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""), "{arguments:?}: {line}");
}

#[test]
fn completions_and_manual_pages_are_of_every_command() {
    for (shell, word) in
        [("bash", "complete -F"), ("zsh", "#compdef spillway"), ("fish", "complete -c spillway")]
    {
        let script = printed(&["completion", shell]);
        assert!(script.contains(word) && script.contains("clock"), "{shell}");
    }
    assert!(refused(&["completion", "csh"]).contains("possible values"));
    head_closes_the_pipe(&["completion", "bash"]);
    let folder = folder("man");
    let pages = folder.join("new/man1");
    printed(&["man", pages.to_str().unwrap()]);
    for page in ["spillway", "spillway-get", "spillway-log-read", "spillway-clock-reset"] {
        let text = std::fs::read_to_string(pages.join(format!("{page}.1"))).unwrap();
        assert!(
            text.contains(".SH NAME") && (page == "spillway" || text.contains("Examples:")),
            "{page}: {text}"
        );
    }
    let file = folder.join("file");
    std::fs::write(&file, "").unwrap();
    assert!(refused(&["man", file.to_str().unwrap()]).contains("cannot write manual pages to"));
}

/// Reads while records are appended, and is interrupted. An inbox has what its CDN writes, as JSON and junk.
#[test]
fn records_on_kafka_are_followed_until_interrupted() {
    let at = Installation::new("log-read-kafka", 1);
    let log = at.log();
    log.append(topics::STATISTICS, 3, &[b"first"]).unwrap();
    let config = at.folder.join("spillway.yaml");
    let config = config.to_str().unwrap();
    let mut child = Command::new(binary())
        .args(["log", "read", "statistics", "--follow", "--config", config])
        .stdout(Stdio::piped())
        .spawn()
        .map(Running)
        .unwrap();
    let mut out = BufReader::new(child.0.stdout.take().unwrap());
    let mut next = || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line)
            .map(|line| (line["partition"].clone(), line["offset"].clone()))
            .ok()
    };
    assert_eq!(next(), Some((3.into(), 0.into())));
    log.append(topics::STATISTICS, 1, &[b"second"]).unwrap();
    assert_eq!(next(), Some((1.into(), 0.into())));
    log.append(topics::STATISTICS, 3, &[b"third"]).unwrap();
    assert_eq!(next(), Some((3.into(), 1.into())));
    let sent = Command::new("kill").args(["-INT", &child.0.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    assert_eq!(next(), None);
    let limited = lines(&["log", "read", "statistics", "--follow", "--limit", "2", "--config", config]);
    assert_eq!(limited.len(), 2);
    let (code, out) = at.spillway(&["log", "read", "statistics", "--partition", "3", "--from", "1"]);
    assert_eq!((code, out.lines().count()), (Some(0), 1), "{out}");
}
