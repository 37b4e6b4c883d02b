//! A process that may open few files, and a client that opens all the TCP connections that it can.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use spillway_tests::binary::{binary, folder, spillway, token_env};
use spillway_tests::installation::{free_address, until};

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks over TCP for the address of www.acme.example, which the origin answers: the answer's last bytes.
fn ask(dns: &str) -> Option<[u8; 4]> {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["www", "acme", "example"] {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let mut stream = TcpStream::connect(dns).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    stream.write_all(&u16::try_from(query.len()).unwrap().to_be_bytes()).ok()?;
    stream.write_all(&query).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    answer.last_chunk().copied()
}

/// The soft limit is 64 and is raised to 256, so that there are 64 connections in all and 8 for a client.
#[test]
fn idle_connections_end_and_block_nothing() {
    let folder = folder("open-files");
    let (dns, api) = (free_address(), free_address());
    let file = folder.join("site.yaml");
    std::fs::write(
        &file,
        "kind: client\nname: acme\n---\nkind: site\nname: shop\nclient: acme\nhosts: [www.acme.example]\n\
         origin: {addresses: [192.0.2.1]}\n",
    )
    .unwrap();
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 256; ulimit -S -n 64; exec \"$@\"", "sh"])
        .arg(binary())
        .envs(token_env())
        .args(["up", "--data", folder.join("data").to_str().unwrap(), "--dns", &dns, "--api", &api])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Ended(child);
    until("the site is provisioned", || {
        spillway(["apply", "-f", file.to_str().unwrap(), "--api", &api]).status.success()
    });
    until("the site is answered", || ask(&dns) == Some([192, 0, 2, 1]));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.0.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("256"), "{files}");

    let mut idle: Vec<TcpStream> = (0..500).map(|_| TcpStream::connect(&dns).unwrap()).collect();
    let open = |child: u32| std::fs::read_dir(format!("/proc/{child}/fd")).unwrap().count();
    until("connections beyond the limit are closed", || open(child.0.id()) < 128);
    // The client gets its places back when the idle ones time out.
    until("the client is answered again", || ask(&dns) == Some([192, 0, 2, 1]));
    for stream in &mut idle {
        assert!(!stream.read(&mut [0]).is_ok_and(|bytes| bytes > 0));
    }
    assert_eq!(child.0.try_wait().unwrap(), None);
}
