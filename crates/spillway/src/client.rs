//! Commands that change a running system over HTTP: `apply` and `delete`; and what such commands share.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::{Certificate, Method, StatusCode, Url};
use spillway_control::digest_of;
use tokio_rustls::rustls::crypto::ring::default_provider;
use url::Host;

use crate::clock::now;
use crate::documents;
use crate::output::line;

/// How long a call may take: applying many documents takes longest.
const TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
pub(crate) struct Server {
    /// Address of the API
    #[arg(long, env = "SPILLWAY_API", default_value = crate::settings::API, value_name = "ADDRESS")]
    api: String,
    /// URL of the API, instead of --api: https://HOST:PORT where it speaks TLS
    #[arg(long, env = "SPILLWAY_URL", value_name = "URL")]
    url: Option<Url>,
    /// PEM file of the authorities, or of the certificate itself, to trust for https [default: those that this machine trusts]
    #[arg(long, env = "SPILLWAY_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// File with the token to call with [default: data/operator-token, if it exists and the API is on this machine; SPILLWAY_TOKEN may hold the token itself]
    #[arg(long, env = "SPILLWAY_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Where `up --data data` puts the first token of its installation.
const TOKEN_FILE: &str = "data/operator-token";
/// The longest file of a token.
const TOKEN_FILE_BYTES_MAX: u64 = 4_096;

impl Server {
    /// A request to the API, with the token. The segments of the path, below `/v1`, are encoded.
    pub(crate) fn request(&self, method: Method, path: &[&str]) -> anyhow::Result<RequestBuilder> {
        let mut url = self.base()?;
        let client = self.client(url.scheme() == "https")?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        let request = client.request(method, url);
        Ok(match self.token()? {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    /// What the paths of the API follow.
    fn base(&self) -> anyhow::Result<Url> {
        let Some(url) = &self.url else {
            return Url::parse(&format!("http://{}/", self.api))
                .with_context(|| format!("--api: {} is not HOST:PORT", self.api));
        };
        if !matches!(url.scheme(), "http" | "https") {
            bail!("--url: {url} begins neither with https:// nor with http://");
        }
        Ok(url.clone())
    }

    fn client(&self, is_https: bool) -> anyhow::Result<Client> {
        // Fails where it was done before.
        let _ = default_provider().install_default();
        let builder = Client::builder().timeout(TIMEOUT);
        let builder = match &self.ca_file {
            Some(file) => {
                let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
                let trusted = Certificate::from_pem_bundle(&text);
                let trusted = trusted.with_context(|| format!("{} has no certificates", file.display()))?;
                builder.tls_certs_only(trusted)
            }
            None if is_https => builder,
            // Without TLS there is no need to read what the machine trusts.
            None => builder.tls_certs_only([]),
        };
        Ok(builder.build()?)
    }

    fn token(&self) -> anyhow::Result<Option<String>> {
        if let Some(file) = &self.token_file {
            return read_token(file).map(Some);
        }
        if let Some(token) = std::env::var("SPILLWAY_TOKEN").ok().filter(|token| !token.is_empty()) {
            return Ok(Some(token));
        }
        // The token of this machine's installation is for no other machine.
        let is_here = match self.base()?.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let file = Path::new(TOKEN_FILE);
        if is_here && file.exists() { read_token(file).map(Some) } else { Ok(None) }
    }
}

/// The token in a file.
pub(crate) fn read_token(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let opened =
        File::open(file).with_context(|| format!("cannot open the token file {}", file.display()))?;
    let read = opened.take(TOKEN_FILE_BYTES_MAX).read_to_string(&mut text);
    read.with_context(|| format!("cannot read the token file {}", file.display()))?;
    let token = text.trim();
    if digest_of(token).is_none() {
        bail!("{} does not hold a token", file.display());
    }
    Ok(token.to_owned())
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
    /// client, network, cdn, probe, site or override
    kind: String,
    /// Its name; a probe's is AGENT/NETWORK
    name: String,
    /// Only print what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: Server,
}

pub(crate) fn apply(options: &ApplyOptions) -> anyhow::Result<ExitCode> {
    let (mut files, mut told) = (Vec::new(), Vec::new());
    for file in &options.files {
        // Mistakes within a file are found here; what depends on other objects is the server's to decide.
        let parsed = documents::read(file)?;
        told.extend(parsed.warnings.iter().map(ToString::to_string));
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        files.push(serde_json::json!({"name": file.display().to_string(), "text": text}));
    }
    let query = [("id", command_id()), ("dry_run", options.dry_run.to_string())];
    let request = options.server.request(Method::POST, &["provisioning"])?.query(&query);
    let applied = call(request.json(&serde_json::json!({"files": files})))?;
    let applied: serde_json::Value = serde_json::from_str(&applied)?;
    let warnings =
        applied["warnings"].as_array().into_iter().flatten().filter_map(|warning| warning.as_str());
    warnings
        .filter(|warning| !told.iter().any(|told| told == warning))
        .for_each(|warning| eprintln!("warning: {warning}"));
    print_applied(&applied, options.verbose)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn delete(options: &DeleteOptions) -> anyhow::Result<ExitCode> {
    let path = [options.kind.as_str(), options.name.as_str()];
    let query = [("id", command_id()), ("dry_run", options.dry_run.to_string())];
    let applied = call(options.server.request(Method::DELETE, &path)?.header("If-Match", "*").query(&query))?;
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

/// The body of a successful answer. A problem is an error with its details.
pub(crate) fn call(request: RequestBuilder) -> anyhow::Result<String> {
    let response = request.send().context("no answer from the API; is `spillway up` running there?")?;
    let status = response.status();
    let body = response.text()?;
    if status.is_success() {
        return Ok(body);
    }
    if status == StatusCode::UNAUTHORIZED {
        eprintln!(
            "name the file of a token with --token-file or SPILLWAY_TOKEN_FILE; an installation writes its first token to \
             operator-token in its --data folder"
        );
    }
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or(&body);
    let mistakes = problem["errors"].as_array().into_iter().flatten();
    let mistakes = mistakes.filter_map(|mistake| mistake["detail"].as_str());
    for mistake in mistakes.filter(|mistake| !detail.contains(mistake)) {
        eprintln!("{mistake}");
    }
    bail!("{detail}");
}
