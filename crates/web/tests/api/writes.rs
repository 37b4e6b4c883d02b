//! Setting and deleting single objects.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::common::{DOCUMENTS, Server};

/// Status, ETag and body.
async fn answer(request: RequestBuilder) -> (StatusCode, Option<String>, Value) {
    let response = request.send().await.unwrap();
    let tag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
    (response.status(), tag, response.json().await.unwrap_or_default())
}

fn site(ttl_secs: u32) -> Value {
    json!({"client": "acme", "hosts": ["www.acme.example"], "ttl_secs": ttl_secs})
}

#[tokio::test]
async fn an_object_is_created_changed_and_deleted_by_the_version_that_was_read() {
    let server = Server::start().await;
    server.apply("", "kind: client\nname: acme\n").await;
    let put = |body: &Value| server.request("PUT", "/v1/site/shop").json(body);
    let (status, tag, body) = answer(put(&site(20)).header("if-none-match", "*")).await;
    assert_eq!((status, tag.as_deref(), &body["revision"]), (StatusCode::CREATED, Some("\"2\""), &json!(3)));
    assert_eq!(server.request("GET", "/v1/site/shop").send().await.unwrap().headers()["etag"], "\"2\"");
    let (status, tag, body) = answer(put(&site(30)).header("if-match", "\"2\"")).await;
    assert_eq!((status, tag.as_deref()), (StatusCode::OK, Some("\"3\"")), "{body}");
    assert_eq!(body["changes"], json!(["~ site shop: ttl_secs 20 -> 30"]));
    // The same again changes nothing, and its version stays.
    let (status, tag, body) = answer(put(&site(30)).header("if-match", "\"3\"")).await;
    assert_eq!((status, tag.as_deref(), &body["changes"]), (StatusCode::OK, Some("\"3\""), &json!([])));
    let delete = |tag: &str| server.request("DELETE", "/v1/site/shop").header("if-match", tag);
    let (status, _, problem) = answer(delete("\"2\"")).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("last changed by record 3"), "{problem}");
    assert_eq!(answer(delete("\"3\"")).await.0, StatusCode::OK);
    assert_eq!(answer(delete("*")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(answer(put(&site(20)).header("if-match", "*")).await.0, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn of_writers_that_saw_the_same_version_one_wins() {
    let server = Server::start().await;
    server.apply("", DOCUMENTS).await;
    let put = |ttl_secs: u32| {
        answer(server.request("PUT", "/v1/site/shop").json(&site(ttl_secs)).header("if-match", "\"1\""))
    };
    let (a, b, c, d) = tokio::join!(put(31), put(32), put(33), put(34));
    let mut statuses = [a.0, b.0, c.0, d.0].map(|status| status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412]);
}

#[tokio::test]
async fn a_command_with_an_idempotency_key_is_done_once() {
    let server = Server::start().await;
    server.apply("", DOCUMENTS).await;
    let put = |ttl_secs: u32, key: &str| {
        let request =
            server.request("PUT", "/v1/site/shop").json(&site(ttl_secs)).header("if-match", "\"1\"");
        request.header("idempotency-key", key)
    };
    let (status, tag, first) = answer(put(30, "one")).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    // The version is another one by now, but this is the command that made it so.
    assert_eq!(answer(put(30, "one")).await, (status, tag, first));
    let (status, _, problem) = answer(put(40, "one")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("used by another command"), "{problem}");
    for bad in ["", "a b", &"x".repeat(256)] {
        assert_eq!(answer(put(30, bad)).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
    let twice = put(30, "two").header("idempotency-key", "three");
    assert_eq!(answer(twice).await.0, StatusCode::BAD_REQUEST);
}

/// Holds a key with a request whose body does not come. The server reads its head at a time of its own.
#[tokio::test]
async fn a_key_in_flight_is_held_for_its_author_until_the_request_ends() {
    let server = Server::start().await;
    let (other, _) = server.create_token("operator", None).await;
    let head = format!(
        "POST /v1/provisioning HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nIdempotency-Key: one\r\n\
         Content-Type: application/yaml\r\nContent-Length: 100\r\n\r\n",
        server.token
    );
    let apply = |token: &str, key: &str| {
        let request = server.bare("POST", "/v1/provisioning?dry_run=true").bearer_auth(token);
        request.header("idempotency-key", key).header("content-type", "application/yaml").body(DOCUMENTS)
    };
    let send = async || apply(&server.token, "one").send().await.unwrap();
    let mut found = None;
    for _ in 0..100 {
        let mut held = TcpStream::connect(server.address).await.unwrap();
        held.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let response = send().await;
        // Otherwise the head was not read yet, and another attempt holds the key.
        if response.status() == StatusCode::CONFLICT {
            found = Some((held, response));
            break;
        }
    }
    let (held, refused) = found.expect("a key is held");
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.json::<Value>().await.unwrap()["type"], "/problems/in-flight");
    assert_eq!(answer(apply(&server.token, "two")).await.0, StatusCode::OK);
    assert_eq!(answer(apply(&other, "one")).await.0, StatusCode::OK);
    drop(held);
    for _ in 0..500 {
        if send().await.status() == StatusCode::OK {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the key is never given back");
}

/// The same texts, divided into files in another way.
#[tokio::test]
async fn another_division_into_files_is_another_body() {
    let server = Server::start().await;
    let apply = |texts: &[&str]| {
        let files: Vec<Value> = texts.iter().map(|text| json!({"name": "a", "text": text})).collect();
        let request = server.request("POST", "/v1/provisioning").header("idempotency-key", "one");
        request.json(&json!({"files": files}))
    };
    let (one, two) = ("kind: client\nname: a\n", "---\nkind: client\nname: b\n");
    assert_eq!(answer(apply(&[one, two])).await.0, StatusCode::OK);
    assert_eq!(answer(apply(&[one, two])).await.0, StatusCode::OK);
    let both = format!("{one}{two}");
    assert_eq!(answer(apply(&[&both])).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn what_is_wrong_with_a_write_is_said_and_changes_nothing() {
    let server = Server::start().await;
    server.apply("", DOCUMENTS).await;
    let put = |path: &str, body: &str| {
        let request = server.request("PUT", path).body(body.to_owned());
        request.header("content-type", "application/json")
    };
    let json = r#"{"client": "acme", "hosts": ["b.example"]}"#;
    for (request, status, reason) in [
        (put("/v1/site/shop", json), 428, "send `If-None-Match: *` to create"),
        (put("/v1/site/shop", json).header("if-match", "1"), 400, "send one ETag as it was read"),
        (put("/v1/site/shop", json).header("if-match", "W/\"1\""), 400, "send one ETag as it was read"),
        (put("/v1/site/shop", json).header("if-match", "\"1\", \"2\""), 400, "send one ETag"),
        (put("/v1/site/shop", json).header("if-none-match", "\"1\""), 400, "only * can be sent"),
        (put("/v1/site/shop", json).header("if-match", "*").header("if-none-match", "*"), 400, "send one of"),
        (put("/v1/site/shop", json).header("if-none-match", "*"), 412, "site shop exists"),
        (put("/v1/page/shop", json).header("if-match", "*"), 404, "none of the kinds"),
        (put("/v1/site/shop", "[]").header("if-match", "*"), 400, "the body:"),
        (put("/v1/site/shop", "{").header("if-match", "*"), 400, "the body:"),
        (
            put("/v1/site/shop", r#"{"name": "x", "client": "acme", "hosts": ["b.example"]}"#)
                .header("if-match", "*"),
            422,
            "must describe site shop and nothing else, not site x",
        ),
        (
            put("/v1/site/shop", r#"{"hosts": ["b.example"], "colour": 1}"#).header("if-match", "*"),
            422,
            "mistakes",
        ),
        (server.request("DELETE", "/v1/site/shop"), 428, "If-Match"),
    ] {
        let (found, _, problem) = answer(request).await;
        assert_eq!(found.as_u16(), status, "{reason}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{reason}: {problem}");
    }
    let yaml = server.request("PUT", "/v1/site/shop").header("content-type", "application/yaml");
    let yaml = yaml.header("if-match", "*").body(DOCUMENTS);
    let (status, _, problem) = answer(yaml).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("not several objects"), "{problem}");
    let (_, tag, _) = answer(server.request("GET", "/v1/site/shop")).await;
    assert_eq!(tag.as_deref(), Some("\"1\""));
    // A probe's name is two fields.
    server.apply("", "kind: network\nname: net\nprefixes: [192.0.2.0/24]\n").await;
    let probe = put("/v1/probe/a1/net", "{}").header("if-none-match", "*");
    assert_eq!(answer(probe).await.0, StatusCode::CREATED);
}
