//! Measures `spillway up` with many sites: how long a changed site takes from the API to the DNS answer, what an idle
//! installation uses, how much memory it takes, and how long its routing table takes to load from disk.
//!
//! The last line holds the figures as `key=value` pairs. `scripts/bench/scale` runs it.
//!
//! `cargo run --release -p spillway-tests --example scale_bench [--quick]`
#![allow(clippy::unwrap_used, reason = "a benchmark may stop")]
#![allow(clippy::cast_precision_loss, reason = "a benchmark prints ratios")]

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use spillway_edge::follower::Follower;
use spillway_tests::binary::{TOKEN, command, folder};
use spillway_tests::installation::free_address;

/// The same as in the binary, because this process loads the table as a node does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HOSTS_PER_SITE: usize = 10;
const NETWORKS: usize = 50;
const CLIENTS: usize = 1_000;
/// The sites of one command.
const SITES_PER_COMMAND: usize = 10_000;
const CHANGES: usize = 25;
/// Longer than the shortest interval of ticks, so that a change does not wait for the tick after the last one.
const CHANGE_INTERVAL: Duration = Duration::from_millis(400);
/// Until a checkpoint has been taken and the table saved, and over how long an idle installation is watched; `--quick` is
/// too quick for a checkpoint.
const SETTLE_AND_IDLE: [Duration; 2] = [Duration::from_secs(70), Duration::from_secs(65)];
const QUICK_SETTLE_AND_IDLE: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(10)];
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

fn main() {
    let is_quick = std::env::args().nth(1).is_some_and(|argument| argument == "--quick");
    let sites = if is_quick { 5_000 } else { 100_000 };
    let [settle, idle] = if is_quick { QUICK_SETTLE_AND_IDLE } else { SETTLE_AND_IDLE };
    let data = folder("scale-bench");
    let mut installation = Installation::start(&data);
    let started = Instant::now();
    installation.apply(&base());
    for first in (0..sites).step_by(SITES_PER_COMMAND) {
        let of_command = first..sites.min(first + SITES_PER_COMMAND);
        let documents: Vec<String> = of_command.map(|number| site(number, 1)).collect();
        installation.apply(&documents.join("---\n"));
    }
    let apply_s = started.elapsed().as_secs_f64();
    println!(
        "sites: {sites}, {} host names, {NETWORKS} networks; applied in {apply_s:.1} s",
        sites * HOSTS_PER_SITE
    );
    installation.until_answered(sites - 1, 1);
    println!(
        "first answer of the last site: {:.1} s after the first command",
        started.elapsed().as_secs_f64()
    );
    std::thread::sleep(settle);
    let (rss_mib, latency) = (installation.rss_mib(), installation.change(sites));
    println!("memory: {rss_mib} MiB, {:.0} bytes a site", (rss_mib << 20) as f64 / sites as f64);
    println!("one site, from the API to the answer: median {:.1} ms, worst {:.1} ms", latency.0, latency.1);
    // The changes are in a checkpoint once this has passed.
    std::thread::sleep(settle);
    let idle_percent = installation.idle_percent(idle);
    println!("idle: {idle_percent:.2} % of a core");
    installation.stop();
    let started = Instant::now();
    installation = Installation::start(&data);
    installation.until_answered(sites - 1, 1);
    println!("restart: {:.2} s until it answers", started.elapsed().as_secs_f64());
    installation.stop();
    let before_mib = resident_mib("self");
    let started = Instant::now();
    let follower = Follower::load(&data.join("table")).unwrap();
    let load_s = started.elapsed().as_secs_f64();
    let table_mib = resident_mib("self").saturating_sub(before_mib);
    println!(
        "table: loads in {load_s:.2} s, {table_mib} MiB, {} sites",
        follower.current().unwrap().sites_count()
    );
    std::fs::remove_dir_all(&data).unwrap();
    println!(
        "sites={sites} apply_to_answer_ms={:.1} idle_cpu_percent={idle_percent:.2} rss_mib={rss_mib} \
         table_load_s={load_s:.2} table_rss_mib={table_mib}",
        latency.0
    );
}

