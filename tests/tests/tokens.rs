//! Tokens on the command line, against a real `up`.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use spillway_tests::binary::{binary, folder};
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

/// The binary, without any of the variables that name a token.
fn spillway(folder: &Path) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(folder);
    for name in ["SPILLWAY_TOKEN", "SPILLWAY_TOKEN_FILE", "SPILLWAY_FIRST_TOKEN_FILE"] {
        command.env_remove(name);
    }
    command
}

/// Exit status, standard output and standard error.
fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn up(folder: &Path, api: &str) -> Up {
    let mut command = spillway(folder);
    command.args(["up", "--data", "data", "--dns", &free_address(), "--api", api]).stderr(Stdio::null());
    Up(command.spawn().unwrap())
}

#[test]
fn the_first_token_is_found_on_the_machine_and_others_are_created_and_revoked() {
    let folder = folder("tokens");
    let elsewhere = folder.join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let api = free_address();
    let child = up(&folder, &api);
    let call = |arguments: &[&str]| run(spillway(&folder).args(arguments).args(["--api", &api]));
    until("the API", || call(&["token", "list"]).0 == Some(0));
    let file = folder.join("data/operator-token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let first = std::fs::read_to_string(&file).unwrap();

    let (code, _, said) = run(spillway(&elsewhere).args(["get", "--api", &api]));
    assert_eq!(code, Some(2));
    assert!(said.contains("--token-file") && said.contains("a token is needed"), "{said}");
    std::fs::write(elsewhere.join("cut"), &first[..20]).unwrap();
    let (code, _, said) = run(spillway(&elsewhere).args(["get", "--api", &api, "--token-file", "cut"]));
    assert!(code == Some(2) && said.contains("cut does not hold a token"), "{said}");

    let (code, token, said) =
        call(&["token", "create", "--role", "analyst", "--note", "reports", "--expires", "1h"]);
    assert!(
        code == Some(0) && said.contains("analyst, until ") && token.lines().count() == 1,
        "{token}{said}"
    );
    let as_analyst = |arguments: &[&str]| {
        let mut command = spillway(&elsewhere);
        run(command.env("SPILLWAY_TOKEN", token.trim()).args(arguments).args(["--api", &api]))
    };
    assert_eq!(as_analyst(&["get"]).0, Some(0));
    let (code, _, said) = as_analyst(&["clock", "reset", "--reason", "none"]);
    assert!(code == Some(2) && said.contains("does not allow this"), "{said}");
    let (_, listed, _) = call(&["token", "list"]);
    let line = listed.lines().find(|line| line.ends_with("reports")).unwrap();
    let id = line.split_whitespace().next().unwrap();
    assert!(!listed.contains(token.trim()) && line.contains("accepted"), "{listed}");
    assert_eq!(call(&["token", "revoke", id]).1, format!("- token {id}\napplied; revision 3\n"));
    assert!(as_analyst(&["get"]).2.contains("was revoked"));

    // The next start creates no other one.
    drop(child);
    let child = up(&folder, &api);
    until("the API again", || call(&["token", "list"]).0 == Some(0));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), first);
    assert_eq!(call(&["token", "list"]).1.lines().filter(|line| line.contains("operator")).count(), 1);

    // Whoever has the log needs no token.
    drop(child);
    let arguments = ["token", "create", "--role", "operator", "--note", "recovery", "--log", "data"];
    let (code, token, said) = run(spillway(&folder).args(arguments));
    assert!(code == Some(0) && token.starts_with("spillway_"), "{said}");
    let _child = up(&folder, &api);
    until("the new token is accepted", || {
        let mut command = spillway(&elsewhere);
        run(command.env("SPILLWAY_TOKEN", token.trim()).args(["get", "--api", &api])).0 == Some(0)
    });
}
