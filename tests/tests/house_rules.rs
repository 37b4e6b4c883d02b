//! The rules of the house that neither the compiler nor clippy checks: which crate may use which, that pure crates stay pure,
//! how long files may get, and that schemas, manifests and text stay in order.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each crate and the crates that it may use, from the bottom to the top. Tests of a crate may also use crates above it.
const LAYERS: &[(&str, &[&str])] = &[
    ("events", &[]),
    ("provisioning", &["events"]),
    ("steering", &["events", "provisioning"]),
    ("routing", &["events"]),
    ("billing", &["events", "provisioning"]),
    ("dataflow", &["events", "provisioning", "steering", "routing", "billing"]),
    ("eventlog", &["events"]),
    ("serve", &[]),
    ("runtime", &["events", "provisioning", "steering", "routing", "billing", "dataflow", "eventlog"]),
    (
        "backtest",
        &["events", "provisioning", "steering", "routing", "billing", "dataflow", "eventlog", "runtime"],
    ),
    ("control", &["events", "provisioning", "steering", "routing", "billing", "dataflow", "eventlog"]),
    ("edge", &["events", "routing", "eventlog", "serve"]),
    ("probe", &["events", "serve"]),
    (
        "gateway",
        &[
            "events",
            "provisioning",
            "steering",
            "routing",
            "billing",
            "dataflow",
            "eventlog",
            "control",
            "serve",
        ],
    ),
    (
        "web",
        &[
            "events",
            "provisioning",
            "steering",
            "routing",
            "billing",
            "dataflow",
            "eventlog",
            "control",
            "backtest",
            "gateway",
            "serve",
        ],
    ),
    ("influx", &["events", "eventlog", "serve"]),
];
/// These may use every crate of `LAYERS`, and no crate may use them; the tests may run the binary.
const TOPS: &[&str] = &["spillway", "spillway-tests"];

/// The crates that know no clock, file, socket, environment or runtime.
const PURE: &[&str] = &["events", "provisioning", "steering", "routing", "billing", "dataflow"];

/// Sockets, disks, runtimes and clocks: what makes a crate a shell.
const IMPURE: &[&str] = &[
    "async-std",
    "axum",
    "chrono",
    "h2",
    "hickory-net",
    "hickory-resolver",
    "hickory-server",
    "hyper",
    "jiff",
    "mio",
    "polling",
    "rdkafka",
    "rdkafka-sys",
    "redb",
    "reqwest",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "time",
    "tokio",
];

const FILE_LINES_MAX: usize = 600;
/// Files over the bound, with their exact number of lines: the list may only shrink.
const LONG_FILES: &[(&str, usize)] = &[];

/// Asks cargo for the tree of each pure crate by itself: `cargo metadata` would add up the features of the whole
/// workspace, and show hickory-proto with what the edge turns on in it.
#[test]
fn pure_crates_reach_no_runtime_socket_disk_or_clock() {
    let members = members();
    let mut broken = Vec::new();
    for package in pure_crates().filter(|package| members.contains_key(package)) {
        let tree = cargo(&["tree", "-p", &package, "-e", "normal", "--all-features", "--prefix", "none"]);
        let reached: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(
            reached.contains(package.as_str()),
            "cargo tree no longer prints a package's name first:\n{tree}"
        );
        for impure in IMPURE.iter().filter(|impure| reached.contains(*impure)) {
            broken.push(format!(
                "{package} reaches {impure}; `cargo tree -p {package} -e normal -i {impure}` shows how. \
                 Move what needs it into a shell, or turn that feature of the dependency off"
            ));
        }
    }
    assert_none(&broken);
}

/// Compares the manifests with `LAYERS`.
#[test]
fn crates_depend_only_on_crates_above_them() {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut broken = Vec::new();
    for (package, member) in members() {
        let inside = |used: &str| used.strip_prefix("spillway-").unwrap_or(used).to_owned();
        if TOPS.contains(&package.as_str()) {
            for used in member.uses.iter().filter(|used| TOPS.contains(&used.as_str()) && **used != package) {
                broken.push(format!("{package} uses {used}, which no crate may use: remove it"));
            }
            continue;
        }
        let Some(allowed) = layers.get(inside(&package).as_str()) else {
            broken.push(format!("{package} has no place in LAYERS of this test: give it one"));
            continue;
        };
        for used in member.uses.iter().filter(|used| !allowed.contains(&inside(used).as_str())) {
            broken.push(format!(
                "{package} uses {used}; it may only use {allowed:?}. Move the code that needs it to a crate below both"
            ));
        }
    }
    assert_none(&broken);
}

