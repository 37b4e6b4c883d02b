//! Holds the running API against its OpenAPI document with Schemathesis, which makes up requests of every kind.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use spillway_tests::binary::{TOKEN, command, folder, spillway};
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

/// Something of each kind, so that there is something to read.
const DOCUMENTS: &str = "kind: client\nname: acme\n---\nkind: network\nname: net\nprefixes: [192.0.2.0/24]\n---\n\
    kind: probe\nagent: a1\nnetwork: net\n---\nkind: cdn\nname: edge\ntype: operated\ndns_name: edge.example\n---\n\
    kind: site\nname: shop\nclient: acme\nhosts: [www.acme.example]\norigin: {addresses: [192.0.2.1]}\ncdns: [edge]\n";

/// The same requests each time. What is valid by its schema may still be refused, for example because it names no object.
#[test]
fn the_api_does_what_its_document_says() {
    let folder = folder("openapi");
    let api = free_address();
    let mut up = command();
    up.args(["up", "--data", folder.join("data").to_str().unwrap(), "--dns", &free_address(), "--api", &api]);
    let _up = Up(up.stderr(Stdio::null()).spawn().unwrap());
    let file = folder.join("all.yaml");
    std::fs::write(&file, DOCUMENTS).unwrap();
    until("apply", || spillway(["apply", "-f", file.to_str().unwrap(), "--api", &api]).status.success());

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let schemathesis = root.join("target/python/bin/schemathesis");
    assert!(schemathesis.exists(), "{} is not there: scripts/test installs it", schemathesis.display());
    let output = Command::new(schemathesis)
        .arg("--config-file")
        .arg(root.join("tests/python/schemathesis.toml"))
        .args(["run", &format!("http://{api}/v1/openapi.json")])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .current_dir(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for phase in ["Coverage", "Fuzzing"] {
        assert!(said.contains(&format!("\u{2705} {phase}")), "{phase} has tested nothing: {said}");
    }
}
