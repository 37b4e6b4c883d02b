//! `agreement`: proposes, shows, compares, answers and ends agreements.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};
use spillway_provisioning::differences;

use crate::client::{Server, call, command_id, print_applied};
use crate::documents;
use crate::output::line;

#[derive(Debug, Subcommand)]
pub(crate) enum AgreementCommand {
    /// Propose an agreement, as the party of the token
    Propose(ProposeOptions),
    /// Show a version in plain words, or as its document
    Show(ShowOptions),
    /// Show what differs between two versions
    Diff(DiffOptions),
    /// Accept the other party's proposal
    Accept(AcceptOptions),
    /// Refuse the other party's proposal
    Reject(AnswerOptions),
    /// Take back a proposal or a draft
    Withdraw(AnswerOptions),
    /// Put a version out of force from a time on
    Suspend(EndOptions),
    /// Put a suspended version into force again
    Resume(EndOptions),
    /// End a version at a time
    Terminate(EndOptions),
}

#[derive(Debug, Args)]
#[command(after_help = "\
The document of an agreement:

  kind: agreement
  name: gold
  client: acme
  sites: [shop]
  effective_from: 2026-12-01T00:00:00Z
  objectives:
    - {metric: response_time, threshold: 300ms}

The terms never change once they are proposed. The other party accepts them by their digest, a minute before they begin at the \
latest. README tells all the fields.

Exit status: 0 proposed, 2 nothing was changed.

Examples:
  spillway agreement propose -f gold.yaml --dry-run
  spillway agreement propose -f gold.yaml
  spillway agreement propose -f gold.yaml --counter gold/1
  spillway agreement propose -f gold.yaml --draft && spillway agreement propose gold/2")]
pub(crate) struct ProposeOptions {
    /// A draft that is proposed as it is: NAME/VERSION
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    version: Option<String>,
    /// File with the document of the agreement
    #[arg(short = 'f', long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only keep it as the party's draft, which the other party does not see
    #[arg(long, requires = "file", conflicts_with = "counter")]
    draft: bool,
    /// Instead of this proposal of the other party: NAME/VERSION
    #[arg(long, value_name = "VERSION", requires = "file")]
    counter: Option<String>,
    #[command(flatten)]
    change: Change,
}

