//! What has happened, as events.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};
use spillway_events::{Decision, NetworkName, Route, SiteName, TimeMicros, Verdict, encode_frame, topics};

use crate::common::{NOW, Server};

async fn page(server: &Server, token: &str, query: &str) -> Value {
    let request = server.bare("GET", &format!("/v1/events{query}")).bearer_auth(token);
    let response = request.send().await.unwrap();
    let (status, page) = (response.status(), response.json::<Value>().await.unwrap());
    assert_eq!(status, StatusCode::OK, "{query}: {page}");
    page
}

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().unwrap()
}

/// All events of a reader: their types and subjects.
async fn told(server: &Server, token: &str) -> Vec<(String, String)> {
    let page = page(server, token, "?limit=1000").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    items(&page).iter().map(|event| (text(&event["type"]), text(&event["subject"]))).collect()
}

/// Appends a frame of decisions, as the dataflow does.
fn decide(server: &Server, tick: u64, sites: &[&str]) {
    let decision = |site: &&str| Decision {
        site: SiteName::new(*site).unwrap(),
        network: NetworkName::everywhere(),
        tick,
        at_us: TimeMicros(NOW.0 + 1),
        route: Route::ORIGIN,
        verdict: Verdict::Below,
        reason: None,
        objectives: Vec::new(),
        candidates: Vec::new(),
        agreement: 0,
    };
    let decisions: Vec<Decision> = sites.iter().map(decision).collect();
    for chunk in encode_frame(tick, &decisions).unwrap() {
        server.log.append(topics::DECISIONS, 0, &[&chunk]).unwrap();
    }
}

fn site(name: &str, client: &str, ttl_secs: u32) -> String {
    format!("kind: site\nname: {name}\nclient: {client}\nhosts: [{name}.example]\nttl_secs: {ttl_secs}\n")
}

#[tokio::test]
async fn changes_and_decisions_are_cloud_events_in_their_order() {
    let server = Server::start().await;
    server.apply("", "kind: client\nname: acme\n").await;
    server.apply("", &site("shop", "acme", 30)).await;
    server.apply("", &site("shop", "acme", 40)).await;
    decide(&server, 0, &["shop"]);
    // A frame that its writer wrote again after a restart.
    decide(&server, 0, &["shop"]);
    let page = page(&server, &server.token, "").await;
    let types: Vec<&str> = items(&page).iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        [
            "spillway.token.created",
            "spillway.client.created",
            "spillway.site.created",
            "spillway.site.changed",
            "spillway.decision"
        ]
    );
    assert_eq!(page["has_more"], false);
    let changed = &items(&page)[3];
    assert_eq!((&changed["specversion"], &changed["source"]), (&json!("1.0"), &json!("/v1/events")));
    assert_eq!(
        (&changed["subject"], &changed["time"]),
        (&json!("site/shop"), &json!("2023-11-14T22:13:20Z"))
    );
    assert_eq!((&changed["data"]["spec"]["ttl_secs"], &changed["data"]["record"]), (&json!(40), &json!(3)));
    assert_eq!(items(&page)[4]["data"]["verdict"], "below");
    let ids: BTreeSet<&str> = items(&page).iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 5);
    assert!(!page.to_string().contains("sha256"), "{page}");
}

