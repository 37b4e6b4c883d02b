//! A target that probes may not connect to is seen where an operator looks: in `probe status` and in `explain`.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;
use spillway_tests::binary::{command, folder, spillway};
use spillway_tests::installation::{free_address, until};

/// The origin is at an address of loopback that probes are not allowed to connect to. The CDN is at one that they may connect
/// to, at a port that nobody listens on.
const DOCUMENTS: &str = "\
kind: client
name: acme
---
kind: network
name: net
prefixes: [127.0.0.0/8]
---
kind: probe
agent: agent
network: net
---
kind: cdn
name: cdn
type: operated
dns_name: acme.edge.example
probe_url: http://127.0.0.2:1/
---
kind: site
name: shop
client: acme
hosts: [www.acme.example]
probe_interval_ms: 200
origin: {addresses: [127.0.0.1], probe_url: 'http://127.0.0.1/'}
cdns: [cdn]
objectives: [{metric: response_time, threshold: 100ms, percentile: 75, window: 10s, samples_min: 3, probes_min: 1}]
";

/// A process that is killed at the end of the test, whatever becomes of it.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a command prints; nothing if it fails.
fn printed(arguments: &[&str]) -> String {
    let output = spillway(arguments);
    if output.status.success() { String::from_utf8(output.stdout).unwrap() } else { String::new() }
}

/// The rows of `probe status` as JSON, by target.
fn rows(target: [&str; 2]) -> Value {
    let text = printed(&["probe", "status", "--format", "json", target[0], target[1]]);
    let report: Value = serde_json::from_str(&text).unwrap_or_default();
    let rows = report["series"].as_array().cloned().unwrap_or_default();
    rows.into_iter().map(|row| (row["target"].as_str().unwrap().to_owned(), row)).collect()
}

#[test]
fn a_refused_target_is_seen_in_probe_status_and_explain() {
    let folder = folder("refused");
    let (data, file) = (folder.join("data"), folder.join("site.yaml"));
    std::fs::write(&file, DOCUMENTS).unwrap();
    let api = free_address();
    let child = command()
        .args([Path::new("up"), Path::new("--data"), &data])
        .args(["--dns", &free_address(), "--api", &api, "--probe-allow", "127.0.0.2/32"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let child = Killed(child);
    let api = ["--api", api.as_str()];
    let file = file.to_str().unwrap();
    until("apply", || spillway(["apply", "-f", file, api[0], api[1]]).status.success());
    let has_both = |rows: &Value| {
        rows["origin"]["refused"].as_u64() > Some(0) && rows["cdn"]["failed"].as_u64() > Some(3)
    };
    until("attempts", || has_both(&rows(api)));

    let found = rows(api);
    assert_eq!((&found["origin"]["failed"], &found["origin"]["ok"]), (&0.into(), &0.into()), "{found}");
    assert_eq!(found["cdn"]["refused"], 0, "{found}");
    let error = found["origin"]["causes"][0]["error"].as_str().unwrap().to_owned();
    let table = printed(&["probe", "status", api[0], api[1]]);
    assert!(table.starts_with("AGENT  NETWORK  SITE  TARGET"), "{table}");
    assert!(table.contains(&format!("    misconfigured: {error}; ")), "{table}");
    assert!(table.contains("    failed: "), "{table}");

    // The CDN has a value of failures, the origin has none.
    let explain = |target: [&str; 2]| printed(&["explain", "shop", "--network", "net", target[0], target[1]]);
    until("a value", || explain(api).contains("  cdn in net: response_time failed of p75"));
    let explained = explain(api);
    assert!(explained.contains("  origin: no value"), "{explained}");
    assert!(explained.contains(&format!("  origin in net: misconfigured: {error}; ")), "{explained}");
    assert!(explained.contains("  cdn in net: failed: "), "{explained}");

    // A log that has stopped says the same, as of its last tick.
    drop(child);
    let log = ["--log", data.to_str().unwrap()];
    assert!(has_both(&rows(log)));
    assert!(explain(log).contains(&format!("  origin in net: misconfigured: {error}; ")));
    let text = printed(&["explain", "shop", "--json", log[0], log[1]]);
    let explained: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(explained["decisions"][0]["site"], "shop");
    assert_eq!(explained["now"]["targets"], serde_json::json!(["origin", "cdn"]));
    assert_eq!(explained["now"]["failures"][0]["outcome"], "refused", "{text}");
}
