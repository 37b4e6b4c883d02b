//! Agreements by the API: each party has its own part, and sees what it may.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::common::Server;

const TENANTS: &str = "kind: client\nname: acme\n---\nkind: client\nname: other\n---\n\
    kind: site\nname: shop\nclient: acme\nhosts: [www.acme.example]\n---\n\
    kind: site\nname: wares\nclient: other\nhosts: [www.other.example]\n";

/// A quarter of an hour after the time of the tests, and the next whole five minutes.
fn terms(level: &str) -> Value {
    json!({
        "name": "gold", "client": "acme", "sites": ["shop"], "effective_from": "2023-11-14T22:30:00Z",
        "objectives": [{"metric": "response_time", "threshold": level}]
    })
}

struct Parties {
    server: Server,
    admin: String,
    viewer: String,
    stranger: String,
}

impl Parties {
    async fn start() -> Self {
        let server = Server::start().await;
        server.apply("", TENANTS).await;
        let token = async |role: &str, client| server.create_token(role, Some(client)).await.0;
        let admin = token("client_admin", "acme").await;
        let viewer = token("client_viewer", "acme").await;
        let stranger = token("client_admin", "other").await;
        Self { server, admin, viewer, stranger }
    }

    async fn call(&self, token: &str, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.server.bare(method, &format!("/v1/{path}")).bearer_auth(token);
        let request = if method == "GET" { request } else { request.json(body) };
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap_or_default())
    }

    async fn post(&self, token: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        self.call(token, "POST", path, body).await
    }

    async fn get(&self, token: &str, path: &str) -> (StatusCode, Value) {
        self.call(token, "GET", path, &Value::Null).await
    }
}

#[tokio::test]
async fn one_party_proposes_and_the_other_accepts_by_the_digest() {
    let parties = Parties::start().await;
    let operator = &parties.server.token;
    let propose = async || parties.post(operator, "agreements?id=once", &terms("300ms")).await;
    let (status, proposed) = propose().await;
    assert_eq!((status, &proposed["version"]), (StatusCode::OK, &json!("gold/1")), "{proposed}");
    let digest = &proposed["terms_sha256"];

    // A client's people see it, with how soon it shows an outage; another client's do not.
    let (status, seen) = parties.get(&parties.viewer, "agreement/gold/1").await;
    assert_eq!(status, StatusCode::OK, "{seen}");
    assert_eq!((&seen["status"]["standing"], &seen["status"]["terms_sha256"]), (&json!("proposed"), digest));
    assert_eq!(
        seen["status"]["times"],
        json!([{"site": "shop", "objective": 0, "detection": "40s", "return": "570s"}])
    );
    assert_eq!(parties.get(&parties.stranger, "agreement/gold/1").await.0, StatusCode::NOT_FOUND);
    let (_, listed) = parties.get(&parties.stranger, "agreement").await;
    assert_eq!(listed["items"], json!([]));

    let accept = json!({"terms_sha256": digest});
    let path = "agreements/gold/1/accept";
    let of = async |token: &str| parties.post(token, path, &accept).await;
    assert_eq!(of(&parties.stranger).await.0, StatusCode::NOT_FOUND);
    assert_eq!(of(&parties.viewer).await.0, StatusCode::FORBIDDEN);
    let (status, problem) = of(operator).await;
    assert_eq!((status, &problem["type"]), (StatusCode::FORBIDDEN, &json!("/problems/other-party")));
    let (status, problem) =
        parties.post(&parties.admin, path, &json!({"terms_sha256": "0".repeat(64)})).await;
    assert_eq!(
        (status, &problem["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/terms_sha256"))
    );
    let (status, accepted) = of(&parties.admin).await;
    assert_eq!(status, StatusCode::OK, "{accepted}");
    let (status, problem) = of(&parties.admin).await;
    assert_eq!((status, &problem["type"]), (StatusCode::CONFLICT, &json!("/problems/no-such-move")));

    // A retry returns the first result, whatever has become of the version.
    assert_eq!(propose().await, (StatusCode::OK, proposed.clone()));

    // It is not in force yet, and the site's own objectives are: none.
    let (_, scheduled) = parties.get(operator, "agreement/gold/1").await;
    assert_eq!(scheduled["status"]["standing"], "scheduled");
    let (_, site) = parties.get(operator, "site/shop").await;
    assert_eq!(site["status"]["agreed_in"], Value::Null);
    // The author of each part is on record.
    let (_, changes) = parties.get(operator, "changes?kind=agreement").await;
    let authors: Vec<&Value> =
        changes["items"].as_array().unwrap().iter().map(|change| &change["author"]).collect();
    assert!(authors.len() == 2 && authors[0] != authors[1], "{changes}");
}

