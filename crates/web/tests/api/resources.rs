//! Reading what is provisioned. Record 0 is the token of the test.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use spillway_control::CommandHead;
use spillway_events::{ObjectKind, TimeMicros};
use spillway_provisioning::{ObjectId, SourceFile};

use crate::common;

const DOCUMENTS: &str = "\
kind: client
name: acme
title: Acme Ltd.
---
kind: client
name: other
---
kind: network
name: net
prefixes: [192.0.2.0/24]
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
hosts: [www.acme.example]
origin: {addresses: [198.51.100.10]}
cdns: [{cdn: edge-one, dns_name: shop.edge-one.example}]
objectives: [{metric: response_time, threshold: 150ms}]
---
kind: site
name: stall
client: other
hosts: [www.other.example]
";

struct Server(common::Server);

/// An answer.
struct Answer {
    status: StatusCode,
    tag: Option<String>,
    retry_after: Option<String>,
    body: Value,
}

impl Answer {
    fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap()
    }

    /// The names of the items of a page.
    fn names(&self) -> Vec<String> {
        let items = self.body["items"].as_array().unwrap();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    }
}

impl Server {
    async fn start() -> Self {
        Self(common::Server::start().await)
    }

    async fn with_documents() -> Self {
        let server = Self::start().await;
        assert_eq!(server.apply(DOCUMENTS, 0), 2);
        server
    }

    /// Applies documents at a time, in seconds since 1970; the revision after it.
    fn apply(&self, text: &str, at_secs: i64) -> u64 {
        let file = SourceFile { name: "test", bytes: text.as_bytes() };
        self.0.provisioner.apply(&[file], CommandHead::on_log(&self.new_id(), at(at_secs))).unwrap().revision
    }

    fn delete(&self, kind: ObjectKind, name: &str, at_secs: i64) {
        let id = ObjectId::new(kind, name);
        self.0.provisioner.delete(id, CommandHead::on_log(&self.new_id(), at(at_secs))).unwrap();
    }

    fn new_id(&self) -> String {
        format!("after-{}", self.0.provisioner.state().unwrap().revision())
    }

    async fn get(&self, path: &str) -> Answer {
        self.get_unless(path, None).await
    }

    async fn get_unless(&self, path: &str, known: Option<&str>) -> Answer {
        let mut request = self.0.request("GET", path);
        if let Some(known) = known {
            request = request.header("If-None-Match", known);
        }
        let response = request.send().await.unwrap();
        let header = |name: &str| Some(response.headers().get(name)?.to_str().unwrap().to_owned());
        let (status, tag, retry_after) = (response.status(), header("etag"), header("retry-after"));
        let text = response.text().await.unwrap();
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        Answer { status, tag, retry_after, body }
    }
}

fn at(secs: i64) -> TimeMicros {
    TimeMicros(secs * 1_000_000)
}

fn site(name: &str, client: &str) -> String {
    format!("kind: site\nname: {name}\nclient: {client}\nhosts: [{name}.example]\n---\n")
}

#[tokio::test]
async fn an_object_is_read_as_its_document_with_what_is_known_of_it() {
    let server = Server::with_documents().await;
    let shop = server.get("/v1/site/shop").await;
    assert_eq!(shop.status, StatusCode::OK);
    let spec = json!({
        "kind": "site", "name": "shop", "client": "acme", "hosts": ["www.acme.example"],
        "origin": {"name": "origin", "addresses": ["198.51.100.10"]},
        "cdns": [{"cdn": "edge-one", "dns_name": "shop.edge-one.example"}],
        "ttl_secs": 20, "probe_interval_ms": 10_000,
        "objectives": [{"metric": "response_time", "threshold": "150ms", "percentile": 95, "window": "600s",
                        "samples_min": 20, "probes_min": 3}],
    });
    let status = json!({"users": 0, "agreed_in": "own", "agreement": 1});
    let expected = json!({"kind": "site", "name": "shop", "revision": 1, "spec": spec, "status": status});
    assert_eq!(shop.body, expected);
    // A change of something else than the objectives leaves what is agreed.
    server.apply(&format!("{}ttl_secs: 30\n", site("stall", "other").trim_end_matches("---\n")), 0);
    let stall = server.get("/v1/site/stall").await;
    assert_eq!((&stall.body["revision"], &stall.body["status"]["agreement"]), (&2.into(), &1.into()));
    let objectives = "objectives: [{metric: response_time, threshold: 90ms}]";
    server.apply(&format!("{}{objectives}\n", site("stall", "other").trim_end_matches("---\n")), 0);
    assert_eq!(
        server.get("/v1/site/stall").await.body["status"],
        json!({"users": 0, "agreed_in": "own", "agreement": 3})
    );
    // What others refer to.
    assert_eq!(server.get("/v1/cdn/edge-one").await.body["status"], json!({"users": 1}));
    assert_eq!(server.get("/v1/client/acme").await.body["spec"]["title"], "Acme Ltd.");
    for path in ["/v1/probe/agent-1/net", "/v1/probe/agent-1%2Fnet"] {
        assert_eq!(server.get(path).await.body["name"], "agent-1/net", "{path}");
    }
}