#[tokio::test]
async fn a_clients_people_see_what_was_theirs_when_it_happened() {
    let server = Server::start().await;
    server.apply("", "kind: client\nname: acme\n---\nkind: client\nname: other\n").await;
    server.apply("", "kind: cdn\nname: edge\ntype: operated\ndns_name: edge.example\n").await;
    server.apply("", &site("shop", "acme", 30)).await;
    server.apply("", &site("wares", "other", 30)).await;
    decide(&server, 0, &["wares"]);
    server.apply("", &site("shop", "acme", 50)).await;
    let delete = server.request("DELETE", "/v1/site/shop").header("if-match", "*");
    assert_eq!(delete.send().await.unwrap().status(), StatusCode::OK);
    let (acme, _) = server.create_token("client_viewer", Some("acme")).await;
    let (other, _) = server.create_token("client_admin", Some("other")).await;
    let (analyst, _) = server.create_token("analyst", None).await;

    let told_acme = told(&server, &acme).await;
    let expected = [
        ("client.created", "client/acme"),
        ("site.created", "site/shop"),
        ("site.changed", "site/shop"),
        ("site.deleted", "site/shop"),
    ];
    assert_eq!(told_acme, expected.map(|(kind, of)| (format!("spillway.{kind}"), of.to_owned())));
    let told_other = told(&server, &other).await;
    let of_wares: Vec<&str> = told_other
        .iter()
        .filter(|(_, subject)| subject == "site/wares")
        .map(|(kind, _)| kind.strip_prefix("spillway.").unwrap())
        .collect();
    assert_eq!(of_wares, ["site.created", "decision"]);
    assert!(told_other.contains(&(String::from("spillway.decision"), String::from("site/wares"))));
    assert!(!told_acme.iter().chain(&told_other).any(|(_, subject)| subject == "cdn/edge"));

    let told_analyst = told(&server, &analyst).await;
    assert!(told_analyst.iter().all(|(kind, _)| !kind.starts_with("spillway.token")));
    assert!(told_analyst.iter().any(|(_, subject)| subject == "cdn/edge"));
}

/// Reads while events are added, and is killed after a random number of the events of each page: what it had read of the page
/// beyond these is lost. It goes on from the cursor of the last event that it handled.
#[tokio::test]
async fn a_reader_that_is_killed_anywhere_misses_nothing_and_gets_nothing_twice() {
    let server = Server::start().await;
    server.apply("", "kind: client\nname: acme\n").await;
    let names = ["a", "b", "c"];
    let sites: Vec<String> = names.iter().map(|name| site(name, "acme", 30)).collect();
    server.apply("", &sites.join("---\n")).await;
    let (viewer, _) = server.create_token("client_viewer", Some("acme")).await;
    let mut random = 7_u64;
    let mut below = |end: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % end
    };
    for token in [server.token.clone(), viewer] {
        let mut handled: Vec<String> = Vec::new();
        let mut cursor = None;
        let mut idle = 0;
        for round in 0..400 {
            if round < 40 {
                // Several events of one record, and several decisions of one frame.
                let ttl_secs = u32::try_from(31 + below(1_000)).unwrap();
                let sites: Vec<String> = names.iter().map(|name| site(name, "acme", ttl_secs)).collect();
                server.apply("", &sites.join("---\n")).await;
                let tick = server.log.end(topics::DECISIONS, 0).unwrap();
                decide(&server, tick, &names);
            }
            let after = cursor.as_ref().map_or_else(String::new, |cursor| format!("&after={cursor}"));
            let page = page(&server, &token, &format!("?limit={}{after}", 1 + below(9))).await;
            let killed_after = usize::try_from(below(10)).unwrap();
            for event in items(&page).iter().take(killed_after) {
                handled.push(event["id"].as_str().unwrap().to_owned());
                cursor = Some(event["cursor"].as_str().unwrap().to_owned());
            }
            if items(&page).len() <= killed_after {
                cursor = Some(page["next"].as_str().unwrap().to_owned());
            }
            idle = if items(&page).is_empty() && page["has_more"] == false { idle + 1 } else { 0 };
            if round > 40 && idle > 0 {
                break;
            }
        }
        let all = page(&server, &token, "?limit=1000").await;
        let ids: BTreeSet<String> =
            items(&all).iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        assert!(ids.len() > 200 && all["has_more"] == false, "{}", ids.len());
        assert_eq!(handled.len(), ids.len(), "nothing twice, nothing missed");
        assert_eq!(handled.into_iter().collect::<BTreeSet<_>>(), ids);
    }
}

#[tokio::test]
async fn cursors_of_other_logs_and_texts_that_are_none_are_refused() {
    let server = Server::start().await;
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (cursor, reason) in [
        ("x", "is not the cursor"),
        ("00", "is not the cursor"),
        (&hex("1;1.2"), "is not the cursor"),
        (&hex("1;999.0.0"), "of another log"),
        (&hex("1;0.0.0;999.0.0"), "of another log"),
    ] {
        let (status, _, text) = server.get(&format!("/v1/events?after={cursor}")).await;
        assert!(status == StatusCode::BAD_REQUEST && text.contains(reason), "{cursor}: {text}");
    }
}
