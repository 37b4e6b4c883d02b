//! `up` as an operator runs it: provision it, ask it by DNS, kill it, start it again. The origin and the CDN are ports
//! that nobody listens on, so that probes fail and traffic leaves the origin.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use spillway_edge::follower::Follower;
use spillway_eventlog::{EmbeddedLog, EventLog, RecordReader};
use spillway_events::{Tick, TimeMicros, encode, parse_time, topics};
use spillway_tests::binary::{binary, command, folder, spillway, token_env};
use spillway_tests::installation::{free_address, until};

/// The files and addresses of one `up`.
struct Setup {
    data: PathBuf,
    dns: String,
    api: String,
    /// The documents to apply.
    file: String,
}

impl Setup {
    fn new(name: &str) -> Self {
        let folder = folder(name);
        let file = provisioning(&folder);
        Self { data: folder.join("data"), dns: free_address(), api: free_address(), file }
    }
}

/// A running `up`. It is killed if the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended need not be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn up(data: &Path, dns: &str, api: &str) -> Running {
    let child = command()
        .args([Path::new("up"), Path::new("--data"), data])
        .args(["--dns", dns, "--api", api, "--probe-allow", "127.0.0.0/8"])
        .stderr(Stdio::null())
        .spawn();
    Running(child.unwrap())
}

