//! What is provisioned, read from the command line.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;
use spillway_tests::binary::{command, folder, spillway};
use spillway_tests::installation::{free_address, until};

/// A running `up`. It is killed if the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended need not be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn up(data: &Path, api: &str) -> Running {
    let child = command()
        .args([Path::new("up"), Path::new("--data"), data])
        .args(["--dns", &free_address(), "--api", api])
        .stderr(Stdio::null())
        .spawn();
    Running(child.unwrap())
}

/// The exit status, standard output and standard error of a command.
fn ran(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = spillway(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What a command prints that succeeds.
fn printed(arguments: &[&str]) -> String {
    let (code, out, error) = ran(arguments);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{arguments:?}");
    out
}

/// What a command says that fails.
fn refused(arguments: &[&str]) -> String {
    let (code, out, error) = ran(arguments);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
    error
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
    assert_eq!(get(&["-o", "table"]).lines().count(), 5 * 2 + 2 + 1 + 1 + 1 + 1_101);

    std::fs::write(file, "kind: client\nname: acme\n").unwrap();
    printed(&["apply", "-f", file, "--api", &api]);
    assert!(!get(&["client", "acme", "-o", "yaml"]).contains("title"));
    assert!(get(&["client", "acme", "-o", "yaml", "--at", "1"]).contains("title: \"Acme: #1\""));

    let get = |arguments: &[&str]| refused(&[&["get", "--api", &api], arguments].concat());
    assert!(get(&["site", "shopp"]).contains("there is no site shopp; did you mean shop?"));
    assert!(get(&["sitez"]).contains("the kinds are client, network, cdn, probe, site; did you mean site"));
    assert!(get(&["client", "--client", "acme"]).contains("client: only sites have a client"));
    assert!(get(&["site", "--client", "acne"]).contains("did you mean acme?"));
    assert!(get(&["--client", "acme"]).contains("<KIND>"));
    assert!(get(&["site", "shop", "--client", "acme"]).contains("cannot be used with"));
    assert!(get(&["site", "--at", "noon"]).contains("at: `noon` is neither"));
    assert!(get(&["site", "-o", "xml"]).contains("[possible values: table, yaml, json]"));
    assert!(refused(&["get", "site", "--api", &free_address()]).contains("no answer from the API"));
}