/// Clippy reads the file nearest to a crate: this one forbids the methods and types that a pure crate may not use.
#[test]
fn pure_crates_have_the_clippy_settings_of_pure_crates() {
    let members = members();
    let wanted = read(&root().join("pure.clippy.toml"));
    for package in pure_crates() {
        let Some(member) = members.get(&package) else { continue };
        let file = member.folder.join("clippy.toml");
        assert_eq!(read(&file), wanted, "{}: link it to pure.clippy.toml", shown(&file));
    }
}

#[test]
fn no_file_is_too_long() {
    let lengths = rust_files().map(|file| (shown(&file), read(&file).lines().count()));
    assert_ratchet(lengths, FILE_LINES_MAX, LONG_FILES, "LONG_FILES");
}

/// Looks at the modules of each folder: a name after `crate::` or `super::` is a module, or something that the file above the
/// folder takes from a module of it. What a folder's modules use of the file above does not count. Tests may use everything.
#[test]
fn modules_of_a_crate_do_not_use_each_other_in_a_circle() {
    let mut broken = Vec::new();
    for (package, member) in members() {
        let folder = member.folder.join("src");
        let root =
            ["lib.rs", "main.rs"].map(|file| folder.join(file)).into_iter().find(|file| file.is_file());
        if let Some(root) = root {
            find_circles(&package, &root, &folder, "crate::", &mut broken);
        }
    }
    assert_none(&broken);
}

/// A crate with a circle of two modules below another one: each way in which one may name the other.
#[test]
fn a_circle_of_nested_modules_is_found() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("circles-{}", std::process::id()));
    let write = |file: &str, text: &str| {
        let file = folder.join(file);
        fs::create_dir_all(folder_of(&file)).and_then(|()| fs::write(&file, text)).expect("a file");
    };
    let circles = || {
        let mut broken = Vec::new();
        find_circles("package", &folder.join("lib.rs"), &folder, "crate::", &mut broken);
        broken.len()
    };
    write("lib.rs", "mod a;\n");
    write("a.rs", "mod x;\nmod y;\nuse self::y::Thing;\nstruct Own;\n");
    write("a/x.rs", "use super::Thing;\nuse super::Own;\n");
    write("a/y.rs", "use super::Own;\n");
    assert_eq!(circles(), 0);
    for (file, text) in [
        ("a/y.rs", "use super::x::Other;\n"),
        ("a/y.rs", "fn other() { crate::a::x::other() }\n"),
        ("a/y/z.rs", "use super::super::x::Other;\n"),
    ] {
        write("a/y.rs", "");
        write(file, text);
        assert_eq!(circles(), 2, "{file}: {text}");
    }
    fs::remove_dir_all(&folder).expect("the folder");
}

/// Finds circles among the modules of a folder, whose names stand after `path`, and in its subfolders.
fn find_circles(package: &str, above: &Path, folder: &Path, path: &str, broken: &mut Vec<String>) {
    let shown_above = shown_by(&code(above));
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut folders = BTreeSet::new();
    for file in files_below(folder) {
        let inside = file.strip_prefix(folder).unwrap_or(&file).with_extension("");
        let is_test = inside.components().any(|part| part.as_os_str() == "tests");
        let Some(module) = inside.iter().next().filter(|_| !is_test && file != above) else { continue };
        let module = module.to_string_lossy().into_owned();
        let depth = inside.components().count();
        if depth > 1 {
            folders.insert(module.clone());
        }
        let code = code_with_numbered_supers(&file);
        let used = names_after(&code, path).into_iter().chain(names_after(&code, &format!("super{depth}::")));
        let used = used.map(|name| shown_above.get(&name).cloned().unwrap_or(name));
        uses.entry(module.clone()).or_default().extend(used.filter(|used| *used != module));
    }
    for module in uses.keys().filter(|module| reached_from(module, &uses).contains(module.as_str())) {
        let others = uses[module].iter().filter(|other| reached_from(other, &uses).contains(module.as_str()));
        let others = others.map(String::as_str).collect::<Vec<_>>().join(", ");
        broken.push(format!(
            "{package}: module {path}{module} uses {others}, which uses it: move what both need below them"
        ));
    }
    for module in folders {
        let above = folder.join(&module).with_extension("rs");
        if above.is_file() {
            find_circles(package, &above, &folder.join(&module), &format!("{path}{module}::"), broken);
        }
    }
}

