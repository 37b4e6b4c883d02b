//! The bounds of the server, with real connections.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod tls;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use spillway_serve::{INTERNAL, Limits, Problem, Tls, listen, not_found, serve, wrong_method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than every timeout of these tests, by far.
const PATIENCE: Duration = Duration::from_secs(20);

async fn start(limits: Limits) -> (SocketAddr, DropGuard) {
    start_with(limits, None).await
}

async fn start_with(limits: Limits, tls: Option<Tls>) -> (SocketAddr, DropGuard) {
    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/fails", get(|| async { Problem::new(&INTERNAL, "the disk is gone") }))
        .route("/body", post(|body: Bytes| async move { body.len().to_string() }))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method);
    let cancel = CancellationToken::new();
    tokio::spawn(serve(listener, tls, router, limits, cancel.clone()));
    (address, cancel.drop_guard())
}

fn limits() -> Limits {
    Limits { header_timeout: Duration::from_millis(200), ..Limits::default() }
}

/// Everything that comes until the server closes the connection.
async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    read_all(&mut stream).await
}

#[tokio::test]
async fn a_connection_that_sends_nothing_or_half_a_head_is_closed() {
    let (address, _running) = start(limits()).await;
    for sent in ["", "GET / HTT"] {
        assert_eq!(ask(address, sent).await, "", "{sent}");
    }
}

#[tokio::test]
async fn a_connection_that_is_idle_after_a_request_is_closed() {
    let (address, _running) = start(limits()).await;
    let answer = ask(address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_with_a_problem() {
    let limits = Limits { request_timeout: Duration::from_millis(200), ..limits() };
    let (address, _running) = start(limits).await;
    let answer = ask(address, "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test]
async fn the_caps_close_further_connections_and_free_places_are_taken_again() {
    let per_client = Limits { connections_per_client_max: 2, header_timeout: PATIENCE, ..limits() };
    let in_all = Limits { connections_max: 2, header_timeout: PATIENCE, ..limits() };
    for limits in [per_client, in_all] {
        let (address, _running) = start(limits).await;
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // Answered, so it has been admitted.
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            stream.read_exact(&mut [0; 12]).await.unwrap();
            held.push(stream);
        }
        let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        assert_eq!(ask(address, request).await, "");
        held.pop();
        let mut answer = String::new();
        for _ in 0..100 {
            answer = ask(address, request).await;
            if !answer.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(answer.ends_with("hello"), "{answer}");
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_problems() {
    let (address, _running) = start(limits()).await;
    for (request, status) in [("GET /nowhere", "404"), ("DELETE /", "405")] {
        let answer = ask(address, &format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_the_limit() {
    let (address, _running) = start(Limits { body_bytes_max: 100, ..limits() }).await;
    let body = "x".repeat(101);
    let answer =
        ask(address, &format!("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n{body}")).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("more than 100 bytes"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

/// Sends a body of so many bytes and returns the answer.
async fn send(address: SocketAddr, bytes: usize) -> String {
    let body = "x".repeat(bytes);
    let head =
        format!("POST /body HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {bytes}\r\n\r\n");
    ask(address, &format!("{head}{body}")).await
}

/// Sends the head of a request and so many bytes of its body, but not the last one.
async fn hold(address: SocketAddr, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", bytes + 1);
    stream.write_all(format!("{head}{}", "x".repeat(bytes)).as_bytes()).await.unwrap();
    stream
}

/// Sends bodies until one is answered with this status: the server reads what others have sent at a time of its own.
async fn until(address: SocketAddr, bytes: usize, status: &str) -> String {
    for _ in 0..500 {
        let answer = send(address, bytes).await;
        if answer.starts_with(&format!("HTTP/1.1 {status}")) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no answer with {status}");
}

#[tokio::test]
async fn unfinished_large_bodies_take_room_from_large_ones_only() {
    let limits = Limits {
        small_body_bytes: 10,
        small_bodies_bytes_max: 1_000,
        large_bodies_bytes_max: 100,
        ..limits()
    };
    let (address, _running) = start(limits).await;
    assert!(send(address, 110).await.ends_with("110"), "one fits");
    let held = hold(address, 90).await;
    let answer = until(address, 50, "503").await;
    assert!(answer.contains("application/problem+json") && answer.contains("retry-after: 5"), "{answer}");
    assert!(answer.contains("no memory for this body now"), "{answer}");
    assert!(send(address, 10).await.ends_with("\r\n10"), "a small one needs no room of large ones");
    drop(held);
    until(address, 50, "200").await;
    assert!(until(address, 110, "200").await.ends_with("110"), "all room is back");
}

#[tokio::test]
async fn small_bodies_are_bounded_too() {
    let limits =
        Limits { small_body_bytes: 10, small_bodies_bytes_max: 25, large_bodies_bytes_max: 100, ..limits() };
    let (address, _running) = start(limits).await;
    let held = [hold(address, 10).await, hold(address, 10).await];
    until(address, 10, "503").await;
    assert!(send(address, 5).await.ends_with("\r\n5"));
    drop(held);
    until(address, 10, "200").await;
}

/// The id in an answer.
fn id_of(answer: &str) -> &str {
    let line = answer.lines().find_map(|line| line.strip_prefix("request-id: "));
    line.unwrap_or_else(|| panic!("no id: {answer}"))
}

#[tokio::test]
async fn every_answer_has_an_id_the_callers_if_it_is_harmless() {
    let (address, _running) = start(limits()).await;
    let get = async |path: &str, headers: &str| {
        ask(address, &format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n")).await
    };
    for path in ["/", "/nowhere", "/body", "/fails"] {
        assert_eq!(id_of(&get(path, "Request-Id: aZ-9_.\r\n").await), "aZ-9_.", "{path}");
    }
    let long = "x".repeat(65);
    for harmful in ["", "a b", "a\"b", "\u{e9}", &long] {
        let answer = get("/", &format!("Request-Id: {harmful}\r\n")).await;
        let id = id_of(&answer);
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{harmful}: {id}");
    }
    let twice = get("/", "Request-Id: one\r\nRequest-Id: two\r\n").await;
    assert_eq!(id_of(&twice).len(), 32);
    assert_ne!(id_of(&get("/", "").await), id_of(&get("/", "").await));
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The tests' runtime has one thread, so what the server logs goes to the subscriber of this thread.
#[tokio::test]
async fn a_failed_request_is_logged_with_its_id_and_cause() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _default = tracing::subscriber::set_default(subscriber);
    let (address, _running) = start(limits()).await;
    for path in ["/fails", "/nowhere", "/"] {
        let request =
            format!("GET {path}?secret HTTP/1.1\r\nHost: a\r\nConnection: close\r\nRequest-Id: mine\r\n\r\n");
        ask(address, &request).await;
    }
    let text = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1, "{text}");
    for part in ["request_id=\"mine\"", "path=\"/fails\"", "status=500", "the disk is gone"] {
        assert!(lines[0].contains(part), "{part}: {text}");
    }
}
