//! An installation on real Kafka brokers, each role a process of its own.
#![allow(clippy::unwrap_used, reason = "for tests, which stop where something fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use spillway_eventlog::cluster::Cluster;
use spillway_eventlog::{EventLog, KafkaLog, KafkaSettings};

use crate::binary::{command, folder, spillway};

/// Brokers, and what its roles are set to.
pub struct Installation {
    /// The brokers.
    pub cluster: Cluster,
    /// Of its own.
    pub folder: PathBuf,
    /// Where its DNS node listens.
    pub dns: String,
    /// Where its API listens.
    pub api: String,
}

/// A process that is killed at the end of the test, whatever becomes of it.
pub struct Role {
    child: Child,
    stderr: Option<BufReader<ChildStderr>>,
    said: String,
}

impl Drop for Role {
    fn drop(&mut self) {
        // One that has ended needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Role {
    fn new(mut child: Child) -> Self {
        let stderr = child.stderr.take().map(BufReader::new);
        Self { child, stderr, said: String::new() }
    }

    /// Sends a signal, such as `-TERM`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The number of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Its exit status, which it must come to within a minute.
    pub fn ended(&mut self) -> Option<i32> {
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("a role did not end");
    }

    /// What it said on standard error, all of it once it has ended.
    pub fn said(&mut self) -> String {
        self.stderr.as_mut().unwrap().read_to_string(&mut self.said).unwrap();
        self.said.clone()
    }

    /// Waits until it says something, among a few other lines at most.
    pub fn until_it_says(&mut self, text: &str) {
        for _ in 0..20 {
            let before = self.said.len();
            self.stderr.as_mut().unwrap().read_line(&mut self.said).unwrap();
            if self.said[before..].contains(text) {
                return;
            }
        }
        panic!("{text}: not among {}", self.said);
    }

    /// The memory that it holds, in bytes, from Linux's `/proc`.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        kilobytes.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }
}

/// An address of loopback that nobody listens on.
#[must_use]
pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

impl Installation {
    /// Brokers without topics.
    #[must_use]
    pub fn bare(name: &str, brokers: u32) -> Self {
        let (cluster, folder) = (Cluster::start(brokers), folder(name));
        let config = format!("kafka: {{bootstrap: '{}', replication: {brokers}}}\n", cluster.bootstrap);
        std::fs::write(folder.join("spillway.yaml"), config).unwrap();
        Self { cluster, folder, dns: free_address(), api: free_address() }
    }

    /// A broker that demands TLS and SCRAM, without topics.
    #[must_use]
    pub fn secure(name: &str) -> Self {
        let (cluster, folder) = (Cluster::start_secure(), folder(name));
        let installation = Self { cluster, folder, dns: free_address(), api: free_address() };
        installation.set_password_file(&installation.cluster.secrets().join("password"));
        installation
    }

    /// Writes the configuration file for a broker that demands TLS and SCRAM.
    pub fn set_password_file(&self, password_file: &Path) {
        let secrets = self.cluster.secrets();
        let user = std::fs::read_to_string(secrets.join("user")).unwrap();
        let config = format!(
            "kafka: {{bootstrap: '{}', ca_file: '{}', user: '{}', password_file: '{}'}}\n",
            self.cluster.bootstrap,
            secrets.join("ca.pem").display(),
            user.trim(),
            password_file.display()
        );
        std::fs::write(self.folder.join("spillway.yaml"), config).unwrap();
    }

    /// Brokers with the topics of an installation.
    #[must_use]
    pub fn new(name: &str, brokers: u32) -> Self {
        let installation = Self::bare(name, brokers);
        assert_eq!(installation.spillway(&["topics", "check"]).0, Some(1));
        assert_eq!(installation.spillway(&["topics", "create"]).0, Some(0));
        assert_eq!(installation.spillway(&["topics", "create"]).0, Some(0));
        let (code, said) = installation.spillway(&["topics", "check"]);
        assert_eq!(code, Some(0), "{said}");
        installation
    }

    /// Starts a role; what it says is seen.
    #[must_use]
    pub fn role(&self, role: &str) -> Role {
        Role::new(self.command(role).spawn().unwrap())
    }

    /// Starts a role with more flags; what it says is kept for [`Role::said`].
    #[must_use]
    pub fn role_with(&self, role: &str, flags: &[&str]) -> Role {
        Role::new(self.command(role).args(flags).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn command(&self, role: &str) -> Command {
        let mut command = command();
        command
            .args([Path::new(role), Path::new("--config"), &self.folder.join("spillway.yaml")])
            .args(["--dns", &self.dns, "--api", &self.api, "--probe-allow", "127.0.0.0/8"])
            .args([Path::new("--data"), &self.folder.join("node")]);
        command
    }

    /// Runs a command on the log; its exit status and what it printed.
    pub fn spillway(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let config = self.folder.join("spillway.yaml");
        let output = spillway(arguments.iter().copied().chain(["--config", config.to_str().unwrap()]));
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// Runs a command on the API; its exit status and what it printed.
    pub fn client(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = spillway(arguments.iter().copied().chain(["--api", &self.api]));
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// Applies documents, once the API is there.
    pub fn apply(&self, documents: &str) {
        let file = self.folder.join("site.yaml");
        std::fs::write(&file, documents).unwrap();
        until("apply", || self.client(&["apply", "-f", file.to_str().unwrap()]).0 == Some(0));
    }

    /// Writes a line to a CDN's inbox as the CDN would, with no code of ours; `NOW` becomes the time.
    pub fn kcat(&self, cdn: &str, line: &str) {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros().to_string();
        let mut kcat = Command::new("kcat")
            .args(["-P", "-b", &self.cluster.bootstrap, "-t", &format!("inbox.{cdn}")])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        kcat.stdin.take().unwrap().write_all(line.replace("NOW", &now).as_bytes()).unwrap();
        assert!(kcat.wait().unwrap().success());
    }

    /// A connection to the log.
    #[must_use]
    pub fn log(&self) -> KafkaLog {
        KafkaLog::connect(KafkaSettings::plain(&self.cluster.bootstrap), Default::default()).unwrap()
    }

    /// Waits for some more ticks.
    pub fn until_it_ticks(&self) {
        let log = self.log();
        let end = log.end("ticks", 0).unwrap();
        until("ticks", || log.end("ticks", 0).unwrap() >= end + 5);
    }

    /// Everything derived is what one worker makes of the log now; says how much that is.
    pub fn verify(&self) -> Value {
        let (code, said) = self.spillway(&["replay", "verify", "--json"]);
        assert_eq!(code, Some(0), "{said}");
        let found: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(found["frames_not_yet_emitted"], 0, "{said}");
        assert!(found["frames_equal"].as_u64().unwrap() > 10, "{said}");
        found
    }

    /// Whether the answer for a host of a provisioned site has a label in it.
    #[must_use]
    pub fn answers_with(&self, host: &str, label: &str) -> bool {
        let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in host.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.as_bytes());
        }
        query.extend([0, 0, 1, 0, 1]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        socket.send_to(&query, &self.dns).unwrap();
        let mut reply = [0; 512];
        let Ok(length) = socket.recv(&mut reply) else { return false };
        reply[..length].windows(label.len()).any(|bytes| bytes == label.as_bytes())
    }
}

/// Waits until something is so.
///
/// # Panics
/// When it is not within a minute.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what}: not within a minute");
}