/// The code of a file, with `super3::` for `super::super::super::`.
fn code_with_numbered_supers(file: &Path) -> String {
    let supers = (1..=4).rev().map(|depth| ("super::".repeat(depth), format!("super{depth}::")));
    supers.fold(code(file), |code, (from, to)| code.replace(&from, &to))
}

/// The code of a file without comments, up to its tests.
fn code(file: &Path) -> String {
    let text = read(file);
    let lines: Vec<&str> = text.lines().collect();
    // A module of tests in the file itself; a declaration of one may stand anywhere.
    let is_tests =
        |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    let end = lines.windows(2).position(is_tests).unwrap_or(lines.len());
    lines[..end]
        .iter()
        .filter(|line| !line.trim_start().starts_with("//"))
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}

/// The modules by the names that `use MODULE::…` or `use self::MODULE::…` takes from them.
fn shown_by(code: &str) -> BTreeMap<String, String> {
    let taken = code.split("use ").skip(1).filter_map(|rest| {
        let path = rest.split(';').next()?;
        path.strip_prefix("self::").unwrap_or(path).split_once("::")
    });
    let is_name = |text: &&str| !text.is_empty();
    taken
        .flat_map(|(module, names)| {
            let names = names.split(|c: char| !c.is_alphanumeric() && c != '_').filter(is_name);
            names.map(|name| (name.to_owned(), module.to_owned()))
        })
        .collect()
}

/// The first names after each path such as `crate::`, of `crate::{a::B, c}` too.
fn names_after(code: &str, path: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in code.split(path).skip(1) {
        let Some(group) = path.strip_prefix('{') else {
            names.insert(first_name(path));
            continue;
        };
        let mut depth = 0_usize;
        for item in group.split(';').next().unwrap_or_default().split_inclusive([',', '{', '}']) {
            if depth == 0 {
                names.insert(first_name(item.trim_start()));
            }
            match item.chars().last() {
                Some('{') => depth += 1,
                Some('}') if depth == 0 => break,
                Some('}') => depth -= 1,
                _ => {}
            }
        }
    }
    names
}

fn first_name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn reached_from<'a>(module: &'a str, uses: &'a BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'a str> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![module]);
    while let Some(module) = next.pop() {
        for used in uses.get(module).into_iter().flatten() {
            if reached.insert(used.as_str()) {
                next.push(used);
            }
        }
    }
    reached
}

/// Compares the names of the files in `schemas/` with those that records are made of.
#[test]
fn every_schema_has_its_record_and_the_reverse() {
    let schemas: BTreeSet<String> = files_below(&root().join("schemas"))
        .iter()
        .filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()))
        .collect();
    let mut named = BTreeSet::new();
    for file in files_below(&root().join("crates/events/src")) {
        let text = read(&file);
        // Each names the current version, then the older ones.
        for (start, end) in [("\nrecord!(", ");"), ("\nframed! {", "\n}"), (" schemas!(\"", "\n")] {
            for call in text.split(start).skip(1) {
                let call = call.split(end).next().unwrap_or_default();
                for name in call.split('"').filter(|part| part.ends_with(".avsc")) {
                    let is_new = named.insert(name.to_owned());
                    assert!(is_new, "{}: two records name the schema {name:?}", shown(&file));
                }
            }
        }
    }
    let unused = schemas.difference(&named).map(|name| {
        format!(
            "schemas/{name} belongs to no record of crates/events/src: add its record, or remove the file"
        )
    });
    let missing = named.difference(&schemas).map(|name| {
        format!("a record of crates/events/src names {name:?}, which is not in schemas/: add the schema")
    });
    assert_none(&unused.chain(missing).collect::<Vec<_>>());
}

#[test]
fn every_member_takes_the_lints_of_the_workspace() {
    let mut broken = Vec::new();
    for (package, member) in members() {
        let manifest = member.folder.join("Cargo.toml");
        let text = read(&manifest);
        let mut lints = text.lines().skip_while(|line| line.trim() != "[lints]").skip(1);
        if lints.next().map(str::trim) != Some("workspace = true") {
            broken.push(format!("{}: {package} needs `[lints]`, `workspace = true`", shown(&manifest)));
        }
    }
    assert_none(&broken);
}

#[test]
fn the_lock_file_is_kept() {
    assert!(
        root().join("Cargo.lock").is_file(),
        "Cargo.lock is missing: run `cargo update --workspace`, commit it"
    );
    let ignored = read(&root().join(".gitignore")).lines().any(|line| line.trim_matches('/') == "Cargo.lock");
    assert!(!ignored, ".gitignore names Cargo.lock: remove that line and commit the lock file");
}