/// JSON is YAML, so what is read can be applied.
#[tokio::test]
async fn every_spec_is_a_document_that_changes_nothing() {
    let server = Server::with_documents().await;
    let mut documents = Vec::new();
    for kind in ObjectKind::ALL {
        let page = server.get(&format!("/v1/{}", kind.as_str())).await.body;
        assert_eq!((&page["revision"], &page["next"]), (&2.into(), &Value::Null));
        documents.extend(page["items"].as_array().unwrap().iter().map(|item| item["spec"].to_string()));
    }
    assert_eq!(documents.len(), 7);
    assert_eq!(server.apply(&documents.join("\n---\n"), 0), 2, "nothing has changed");
}

#[tokio::test]
async fn a_version_that_the_client_has_is_not_sent_again() {
    let server = Server::with_documents().await;
    assert_eq!(server.get("/v1/site/shop").await.tag.as_deref(), Some("\"1\""));
    for known in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"] {
        let answer = server.get_unless("/v1/site/shop", Some(known)).await;
        assert_eq!((answer.status, answer.body), (StatusCode::NOT_MODIFIED, Value::Null), "{known}");
        assert_eq!(answer.tag.as_deref(), Some("\"1\""), "{known}");
    }
    for other in ["\"0\"", "1", "\"01\""] {
        let answer = server.get_unless("/v1/site/shop", Some(other)).await;
        assert_eq!(answer.status, StatusCode::OK, "{other}");
    }
    server.apply("kind: client\nname: other\ntitle: Others\n", 0);
    assert_eq!(server.get_unless("/v1/client/other", Some("\"1\"")).await.status, StatusCode::OK);
    let missing = server.get_unless("/v1/client/nobody", Some("*")).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_does_not_exist_is_a_404_that_names_what_may_be_meant() {
    let server = Server::with_documents().await;
    for (path, detail) in [
        ("/v1/site/shopp", "there is no site shopp; did you mean shop?"),
        ("/v1/site/zzz", "there is no site zzz"),
        ("/v1/probe/agent-1/nett", "there is no probe agent-1/nett; did you mean agent-1/net?"),
        ("/v1/site?client=acne", "there is no client acne; did you mean acme?"),
        ("/v1/site/shop?at=1969-01-01", "there is no site shop"),
        (
            "/v1/sites",
            "`sites` is none of the kinds client, network, cdn, probe, site, rate_card, agreement, override",
        ),
        (
            "/v1/sites/shop",
            "`sites` is none of the kinds client, network, cdn, probe, site, rate_card, agreement, override",
        ),
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.detail()), (StatusCode::NOT_FOUND, detail), "{path}");
    }
    let long = "x".repeat(5_000);
    assert!(server.get(&format!("/v1/site/{long}")).await.detail().len() < 200);
}

