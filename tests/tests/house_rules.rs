//! The rules of the house that neither the compiler nor clippy knows: which crate may use which, what a pure crate may
//! not touch, how long files and functions may get, and that schemas, manifests and text stay in order.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each crate and what it may depend on: the table of DESIGN §11, top to bottom.
const LAYERS: &[(&str, &[&str])] = &[
    ("spillway-events", &[]),
    ("spillway-provisioning", &["spillway-events"]),
    ("spillway-steering", &["spillway-events", "spillway-provisioning"]),
    ("spillway-billing", &["spillway-events", "spillway-provisioning"]),
    ("spillway-dataflow", PURE_BELOW_DATAFLOW),
    ("spillway-eventlog", &["spillway-events"]),
    ("spillway-edge", &["spillway-events", "spillway-steering", "spillway-eventlog"]),
    ("spillway-probe", &["spillway-events"]),
    (
        "spillway-web",
        &[
            "spillway-events",
            "spillway-provisioning",
            "spillway-steering",
            "spillway-billing",
            "spillway-eventlog",
        ],
    ),
    ("spillway-influx", &["spillway-events", "spillway-eventlog"]),
];
/// These may depend on every crate of `LAYERS`, and nothing may depend on them; the tests may run the binary.
const TOPS: &[&str] = &["spillway", "spillway-tests"];

const PURE_BELOW_DATAFLOW: &[&str] =
    &["spillway-events", "spillway-provisioning", "spillway-steering", "spillway-billing"];
const DATAFLOW: &str = "spillway-dataflow";

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

/// What the source of a pure crate may not say. Whole words: `fs::` does not find `offs::`.
const IMPURE_WORDS: &[&str] = &[
    "SystemTime",
    "Instant::now",
    "std::fs",
    "fs::",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "thread::sleep",
    "env::var",
    "env::var_os",
    "env::vars",
];

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
/// Files over the bound, with their exact number of lines: the list may only shrink.
const LONG_FILES: &[(&str, usize)] = &[];
/// Functions over the bound, as `path::name`, with their exact number of lines: the list may only shrink.
const LONG_FUNCTIONS: &[(&str, usize)] = &[];

/// Asks cargo for the tree of each pure crate by itself: `cargo metadata` would add up the features of the whole
/// workspace, and show hickory-proto with what the edge turns on in it.
#[test]
fn pure_crates_reach_no_runtime_socket_disk_or_clock() {
    let members = members();
    let mut broken = Vec::new();
    for package in pure_crates().filter(|package| members.contains_key(*package)) {
        let tree = cargo(&["tree", "-p", package, "-e", "normal", "--all-features", "--prefix", "none"]);
        let reached: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(reached.contains(package), "cargo tree no longer prints a package's name first:\n{tree}");
        for impure in IMPURE.iter().filter(|impure| reached.contains(*impure)) {
            broken.push(format!(
                "{package} reaches {impure}; `cargo tree -p {package} -e normal -i {impure}` shows how. \
                 Move what needs it into a shell, or turn that feature of the dependency off"
            ));
        }
    }
    assert_none(&broken);
}

/// Compares the manifests, dev-dependencies too, with `LAYERS`.
#[test]
fn crates_depend_only_on_crates_above_them() {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut broken = Vec::new();
    for (package, member) in members() {
        if TOPS.contains(&package.as_str()) {
            for used in member.uses.iter().filter(|used| TOPS.contains(&used.as_str()) && **used != package) {
                broken.push(format!("{package} depends on {used}, which nothing may depend on: remove it"));
            }
            continue;
        }
        let Some(allowed) = layers.get(package.as_str()) else {
            broken.push(format!("{package} is not in DESIGN §11: give it its place in LAYERS of this test"));
            continue;
        };
        // A crate may turn features of its own on for its tests.
        for used in member.uses.iter().filter(|used| **used != package && !allowed.contains(&used.as_str())) {
            broken.push(format!(
                "{package} depends on {used}; it may only depend on {allowed:?} (DESIGN §11). Move the code that \
                 needs it to a crate below both"
            ));
        }
    }
    assert_none(&broken);
}