/// What every change of an agreement takes.
#[derive(Debug, Args)]
struct Change {
    /// Only print what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spillway agreement show gold/2
  spillway agreement show gold/2 -o yaml > gold.yaml
  spillway get agreements")]
pub(crate) struct ShowOptions {
    /// The version: NAME/VERSION
    version: String,
    /// How to print it
    #[arg(short, long, value_enum, default_value = "words", value_name = "FORMAT")]
    output: Format,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// In plain words
    Words,
    /// The document
    Yaml,
    /// The answer of the API
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spillway agreement diff gold/1 gold/2")]
pub(crate) struct DiffOptions {
    /// The version that is compared: NAME/VERSION
    before: String,
    /// The version that it is compared with: NAME/VERSION
    after: String,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
#[command(after_help = "\
`spillway agreement show` prints the digest of the terms. To name it is to say what was read: other terms are not accepted.

Exit status: 0 accepted, 2 not.

Examples:
  spillway agreement show gold/2
  spillway agreement accept gold/2 --terms 778a069f178f8f0ba2e0f9ccc058d251af828d93951f4a1d42d8244033af404a")]
pub(crate) struct AcceptOptions {
    /// The version: NAME/VERSION
    version: String,
    /// SHA-256 of the terms, as `agreement show` prints it
    #[arg(long, value_name = "DIGEST")]
    terms: String,
    #[command(flatten)]
    change: Change,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 done, 2 nothing was changed.

Examples:
  spillway agreement reject gold/2 --reason 'the price is too high'
  spillway agreement withdraw gold/2 --reason 'a mistake in the threshold'")]
pub(crate) struct AnswerOptions {
    /// The version: NAME/VERSION
    version: String,
    /// Why, for the other party
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    change: Change,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The time is a whole multiple of five minutes of UTC, at least a minute ahead.

Exit status: 0 done, 2 nothing was changed.

Examples:
  spillway agreement suspend gold/2 --at 2026-12-24T00:00:00Z --reason 'the shop is closed'
  spillway agreement terminate gold/2 --at 2027-01-01T00:00:00Z --reason 'the contract ends'")]
pub(crate) struct EndOptions {
    /// The version: NAME/VERSION
    version: String,
    /// When
    #[arg(long, value_name = "TIME")]
    at: String,
    /// Why, for the other party
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    change: Change,
}

pub(crate) fn run(command: &AgreementCommand) -> anyhow::Result<ExitCode> {
    let end = |options: &EndOptions, act: &str| {
        moved(&options.change, &options.version, act, &json!({"at": options.at, "reason": options.reason}))
    };
    match command {
        AgreementCommand::Propose(options) => propose(options),
        AgreementCommand::Show(options) => show(options),
        AgreementCommand::Diff(options) => diff(options),
        AgreementCommand::Accept(options) => {
            moved(&options.change, &options.version, "accept", &json!({"terms_sha256": options.terms}))
        }
        AgreementCommand::Reject(options) => {
            moved(&options.change, &options.version, "reject", &json!({"reason": options.reason}))
        }
        AgreementCommand::Withdraw(options) => {
            moved(&options.change, &options.version, "withdraw", &json!({"reason": options.reason}))
        }
        AgreementCommand::Suspend(options) => end(options, "suspend"),
        AgreementCommand::Resume(options) => end(options, "resume"),
        AgreementCommand::Terminate(options) => end(options, "terminate"),
    }
}

fn propose(options: &ProposeOptions) -> anyhow::Result<ExitCode> {
    let change = &options.change;
    let Some(file) = &options.file else {
        let Some(version) = &options.version else {
            bail!("name a draft, or the file of a document with -f")
        };
        moved(change, version, "propose", &json!({}))?;
        return shown(&change.server, version, change.dry_run);
    };
    // Mistakes within the file are found here, with their lines.
    documents::read(file)?;
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let request = match &options.counter {
        Some(version) => {
            let (name, number) = parts(version)?;
            change.server.request(Method::POST, &["agreements", name, number, "counter"])?
        }
        None => {
            let path = if options.draft { "agreement-drafts" } else { "agreements" };
            change.server.request(Method::POST, &[path])?
        }
    };
    let request = request.query(&[("id", command_id()), ("dry_run", change.dry_run.to_string())]);
    let answer = call(request.header("Content-Type", "application/yaml").body(text))?;
    let answer: Value = serde_json::from_str(&answer)?;
    print_applied(&answer, true)?;
    match answer["version"].as_str() {
        Some(version) => shown(&change.server, version, change.dry_run),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Shows a version after it was proposed.
fn shown(server: &Server, version: &str, dry_run: bool) -> anyhow::Result<ExitCode> {
    if !dry_run {
        line(format_args!(""))?;
        print_words(&read(server, version)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn moved(change: &Change, version: &str, act: &str, body: &Value) -> anyhow::Result<ExitCode> {
    let (name, number) = parts(version)?;
    let request = change.server.request(Method::POST, &["agreements", name, number, act])?;
    let request = request.query(&[("id", command_id()), ("dry_run", change.dry_run.to_string())]).json(body);
    print_applied(&serde_json::from_str(&call(request)?)?, true)?;
    Ok(ExitCode::SUCCESS)
}

fn parts(version: &str) -> anyhow::Result<(&str, &str)> {
    version.split_once('/').with_context(|| format!("`{version}` is not a version such as gold/2"))
}

fn read(server: &Server, version: &str) -> anyhow::Result<Value> {
    parts(version)?;
    Ok(serde_json::from_str(&call(server.request(Method::GET, &["agreement", version])?)?)?)
}

fn show(options: &ShowOptions) -> anyhow::Result<ExitCode> {
    match options.output {
        Format::Words => print_words(&read(&options.server, &options.version)?)?,
        Format::Json => line(format_args!("{}", read(&options.server, &options.version)?))?,
        Format::Yaml => {
            let text = call(options.server.request(Method::GET, &["agreement", &options.version])?)?;
            let resource: crate::ordered::Ordered = serde_json::from_str(&text)?;
            let mut document = String::new();
            serde_saphyr::to_fmt_writer(&mut document, resource.field("spec"))?;
            line(format_args!("{}", document.trim_end()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn diff(options: &DiffOptions) -> anyhow::Result<ExitCode> {
    let (before, after) = (read(&options.server, &options.before)?, read(&options.server, &options.after)?);
    let lines = differences(&before["spec"], &after["spec"]);
    if lines.is_empty() {
        line(format_args!("the terms are the same"))?;
    }
    lines.iter().try_for_each(|changed| line(format_args!("{changed}")))?;
    Ok(ExitCode::SUCCESS)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> String {
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    items.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// Prints a version in plain words: a line for each term that says more than nothing.
fn print_words(resource: &Value) -> anyhow::Result<()> {
    let (spec, status) = (&resource["spec"], &resource["status"]);
    let standing = text(&status["standing"]);
    let row = |label: &str, words: String| line(format_args!("  {label:<14} {words}"));
    line(format_args!(
        "agreement {} with client {}: {standing}, proposed by the {}",
        text(&resource["name"]),
        text(&spec["client"]),
        text(&status["proposed_by"])
    ))?;
    row("terms", text(&status["terms_sha256"]).to_owned())?;
    if let Some(reason) = status["reason"].as_str() {
        row("reason", reason.to_owned())?;
    }
    row("sites", list(&spec["sites"]))?;
    let until = status["ends_at"]
        .as_str()
        .map_or_else(|| String::from("without an end"), |end| format!("until {end}"));
    row("in force", format!("from {} {until}", text(&spec["effective_from"])))?;
    for (index, objective) in spec["objectives"].as_array().into_iter().flatten().enumerate() {
        row(if index == 0 { "level" } else { "" }, level(objective))?;
        let times = status["times"].as_array().into_iter().flatten();
        for of_site in times.filter(|times| times["objective"] == index) {
            let (site, detection, back) =
                (text(&of_site["site"]), text(&of_site["detection"]), text(&of_site["return"]));
            row("", format!("{site}: an outage shows after {detection}, its end after {back}"))?;
        }
    }
    if spec["objectives"].as_array().is_some_and(Vec::is_empty) {
        row("level", String::from("none: the origin answers"))?;
    }
    let cdns = list(&spec["cdns"]);
    row("CDNs", if cdns.is_empty() { String::from("all of each site, in its order") } else { cdns })?;
    for of_network in spec["cdns_in"].as_array().into_iter().flatten() {
        let cdns = list(&of_network["cdns"]);
        let cdns = if cdns.is_empty() { "none" } else { &cdns };
        row("", format!("in {}: {cdns}", text(&of_network["network"])))?;
    }
    if spec["return_band_permille"] != 0 {
        let kept = 1_000 - spec["return_band_permille"].as_u64().unwrap_or(0);
        row("return band", format!("traffic returns at {kept} permille of the level or less"))?;
    }
    if spec["dwell"] != "0us" {
        row("dwell", format!("traffic stays on a CDN for {} at least", text(&spec["dwell"])))?;
    }
    if let Some(silence) = spec.get("on_silence") {
        let (hold, then) = (text(&silence["hold"]), text(&silence["then"]));
        row(
            "silence",
            format!("the route is held for {hold}, then goes to the {}", then.replace("cdn", "CDN")),
        )?;
    }
    for suspension in status["suspensions"].as_array().into_iter().flatten() {
        let until = suspension[1].as_str().map_or_else(String::new, |until| format!(" until {until}"));
        row("suspended", format!("from {}{until}", text(&suspension[0])))?;
    }
    if spec["notice"] != "0us" {
        row("notice", format!("{} before a party ends it", text(&spec["notice"])))?;
    }
    if let Some(level) = spec.get("service_level") {
        print_service_level(level, row)?;
    }
    if let Some(billing) = spec.get("billing") {
        print_billing(billing, row)?;
    }
    Ok(())
}

fn print_service_level(
    level: &Value,
    row: impl Fn(&str, String) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for step in level["steps"].as_array().into_iter().flatten() {
        let (below, credit) = (&step["below_ppm"], &step["credit_basis_points"]);
        row("credit", format!("{credit} basis points below {below} ppm of the minutes"))?;
    }
    row("", format!("none with less than {} ppm of the minutes judged", level["coverage_min_ppm"]))?;
    for (cap, unit) in [("cap_ppm", "ppm of what is paid for the site"), ("cap_minor", "minor units")] {
        if let Some(most) = level.get(cap) {
            row("", format!("{most} {unit} at most"))?;
        }
    }
    let counts = if level["counts_overridden"] == true { "count" } else { "do not count" };
    row("", format!("minutes in which an operator pinned or drained {counts}"))?;
    for works in level["maintenance"].as_array().into_iter().flatten() {
        row("maintenance", format!("from {} to {}", text(&works["from"]), text(&works["to"])))?;
    }
    for share in level["shares"].as_array().into_iter().flatten() {
        row("", format!("credits are taken from {} ppm of item {} too", share["ppm"], text(&share["item"])))?;
    }
    Ok(())
}

fn print_billing(billing: &Value, row: impl Fn(&str, String) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (card, currency, zone) =
        (text(&billing["rate_card"]), text(&billing["currency"]), text(&billing["zone"]));
    let digits = &billing["currency_exponent"];
    row("billing", format!("rate card {card} in {currency} with {digits} digits, by months of {zone}"))?;
    let missing = if billing["missing"] == "zero" { "counts as 0" } else { "does not count" };
    row("", format!("sealed on day {}; a slot without a report {missing}", billing["seal_day"]))?;
    for tax in billing["taxes"].as_array().into_iter().flatten() {
        row("tax", format!("{} ppm on {}", tax["rate_ppm"], text(&tax["code"])))?;
    }
    Ok(())
}

/// An objective, as people say it.
fn level(objective: &Value) -> String {
    let side = if objective["metric"] == "response_time" { "below" } else { "above" };
    format!(
        "{} {side} {}: p{} over {}, {} of {}",
        text(&objective["metric"]).replace('_', " "),
        text(&objective["threshold"]),
        objective["percentile"],
        text(&objective["window"]),
        counted(&objective["samples_min"], "sample"),
        counted(&objective["probes_min"], "probe")
    )
}

/// `1 probe`, `3 probes`.
fn counted(count: &Value, what: &str) -> String {
    format!("{count} {what}{}", if *count == 1 { "" } else { "s" })
}
