//! Who may call what.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use spillway_control::{CommandHead, digest_of, new_token};
use spillway_events::{Role, TimeMicros};
use spillway_provisioning::NewToken;
use spillway_web::{Permission, ROUTES};

use crate::common::{DOCUMENTS, NOW, Server};

/// Two clients with a site each, a CDN and an agent.
const TENANTS: &str = "kind: client\nname: acme\n---\nkind: client\nname: other\n---\n\
    kind: site\nname: shop\nclient: acme\nhosts: [www.acme.example]\n---\n\
    kind: site\nname: wares\nclient: other\nhosts: [www.other.example]\n---\n\
    kind: cdn\nname: edge\ntype: operated\ndns_name: edge.example\n---\n\
    kind: network\nname: net\nprefixes: [192.0.2.0/24]\n---\nkind: probe\nagent: a1\nnetwork: net\n";

/// The path of a route, with names in it that exist.
fn concrete(path: &str, method: &reqwest::Method) -> String {
    let query = if *method == reqwest::Method::GET { "" } else { "?dry_run=true" };
    let path = path
        .replace("{*name}", "shop")
        .replace("{name}", "stale")
        .replace("{kind}", "site")
        .replace("{site}", "shop")
        .replace("{version}", "1")
        .replace("{act}", "accept")
        .replace("{number}", "99")
        .replace("{id}", "0000000000000000");
    format!("{path}{query}")
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap_or_default())
}

/// The rows of this table are the roles, and the columns the permissions: what is not here is refused.
fn allowed(role: &str) -> &'static [Permission] {
    use Permission::{Agree, Change, Explain, ManageTokens, Operate, Read, SeeChanges, SeeEvents, SeeProbes};
    match role {
        "operator" => {
            &[Read, Explain, SeeProbes, SeeChanges, SeeEvents, Change, Operate, Agree, ManageTokens]
        }
        "analyst" => &[Read, Explain, SeeProbes, SeeChanges, SeeEvents],
        "client_admin" => &[Read, Explain, SeeEvents, Agree, ManageTokens],
        "client_viewer" => &[Read, Explain, SeeEvents],
        _ => &[],
    }
}

#[tokio::test]
async fn every_route_lets_in_the_roles_that_it_names_and_nobody_else() {
    let server = Server::start().await;
    server.apply("", TENANTS).await;
    let roles = [
        ("operator", None),
        ("analyst", None),
        ("client_admin", Some("acme")),
        ("client_viewer", Some("acme")),
        ("cdn", Some("edge")),
        ("probe", Some("a1")),
    ];
    let mut tokens = Vec::new();
    for (role, subject) in roles {
        tokens.push((role, server.create_token(role, subject).await.0));
    }
    let expired = issue(&server, "expired", Some(TimeMicros(NOW.0 - 1)), TimeMicros(NOW.0 - 2));
    let (revoked, id) = server.create_token("operator", None).await;
    let (status, _) = answer(server.request("DELETE", &format!("/v1/tokens/{id}"))).await;
    assert_eq!(status, StatusCode::OK);
    for (method, path, permission) in ROUTES {
        let call = || server.bare(method.as_str(), &concrete(path, &method));
        let call = || call().header("content-type", "application/json").body("{}");
        if permission == Permission::Public {
            assert_eq!(answer(call()).await.0, StatusCode::OK, "{method} {path}");
            continue;
        }
        let unknown = new_token().unwrap();
        let nobody = [
            ("nobody", call()),
            ("basic", call().basic_auth("operator", Some(&server.token))),
            ("malformed", call().bearer_auth("spillway_1234")),
            ("unknown", call().bearer_auth(&unknown)),
            ("expired", call().bearer_auth(&expired)),
            ("revoked", call().bearer_auth(&revoked)),
        ];
        for (who, request) in nobody {
            let (status, problem) = answer(request).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{who}: {method} {path}: {problem}");
            assert_eq!(problem["status"], 401, "{problem}");
        }
        for (role, token) in &tokens {
            let (status, problem) = answer(call().bearer_auth(token)).await;
            let is_in = status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN;
            assert_eq!(
                is_in,
                allowed(role).contains(&permission),
                "{role}: {method} {path}: {status} {problem}"
            );
        }
    }
    assert!(server.get("/v1/provisioning").await.2.contains("name: shop"), "dry runs change nothing");
}