/// Searches the code, without comments and literals, of all but test files.
#[test]
fn pure_crates_name_no_clock_file_socket_or_environment() {
    let members = members();
    let mut broken = Vec::new();
    for member in pure_crates().filter_map(|package| members.get(package)) {
        for file in files_below(&member.folder.join("src")) {
            let is_test = file.iter().any(|part| part == "tests" || part == "tests.rs");
            if is_test || file.extension() != Some(OsStr::new("rs")) {
                continue;
            }
            for (number, line) in code_of(&read(&file)).lines().enumerate() {
                for word in IMPURE_WORDS.iter().filter(|word| has_word(line, word)) {
                    broken.push(format!(
                        "{}:{}: `{word}` in a pure crate: take its result as an argument",
                        shown(&file),
                        number + 1
                    ));
                }
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn no_file_is_too_long() {
    let lengths = rust_files().map(|file| (shown(&file), read(&file).lines().count()));
    assert_ratchet(lengths, FILE_LINES_MAX, LONG_FILES, "LONG_FILES");
}

#[test]
fn no_function_is_too_long() {
    let lengths = rust_files().flat_map(|file| {
        let path = shown(&file);
        functions(&code_of(&read(&file)))
            .into_iter()
            .map(move |(name, lines)| (format!("{path}::{name}"), lines))
    });
    assert_ratchet(lengths, FUNCTION_LINES_MAX, LONG_FUNCTIONS, "LONG_FUNCTIONS");
}

/// Compares the names of the files in `schemas/` with those in `record!(…)` lines.
#[test]
fn every_schema_has_its_record_and_the_reverse() {
    let schemas: BTreeSet<String> = files_below(&root().join("schemas"))
        .iter()
        .filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()))
        .collect();
    let mut named = BTreeSet::new();
    for file in files_below(&root().join("crates/events/src")) {
        for call in read(&file).split("\nrecord!(").skip(1) {
            // The current version, then the older ones.
            let call = call.split(");").next().unwrap_or_default();
            for name in call.split('"').skip(1).step_by(2) {
                let name = name.to_owned();
                assert!(named.insert(name.clone()), "{}: two records name the schema {name:?}", shown(&file));
            }
        }
    }
    let unused = schemas.difference(&named).map(|name| {
        format!("schemas/{name} is named in no record!(…) of crates/events/src: add its record, or remove the file")
    });
    let missing = named.difference(&schemas).map(|name| {
        format!("a record!(…) of crates/events/src names {name:?}, which is not in schemas/: add the schema")
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

/// Checks the scan that the rules above trust, on what is easy to get wrong.
#[test]
fn the_scan_sees_code_and_nothing_else() {
    let source = "/// fn doc() {\npub(crate) fn first<'a>(x: &'a str) -> [u8; 2] {\n    let _ = '{'; // {\n    \
                  let _ = r#\"\"}\"#;\n    let _ = b\"\\\"{\";\n}\n\ntrait T {\n    fn declared(&self) -> [u8; 2];\n    \
                  const fn one() {}\n}\n/* { /* { */ { */\nasync fn last()\nwhere\n{\n    let _ = ['\\'', '\\u{7b}'];\n}\n";
    let found = functions(&code_of(source));
    let expected = [("first", 5), ("one", 1), ("last", 5)].map(|(name, lines)| (name.to_owned(), lines));
    assert_eq!(found, expected);
    assert!(has_word("use std::fs;", "std::fs") && has_word("fs::read(x)", "fs::"));
    assert!(!has_word("offs::read(x)", "fs::") && !has_word("MySystemTime", "SystemTime"));
}

struct Member {
    folder: PathBuf,
    /// The crates of this workspace that its manifest names, under any kind of dependency.
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
            let inside = dependencies.iter().filter(|dependency| dependency["path"].is_string());
            let uses = inside.map(|dependency| string(&dependency["name"])).collect();
            (string(&package["name"]), Member { folder: folder_of(&manifest), uses })
        })
        .collect()
}

fn pure_crates() -> impl Iterator<Item = &'static str> {
    PURE_BELOW_DATAFLOW.iter().copied().chain([DATAFLOW])
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

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |part: char| part.is_alphanumeric() || part == '_';
    line.match_indices(word).any(|(at, _)| {
        let after = line[at + word.len()..].chars().next();
        !line[..at].ends_with(is_part) && (word.ends_with(':') || !after.is_some_and(is_part))
    })
}

/// Name and length of each function that has a body, from the line that says `fn` to its closing brace.
fn functions(code: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        if let Some(length) = body_end(&lines[first..]) {
            found.push((name.to_owned(), length));
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let at_start = line.trim_start().strip_prefix("fn ").map(|after| ("", after));
    let (before, after) = at_start.or_else(|| line.split_once(" fn "))?;
    let is_qualifier = |word: &str| {
        word.starts_with("pub") || ["const", "async", "unsafe", "extern", "\"\""].contains(&word)
    };
    before
        .split_whitespace()
        .all(is_qualifier)
        .then(|| after.split(|part: char| !part.is_alphanumeric() && part != '_').next())?
}

/// How many lines until the brace that closes the first one opened; none if a `;` ends the item before.
fn body_end(lines: &[&str]) -> Option<usize> {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (number, line) in lines.iter().enumerate() {
        for part in line.chars() {
            match part {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                '{' => braces += 1,
                '}' if braces == 1 => return Some(number + 1),
                '}' => braces = braces.saturating_sub(1),
                ';' if braces == 0 && brackets == 0 => return None,
                _ => {}
            }
        }
    }
    None
}

/// The source with comments left out and text and character literals emptied; every line stays where it was.
fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let is_in_word = code.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment_len(rest)
        } else if let Some(hashes) = raw_text_hashes(rest).filter(|_| !is_in_word || code.ends_with('b')) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = hashes + 2;
            rest[open..].find(&close).map_or(rest.len(), |at| open + at + close.len())
        } else if next == '"' {
            escaped_len(rest, '"')
        } else if next == '\'' && is_character(rest) {
            escaped_len(rest, '\'')
        } else {
            code.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        if !rest.starts_with('/') {
            code.push_str("\"\"");
        }
        code.extend(rest[..skipped].chars().filter(|part| *part == '\n'));
        rest = &rest[skipped..];
    }
    code
}

fn block_comment_len(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let (step, next) = match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, depth + 1),
            [b'*', b'/', ..] => (2, depth - 1),
            _ => (1, depth),
        };
        (at, depth) = (at + step, next);
        if depth == 0 {
            break;
        }
    }
    at
}

/// How many `#` stand between `r` and the quote of a raw text.
fn raw_text_hashes(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let text = after.trim_start_matches('#');
    text.starts_with('"').then(|| after.len() - text.len())
}

/// A character, not a lifetime: `'\…` or a quote right after one character.
fn is_character(rest: &str) -> bool {
    let mut parts = rest.chars().skip(1);
    parts.next() == Some('\\') || parts.next() == Some('\'')
}

/// The length of a literal from quote to quote.
fn escaped_len(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, part) in rest.char_indices().skip(1) {
        if part == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = part == '\\' && !is_escaped;
    }
    rest.len()
}
