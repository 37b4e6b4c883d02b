//! The binary's `backtest` against the rule as written apart from it, line for line: on real measurements where they
//! are at hand, and on generated ones that have what those lack: fractions of seconds, late rows, several probes a
//! network, bandwidth, several objectives, failures.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use spillway_tests::binary::{folder, spillway};
use spillway_tests::{Columns, Line, Objects, Row, read_rows, reference};

const COLUMNS: Columns<'_> = Columns {
    at: "at",
    agent: "agent",
    network: "access_network",
    target: "target",
    site: "page",
    response_time_ms: Some("response_time_ms"),
    throughput_bps: None,
    ok: Some("ok"),
};

fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(name);
    path.exists().then_some(path)
}

/// Runs both and compares every line.
fn check(name: &str, provisioning: &str, input: &Path, columns: Columns<'_>, workers: &str) -> usize {
    let folder = folder(name);
    let file = folder.join("provisioning.yaml");
    std::fs::write(&file, provisioning).unwrap();
    let mut names = format!(
        "at={},agent={},network={},target={},site={}",
        columns.at, columns.agent, columns.network, columns.target, columns.site
    );
    for (field, column) in [
        ("response_time_ms", columns.response_time_ms),
        ("throughput_bps", columns.throughput_bps),
        ("ok", columns.ok),
    ] {
        if let Some(column) = column {
            write!(names, ",{field}={column}").unwrap();
        }
    }
    let mut rows = read_rows(input, columns, |site, target| (site.to_owned(), target.to_owned()));
    let map = folder.join("map.yaml");
    std::fs::write(&map, renames(&rows).to_string()).unwrap();
    for row in &mut rows {
        for name in [&mut row.agent, &mut row.network, &mut row.target] {
            *name = legal(name);
        }
    }
    let output = spillway([
        "backtest",
        "--format",
        "json",
        "--workers",
        workers,
        "--map",
        map.to_str().unwrap(),
        "--column",
        &names,
        "-f",
        file.to_str().unwrap(),
        input.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Line> = String::from_utf8(output.stdout).unwrap().lines().map(line).collect();
    let expected = reference(&Objects::from_documents(provisioning).unwrap(), &rows);
    for (place, (line, expected)) in lines.iter().zip(&expected).enumerate() {
        assert_eq!(line, expected, "{name}: line {place}");
    }
    assert_eq!(lines.len(), expected.len(), "{name}");
    lines.len()
}

/// The name of a provisioned object for a name in the rows, which may hold characters that no name may.
fn legal(name: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name = name.strip_prefix("https://").unwrap_or(name);
    name.chars().map(|c| if is_allowed(c) { c } else { '-' }).collect()
}

/// The map of the names in the rows to names of provisioned objects.
fn renames(rows: &[Row]) -> serde_json::Value {
    let of = |field: fn(&Row) -> &str| -> BTreeMap<String, String> {
        rows.iter().map(field).map(|name| (name.to_owned(), legal(name))).collect()
    };
    serde_json::json!({
        "agents": of(|row| &row.agent),
        "networks": of(|row| &row.network),
        "targets": of(|row| &row.target),
    })
}

/// A decision record as JSON, as the line that the reference makes of it.
fn line(json: &str) -> Line {
    let decision: serde_json::Value = serde_json::from_str(json).unwrap();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let deciding =
        decision["objectives"].as_array().unwrap().iter().find(|o| o["verdict"] == decision["verdict"]);
    Line {
        at_us: decision["at_us"].as_i64().unwrap(),
        site: text(&decision["site"]).unwrap(),
        network: text(&decision["network"]).unwrap(),
        route: text(&decision["route"]["cdn"])
            .map_or_else(|| String::from("origin"), |cdn| format!("cdn:{cdn}")),
        verdict: text(&decision["verdict"]).unwrap(),
        reason: text(&decision["reason"]),
        value: deciding.and_then(|o| o["value"].as_u64()),
        failed: deciding.is_some_and(|o| o["failed"] == true),
        threshold: deciding.map_or(0, |o| o["threshold"].as_u64().unwrap()),
        samples: deciding.map_or(0, |o| o["samples"].as_u64().unwrap()),
        probes: deciding.map_or(0, |o| o["probes"].as_array().unwrap().len()),
    }
}

fn doh_provisioning(percentile: u32, threshold: &str, probes_min: u32) -> String {
    let mut text = String::from("kind: client\nname: acme\n---\nkind: network\nname: europe\n");
    for (network, agent, parent) in [
        ("aws-ohio", "ec2-ohio", "everywhere"),
        ("aws-frankfurt", "ec2-frankfurt", "europe"),
        ("aws-seoul", "ec2-seoul", "everywhere"),
    ] {
        write!(text, "---\nkind: network\nname: {network}\nparent: {parent}\n").unwrap();
        write!(text, "---\nkind: probe\nagent: {agent}\nnetwork: {network}\n").unwrap();
    }
    let cdns = ["dns.google-dns-query", "doh.mullvad.net-dns-query", "dns.quad9.net-dns-query"];
    for cdn in cdns {
        write!(text, "---\nkind: cdn\nname: {cdn}\ntype: partner\ndns_name: cdn.example\n").unwrap();
    }
    let origins = ["dns.circl.lu-dns-query", "ibksturm.synology.me-dns-query"];
    for (site, origin) in ["google.com", "netflix.com"].into_iter().zip(origins) {
        write!(
            text,
            "---\nkind: site\nname: {site}\nclient: acme\nhosts: [{site}]\norigin: {{name: '{origin}'}}\n\
             cdns: ['{}']\nobjectives:\n  - {{metric: response_time, threshold: {threshold}, percentile: \
             {percentile}, window: 1h, samples_min: 3, probes_min: {probes_min}}}\n",
            cdns.join("', '")
        )
        .unwrap();
    }
    text
}

#[test]
fn on_a_week_of_real_measurements() {
    let Some(input) = data("doh-measurements.csv.gz") else {
        // The generated input below is checked everywhere.
        return;
    };
    for (percentile, threshold, probes_min, workers) in
        [(50, "150ms", 1, "1"), (95, "150ms", 2, "2"), (90, "400ms", 3, "4"), (75, "50ms", 1, "1")]
    {
        let provisioning = doh_provisioning(percentile, threshold, probes_min);
        let lines = check(&format!("doh-{percentile}-{threshold}"), &provisioning, &input, COLUMNS, workers);
        assert!(lines > 50, "{lines}");
    }
}

#[test]
fn on_real_bandwidth() {
    let Some(input) = data("carrier-speedtests.csv.gz") else { return };
    let mut text = String::from("kind: client\nname: acme\n");
    let networks =
        ["Verizon-5G-NSA-mmWave", "Verizon-4G", "T-Mobile-5G-NSA-LB", "T-Mobile-5G-SA-LB", "T-Mobile-4G"];
    for network in networks {
        write!(text, "---\nkind: network\nname: {network}\n").unwrap();
        for agent in ["Pixel-5-Minneapolis--MN", "Samsung-S20-Ultra-5G-Minneapolis--MN"] {
            write!(text, "---\nkind: probe\nagent: '{agent}'\nnetwork: {network}\n").unwrap();
        }
    }
    for cdn in ["Verizon-Chicago-IL", "Verizon-Denver-CO"] {
        write!(text, "---\nkind: cdn\nname: '{cdn}'\ntype: partner\ndns_name: cdn.example\n").unwrap();
    }
    write!(
        text,
        "---\nkind: site\nname: multi\nclient: acme\nhosts: [multi.example]\norigin: {{name: 'Verizon-Minneapolis-MN'}}\n\
         cdns: ['Verizon-Chicago-IL', 'Verizon-Denver-CO']\nobjectives:\n  - {{metric: available_bandwidth, threshold: \
         1.5Gbit/s, percentile: 75, window: 6h, samples_min: 2, probes_min: 1}}\n  - {{metric: response_time, threshold: \
         40ms, percentile: 90, window: 5h, samples_min: 2, probes_min: 1}}\n"
    )
    .unwrap();
    let columns = Columns { site: "connection", throughput_bps: Some("down_bps"), ..COLUMNS };
    let lines = check("carrier", &text, &input, columns, "2");
    assert!(lines > 20, "{lines}");
}

/// Numbers that look drawn, the same on every run (Numerical Recipes, "quick and dirty" linear congruence).
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn generated(seed: u64, rows: u64) -> String {
    let mut draws = Draws(seed);
    let mut text = String::from("at,agent,access_network,target,page,response_time_ms,down_bps,ok\n");
    let mut at_us: u64 = 1_600_000_000_000_000;
    for _ in 0..rows {
        at_us += draws.below(2_000_000);
        // A silence now and then, and rows that come late.
        at_us += if draws.below(200) == 0 { 90_000_000 } else { 0 };
        let late = if draws.below(20) == 0 { draws.below(70_000_000) } else { 0 };
        let at = at_us - late;
        let agent = draws.below(6);
        let target = ["origin", "one", "two"][usize::try_from(draws.below(3)).unwrap()];
        // Good and bad minutes, so that routes move.
        let bad = (at / 100_000_000 + draws.below(2) + agent / 5).is_multiple_of(3);
        let succeeded = draws.below(12) > u64::from(bad) * 2;
        let ok = match (draws.below(20), succeeded) {
            (0, _) => "refused",
            (1, _) => "cut_off",
            (_, true) => "1",
            (2, false) => "failed",
            (_, false) => "0",
        };
        let time = if draws.below(15) == 0 {
            String::new()
        } else {
            format!("{}.{:04}", draws.below(if bad { 400 } else { 120 }), draws.below(10_000))
        };
        let bandwidth =
            if draws.below(4) == 0 { String::new() } else { (draws.below(30) * 1_234_567).to_string() };
        let network = ["inner-a", "inner-b", "outer"][usize::try_from(agent % 3).unwrap()];
        let page = ["shop", "blog"][usize::try_from(draws.below(2)).unwrap()];
        writeln!(
            text,
            "{}.{:06},agent-{agent},{network},{target},{page},{time},{bandwidth},{ok}",
            at / 1_000_000,
            at % 1_000_000
        )
        .unwrap();
    }
    text
}

#[test]
fn on_generated_rows_of_every_kind() {
    let mut text = String::from("kind: client\nname: acme\n");
    for (network, parent) in [
        ("region", "everywhere"),
        ("inner-a", "region"),
        ("inner-b", "region"),
        ("outer", "everywhere"),
        ("silent", "inner-a"),
    ] {
        write!(text, "---\nkind: network\nname: {network}\nparent: {parent}\n").unwrap();
    }
    for (agent, network) in
        [(0, "inner-a"), (1, "inner-b"), (2, "outer"), (3, "inner-a"), (4, "inner-b"), (5, "outer")]
    {
        write!(text, "---\nkind: probe\nagent: agent-{agent}\nnetwork: {network}\n").unwrap();
    }
    for cdn in ["one", "two"] {
        write!(text, "---\nkind: cdn\nname: {cdn}\ntype: operated\ndns_name: {cdn}.example\n").unwrap();
    }
    let time = "{metric: response_time, threshold: 120ms, percentile: 80, window: 45s, samples_min: 2, probes_min: 2}";
    let bandwidth = "{metric: available_bandwidth, threshold: 5Mbit/s, percentile: 60, window: 2min, samples_min: 3, probes_min: 3}";
    for (site, cdns, objectives) in [
        ("shop", "[one, two]", format!("[{time}, {bandwidth}]")),
        ("blog", "[two, one]", format!("[{time}]")),
        ("bare", "[one]", String::from("[]")),
    ] {
        write!(
            text,
            "---\nkind: site\nname: {site}\nclient: acme\nhosts: [{site}.example]\ncdns: {cdns}\nobjectives: {objectives}\n"
        )
        .unwrap();
    }
    let columns = Columns { throughput_bps: Some("down_bps"), ..COLUMNS };
    for (seed, workers) in [(1, "1"), (2, "2"), (3, "4")] {
        let input = folder(&format!("rows-{seed}")).join("rows.csv");
        std::fs::write(&input, generated(seed, 20_000)).unwrap();
        let lines = check(&format!("generated-{seed}"), &text, &input, columns, workers);
        assert!(lines > 500, "{lines}");
    }
}
