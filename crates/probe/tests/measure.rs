//! Measures servers on real sockets of this machine: the test server, and servers that write invalid answers.
//!
//! No test asserts an upper bound of time: the machine may be slow.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::StandIn;
use spillway_events::{Micros, Outcome};
use spillway_probe::{Attempt, AttemptError, HEAD_BYTES_MAX, Limits, Stage, Target, TargetError, measure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn limits() -> Limits {
    Limits { timeout: PATIENCE, bytes_max: 1_000_000, allowed: vec!["127.0.0.0/8".parse().unwrap()] }
}

fn target(address: SocketAddr) -> Target {
    Target {
        url: format!("http://{address}/probe?x=1"),
        addresses: Vec::new(),
        host_header: String::from("www.shop.example"),
    }
}

/// Measures a server that takes one request, writes the pieces with a pause before each but the first, and closes
/// the connection unless it is to be held.
async fn measure_raw(pieces: &[&[u8]], pause: Duration, hold: bool, limits: &Limits) -> (Attempt, String) {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let address = listener.local_addr().unwrap();
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        for (at, piece) in pieces.iter().enumerate() {
            if at > 0 {
                tokio::time::sleep(pause).await;
            }
            // The probe may have closed the connection.
            let _ = stream.write_all(piece).await;
        }
        if hold {
            // Until the probe closes.
            let _ = stream.read(&mut [0]).await;
        }
        String::from_utf8(request).unwrap()
    });
    let attempt = measure(&target(address), limits).await;
    (attempt, server.await.unwrap())
}

async fn measure_text(answer: &str) -> Attempt {
    measure_raw(&[answer.as_bytes()], Duration::ZERO, false, &limits()).await.0
}