/// Everything but the sites.
fn base() -> String {
    let mut text = String::new();
    for client in 0..CLIENTS {
        writeln!(text, "kind: client\nname: client-{client}\n---").unwrap();
    }
    for network in 0..NETWORKS {
        writeln!(text, "kind: network\nname: net-{network}\nprefixes: [10.{network}.0.0/16]\n---").unwrap();
    }
    for (index, cdn) in ["edge-one", "edge-two", "edge-three"].iter().enumerate() {
        writeln!(text, "kind: cdn\nname: {cdn}\ntype: partner\ndns_name: {cdn}.example").unwrap();
        writeln!(text, "addresses: [198.51.100.{}]\n---", index + 1).unwrap();
    }
    text.truncate(text.trim_end_matches("---\n").len());
    text
}

fn site(number: usize, version: usize) -> String {
    let client = number % CLIENTS;
    let hosts: Vec<String> = (0..HOSTS_PER_SITE).map(|host| host_name(number, host)).collect();
    format!(
        "kind: site\nclient: client-{client}\nname: site-{number}\nhosts: [{}]\n\
         origin: {{addresses: [{}]}}\ncdns: [edge-one, edge-two, edge-three]\n\
         objectives: [{{metric: response_time, threshold: 150ms}}]\n",
        hosts.join(", "),
        address(number, version)
    )
}

fn host_name(site: usize, host: usize) -> String {
    format!("www{host}.site-{site}.example")
}

/// The address of a site's origin; its last part is the version of the site.
fn address(site: usize, version: usize) -> String {
    format!("11.{}.{}.{version}", site / 256 % 256, site % 256)
}

/// A running `spillway up`.
struct Installation {
    process: Child,
    api: String,
    dns: UdpSocket,
}

impl Installation {
    fn start(data: &Path) -> Self {
        let (api, dns) = (free_address(), free_address());
        let arguments = ["up", "--api", &api, "--dns", &dns, "--data"];
        let process = command().args(arguments).arg(data).stderr(Stdio::null()).spawn().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(&dns).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let started = Instant::now();
        while TcpStream::connect(&api).is_err() {
            assert!(started.elapsed() < ANSWER_TIMEOUT, "the API does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { process, api, dns: socket }
    }

    fn apply(&self, documents: &str) {
        let mut stream = TcpStream::connect(&self.api).unwrap();
        write!(
            stream,
            "POST /v1/provisioning HTTP/1.1\r\nHost: {}\r\nContent-Type: application/yaml\r\n\
             Authorization: Bearer {TOKEN}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{documents}",
            self.api,
            documents.len()
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 200"), "{}", response.chars().take(2_000).collect::<String>());
    }

    /// The first address of a site's first host, if it has one.
    fn answer(&self, site: usize) -> Option<String> {
        let mut question = Message::new(1, MessageType::Query, OpCode::Query);
        let name = Name::from_ascii(format!("{}.", host_name(site, 0))).unwrap();
        question.add_query(Query::query(name, RecordType::A));
        self.dns.send(&question.to_vec().unwrap()).ok()?;
        let mut buffer = [0; 1_232];
        let length = self.dns.recv(&mut buffer).ok()?;
        let answer = Message::from_vec(&buffer[..length]).unwrap();
        answer.answers.iter().find_map(|record| match &record.data {
            RData::A(address) => Some(address.0.to_string()),
            _ => None,
        })
    }

    fn until_answered(&self, site: usize, version: usize) {
        let (started, wanted) = (Instant::now(), address(site, version));
        while self.answer(site).as_ref() != Some(&wanted) {
            assert!(started.elapsed() < ANSWER_TIMEOUT, "{wanted} is not answered");
        }
    }

    /// Median and worst time from a command that changes one site to its changed answer, in milliseconds.
    fn change(&self, sites: usize) -> (f64, f64) {
        let mut costs: Vec<f64> = (0..CHANGES)
            .map(|change| {
                let number = change * 7_919 % sites;
                let documents = site(number, 2);
                std::thread::sleep(CHANGE_INTERVAL);
                let started = Instant::now();
                self.apply(&documents);
                self.until_answered(number, 2);
                started.elapsed().as_secs_f64() * 1_000.0
            })
            .collect();
        costs.sort_by(f64::total_cmp);
        (costs[CHANGES / 2], costs[CHANGES - 1])
    }

    fn idle_percent(&self, idle: Duration) -> f64 {
        let before = self.cpu();
        std::thread::sleep(idle);
        (self.cpu() - before).as_secs_f64() / idle.as_secs_f64() * 100.0
    }

    /// User and system time, from Linux's /proc, in steps of 10 ms.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let jiffies: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(jiffies * 10)
    }

    fn rss_mib(&self) -> u64 {
        resident_mib(&self.process.id().to_string())
    }

    fn stop(&mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        // One that has ended need not be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn resident_mib(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}
