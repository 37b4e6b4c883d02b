//! What errors look like.

use std::collections::BTreeSet;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use spillway_web::problem_types;

use crate::common::{DOCUMENTS, Server};

async fn problem(request: RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status, "{problem}");
    let name = problem["type"].as_str().unwrap().strip_prefix("/problems/").unwrap();
    let kind = problem_types().find(|kind| kind.name == name).unwrap();
    assert_eq!((kind.status.as_u16(), kind.title), (status, problem["title"].as_str().unwrap()));
    problem
}

#[tokio::test]
async fn every_type_has_a_name_of_its_own_and_a_page() {
    let server = Server::start().await;
    let names: BTreeSet<&str> = problem_types().map(|kind| kind.name).collect();
    assert_eq!(names.len(), problem_types().count());
    for kind in problem_types() {
        let response = server.bare("GET", &kind.uri()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{}", kind.name);
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
        assert!(response.text().await.unwrap().contains(kind.explanation), "{}", kind.name);
    }
    let unknown = problem(server.bare("GET", "/problems/none")).await;
    assert_eq!(unknown["type"], "/problems/not-found");
}

/// A call of each kind of refusal that a client can meet, and the type of its problem.
#[tokio::test]
async fn refusals_are_told_apart_by_their_types() {
    let server = Server::start().await;
    server.apply("", DOCUMENTS).await;
    let get = |path: &str| server.request("GET", path);
    let put =
        |path: &str| server.request("PUT", path).json(&json!({"client": "acme", "hosts": ["a.example"]}));
    let post = |path: &str, body: Value| server.request("POST", path).json(&body);
    let delete = |path: &str| server.request("DELETE", path).header("if-match", "*");
    for (request, name) in [
        (server.bare("GET", "/v1/probes"), "token-missing"),
        (server.bare("GET", "/v1/probes").bearer_auth("none"), "token-refused"),
        (get("/v1/probes").header("host", "other.example"), "unknown-host"),
        (get("/v1/probes").header("origin", "http://other.example"), "cross-site"),
        (get("/v2"), "no-such-path"),
        (get("/v1/gaps"), "method-not-allowed"),
        (get("/v1/site/none"), "not-found"),
        (get("/v1/site?limit=0"), "bad-parameter"),
        (get("/v1/explain/shop?network=%00"), "bad-parameter"),
        (get("/v1/site/%ff"), "bad-request"),
        (put("/v1/site/shop"), "precondition-required"),
        (put("/v1/site/shop").header("if-match", "1"), "bad-header"),
        (put("/v1/site/shop").header("if-match", "\"99\""), "stale"),
        (put("/v1/client/shop").header("if-match", "*"), "mistakes"),
        (post("/v1/provisioning", json!({"file": []})), "malformed-body"),
        (server.request("POST", "/v1/gaps").body("{}"), "unsupported-media-type"),
        (post("/v1/clock-resets", json!({"reason": ""})), "invalid-field"),
        (post("/v1/tokens", json!({"role": "analyst", "note": ""})), "invalid-field"),
        (delete("/v1/client/acme"), "in-use"),
        (delete("/v1/site/none"), "not-found"),
    ] {
        let found = problem(request).await;
        assert_eq!(found["type"], format!("/problems/{name}"), "{found}");
    }
    let (viewer, _) = server.create_token("analyst", None).await;
    let found = problem(server.bare("DELETE", "/v1/site/shop").bearer_auth(&viewer)).await;
    assert_eq!(found["type"], "/problems/forbidden");
}

#[tokio::test]
async fn errors_point_at_what_is_wrong() {
    let server = Server::start().await;
    server.apply("", DOCUMENTS).await;
    let put = server.request("PUT", "/v1/site/new").header("if-none-match", "*").json(&json!({
        "client": "acme", "hosts": ["a.example", "a b"], "objectives": [{"metric": "response_time"}],
    }));
    let found = problem(put).await;
    let pointers: Vec<&str> =
        found["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/hosts/1", "/objectives/0/threshold"], "{found}");
    assert!(!found["errors"][0]["detail"].as_str().unwrap().contains("hosts"), "{found}");

    // What only the objects together show, too.
    let put = server.request("PUT", "/v1/site/new").header("if-none-match", "*");
    let found = problem(put.json(&json!({"client": "nobody", "hosts": ["a.example"]}))).await;
    assert_eq!(found["errors"][0]["pointer"], "/client", "{found}");

    let file = |name: &str, text: &str| json!({"name": name, "text": text});
    let files = [file("a", "kind: client\nname: b\n"), file("b", "kind: client\n")];
    let found = problem(server.request("POST", "/v1/provisioning").json(&json!({"files": files}))).await;
    assert_eq!(found["errors"][0]["pointer"], "/files/1/text", "{found}");
    let files = [file("a", "kind: client\nname: b\n"), file("a", "kind: client\n")];
    let found = problem(server.request("POST", "/v1/provisioning").json(&json!({"files": files}))).await;
    assert_eq!(found["errors"][0].get("pointer"), None, "the name is not of one file: {found}");

    let body = json!({"role": "analyst", "note": "", "expires_at": "2030-01-01T00:00:00Z"});
    let found = problem(server.request("POST", "/v1/tokens").json(&body)).await;
    assert_eq!(found["errors"][0]["pointer"], "/note", "{found}");
    let found = problem(server.request("GET", "/v1/site?colour=red&limit=1&limit=2")).await;
    let parameters: Vec<&Value> =
        found["errors"].as_array().unwrap().iter().map(|error| &error["parameter"]).collect();
    assert_eq!(parameters, ["colour", "limit"]);
    let found = problem(server.request("DELETE", "/v1/site/shop?dry=1").header("if-match", "*")).await;
    assert_eq!(found["errors"][0]["parameter"], "dry");
    let found = problem(server.request("DELETE", "/v1/site/shop").header("if-match", "x")).await;
    assert_eq!(found["errors"][0]["header"], "If-Match");
}
