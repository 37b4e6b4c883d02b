//! The API over real sockets, on an embedded log.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod access;
mod agreements;
mod changes;
mod common;
mod events;
mod openapi;
mod problems;
mod rate_limits;
mod resources;
mod writes;

use common::{DOCUMENTS, Server};
use reqwest::StatusCode;
use serde_json::Value;

#[tokio::test]
async fn documents_are_applied_and_read_back_after_a_dry_run() {
    let server = Server::start().await;
    let (status, tried) = server.apply("?dry_run=true", DOCUMENTS).await;
    assert_eq!((status, &tried["revision"], &tried["dry_run"]), (StatusCode::OK, &1.into(), &true.into()));
    let (status, applied) = server.apply("", DOCUMENTS).await;
    assert_eq!((status, &applied["revision"]), (StatusCode::OK, &2.into()));
    let (status, kind, text) = server.get("/v1/provisioning").await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/yaml"));
    let (_, again) = server.apply("", &text).await;
    assert_eq!((&again["revision"], &again["changes"]), (&2.into(), &Value::Array(Vec::new())));
}

#[tokio::test]
async fn a_command_sent_again_with_its_id_returns_its_first_result() {
    let server = Server::start().await;
    let (_, first) = server.apply("?id=one", DOCUMENTS).await;
    let (status, again) = server.apply("?id=one", DOCUMENTS).await;
    assert_eq!((status, &again), (StatusCode::OK, &first));
    assert_eq!(again["changes"].as_array().unwrap().len(), 2);
    let (status, problem) = server.apply("?id=one", "kind: client\nname: other\n").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
}

#[tokio::test]
async fn targets_that_probes_skip_are_applied_with_a_warning() {
    let server = Server::start().await;
    let origin = "origin: {addresses: [10.0.0.1], probe_url: 'http://shop.example/'}\n";
    let (status, applied) = server.apply("?file=a.yaml", &format!("{DOCUMENTS}{origin}")).await;
    assert_eq!((status, &applied["revision"]), (StatusCode::OK, &2.into()));
    let warnings = applied["warnings"].as_array().unwrap();
    let warning = warnings[0].as_str().unwrap();
    assert!(warning.contains("(site shop): origin.addresses[0]: 10.0.0.1 is not a public"), "{warning}");
    assert_eq!(warnings.len(), 1);
    // A retry returns them too.
    let documents = format!("{DOCUMENTS}ttl_secs: 99\n{origin}");
    let (_, first) = server.apply("?id=one", &documents).await;
    assert_eq!(
        (&server.apply("?id=one", &documents).await.1, first["warnings"].as_array().unwrap().len()),
        (&first, 1)
    );
}

#[tokio::test]
async fn mistakes_are_a_problem_that_names_each_of_them_and_changes_nothing() {
    let server = Server::start().await;
    let (status, problem) = server
        .apply(
            "?file=a.yaml",
            "kind: client\n---\nkind: site\nname: shop\nclient: nobody\nhosts: [a.example]\n",
        )
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = problem["errors"].as_array().unwrap();
    assert!(
        !errors.is_empty()
            && errors.iter().all(|error| error["detail"].as_str().unwrap().starts_with("a.yaml:")),
        "{problem}"
    );
    assert!(!server.get("/v1/provisioning").await.2.contains("kind:"));
}

#[tokio::test]
async fn every_refusal_is_a_problem_with_a_reason() {
    let server = Server::start().await;
    server.apply("", DOCUMENTS).await;
    for (path, status, reason) in [
        ("/v1/clock-resets", StatusCode::METHOD_NOT_ALLOWED, "does not take GET"),
        ("/v2/nothing", StatusCode::NOT_FOUND, "there is no /v2/nothing"),
        ("/v1/nothing", StatusCode::NOT_FOUND, "`nothing` is none of the kinds"),
        ("/v1/gaps", StatusCode::METHOD_NOT_ALLOWED, "does not take GET"),
        ("/v1/probes/agent", StatusCode::NOT_FOUND, "`probes` is none of the kinds"),
        ("/v1/explain/shp", StatusCode::NOT_FOUND, "did you mean shop?"),
        ("/v1/explain/shop", StatusCode::NOT_FOUND, "by that time"),
        ("/v1/explain/shop?at=yesterday", StatusCode::BAD_REQUEST, "at:"),
        ("/v1/explain/shop?network=a%00b", StatusCode::BAD_REQUEST, "network"),
    ] {
        let (found, kind, body) = server.get(path).await;
        assert_eq!((found, kind.as_str()), (status, "application/problem+json"), "{path}: {body}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{path}: {body}");
    }
    let (status, problem) = server.apply("?dry_run=perhaps", DOCUMENTS).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["detail"].as_str().unwrap().contains("dry_run"), "{problem}");
    let request = server.request("POST", "/v1/gaps").header("content-type", "application/json").body("{");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn a_clock_reset_needs_a_reason_and_is_recorded_once_a_command() {
    let server = Server::start().await;
    let reset = async |query: &str, body: &str| {
        let request = server.request("POST", &format!("/v1/clock-resets{query}"));
        let request = request.header("content-type", "application/json").body(body.to_owned());
        let response = request.send().await.unwrap();
        (response.status(), response.json::<Value>().await.unwrap())
    };
    let (status, problem) = reset("", r#"{"reason": ""}"#).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem["detail"].as_str().unwrap().contains("reason: must have 1 to 255 bytes"), "{problem}");
    let body = r#"{"reason": "2 hours ahead"}"#;
    let (_, tried) = reset("?dry_run=true", body).await;
    assert_eq!(
        (&tried["revision"], &tried["changes"][0]),
        (&1.into(), &"+ clock reset: 2 hours ahead".into())
    );
    for _ in 0..2 {
        let (status, applied) = reset("?id=one", body).await;
        assert_eq!((status, &applied["revision"]), (StatusCode::OK, &2.into()));
        assert_eq!(applied["changes"], tried["changes"]);
    }
}

#[tokio::test]
async fn ready_answers_with_the_body_that_the_process_makes() {
    let server = Server::start().await;
    let (status, kind, body) = server.get("/ready").await;
    assert_eq!(
        (status, kind.as_str(), body.as_str()),
        (StatusCode::OK, "application/json", r#"{"roles":[]}"#)
    );
}

#[tokio::test]
async fn probes_that_have_tried_nothing_are_silent() {
    let server = Server::start().await;
    let probe = "---\nkind: network\nname: net\nprefixes: [192.0.2.0/24]\n---\nkind: probe\nagent: a1\nnetwork: net\n";
    server.apply("", &format!("{DOCUMENTS}{probe}")).await;
    let (status, kind, body) = server.get("/v1/probes").await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/json"));
    let report: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(report["silent"], serde_json::json!([{"agent": "a1", "network": "net"}]));
    assert_eq!((&report["as_of_us"], &report["series"]), (&Value::Null, &serde_json::json!([])));
}