#[tokio::test]
async fn every_wrong_parameter_is_named() {
    let server = Server::with_documents().await;
    let limit = "is not a whole number from 1 to 1000";
    for (path, key, reason) in [
        ("/v1/site?limit=0", "limit", limit),
        ("/v1/site?limit=1001", "limit", limit),
        ("/v1/site?limit=%2B5", "limit", limit),
        ("/v1/site?limit=", "limit", limit),
        ("/v1/site?limit=1&limit=2", "limit", "is given twice"),
        ("/v1/site?cursor=shop", "cursor", "is not the `next` of a page of sites"),
        ("/v1/site?cursor=736974653", "cursor", "is not the `next` of a page of sites"),
        ("/v1/site?cursor=%C3%A9%C3%A9", "cursor", "is not the `next` of a page of sites"),
        // The cursor of a page of clients.
        ("/v1/site?cursor=636c69656e743a61636d65", "cursor", "is not the `next` of a page of sites"),
        ("/v1/site?client=", "client", "must not be empty"),
        ("/v1/site?client=a%20b", "client", "cannot contain ' '"),
        ("/v1/cdn?client=acme", "client", "only sites have a client, CDNs have none"),
        ("/v1/site?at=yesterday", "at", "neither the number of a provisioning record nor a time"),
        ("/v1/site?at=-1", "at", "neither the number of a provisioning record nor a time"),
        ("/v1/site/shop?at=2026-13-01", "at", "neither the number of a provisioning record nor a time"),
        ("/v1/site?min_revision=x", "min_revision", "is not a whole number"),
        ("/v1/site/shop?min_revision=-1", "min_revision", "is not a whole number"),
        ("/v1/site?page=2", "page", "is not a parameter of this call; the parameters are limit, cursor"),
        ("/v1/site/shop?limit=2", "limit", "is not a parameter of this call; the parameters are at, min_rev"),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        let said = answer.detail();
        assert!(said.starts_with(&format!("{key}: ")) && said.contains(reason), "{path}: {said}");
    }
    let both = server.get("/v1/site?a=1&b=2").await;
    assert!(both.detail().contains("a: is not") && both.detail().contains("b: is not"), "{}", both.detail());
    // A name that no object can have ends a page like any other: `site:` and the greatest character, twice.
    let beyond = server.get("/v1/site?client=acme&cursor=736974653af48fbfbff48fbfbf").await;
    assert_eq!((beyond.status, beyond.names()), (StatusCode::OK, Vec::new()));
}

/// The request comes first. It is answered once there is a third record, and never if there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_waits_for_the_revision_that_it_needs() {
    let server = Arc::new(Server::with_documents().await);
    assert_eq!(server.get("/v1/site/shop?min_revision=2").await.status, StatusCode::OK);
    let waiting = {
        let server = Arc::clone(&server);
        tokio::spawn(async move { server.get("/v1/client/late?min_revision=3").await.status })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.apply("kind: client\nname: late\n", 0), 3);
    assert_eq!(waiting.await.unwrap(), StatusCode::OK);
    let (one, page) =
        (server.get("/v1/site/shop?min_revision=4"), server.get("/v1/site?min_revision=4&at=0"));
    for never in <[Answer; 2]>::from(tokio::join!(one, page)) {
        assert_eq!(
            (never.status, never.retry_after.as_deref()),
            (StatusCode::SERVICE_UNAVAILABLE, Some("1"))
        );
        assert!(
            never.detail().starts_with("min_revision: the revision is 3, not yet 4"),
            "{}",
            never.detail()
        );
    }
}

/// Four records, at 1,000, 3,000, 2,000 and 4,000 seconds: the clock of the third writer was behind.
#[tokio::test]
async fn the_past_is_read_by_number_and_by_time() {
    let server = Server::start().await;
    server.apply("kind: client\nname: acme\ntitle: One\n", 1_000);
    server.apply("kind: client\nname: acme\ntitle: Two\n", 3_000);
    server.apply("kind: client\nname: acme\ntitle: Three\n", 2_000);
    server.delete(ObjectKind::Client, "acme", 4_000);
    let time = |secs: i64| spillway_events::format_time(at(secs)).replace('+', "%2B");
    for (moment, revision, title) in [
        ("1".to_owned(), 1, "One"),
        ("2".to_owned(), 2, "Two"),
        ("3".to_owned(), 3, "Three"),
        (time(1_000), 1, "One"),
        (time(2_999), 1, "One"),
        (time(3_000), 3, "Three"),
        (time(3_999), 3, "Three"),
    ] {
        // Twice, as the last answer is kept.
        for _ in 0..2 {
            let acme = server.get(&format!("/v1/client/acme?at={moment}")).await;
            assert_eq!(acme.tag, Some(format!("\"{revision}\"")), "{moment}");
            assert_eq!(
                (&acme.body["revision"], &acme.body["spec"]["title"]),
                (&revision.into(), &title.into())
            );
            assert_eq!(acme.body.get("status"), None, "the status is that of the present");
            let page = server.get(&format!("/v1/client?at={moment}")).await;
            assert_eq!(page.body["items"], json!([acme.body]));
            assert_eq!(page.body["revision"], revision + 1);
        }
    }
    for gone in ["0", "4", "5", &time(999), &time(4_000), "18446744073709551615"] {
        assert_eq!(server.get(&format!("/v1/client/acme?at={gone}")).await.status, StatusCode::NOT_FOUND);
    }
    // What was last so far is not kept as if nothing could follow it.
    for (title, moment) in [("Four", "9"), ("Five", &time(9_000))] {
        let before = server.get(&format!("/v1/client/acme?at={moment}")).await;
        assert_ne!(before.body["spec"]["title"], title);
        server.apply(&format!("kind: client\nname: acme\ntitle: {title}\n"), 5_000);
        assert_eq!(server.get(&format!("/v1/client/acme?at={moment}")).await.body["spec"]["title"], title);
    }
}