#[tokio::test]
async fn a_fast_answer_succeeds_with_its_phases() {
    let server = StandIn::start(LOCAL, 100_000).await.unwrap();
    let attempt = measure(&target(server.address()), &limits()).await;
    assert_eq!((attempt.error, attempt.status, attempt.bytes), (None, Some(200), Some(100_000)));
    assert_eq!(attempt.address, Some(server.address().ip()));
    let phases = attempt.phases;
    assert_eq!((phases.resolve_us, phases.tls_us), (None, None));
    let parts = [phases.connect_us, phases.first_byte_us, phases.last_byte_us].map(|part| part.unwrap().0);
    assert!(attempt.response_time.unwrap().0 >= parts.iter().sum());
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn the_request_names_the_site_and_the_probe() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (attempt, request) = measure_raw(&[answer], Duration::ZERO, true, &limits()).await;
    assert_eq!((attempt.error, attempt.bytes), (None, Some(0)));
    assert!(request.starts_with("GET /probe?x=1 HTTP/1.1\r\nHost: www.shop.example\r\n"), "{request}");
    for line in ["User-Agent: spillway-probe", "Spillway-Probe: 1", "Connection: close"] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn a_delay_is_part_of_the_response_time() {
    let server = StandIn::start(LOCAL, 10).await.unwrap();
    server.set_delay(Duration::from_millis(150));
    let attempt = measure(&target(server.address()), &limits()).await;
    assert_eq!(attempt.error, None);
    assert!(attempt.response_time.unwrap() >= Micros(150_000));
    assert!(attempt.phases.first_byte_us.unwrap() <= attempt.response_time.unwrap());
}

#[tokio::test]
async fn a_slow_body_is_part_of_the_response_time() {
    let pieces = [&b"HTTP/1.1 200 OK\r\n\r\nab"[..], b"cd", b"e"];
    let (attempt, _) = measure_raw(&pieces, Duration::from_millis(50), false, &limits()).await;
    assert_eq!((attempt.error, attempt.bytes), (None, Some(5)));
    assert!(attempt.response_time.unwrap() >= Micros(100_000));
}

#[tokio::test]
async fn a_failing_server_fails_the_attempt() {
    let server = StandIn::start(LOCAL, 10).await.unwrap();
    server.set_failing(true);
    let attempt = measure(&target(server.address()), &limits()).await;
    assert_eq!((attempt.error, attempt.response_time), (Some(AttemptError::Status(500)), None));
    assert!(attempt.phases.first_byte_us.is_some());
    server.set_failing(false);
    assert!(measure(&target(server.address()), &limits()).await.error.is_none());
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let attempt =
        measure_text("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nno")
            .await;
    assert_eq!((attempt.error, attempt.status, attempt.bytes), (None, Some(302), Some(2)));
}

#[tokio::test]
async fn a_refused_connection_fails_the_attempt() {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let attempt = measure(&target(address), &limits()).await;
    assert_eq!(attempt.outcome(), Outcome::Failed);
    let refused = AttemptError::Io(Stage::Connect, std::io::ErrorKind::ConnectionRefused);
    assert_eq!((attempt.error, attempt.phases.connect_us), (Some(refused), None));
    assert_eq!(refused.to_string(), "connect: connection refused");
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let server = StandIn::start(LOCAL, 10).await.unwrap();
    let mut target = target(server.address());
    target.url = format!("http://not-resolved.example:{}/", server.address().port());
    // Nothing listens on 127.0.0.2 at that port.
    target.addresses = vec!["127.0.0.2".parse().unwrap(), "::ffff:127.0.0.1".parse().unwrap()];
    let attempt = measure(&target, &limits()).await;
    assert_eq!((attempt.error, attempt.address), (None, Some(LOCAL.ip())));
}

#[tokio::test]
async fn a_body_that_is_too_slow_is_cut_by_the_timeout() {
    let limits = Limits { timeout: Duration::from_millis(300), ..limits() };
    let pieces = [&b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"[..]];
    let (attempt, _) = measure_raw(&pieces, Duration::ZERO, true, &limits).await;
    assert!(matches!(attempt.error, Some(AttemptError::TimedOut(_))), "{attempt:?}");
    assert_eq!((attempt.response_time, attempt.phases.last_byte_us), (None, None));
}

#[tokio::test]
async fn a_head_that_is_too_long_fails_the_attempt() {
    let answer = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
    assert_eq!(measure_text(&answer).await.error, Some(AttemptError::HeadTooLong));
}

#[tokio::test]
async fn garbage_fails_the_attempt() {
    assert_eq!(measure_text("\0\u{1}\u{2} what?").await.error, Some(AttemptError::NotHttp));
    assert_eq!(measure_text("SSH-2.0-OpenSSH_9.6\r\n").await.error, Some(AttemptError::NotHttp));
}

#[tokio::test]
async fn an_answer_that_ends_early_fails_the_attempt() {
    assert_eq!(measure_text("").await.error, Some(AttemptError::EndedEarly(Stage::Answer)));
    assert_eq!(measure_text("HTTP/1.1 20").await.error, Some(AttemptError::EndedEarly(Stage::Answer)));
    let body = Some(AttemptError::EndedEarly(Stage::Body));
    assert_eq!(measure_text("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab").await.error, body);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n";
    assert_eq!(measure_text(chunked).await.error, body);
    let whole = measure_text(&format!("{chunked}0\r\n\r\n")).await;
    assert_eq!((whole.error, whole.bytes), (None, Some(2)));
}

#[tokio::test]
async fn a_body_that_is_too_long_fails_the_attempt() {
    let limits = Limits { bytes_max: 999, ..limits() };
    let server = StandIn::start(LOCAL, 1_000).await.unwrap();
    let attempt = measure(&target(server.address()), &limits).await;
    assert_eq!(attempt.error, Some(AttemptError::BodyTooLong));
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1_000));
    let (attempt, _) = measure_raw(&[endless.as_bytes()], Duration::ZERO, true, &limits).await;
    assert_eq!(attempt.error, Some(AttemptError::BodyTooLong));
    let exact = Limits { bytes_max: 1_000, ..limits };
    assert_eq!(measure(&target(server.address()), &exact).await.error, None);
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_not_connected_to() {
    let server = StandIn::start(LOCAL, 10).await.unwrap();
    let limits = Limits { allowed: Vec::new(), ..limits() };
    let port = server.address().port();
    let given = Target { addresses: vec![LOCAL.ip()], ..target(server.address()) };
    let mapped = Target { url: format!("http://[::ffff:127.0.0.1]:{port}/"), ..target(server.address()) };
    let resolved = Target { url: format!("http://localhost:{port}/"), ..target(server.address()) };
    for target in [target(server.address()), given, mapped, resolved] {
        let attempt = measure(&target, &limits).await;
        assert_eq!(attempt.error, Some(AttemptError::NotAllowed), "{}", target.url);
        assert_eq!(attempt.outcome(), Outcome::Refused);
        assert_eq!(attempt.error.unwrap().to_string(), "address not allowed");
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_name_is_resolved_and_its_address_checked() {
    let server = StandIn::start(LOCAL, 10).await.unwrap();
    let url = format!("http://localhost:{}/", server.address().port());
    let attempt = measure(&Target { url, ..target(server.address()) }, &limits()).await;
    assert_eq!((attempt.error, attempt.address), (None, Some(LOCAL.ip())));
    assert!(attempt.phases.resolve_us.is_some());
}

#[tokio::test]
async fn https_is_reported_as_not_supported() {
    let target = Target { url: String::from("https://127.0.0.1/"), ..target(LOCAL) };
    let attempt = measure(&target, &limits()).await;
    assert_eq!(attempt.error, Some(AttemptError::Target(TargetError::Https)));
    assert_eq!(attempt.outcome(), Outcome::Refused);
    assert_eq!(attempt.error.unwrap().to_string(), "https is not yet supported");
}
