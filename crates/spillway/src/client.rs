//! Commands that speak to a running system over HTTP: `apply`, `get`, `explain`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::blocking::{Client, RequestBuilder};
use spillway_control::{Explainer, Provisioner};
use spillway_eventlog::{EmbeddedLog, EventLog};
use spillway_events::{Decision, NetworkName, ObjectiveEvidence, SiteName, format_time, parse_time};

use crate::clock::now;
use crate::documents;
use crate::output::line;

/// How long applying many documents may take.
const APPLY_TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
pub(crate) struct Server {
    /// Address of the API
    #[arg(long, env = "SPILLWAY_API", default_value = crate::settings::API, value_name = "ADDRESS")]
    api: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 applied or nothing to change, 2 nothing was changed.

Examples:
  spillway apply -f site.yaml --dry-run
  spillway apply -f networks.yaml -f site.yaml")]
pub(crate) struct ApplyOptions {
    /// File of documents; may be repeated, all are applied together
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Only print what would change
    #[arg(long)]
    dry_run: bool,
    /// Print every change, however many there are
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
#[command(after_help = "\
An object that others refer to cannot be deleted; the message names them.

Exit status: 0 deleted, 2 nothing was changed.

Examples:
  spillway delete site shop
  spillway delete probe agent-1/carrier-a --dry-run")]
pub(crate) struct DeleteOptions {
    /// client, network, cdn, probe or site
    kind: String,
    /// Its name; a probe's is AGENT/NETWORK
    name: String,
    /// Only print what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct GetOptions {
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spillway explain shop
  spillway explain shop --network carrier-a --at 2026-05-01T12:00:00Z
  spillway explain shop --log ./data --json")]
pub(crate) struct ExplainOptions {
    /// The site
    site: String,
    /// Only in this network
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// As of this time; without it, now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Read the folder of an embedded log that no process has open, instead of asking a running system
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    /// Print the decision records, one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub(crate) fn apply(options: &ApplyOptions) -> anyhow::Result<ExitCode> {
    let mut files = Vec::new();
    for file in &options.files {
        // Mistakes within a file are found here; what depends on other objects is the server's to decide.
        documents::read(file)?;
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        files.push(serde_json::json!({"name": file.display().to_string(), "text": text}));
    }
    let query = [("id", command_id()), ("dry_run", options.dry_run.to_string())];
    let request = Client::builder().timeout(APPLY_TIMEOUT).build()?;
    let request = request.post(url(&options.server, "provisioning")).query(&query);
    let applied = call(request.json(&serde_json::json!({"files": files})))?;
    print_applied(&serde_json::from_str(&applied)?, options.verbose)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn delete(options: &DeleteOptions) -> anyhow::Result<ExitCode> {
    let mut url = reqwest::Url::parse(&url(&options.server, ""))?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend([&options.kind, &options.name]);
    }
    let query = [("id", command_id()), ("dry_run", options.dry_run.to_string())];
    let applied = call(Client::new().delete(url).query(&query))?;
    print_applied(&serde_json::from_str(&applied)?, true)?;
    Ok(ExitCode::SUCCESS)
}

/// A new id for a command.
pub(crate) fn command_id() -> String {
    format!("cli-{}-{}", now().0, std::process::id())
}

/// The maximum number of changes that are printed one by one without --verbose.
const LINES_MAX: usize = 20;

/// Prints the changes of a command from the answer of the API: a line for each change, or only their number.
pub(crate) fn print_applied(applied: &serde_json::Value, all_lines: bool) -> anyhow::Result<()> {
    let changes = applied["changes"].as_array().map_or(&[][..], Vec::as_slice);
    let shown = if all_lines || changes.len() <= LINES_MAX { changes.len() } else { 0 };
    for change in changes.iter().take(shown) {
        line(format_args!("{}", change.as_str().unwrap_or_default()))?;
    }
    if shown < changes.len() {
        line(format_args!("{} changes; --verbose prints each", changes.len()))?;
    }
    let what = match (changes.is_empty(), applied["dry_run"] == true) {
        (true, _) => "nothing to change",
        (false, true) => "not applied: a dry run",
        (false, false) => "applied",
    };
    line(format_args!("{what}; revision {}", applied["revision"]))
}

pub(crate) fn get(options: &GetOptions) -> anyhow::Result<ExitCode> {
    let documents = call(Client::new().get(url(&options.server, "provisioning")))?;
    std::io::stdout().write_all(documents.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn explain(options: &ExplainOptions) -> anyhow::Result<ExitCode> {
    let decisions: Vec<Decision> = match &options.log {
        Some(folder) => {
            let site = SiteName::new(options.site.as_str())?;
            let network = options.network.clone().map(NetworkName::new).transpose()?;
            let at = options.at.as_deref().map(parse_time).transpose()?;
            let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::open(folder)?);
            let state = Provisioner::new(Arc::clone(&log)).state()?;
            Explainer::new(log).explain(&state, &site, network.as_ref(), at)?
        }
        None => {
            let mut url = reqwest::Url::parse(&url(&options.server, "explain"))?;
            if let Ok(mut path) = url.path_segments_mut() {
                path.push(&options.site);
            }
            let query = [("network", &options.network), ("at", &options.at)];
            let given: Vec<_> =
                query.iter().filter_map(|(key, value)| Some((*key, value.as_ref()?))).collect();
            serde_json::from_str(&call(Client::new().get(url).query(&given))?)?
        }
    };
    for decision in &decisions {
        if options.json {
            line(format_args!("{}", serde_json::to_string(decision)?))?;
        } else {
            print_decision(decision)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn url(server: &Server, path: &str) -> String {
    format!("http://{}/v1/{path}", server.api)
}

/// The body of a successful answer. A problem is an error with its details.
pub(crate) fn call(request: RequestBuilder) -> anyhow::Result<String> {
    let response = request.send().context("no answer from the API; is `spillway up` running there?")?;
    let good = response.status().is_success();
    let body = response.text()?;
    if good {
        return Ok(body);
    }
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    for mistake in problem["errors"].as_array().into_iter().flatten() {
        eprintln!("{}", mistake.as_str().unwrap_or_default());
    }
    bail!("{}", problem["detail"].as_str().unwrap_or(&body));
}

fn print_decision(decision: &Decision) -> anyhow::Result<()> {
    let reason = decision.reason.map_or_else(String::new, |reason| format!(", because of {reason}"));
    line(format_args!(
        "{} in {}: {} since {}",
        decision.site,
        decision.network,
        decision.route,
        format_time(decision.at_us)
    ))?;
    line(format_args!(
        "  verdict {}{reason}; tick {}, agreement {}",
        decision.verdict, decision.tick, decision.agreement
    ))?;
    for objective in &decision.objectives {
        print_objective(objective)?;
    }
    for candidate in &decision.candidates {
        let level =
            candidate.permille.map_or_else(String::new, |permille| format!(" at {permille} permille"));
        let passed = candidate.passed_over.map_or("chosen", |why| match why {
            spillway_events::PassedOver::NotUsable => "passed over: not usable",
            spillway_events::PassedOver::AtOrAbove => "passed over: at or above the level",
            spillway_events::PassedOver::Unknown => "passed over: no evidence",
            spillway_events::PassedOver::Preferred => "passed over: another is preferred",
        });
        line(format_args!("  cdn {}: {}{level}, {passed}", candidate.cdn, candidate.verdict))?;
    }
    Ok(())
}

fn print_objective(objective: &ObjectiveEvidence) -> anyhow::Result<()> {
    let number = |value: Option<u64>, failed: bool| match value {
        Some(value) => objective.metric.format(value),
        None if failed => String::from("failed"),
        None => String::from("no value"),
    };
    let from = objective
        .evidence_from
        .as_ref()
        .map_or_else(String::new, |network| format!(", evidence of {network}"));
    line(format_args!(
        "  {}: {} of p{} over {}, threshold {}, {}; {} samples of {} probes{from}",
        objective.metric.as_str(),
        number(objective.value, objective.failed),
        objective.percentile,
        spillway_events::format_duration(objective.window_us),
        objective.metric.format(objective.threshold),
        objective.verdict,
        objective.samples,
        objective.probes.len(),
    ))?;
    for probe in &objective.probes {
        line(format_args!(
            "    {} in {}: {} of {} samples",
            probe.agent,
            probe.network,
            number(probe.value, true),
            probe.samples
        ))?;
    }
    Ok(())
}
