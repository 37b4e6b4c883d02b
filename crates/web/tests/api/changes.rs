//! Who changed what.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::common::{DOCUMENTS, Server};

async fn page(server: &Server, query: &str) -> Value {
    let (status, _, text) = server.get(&format!("/v1/changes{query}")).await;
    assert_eq!(status, StatusCode::OK, "{query}: {text}");
    serde_json::from_str(&text).unwrap()
}

fn numbers(page: &Value) -> Vec<u64> {
    page["items"].as_array().unwrap().iter().map(|item| item["number"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn every_change_is_shown_with_its_author_from_what_to_what() {
    let server = Server::start().await;
    server.apply("?id=one", DOCUMENTS).await;
    for ttl_secs in 30..34 {
        server.apply("", &format!("{DOCUMENTS}ttl_secs: {ttl_secs}\n")).await;
    }
    let (token, id) = server.create_token("operator", None).await;
    let delete = server.bare("DELETE", "/v1/site/shop?id=gone").bearer_auth(&token).header("if-match", "*");
    assert_eq!(delete.send().await.unwrap().status(), StatusCode::OK);

    let all = page(&server, "").await;
    assert_eq!((numbers(&all), &all["next"]), ((0..8).rev().collect(), &Value::Null));
    let last = &all["items"][0];
    assert_eq!((&last["command"], &last["changes"]), (&json!("gone"), &json!(["- site shop"])));
    assert_eq!(last["author"], format!("operator {id}"));
    assert_eq!(all["items"][2]["changes"], json!(["~ site shop: ttl_secs 32 -> 33"]));
    assert_eq!((&all["items"][6]["command"], &all["items"][6]["changes_count"]), (&json!("one"), &json!(2)));

    assert_eq!(numbers(&page(&server, &format!("?author={id}")).await), [7]);
    assert_eq!(numbers(&page(&server, "?kind=client").await), [1]);
    let first = page(&server, "?kind=client").await;
    assert_eq!(first["items"][0]["changes"], json!(["+ client acme"]), "only the lines that were asked for");
    assert_eq!(numbers(&page(&server, "?kind=token").await), [6, 0]);
    assert_eq!(numbers(&page(&server, "?name=nobody").await), [0_u64; 0]);
}

#[tokio::test]
async fn pages_hold_every_change_once() {
    let server = Server::start().await;
    for number in 0..7 {
        server.apply("", &format!("kind: client\nname: c{number}\n")).await;
    }
    let mut seen = Vec::new();
    let mut query = String::from("?kind=client&limit=3");
    for _ in 0..5 {
        let page = page(&server, &query).await;
        seen.extend(numbers(&page));
        let Some(next) = page["next"].as_u64() else { break };
        query = format!("?kind=client&limit=3&before={next}");
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
    for (query, reason) in [
        ("?limit=0", "limit:"),
        ("?before=x", "before:"),
        ("?kind=page", "none of the kinds client"),
        ("?colour=red", "colour: is not a parameter"),
    ] {
        let (status, _, text) = server.get(&format!("/v1/changes{query}")).await;
        assert!(status == StatusCode::BAD_REQUEST && text.contains(reason), "{query}: {text}");
    }
}

#[tokio::test]
async fn a_change_is_undone_by_another_one() {
    let server = Server::start().await;
    let site = |ttl: u32| format!("{DOCUMENTS}ttl_secs: {ttl}\n");
    server.apply("", &site(30)).await;
    let (_, changed) = server.apply("", &site(40)).await;
    let number = changed["revision"].as_u64().unwrap() - 1;
    let undo = async |number: &str, query: &str| {
        let request = server.request("POST", &format!("/v1/changes/{number}/undo{query}"));
        let response = request.send().await.unwrap();
        (response.status(), response.json::<Value>().await.unwrap())
    };
    let (status, tried) = undo(&number.to_string(), "?dry_run=true").await;
    assert_eq!((status, &tried["changes"]), (StatusCode::OK, &json!(["~ site shop: ttl_secs 40 -> 30"])));
    let (status, undone) = undo(&number.to_string(), "?id=once").await;
    assert_eq!((status, &undone["changes"]), (StatusCode::OK, &tried["changes"]), "{undone}");
    assert_eq!(undo(&number.to_string(), "?id=once").await, (StatusCode::OK, undone));
    let (status, problem) = undo(&number.to_string(), "").await;
    assert_eq!(
        (status, &problem["type"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/problems/refused")),
        "{problem}"
    );
    assert!(problem["detail"].as_str().unwrap().contains("was changed by record"), "{problem}");
    assert_eq!(undo("99", "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(undo("one", "").await.0, StatusCode::BAD_REQUEST);
    // The first record has a token.
    assert_eq!(undo("0", "").await.0, StatusCode::UNPROCESSABLE_ENTITY);
}
