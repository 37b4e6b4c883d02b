//! `up` as an operator runs it: provision it, ask it by DNS, kill it, start it again. The origin and the CDN are ports
//! that nobody listens on, so that probes fail and traffic leaves the origin.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use spillway_tests::binary::{binary, folder, spillway};

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn up(data: &Path, dns: &str, api: &str) -> Child {
    Command::new(binary())
        .args([Path::new("up"), Path::new("--data"), data])
        .args(["--dns", dns, "--api", api, "--probe-allow", "127.0.0.0/8"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Asks for the address of www.acme.example; the answer's bytes.
fn ask(dns: &str) -> Option<Vec<u8>> {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["www", "acme", "example"] {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    socket.send_to(&query, dns).unwrap();
    let mut reply = [0; 512];
    let length = socket.recv(&mut reply).ok()?;
    Some(reply[..length].to_vec())
}

fn until_cname(dns: &str) {
    for _ in 0..300 {
        if ask(dns).is_some_and(|reply| reply.windows(5).any(|bytes| bytes == b"\x04edge")) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no answer with the CDN's name in it");
}

#[test]
fn it_is_provisioned_answers_and_survives_a_kill() {
    let folder = folder("up");
    let data = folder.join("data");
    let (dns, api) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let closed = free_port();
    let file = folder.join("site.yaml");
    std::fs::write(
        &file,
        format!(
            "kind: client\nname: acme\n---\nkind: network\nname: net\nprefixes: [127.0.0.0/8]\n---\n\
             kind: probe\nagent: agent\nnetwork: net\n---\nkind: cdn\nname: cdn\ntype: operated\n\
             dns_name: acme.edge.example\nprobe_url: http://127.0.0.1:{closed}/\n---\n\
             kind: site\nname: shop\nclient: acme\nhosts: [www.acme.example]\nprobe_interval_ms: 200\n\
             origin: {{addresses: [127.0.0.1], probe_url: 'http://127.0.0.1:{closed}/'}}\ncdns: [cdn]\n\
             objectives: [{{metric: response_time, threshold: 100ms, percentile: 75, window: 10s, samples_min: 3, \
             probes_min: 1}}]\n"
        ),
    )
    .unwrap();
    let mut child = up(&data, &dns, &api);
    let client = |arguments: &[&str]| {
        let output = spillway(arguments.iter().copied().chain(["--api", &api]));
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let file = file.to_str().unwrap();
    // The API is there a moment after the start.
    let mut tried = client(&["apply", "-f", file, "--dry-run"]);
    for _ in 0..100 {
        if tried.0 == Some(0) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        tried = client(&["apply", "-f", file, "--dry-run"]);
    }
    assert!(tried.1.contains("+ site shop") && tried.1.contains("revision 0"), "{tried:?}");
    assert!(client(&["apply", "-f", file]).1.contains("applied; revision 1"));
    assert!(client(&["apply", "-f", file]).1.contains("nothing to change; revision 1"));
    until_cname(&dns);
    let (code, explained) = client(&["explain", "shop", "--network", "net"]);
    assert_eq!(code, Some(0));
    assert!(explained.contains("cdn:cdn") && explained.contains("failed of p75 over 10s"), "{explained}");
    assert_eq!(client(&["explain", "nobody"]).0, Some(2));
    assert!(client(&["get"]).1.contains("kind: site"));

    child.kill().unwrap();
    child.wait().unwrap();
    let data_text = data.to_str().unwrap();
    let explained = spillway(["explain", "shop", "--network", "net", "--log", data_text]);
    assert!(String::from_utf8(explained.stdout).unwrap().contains("cdn:cdn"));
    assert_eq!(spillway(["replay", "verify", "--log", data_text]).status.code(), Some(0));

    let mut child = up(&data, &dns, &api);
    until_cname(&dns);
    let ended = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(ended.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(spillway(["replay", "verify", "--log", data_text]).status.code(), Some(0));
}
