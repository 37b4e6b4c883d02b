//! A real Kafka cluster for tests, started by `scripts/kafka` and removed when dropped.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "for the tests of every crate")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Brokers on free ports of loopback, numbered from 1.
pub struct Cluster {
    name: String,
    /// Its bootstrap servers.
    pub bootstrap: String,
}

impl Cluster {
    /// Starts one broker, or three that replicate everything.
    #[must_use]
    pub fn start(brokers: u32) -> Self {
        Self::start_with(&["--brokers", &brokers.to_string()])
    }

    /// Starts one broker that requires TLS and SCRAM.
    #[must_use]
    pub fn start_secure() -> Self {
        Self::start_with(&["--secure"])
    }

    fn start_with(options: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{number}", std::process::id());
        let bootstrap = run(&[&["start", &name], options].concat());
        Self { name, bootstrap }
    }

    /// Kills a broker, as `kill -9` does.
    pub fn kill(&self, broker: u32) {
        run(&["kill", &self.name, &broker.to_string()]);
    }

    /// Starts a killed broker again and waits until it answers. If no broker is alive, use [`Cluster::restart`].
    pub fn revive(&self, broker: u32) {
        run(&["revive", &self.name, &broker.to_string()]);
    }

    /// Stops all brokers. Their data is kept.
    pub fn stop(&self) {
        run(&["stop", &self.name]);
    }

    /// Starts all brokers again.
    pub fn restart(&self) {
        run(&["start", &self.name]);
    }

    /// Returns the folder with `ca.pem`, `user` and `password` of a cluster that requires them.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        root().join("target/kafka/clusters").join(&self.name).join("secure")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The cluster may have been removed already.
        let _ = Command::new(root().join("scripts/kafka")).args(["remove", &self.name]).status();
    }
}

fn run(arguments: &[&str]) -> String {
    let command = root().join("scripts/kafka");
    let output = Command::new(command).args(arguments).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/kafka {}: {said}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .and_then(Path::parent)
        .expect("crates/eventlog lies in a workspace")
}