#[tokio::test]
async fn a_client_counters_and_its_drafts_are_its_own() {
    let parties = Parties::start().await;
    let operator = &parties.server.token;
    let (status, drafted) = parties.post(&parties.admin, "agreement-drafts", &terms("200ms")).await;
    assert_eq!((status, &drafted["version"]), (StatusCode::OK, &json!("gold/1")), "{drafted}");
    assert_eq!(parties.get(operator, "agreement/gold/1").await.0, StatusCode::NOT_FOUND);
    assert_eq!(parties.get(&parties.viewer, "agreement/gold/1").await.0, StatusCode::OK);
    let (status, proposed) = parties.post(operator, "agreements", &terms("300ms")).await;
    assert_eq!((status, &proposed["version"]), (StatusCode::OK, &json!("gold/2")), "{proposed}");
    let (status, countered) =
        parties.post(&parties.admin, "agreements/gold/2/counter", &terms("250ms")).await;
    assert_eq!((status, &countered["version"]), (StatusCode::OK, &json!("gold/3")), "{countered}");
    // A draft that was never proposed stays its author's.
    let withdraw = json!({"reason": "a first try"});
    assert_eq!(parties.post(&parties.admin, "agreements/gold/1/withdraw", &withdraw).await.0, StatusCode::OK);
    assert_eq!(parties.get(operator, "agreement/gold/1").await.0, StatusCode::NOT_FOUND);
    assert_eq!(parties.get(&parties.viewer, "agreement/gold/1").await.1["status"]["standing"], "discarded");
    let (_, drafted) = parties.post(operator, "agreement-drafts", &terms("400ms")).await;
    assert_eq!(drafted["version"], "gold/4");
    assert_eq!(parties.get(&parties.admin, "agreement/gold/4").await.0, StatusCode::NOT_FOUND);
    let (_, listed) = parties.get(&parties.admin, "agreement").await;
    let listed: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|of| &of["name"]).collect();
    assert_eq!(listed, ["gold/1", "gold/2", "gold/3"]);
    let (_, before) = parties.get(operator, "agreement/gold/2").await;
    assert_eq!(before["status"]["standing"], "countered");
    let reject = json!({"reason": "too strict"});
    assert_eq!(parties.post(operator, "agreements/gold/3/reject", &reject).await.0, StatusCode::OK);
    let (_, rejected) = parties.get(&parties.viewer, "agreement/gold/3").await;
    assert_eq!(
        (&rejected["status"]["standing"], &rejected["status"]["reason"]),
        (&json!("rejected"), &json!("too strict"))
    );
}

#[tokio::test]
async fn wrong_proposals_change_nothing_and_say_why() {
    let parties = Parties::start().await;
    let wrong = |body: Value| {
        let mut terms = terms("300ms");
        terms.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        terms
    };
    let operator = parties.server.token.clone();
    for (token, path, body, status, kind) in [
        (&operator, "agreements", wrong(json!({"sites": ["wares"]})), 422, "mistakes"),
        (&operator, "agreements", wrong(json!({"dwell": 5})), 422, "mistakes"),
        (&operator, "agreements", wrong(json!({"kind": "client"})), 422, "mistakes"),
        (&operator, "agreements", json!([]), 400, "malformed-body"),
        (
            &parties.admin,
            "agreements",
            wrong(json!({"client": "other", "sites": ["wares"]})),
            403,
            "forbidden",
        ),
        (&operator, "agreements/gold/1/accept", json!({}), 404, "not-found"),
    ] {
        let (found, problem) = parties.post(token, path, &body).await;
        assert_eq!(found.as_u16(), status, "{path} {body}: {problem}");
        if !kind.is_empty() {
            assert_eq!(problem["type"], format!("/problems/{kind}"), "{path} {body}: {problem}");
        }
    }
    let (_, listed) = parties.get(&operator, "agreement").await;
    assert_eq!(listed["items"], json!([]));
    // The parts of a move that have no meaning, or are missing.
    assert_eq!(parties.post(&operator, "agreements", &terms("300ms")).await.0, StatusCode::OK);
    for (act, body, pointer) in [
        ("withdraw", json!({}), "/reason"),
        ("withdraw", json!({"reason": "x", "at": "2030-01-01T00:00:00Z"}), "/at"),
        ("terminate", json!({"reason": "x", "at": "soon"}), "/at"),
    ] {
        let (status, problem) = parties.post(&operator, &format!("agreements/gold/1/{act}"), &body).await;
        assert_eq!(
            (status, &problem["errors"][0]["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer)),
            "{problem}"
        );
    }
    let (status, _) = parties.post(&operator, "agreements/gold/1/eat", &json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_client_reads_the_rate_cards_that_the_provider_offers_it() {
    let parties = Parties::start().await;
    let operator = &parties.server.token;
    let item = "{name: base, model: flat, price: '49', tax_code: services}";
    let card = |name: &str| format!("kind: rate_card\nname: {name}\nversion: 1\nitems: [{item}]\n");
    let (status, applied) =
        parties.server.apply("", &format!("{}---\n{}", card("gold"), card("secret"))).await;
    assert_eq!(status, StatusCode::OK, "{applied}");
    let with_card = |card: &str| {
        let mut terms = terms("300ms");
        terms["billing"] = json!({"rate_card": card, "currency": "EUR", "zone": "Europe/Berlin"});
        terms
    };
    let seen = async || {
        let (_, listed) = parties.get(&parties.viewer, "rate_card").await;
        listed["items"].as_array().unwrap().iter().map(|of| of["name"].clone()).collect::<Vec<Value>>()
    };
    // That a client names a card shows it to nobody.
    assert_eq!(
        parties.post(&parties.admin, "agreement-drafts", &with_card("secret/1")).await.0,
        StatusCode::OK
    );
    assert_eq!(seen().await, Vec::<Value>::new());
    assert_eq!(parties.get(&parties.admin, "rate_card/secret/1").await.0, StatusCode::NOT_FOUND);
    assert_eq!(parties.post(operator, "agreements", &with_card("gold/1")).await.0, StatusCode::OK);
    assert_eq!(seen().await, [json!("gold/1")]);
    let (status, card) = parties.get(&parties.viewer, "rate_card/gold/1").await;
    assert_eq!((status, &card["spec"]["items"][0]["price"]), (StatusCode::OK, &json!("49")));
    assert_eq!(parties.get(&parties.stranger, "rate_card/gold/1").await.0, StatusCode::NOT_FOUND);
}