/// Searches all text that people write, in every folder but what git ignores.
#[test]
fn no_text_names_a_path_of_one_machine() {
    // Put together here, lest this file find itself.
    let homes = ["root", "home"].map(|name| format!("/{name}/"));
    let mut broken = Vec::new();
    for file in files_below(&root()) {
        let is_script = file
            .strip_prefix(root())
            .is_ok_and(|path| path.starts_with("scripts") || path.starts_with(".ci"));
        let is_text = file
            .extension()
            .is_some_and(|extension| ["rs", "md", "toml", "sh"].iter().any(|text| extension == *text));
        if !is_script && !is_text {
            continue;
        }
        for (number, line) in read(&file).lines().enumerate() {
            for home in homes.iter().filter(|home| line.contains(*home)) {
                broken.push(format!(
                    "{}:{}: names {home}, a folder of one machine: take it as an argument or say it relative to the \
                     repository",
                    shown(&file),
                    number + 1
                ));
            }
        }
    }
    assert_none(&broken);
}

struct Member {
    folder: PathBuf,
    /// The crates of this workspace that it uses, except in tests.
    uses: BTreeSet<String>,
}

fn members() -> BTreeMap<String, Member> {
    let text = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("cargo metadata printed no JSON: {error}"));
    let string = |value: &serde_json::Value| {
        value.as_str().unwrap_or_else(|| panic!("cargo metadata: {value} is no text")).to_owned()
    };
    let list = |value: &serde_json::Value| {
        value.as_array().unwrap_or_else(|| panic!("cargo metadata: {value} is no list")).clone()
    };
    list(&metadata["packages"])
        .iter()
        .map(|package| {
            let manifest = PathBuf::from(string(&package["manifest_path"]));
            let dependencies = list(&package["dependencies"]);
            let inside = dependencies.iter().filter(|dependency| {
                dependency["path"].is_string() && dependency["kind"].as_str() != Some("dev")
            });
            let uses = inside.map(|dependency| string(&dependency["name"])).collect();
            (string(&package["name"]), Member { folder: folder_of(&manifest), uses })
        })
        .collect()
}

fn pure_crates() -> impl Iterator<Item = String> {
    PURE.iter().map(|name| format!("spillway-{name}"))
}

/// What cargo prints; first without the network, which is there only to fetch what this machine never built.
fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut error = String::new();
    for more in [&["--locked", "--offline"][..], &["--locked"]] {
        let output = Command::new(&program).args(arguments).args(more).current_dir(root()).output();
        let output = output.unwrap_or_else(|error| panic!("cannot run {program:?}: {error}"));
        if output.status.success() {
            return String::from_utf8_lossy(&output.stdout).into_owned();
        }
        error = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    panic!("cargo {}: {error}", arguments.join(" "))
}

fn root() -> PathBuf {
    folder_of(Path::new(env!("CARGO_MANIFEST_DIR")))
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

fn shown(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn rust_files() -> impl Iterator<Item = PathBuf> {
    files_below(&root()).into_iter().filter(|file| file.extension() == Some(OsStr::new("rs")))
}

/// All files below a folder in order, without what git keeps and what cargo builds.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let is_skipped = [".git", "target", "proptest-regressions"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && !is_skipped {
            files.extend(files_below(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files
}

fn assert_none(broken: &[String]) {
    assert!(broken.is_empty(), "{} to mend:\n{}", broken.len(), broken.join("\n"));
}

/// Nothing is longer than `max` but the exceptions, and these are exactly as long as they say.
fn assert_ratchet(
    lengths: impl Iterator<Item = (String, usize)>,
    max: usize,
    exceptions: &[(&str, usize)],
    list: &str,
) {
    let mut left: BTreeMap<&str, usize> = exceptions.iter().copied().collect();
    let mut broken = Vec::new();
    for (name, lines) in lengths.filter(|(_, lines)| *lines > max) {
        match left.remove(name.as_str()) {
            Some(allowed) if allowed == lines => {}
            Some(allowed) if allowed > lines => {
                broken.push(format!(
                    "{name} shrank from {allowed} to {lines} lines: say so in {list} of this test"
                ));
            }
            Some(allowed) => broken.push(format!("{name} grew from {allowed} to {lines} lines: split it")),
            None => broken.push(format!("{name} has {lines} lines, at most {max} are allowed: split it")),
        }
    }
    broken.extend(left.keys().map(|name| format!("{name} is no longer too long: remove it from {list}")));
    assert_none(&broken);
}
