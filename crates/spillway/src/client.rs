//! Commands that speak to a running system over HTTP: `apply`, `delete`, `get`; and what such commands share.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::blocking::{Client, RequestBuilder};

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
