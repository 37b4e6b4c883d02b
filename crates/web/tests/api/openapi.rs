//! The OpenAPI document.

use std::collections::BTreeSet;

use expect_test::expect_file;
use reqwest::StatusCode;
use serde_json::Value;
use spillway_web::{Permission, ROUTES, openapi_document};

use crate::common::Server;

/// `UPDATE_EXPECT=1` writes the file again.
#[tokio::test]
async fn the_document_is_the_one_that_is_kept() {
    let server = Server::start().await;
    let response = server.bare("GET", "/v1/openapi.json").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    let text = response.text().await.unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document, openapi_document());
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    expect_file!["../../openapi.json"].assert_eq(&format!("{text}\n"));
}

/// Every operation with its path, and whether it needs a token.
#[test]
fn the_document_has_the_routes_and_no_others() {
    let document = openapi_document();
    let mut found = BTreeSet::new();
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let needs_token = operation["security"] == serde_json::json!([{"token": []}]);
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
            found.insert((method.to_uppercase(), path.clone(), needs_token));
        }
    }
    let routes = ROUTES.iter().map(|(method, path, permission)| {
        (method.to_string(), path.replace("{*", "{"), *permission != Permission::Public)
    });
    assert_eq!(found, routes.collect());
}