/// An `up` that is provisioned and answers.
fn serving(data: &Path, dns: &str, api: &str, file: &str) -> Running {
    let running = up(data, dns, api);
    apply(api, file);
    until_cname(dns);
    running
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

/// A site whose origin and CDN refuse connections.
fn provisioning(folder: &Path) -> String {
    let closed = free_address();
    let file = folder.join("site.yaml");
    std::fs::write(
        &file,
        format!(
            "kind: client\nname: acme\n---\nkind: network\nname: net\nprefixes: [127.0.0.0/8]\n---\n\
             kind: probe\nagent: agent\nnetwork: net\n---\nkind: cdn\nname: cdn\ntype: operated\n\
             dns_name: acme.edge.example\nprobe_url: http://{closed}/\n---\n\
             kind: site\nname: shop\nclient: acme\nhosts: [www.acme.example]\nprobe_interval_ms: 200\n\
             origin: {{addresses: [127.0.0.1], probe_url: 'http://{closed}/'}}\ncdns: [cdn]\n\
             objectives: [{{metric: response_time, threshold: 100ms, percentile: 75, window: 10s, samples_min: 3, \
             probes_min: 1}}]\n"
        ),
    )
    .unwrap();
    file.to_str().unwrap().to_owned()
}

/// Applies a file as soon as the API answers.
fn apply(api: &str, file: &str) {
    for _ in 0..100 {
        if spillway(["apply", "-f", file, "--api", api]).status.success() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the API does not answer");
}

/// The body of `/ready`.
fn ready(api: &str) -> Value {
    let mut socket = TcpStream::connect(api).unwrap();
    write!(socket, "GET /ready HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    serde_json::from_str(response.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// What the body of `/ready` says of a role; null if it does not name it.
fn role(body: &Value, role: &str) -> Value {
    body["roles"].as_array().unwrap().iter().find(|found| found["role"] == role).cloned().unwrap_or_default()
}

/// Ends a process by SIGTERM; returns its exit status.
fn terminate(mut up: Running) -> Option<i32> {
    let sent = Command::new("kill").args(["-TERM", &up.0.id().to_string()]).status().unwrap();
    assert!(sent.success());
    up.0.wait().unwrap().code()
}

#[test]
fn it_is_provisioned_answers_and_survives_a_kill() {
    let Setup { data, dns, api, file } = Setup::new("up");
    let child = up(&data, &dns, &api);
    let client = |arguments: &[&str]| {
        let output = spillway(arguments.iter().copied().chain(["--api", &api]));
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let file = file.as_str();
    // The API is there a moment after the start.
    let mut tried = client(&["apply", "-f", file, "--dry-run"]);
    for _ in 0..100 {
        if tried.0 == Some(0) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        tried = client(&["apply", "-f", file, "--dry-run"]);
    }
    assert!(tried.1.contains("+ site shop") && tried.1.contains("revision 1"), "{tried:?}");
    assert!(client(&["apply", "-f", file]).1.contains("applied; revision 2"));
    assert!(client(&["apply", "-f", file]).1.contains("nothing to change; revision 2"));
    until_cname(&dns);
    let (code, explained) = client(&["explain", "shop", "--network", "net"]);
    assert_eq!(code, Some(0));
    assert!(explained.contains("cdn:cdn") && explained.contains("failed of p75 over 10s"), "{explained}");
    assert_eq!(client(&["explain", "nobody"]).0, Some(2));
    assert!(client(&["get"]).1.contains("kind: site"));

    drop(child);
    assert!(data.join("commands.redb").is_file());
    let data_text = data.to_str().unwrap();
    let explained = spillway(["explain", "shop", "--network", "net", "--log", data_text]);
    assert!(String::from_utf8(explained.stdout).unwrap().contains("cdn:cdn"));
    assert_eq!(spillway(["replay", "verify", "--log", data_text]).status.code(), Some(0));

    let child = up(&data, &dns, &api);
    until_cname(&dns);
    assert_eq!(terminate(child), Some(0));
    assert_eq!(spillway(["replay", "verify", "--log", data_text]).status.code(), Some(0));
}

/// A file that is not closed cleanly and whose content is not that of a log.
#[test]
fn a_log_check_that_cannot_open_the_log_does_not_advise_a_log_check() {
    let data = folder("log-check").join("data");
    drop(EmbeddedLog::create(&data).unwrap());
    let file = data.join("log.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    // All pages but the first one, which says that this is a file of the store.
    bytes.iter_mut().skip(4_096).for_each(|byte| *byte ^= 0x5a);
    std::fs::write(&file, bytes).unwrap();
    let output = spillway(["log", "check", "--log", data.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("is damaged: ") && said.contains("restore the folder from a backup"), "{said}");
    assert!(!said.contains("spillway log check"), "{said}");
}

/// A first run leaves a table and a log. Then the API's port is taken, so that the web role fails; then the log is damaged,
/// so that every role but DNS fails.
#[test]
fn dns_outlives_every_other_role_and_failed_roles_are_restarted() {
    let Setup { data, dns, api, file } = Setup::new("outlives");
    let child = serving(&data, &dns, &api, &file);
    assert_eq!(terminate(child), Some(0));

    let taken = TcpListener::bind(&api).unwrap();
    let started_at = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap();
    let child = up(&data, &dns, &api);
    until_cname(&dns);
    drop(taken);
    apply(&api, &file);
    let body = ready(&api);
    assert_eq!(role(&body, "dns"), serde_json::json!({"role": "dns", "state": "running"}));
    assert_eq!(role(&body, "web")["state"], "running");
    assert!(role(&body, "web")["last_failure"].as_str().unwrap().contains("cannot listen on"), "{body}");
    let failed_at = parse_time(role(&body, "web")["last_failure_at"].as_str().unwrap()).unwrap();
    assert!(failed_at.0 >= started_at, "{body}");
    assert_eq!(body["table"]["installation"].as_str().unwrap().len(), 32, "{body}");
    assert!(body["table"]["version"].as_u64() > Some(0) && body["table"]["age_ms"].is_u64(), "{body}");
    assert_eq!((&body["table"]["ignored"], &body["table"]["save_failing"]), (&Value::Null, &false.into()));
    assert_eq!(terminate(child), Some(0));

    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "redb") {
            std::fs::write(&path, b"no log").unwrap();
        }
    }
    let child = up(&data, &dns, &api);
    until_cname(&dns);
    std::thread::sleep(Duration::from_secs(2));
    until_cname(&dns);
    assert_eq!(terminate(child), Some(2), "the roles had failed at the end");
}

/// The first tick of the log is not a tick, so that the dataflow fails whenever it is started.
#[test]
fn a_failed_role_shows_in_ready() {
    let data = folder("ready").join("data");
    let log = EmbeddedLog::create(&data).unwrap();
    log.create_topic(topics::TICKS, 1).unwrap();
    log.append_at(topics::TICKS, 0, b"no tick").unwrap();
    drop(log);
    let (dns, api) = (free_address(), free_address());
    let child = up(&data, &dns, &api);
    until("the API", || TcpStream::connect(&api).is_ok());
    until("the dataflow has failed", || role(&ready(&api), "dataflow")["state"] == "failed");
    let body = ready(&api);
    let dataflow = role(&body, "dataflow");
    assert!(dataflow["reason"].as_str().unwrap().contains("ticks"), "{body}");
    assert!(parse_time(dataflow["failed_at"].as_str().unwrap()).is_ok(), "{body}");
    assert!(dataflow["restarts_in_ms"].as_u64().is_some_and(|ms| ms <= 60_000), "{body}");
    assert_eq!(role(&body, "web"), serde_json::json!({"role": "web", "state": "running"}));
    assert_eq!(body["table"]["version"], Value::Null, "there is no table yet: {body}");
    assert_eq!(terminate(child), Some(2));
}

/// A mounted file system, unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    /// None if this user cannot mount a file system.
    fn tmpfs(folder: PathBuf) -> Option<Self> {
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=64m", "spillway-test"]).arg(&folder).output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        if !is_mounted {
            eprintln!("skipped: this user cannot mount a file system");
        }
        is_mounted.then(|| Self(folder))
    }

    /// Mounts it again as `ro` or `rw`.
    fn remount(&self, option: &str) {
        let option = format!("remount,{option}");
        let status = Command::new("mount").args(["-o", &option]).arg(&self.0).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// A folder that can no longer be written. A log that was not closed has to be repaired, which needs writing; one that was
/// closed is read. Mounting needs root.
#[test]
fn a_read_only_folder_is_read_and_its_table_serves() {
    let Some(mount) = Mount::tmpfs(folder("read-only")) else { return };
    let data = mount.0.join("data");
    let (dns, api) = (free_address(), free_address());
    let elsewhere = folder("read-only-site");
    let file = provisioning(&elsewhere);
    let child = serving(&data, &dns, &api, &file);
    let has_table = || Follower::load(&data.join("table")).is_ok_and(|follower| follower.current().is_some());
    until("the table is saved", has_table);
    drop(child);
    mount.remount("ro");
    let data_text = data.to_str().unwrap();
    let output = spillway(["explain", "shop", "--log", data_text]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("copy the folder"), "{said}");

    mount.remount("rw");
    let child = up(&data, &dns, &api);
    until_cname(&dns);
    assert_eq!(terminate(child), Some(0));
    mount.remount("ro");
    for arguments in
        [&["explain", "shop"][..], &["probe", "status"], &["log", "check"], &["replay", "verify"]]
    {
        let output = spillway(arguments.iter().copied().chain(["--log", data_text]));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    }
    let output = spillway(["clock", "reset", "--reason", "a test", "--log", data_text]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("log.redb: change its owner"), "{said}");

    let child = command()
        .args(["up", "--data", data_text, "--dns", &dns, "--api", &api])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until_cname(&dns);
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("error: log: cannot write") && said.contains("it is restarted in"), "{said}");
}

#[test]
fn what_ends_a_process_is_said_once() {
    let file = folder("said-once").join("file");
    std::fs::write(&file, "no folder").unwrap();
    let output = spillway(["up", "--data", file.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.matches("cannot open or create").count()), (Some(2), 1), "{said}");
}

/// The system sends a signal to a process whose file would grow beyond its limit; the signal usually ends the process.
#[test]
fn a_limit_on_the_size_of_files_does_not_end_dns() {
    let Setup { data, dns, api, file } = Setup::new("file-limit");
    let limit = "ulimit -f 4000; exec \"$@\"";
    let child = Command::new("bash")
        .args(["-c", limit, "bash"])
        .arg(binary())
        .envs(token_env())
        .args([Path::new("up"), Path::new("--data"), &data])
        .args(["--dns", &dns, "--api", &api, "--probe-allow", "127.0.0.0/8"])
        .stderr(Stdio::null())
        .spawn();
    let mut child = Running(child.unwrap());
    apply(&api, &file);
    until_cname(&dns);
    let more = |round: usize| {
        let client = |number| format!("---\nkind: client\nname: c{round}-{number:060}\n");
        std::fs::write(&file, (0..20_000).map(client).collect::<String>()).unwrap();
        spillway(["apply", "-f", &file, "--api", &api])
    };
    let refused = (0..5).map(more).find(|applied| !applied.status.success()).unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("File too large"), "{said}");
    assert_eq!(child.0.try_wait().unwrap(), None, "the process runs on");
    until_cname(&dns);
    terminate(child);
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_failure() {
    let Setup { data, dns, api, file } = Setup::new("pipe");
    let child = serving(&data, &dns, &api, &file);
    for arguments in [&["explain", "shop"][..], &["get"], &["apply", "--dry-run", "-f", &file]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command()
            .args(arguments)
            .args(["--api", &api])
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        // The documents have addresses of loopback, of which `apply` warns.
        let is_quiet = errors.lines().all(|line| line.starts_with("warning: "));
        assert!(output.status.success() && is_quiet, "{arguments:?}: {:?}, {errors}", output.status);
    }
    assert_eq!(terminate(child), Some(0));
}

/// A node has the table of one installation and is given the log of another one.
#[test]
fn a_node_takes_the_log_of_another_installation_only_if_it_is_requested() {
    let folder = folder("adopt");
    let (one, two) = (folder.join("one"), folder.join("two"));
    let (dns, api) = (free_address(), free_address());
    let file = provisioning(&folder);
    let run_once = |data: &Path| {
        let child = serving(data, &dns, &api, &file);
        assert_eq!(terminate(child), Some(0));
    };
    run_once(&one);
    run_once(&two);
    let installation = |data: &Path| {
        let table = Follower::load(&data.join("table")).unwrap().current().unwrap();
        table.installation().to_owned()
    };
    let (of_one, of_two) = (installation(&one), installation(&two));
    assert!(of_one.len() == 32 && of_one != of_two, "{of_one} {of_two}");
    std::fs::copy(one.join("table"), two.join("table")).unwrap();
    let adopt = |wait: &str| {
        let output = spillway(["dns", "adopt", "--data", two.to_str().unwrap(), "--wait", wait]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };

    let child = serving(&two, &dns, &api, &file);
    assert_eq!(installation(&two), of_one, "it keeps serving its own table");
    until("it reports the other installation", || ready(&api)["table"]["ignored"] == "other_installation");
    assert_eq!(ready(&api)["table"]["installation"], of_one.as_str());
    let (code, said) = adopt("60");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("before: installation {of_one}")), "{said}");
    assert!(said.contains(&format!("adopted: installation {of_two}")), "{said}");
    until_cname(&dns);
    assert_eq!(terminate(child), Some(0));
    assert_eq!(installation(&two), of_two);

    // Asked while it does not run, it does so at its next start.
    std::fs::copy(one.join("table"), two.join("table")).unwrap();
    let (code, said) = adopt("0");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not adopted yet: the node does not run"), "{said}");
    let child = up(&two, &dns, &api);
    for _ in 0..300 {
        if installation(&two) == of_two {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(terminate(child), Some(0));
    assert_eq!(installation(&two), of_two);
    // Without a table there is nothing to ask for. A table that cannot be read is another matter.
    let refused = |data: &Path| {
        let output = spillway(["dns", "adopt", "--data", data.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&folder).contains("needs no adoption"));
    std::fs::create_dir_all(folder.join("three/table")).unwrap();
    let said = refused(&folder.join("three"));
    assert!(
        said.contains("the node's table cannot be read") && !said.contains("needs no adoption"),
        "{said}"
    );
}

#[test]
fn the_clock_is_reset_while_it_runs_and_on_a_log_folder() {
    let Setup { data, dns, api, file } = Setup::new("clock-reset");
    let child = serving(&data, &dns, &api, &file);
    let reset = |target: [&str; 2]| {
        let output = spillway(["clock", "reset", "--reason", "a test"].into_iter().chain(target));
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = reset(["--api", &api]);
    assert!(code == Some(0) && said.contains("+ clock reset: a test"), "{said}");
    until_cname(&dns);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(terminate(child), Some(0));
    let data_text = data.to_str().unwrap();
    let (code, said) = reset(["--log", data_text]);
    assert!(code == Some(0) && said.contains("+ clock reset: a test"), "{said}");
    let child = up(&data, &dns, &api);
    until_cname(&dns);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(terminate(child), Some(0));
    assert_eq!(spillway(["replay", "verify", "--log", data_text]).status.code(), Some(0));
    let log = EmbeddedLog::open(&data).unwrap();
    let ticks = RecordReader::<Tick>::new(&log, topics::TICKS, 0, 0);
    let ticks: Vec<Tick> = ticks.map(|tick| tick.unwrap().1).collect();
    assert_eq!(ticks.iter().filter(|tick| tick.restart).count(), 2);

    // The ticks are an hour ahead of this machine: `/ready` shows it, until the clock is reset.
    let last = ticks.last().unwrap();
    let (number, at_us) = (last.number + 1, TimeMicros(last.at_us.0 + 3_600_000_000));
    let ahead = Tick { number, at_us, restart: false, ..last.clone() };
    log.append_at(topics::TICKS, number, &encode(&ahead).unwrap()).unwrap();
    drop(log);
    let child = up(&data, &dns, &api);
    until("the API", || TcpStream::connect(&api).is_ok());
    until("it shows the clock", || ready(&api)["clock_apart_ms"].as_i64().is_some_and(|ms| ms < -3_000_000));
    assert_eq!(reset(["--api", &api]).0, Some(0));
    until("it shows no more", || ready(&api)["clock_apart_ms"].is_null());
    assert_eq!(terminate(child), Some(0));
}
