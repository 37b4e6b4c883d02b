//! A running `up`, and commands that talk to it.
#![allow(clippy::unwrap_used, reason = "for tests, which stop where something fails")]

use std::ffi::OsStr;
use std::fmt::Debug;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::binary::{command, spillway};
use crate::installation::free_address;

/// A running `up`. It is killed if the test fails.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended need not be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `spillway up` on a folder, with its API at an address.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn up(data: &Path, api: &str) -> Running {
    let child = command()
        .args([Path::new("up"), Path::new("--data"), data])
        .args(["--dns", &free_address(), "--api", api])
        .stderr(Stdio::null())
        .spawn();
    Running(child.unwrap())
}

/// The exit status, standard output and standard error of a command.
///
/// # Panics
/// When it does not print text.
#[must_use]
pub fn ran(arguments: &[impl AsRef<OsStr> + Debug]) -> (Option<i32>, String, String) {
    let output = spillway(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What a command prints that succeeds.
///
/// # Panics
/// When it fails, or says something on standard error.
pub fn printed(arguments: &[impl AsRef<OsStr> + Debug]) -> String {
    let (code, out, error) = ran(arguments);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{arguments:?}");
    out
}

/// What a command says that fails.
///
/// # Panics
/// When it succeeds, or prints something.
#[must_use]
pub fn refused(arguments: &[impl AsRef<OsStr> + Debug]) -> String {
    let (code, out, error) = ran(arguments);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
    error
}