/// Creates a token past the API, at another time.
fn issue(server: &Server, id: &str, expires_at_us: Option<TimeMicros>, at: TimeMicros) -> String {
    let token = new_token().unwrap();
    let (role, subject, note) = (Role::Operator, None, id.to_owned());
    let new = NewToken { sha256: digest_of(&token).unwrap(), role, subject, note, expires_at_us };
    server.provisioner.create_token(new, b"", CommandHead::on_log(id, at)).unwrap();
    token
}

#[tokio::test]
async fn what_belongs_to_another_client_does_not_exist() {
    let server = Server::start().await;
    server.apply("", TENANTS).await;
    let (admin, _) = server.create_token("client_admin", Some("acme")).await;
    let (_, of_other) = server.create_token("client_viewer", Some("other")).await;
    let get = |path: &str| server.bare("GET", path).bearer_auth(&admin);
    let text = get("/v1/provisioning").send().await.unwrap().text().await.unwrap();
    assert!(text.contains("name: shop") && text.contains("name: acme"), "{text}");
    for foreign in ["other", "wares", "edge", "net", "a1"] {
        assert!(!text.contains(foreign), "{foreign}: {text}");
    }
    let (own, problem) = answer(get("/v1/explain/shop")).await;
    assert_eq!(own, StatusCode::NOT_FOUND, "there is no decision yet: {problem}");
    assert!(problem["detail"].as_str().unwrap().contains("by that time"), "{problem}");
    // The same words, whether or not the site exists.
    let unknown = answer(get("/v1/explain/wares2")).await;
    assert_eq!(unknown.1["detail"], "there is no site wares2");
    assert_eq!(answer(get("/v1/explain/wares")).await.1["detail"], "there is no site wares");

    let (_, listed) = answer(get("/v1/tokens")).await;
    let subjects: Vec<&Value> =
        listed["tokens"].as_array().unwrap().iter().map(|token| &token["subject"]).collect();
    assert_eq!(subjects, [&json!("acme")]);
    let revoke = |id: &str| server.bare("DELETE", &format!("/v1/tokens/{id}")).bearer_auth(&admin);
    assert_eq!(answer(revoke(&of_other)).await.0, StatusCode::NOT_FOUND);
    for (role, subject) in [("operator", None), ("client_viewer", Some("other")), ("cdn", Some("edge"))] {
        let body = json!({"role": role, "subject": subject, "note": "mine"});
        let request = server.bare("POST", "/v1/tokens").bearer_auth(&admin).json(&body);
        assert_eq!(answer(request).await.0, StatusCode::FORBIDDEN, "{role}");
    }
    let body = json!({"role": "client_viewer", "subject": "acme", "note": "mine"});
    let request = server.bare("POST", "/v1/tokens").bearer_auth(&admin).json(&body);
    assert_eq!(answer(request).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_token_is_shown_once_and_its_text_is_not_on_the_log() {
    let server = Server::start().await;
    let body = json!({"role": "analyst", "note": "reports", "expires_at": "2024-01-01T00:00:00Z"});
    let create = || server.request("POST", "/v1/tokens?id=once").json(&body);
    let (status, first) = answer(create()).await;
    let token = first["token"].as_str().unwrap();
    assert!(status == StatusCode::OK && token.starts_with("spillway_"), "{first}");
    let (status, again) = answer(create()).await;
    assert_eq!(
        (status, &again["token"], &again["changes"]),
        (StatusCode::OK, &Value::Null, &first["changes"])
    );
    assert_eq!(answer(server.bare("GET", "/v1/probes").bearer_auth(token)).await.0, StatusCode::OK);
    let (_, listed) = answer(server.request("GET", "/v1/tokens")).await;
    let found = listed["tokens"].as_array().unwrap().iter().find(|token| token["note"] == "reports").unwrap();
    assert_eq!((&found["status"], &found["role"]), (&json!("accepted"), &json!("analyst")));
    assert_eq!(found["id"], first["id"]);
    let state = format!("{:?}", server.provisioner.state().unwrap());
    assert!(!state.contains(token) && !listed.to_string().contains(token));
}

#[tokio::test]
async fn commands_carry_the_author_from_the_token() {
    let server = Server::start().await;
    let (token, id) = server.create_token("operator", None).await;
    let request = server.bare("POST", "/v1/provisioning?id=mine").bearer_auth(&token);
    let apply = || request.try_clone().unwrap().header("content-type", "application/yaml").body(DOCUMENTS);
    assert_eq!(answer(apply()).await.0, StatusCode::OK);
    assert_eq!(answer(apply()).await.0, StatusCode::OK, "a retry of the same author");
    // Another author's ids are others, and say nothing of these.
    let (status, applied) = server.apply("?id=mine", "kind: client\nname: other\n").await;
    assert_eq!((status, &applied["changes"]), (StatusCode::OK, &json!(["+ client other"])));
    let (_, listed) = answer(server.request("GET", "/v1/changes?limit=2")).await;
    let authors: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|item| item["author"].as_str().unwrap()).collect();
    assert!(authors[0] != authors[1] && authors[1] == format!("operator {id}"), "{listed}");
}

#[tokio::test]
async fn refusals_of_tokens_name_the_field_and_the_rule() {
    let server = Server::start().await;
    server.apply("", TENANTS).await;
    let (viewer, _) = server.create_token("client_viewer", Some("other")).await;
    for (body, status, reason) in [
        (json!({"role": "operator", "note": ""}), 422, "note: must have 1 to 255 bytes"),
        (
            json!({"role": "operator", "note": "a\nb"}),
            422,
            "note: must have 1 to 255 bytes and no control characters",
        ),
        (
            json!({"role": "operator", "subject": "acme", "note": "x"}),
            422,
            "subject: operator is a role for all",
        ),
        (
            json!({"role": "client_admin", "note": "x"}),
            422,
            "subject: role client_admin needs the name of a client",
        ),
        (json!({"role": "cdn", "subject": "nobody", "note": "x"}), 422, "subject: there is no cdn nobody"),
        (json!({"role": "probe", "subject": "a", "note": "x"}), 422, "subject: there is no agent a"),
        (
            json!({"role": "analyst", "note": "x", "expires_at": "2000-01-01T00:00:00Z"}),
            422,
            "must be in the future",
        ),
        (json!({"role": "analyst", "note": "x", "expires_at": "soon"}), 422, "expires_at:"),
        (json!({"role": "root", "note": "x"}), 400, "unknown variant `root`"),
        (json!({"role": "analyst", "note": "x", "admin": true}), 400, "unknown field `admin`"),
    ] {
        let (found, problem) = answer(server.request("POST", "/v1/tokens").json(&body)).await;
        assert_eq!(found.as_u16(), status, "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{body}: {problem}");
    }
    let (_, listed) = answer(server.request("GET", "/v1/tokens")).await;
    let operator =
        listed["tokens"].as_array().unwrap().iter().find(|token| token["role"] == "operator").unwrap();
    let path = format!("/v1/tokens/{}", operator["id"].as_str().unwrap());
    let (status, problem) = answer(server.request("DELETE", &path)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("the last one of an operator"), "{problem}");
    assert_eq!(problem["type"], "/problems/refused");
    assert_eq!(answer(server.request("DELETE", "/v1/tokens/none")).await.0, StatusCode::NOT_FOUND);

    // A client whose people still have tokens is not deleted.
    let delete = |name: &str| server.request("DELETE", &format!("/v1/{name}")).header("if-match", "*");
    assert_eq!(answer(delete("site/wares")).await.0, StatusCode::OK);
    let (status, problem) = answer(delete("client/other")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("belongs to it; revoke it first"), "{problem}");
    assert_eq!(answer(server.bare("GET", "/v1/provisioning").bearer_auth(&viewer)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_page_of_another_site_cannot_call() {
    let server = Server::start().await;
    let host = server.address.to_string();
    let get = || server.request("GET", "/v1/provisioning");
    for (name, value, status) in [
        ("host", "attacker.example", 421),
        ("host", "attacker.example:5380", 421),
        ("host", "[::1", 421),
        ("host", "localhost:5380", 200),
        ("host", "[::1]:5380", 200),
        ("host", "API.provider.example", 200),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "none", 200),
        ("origin", "http://attacker.example", 403),
        ("origin", "null", 403),
        ("origin", &format!("http://{host}"), 200),
    ] {
        let response = get().header(name, value).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{name}: {value}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let request = server.request("POST", "/v1/provisioning").header("content-type", kind).body(DOCUMENTS);
        assert_eq!(answer(request).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    let untyped = server.request("POST", "/v1/provisioning").body(DOCUMENTS);
    assert_eq!(answer(untyped).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
