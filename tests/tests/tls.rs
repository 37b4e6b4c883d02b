//! The API over TLS, from the command line.

use std::process::{Child, Stdio};

use spillway_tests::binary::{command, folder, spillway};
use spillway_tests::installation::{free_address, until};

/// Killed if the test fails.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        // One that has ended need not be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn commands_reach_an_api_that_speaks_tls_if_they_trust_its_certificate() {
    let folder = folder("tls");
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (cert, key, other) = (file("cert.pem"), file("key.pem"), file("other.pem"));
    let pair = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
    std::fs::write(&cert, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let untrusted = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
    std::fs::write(&other, untrusted.cert.pem()).unwrap();

    let api = free_address();
    let mut up = command();
    up.args(["up", "--data", &file("data"), "--dns", &free_address(), "--api", &api]);
    up.args(["--api-cert", &cert, "--api-key", &key]).stderr(Stdio::null());
    let _up = Up(up.spawn().unwrap());

    let url = format!("https://localhost:{}", api.rsplit_once(':').unwrap().1);
    let list = |more: &[&str]| spillway([&["token", "list"], more].concat());
    until("the API", || list(&["--url", &url, "--ca-file", &cert]).status.success());
    let refused = list(&["--url", &url, "--ca-file", &other]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("certificate"), "{refused:?}");
    assert!(!list(&["--api", &api]).status.success(), "there is no plain HTTP");

    let half = spillway(["up", "--data", &file("half"), "--api-cert", &cert]);
    assert!(String::from_utf8_lossy(&half.stderr).contains("--api-key"), "{half:?}");
}
