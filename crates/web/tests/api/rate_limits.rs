//! Too many requests. No request of these tests comes back while they run: the windows are hours.

use std::num::NonZeroU32;
use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use spillway_web::{Rate, RateLimits};

use crate::common::Server;

fn rate(requests: u32) -> Rate {
    Rate { requests: NonZeroU32::new(requests).unwrap(), window: Duration::from_secs(36_000) }
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

#[tokio::test]
async fn a_token_may_send_so_many_requests_and_another_one_as_many() {
    let server = Server::start_with(RateLimits { token: rate(4), ..RateLimits::default() }).await;
    // The first request of the operator.
    let (other, _) = server.create_token("analyst", None).await;
    for left in ["2", "1", "0"] {
        let answer = send(server.request("GET", "/v1/probes")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(header(&answer, "ratelimit-policy"), "\"token\";q=4;w=36000");
        let told = header(&answer, "ratelimit");
        assert!(told.starts_with(&format!("\"token\";r={left};t=")), "{told}");
    }
    let refused = send(server.request("GET", "/v1/probes")).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(header(&refused, "ratelimit"), "\"token\";r=0;t=36000");
    let wait: u64 = header(&refused, "retry-after").parse().unwrap();
    assert!((1..=9_000).contains(&wait), "{wait}");
    assert_eq!(refused.json::<Value>().await.unwrap()["type"], "/problems/rate-limited");
    // What the role does not allow counts too.
    for status in [403, 403, 403, 403, 429] {
        let answer = send(server.bare("GET", "/v1/tokens").bearer_auth(&other)).await;
        assert_eq!(answer.status().as_u16(), status);
    }
    assert_eq!(send(server.bare("GET", "/ready")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn without_a_valid_token_the_address_counts() {
    let server = Server::start_with(RateLimits { address: rate(3), ..RateLimits::default() }).await;
    let answer = send(server.bare("GET", "/ready")).await;
    assert_eq!(header(&answer, "ratelimit-policy"), "\"address\";q=3;w=36000");
    assert_eq!(send(server.bare("GET", "/v1/probes")).await.status(), StatusCode::UNAUTHORIZED);
    let wrong = server.bare("GET", "/v1/probes").bearer_auth("none");
    assert_eq!(send(wrong).await.status(), StatusCode::UNAUTHORIZED);
    for path in ["/ready", "/v1/probes"] {
        assert_eq!(send(server.bare("GET", path)).await.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
    }
    assert_eq!(send(server.request("GET", "/v1/probes")).await.status(), StatusCode::OK);
}