/// Between two pages one site is created before the end of the page and one after it; one that is still to come is deleted, and
/// every other time the last one of the page too.
#[tokio::test]
async fn pages_hold_every_site_once_while_sites_come_and_go() {
    const SITES: usize = 10_000;
    let server = Server::start().await;
    let name = |index: usize| format!("site-{index:05}");
    let all: String = (0..SITES).map(|index| site(&name(index), "acme")).collect();
    server.apply(&format!("kind: client\nname: acme\n---\nkind: client\nname: other\n---\n{all}"), 0);
    for filter in ["", "&client=acme"] {
        let mut throughout: BTreeSet<String> =
            server.0.provisioner.state().unwrap().sites().map(|site| site.site.name.to_string()).collect();
        let before = throughout.len();
        let mut listed: Vec<String> = Vec::new();
        let mut cursor = String::new();
        for page in 1_usize.. {
            assert!(page <= 30, "it ends");
            let answer = server.get(&format!("/v1/site?limit=500{filter}{cursor}")).await;
            let names = answer.names();
            assert!(
                answer.body["items"].as_array().unwrap().iter().all(|item| item["spec"]["client"] == "acme")
            );
            assert!(!names.is_empty() && names.len() <= 500);
            let last = names.last().unwrap().clone();
            listed.extend(names);
            let Some(next) = answer.body["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
            // The last one stays every other time, and must not be listed again.
            let deleted_last = Some(last.clone()).filter(|_| page % 2 == 0);
            let deleted = [deleted_last, throughout.range(last.clone()..).nth(7).cloned()];
            for gone in deleted.into_iter().flatten().filter(|gone| throughout.remove(gone)) {
                server.delete(ObjectKind::Site, &gone, 0);
            }
            let new = format!(
                "{}{}",
                site(&format!("{last}-a"), "acme"),
                site(&format!("a-{page}{}", filter.len()), "acme")
            );
            server.apply(&format!("{new}{}", site(&format!("{last}-b"), "other")), 0);
            if filter.is_empty() {
                // Every site of the page must be of the client that the test looks for.
                server.delete(ObjectKind::Site, &format!("{last}-b"), 0);
            }
        }
        let once: BTreeSet<&String> = listed.iter().collect();
        assert_eq!(once.len(), listed.len(), "none twice");
        assert!(listed.is_sorted());
        assert!(throughout.iter().all(|name| once.contains(name)), "none is missing");
        assert!(throughout.len() > 9_900 && throughout.len() < before);
    }
    assert_eq!(server.get("/v1/site").await.names().len(), 100);
    assert_eq!(server.get("/v1/site?limit=1").await.names().len(), 1);
    assert_eq!(server.get("/v1/network").await.body["items"], json!([]));
}

#[tokio::test]
async fn the_people_of_a_client_read_the_client_and_its_sites() {
    let server = Server::with_documents().await;
    let (token, _) = server.0.create_token("client_viewer", Some("acme")).await;
    let get = async |path: &str| {
        let response = server.0.bare("GET", path).bearer_auth(&token).send().await.unwrap();
        (response.status(), response.json::<Value>().await.unwrap())
    };
    for path in ["/v1/site/shop", "/v1/client/acme", "/v1/site/shop?at=1"] {
        assert_eq!(get(path).await.0, StatusCode::OK, "{path}");
    }
    for (path, detail) in [
        ("/v1/site/stall", "there is no site stall"),
        ("/v1/site/stal", "there is no site stal"),
        ("/v1/site/stall?at=1", "there is no site stall"),
        ("/v1/client/other", "there is no client other"),
        ("/v1/site?client=other", "there is no client other"),
        ("/v1/cdn/edge-one", "there is no cdn edge-one"),
    ] {
        let (status, problem) = get(path).await;
        assert_eq!((status, problem["detail"].as_str()), (StatusCode::NOT_FOUND, Some(detail)), "{path}");
    }
    for (kind, names) in [
        ("site", &["shop"][..]),
        ("client", &["acme"]),
        ("cdn", &[]),
        ("network", &[]),
        ("probe", &[]),
        ("override", &[]),
    ] {
        let (_, page) = get(&format!("/v1/{kind}")).await;
        let listed: Vec<&str> =
            page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
        assert_eq!(listed, names, "{kind}");
        assert_eq!(page["next"], Value::Null);
    }
}
