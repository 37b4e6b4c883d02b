//! Runs the real binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The binary `spillway`, built by cargo in the profile of the tests.
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn binary() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            // A test runs as target/PROFILE/deps/NAME, an example as target/PROFILE/examples/NAME.
            let test = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
            let profile = test.parent().and_then(Path::parent).map(PathBuf::from).unwrap_or_default();
            let cargo = std::env::var("CARGO").unwrap_or_else(|_| String::from("cargo"));
            let status = Command::new(cargo)
                .args(["build", "--quiet", "--package", "spillway", "--bin", "spillway"])
                .args(profile.ends_with("release").then_some("--release"))
                .args(cfg!(feature = "kafka-tls").then_some("--features=kafka-tls"))
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status();
            assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "cargo build: {status:?}");
            profile.join("spillway")
        })
        .clone()
}

/// The token of the installations that tests start.
pub const TOKEN: &str = "spillway_55555555555555555555555555555555555555555555555555555555555555556880cd77";

/// What makes [`TOKEN`] the first token of an installation, and the one that commands call with.
#[must_use]
pub fn token_env() -> [(&'static str, PathBuf); 2] {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let file = folder("token").join("token");
        std::fs::write(&file, TOKEN).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        file
    });
    ["SPILLWAY_TOKEN_FILE", "SPILLWAY_FIRST_TOKEN_FILE"].map(|name| (name, file.clone()))
}

/// The binary, with a token.
#[must_use]
pub fn command() -> Command {
    let mut command = Command::new(binary());
    command.envs(token_env());
    command
}

/// Runs the binary to its end.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn spillway<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(arguments: I) -> Output {
    command().args(arguments).output().unwrap_or_else(|error| panic!("spillway: {error}"))
}

/// A fresh folder for one test, under the target folder.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn folder(name: &str) -> PathBuf {
    let folder = binary().with_file_name("test-folders").join(format!("{name}-{}", std::process::id()));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    }
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    folder
}
