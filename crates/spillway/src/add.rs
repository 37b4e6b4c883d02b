//! `client add`, `network add`, `cdn add`, `probe add`: the first objects without a file.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::client::{Server, call, command_id, print_applied};

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Create a client
    Add(ClientOptions),
}

#[derive(Debug, Subcommand)]
pub(crate) enum NetworkCommand {
    /// Create an access network
    Add(NetworkOptions),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CdnCommand {
    /// Create a CDN
    Add(CdnOptions),
}

#[derive(Debug, Args)]
#[command(after_help = "\
An object that exists is not changed: `spillway apply` does that, and `spillway get client acme -o yaml` prints its document.

Exit status: 0 created, 2 nothing was changed.

Examples:
  spillway client add acme --title 'Acme Ltd.'")]
pub(crate) struct ClientOptions {
    /// Its name
    name: String,
    /// A name for people
    #[arg(long)]
    title: Option<String>,
    #[command(flatten)]
    add: Add,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 created, 2 nothing was changed.

Examples:
  spillway network add carrier-a --prefix 192.0.2.0/24 --prefix 2001:db8::/32
  spillway network add carrier-b --parent europe --prefix 198.51.100.0/24")]
pub(crate) struct NetworkOptions {
    /// Its name
    name: String,
    /// The network that it is part of [default: everywhere]
    #[arg(long, value_name = "NETWORK")]
    parent: Option<String>,
    /// A prefix of its addresses; may be repeated
    #[arg(long = "prefix", value_name = "PREFIX")]
    prefixes: Vec<String>,
    /// A name for people
    #[arg(long)]
    title: Option<String>,
    #[command(flatten)]
    add: Add,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 created, 2 nothing was changed.

Examples:
  spillway cdn add edge-one --type operated --dns-name edge-one.provider.example --address 198.51.100.7
  spillway cdn add rented --type partner --dns-name rented.example --probe-url https://rented.example/probe")]
pub(crate) struct CdnOptions {
    /// Its name
    name: String,
    /// Who operates it
    #[arg(long, value_enum)]
    r#type: CdnType,
    /// The DNS name that resolvers are sent to
    #[arg(long, value_name = "NAME")]
    dns_name: String,
    /// An address for host names that cannot have a CNAME record; may be repeated
    #[arg(long = "address", value_name = "ADDRESS")]
    addresses: Vec<String>,
    /// The URL that probes request
    #[arg(long, value_name = "URL")]
    probe_url: Option<String>,
    /// A name for people
    #[arg(long)]
    title: Option<String>,
    #[command(flatten)]
    add: Add,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CdnType {
    /// The provider
    Operated,
    /// Another company
    Partner,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 created, 2 nothing was changed.

Examples:
  spillway probe add agent-1 --network carrier-a")]
pub(crate) struct ProbeOptions {
    /// The agent
    agent: String,
    /// The access network that it measures from
    #[arg(long, value_name = "NETWORK")]
    network: String,
    #[command(flatten)]
    add: Add,
}

/// What every creation takes.
#[derive(Debug, Args)]
struct Add {
    /// Only print what would be created
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: Server,
}

pub(crate) fn client(ClientCommand::Add(options): &ClientCommand) -> anyhow::Result<ExitCode> {
    create(&options.add, "client", &options.name, [("title", json!(options.title))])
}

pub(crate) fn network(NetworkCommand::Add(options): &NetworkCommand) -> anyhow::Result<ExitCode> {
    let NetworkOptions { name, parent, prefixes, title, add } = options;
    let fields = [("title", json!(title)), ("parent", json!(parent)), ("prefixes", json!(prefixes))];
    create(add, "network", name, fields)
}

pub(crate) fn cdn(CdnCommand::Add(options): &CdnCommand) -> anyhow::Result<ExitCode> {
    let CdnOptions { name, r#type, dns_name, addresses, probe_url, title, add } = options;
    let operator = match r#type {
        CdnType::Operated => "operated",
        CdnType::Partner => "partner",
    };
    let fields = [
        ("title", json!(title)),
        ("type", json!(operator)),
        ("dns_name", json!(dns_name)),
        ("addresses", json!(addresses)),
        ("probe_url", json!(probe_url)),
    ];
    create(add, "cdn", name, fields)
}

pub(crate) fn probe(options: &ProbeOptions) -> anyhow::Result<ExitCode> {
    create(&options.add, "probe", &format!("{}/{}", options.agent, options.network), [])
}

/// Creates an object with the fields that are given, if it does not exist.
fn create<const N: usize>(
    add: &Add,
    kind: &str,
    name: &str,
    fields: [(&str, Value); N],
) -> anyhow::Result<ExitCode> {
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    let document: Map<String, Value> = given.map(|(field, value)| (field.to_owned(), value)).collect();
    let request = add.server.request(Method::PUT, &[kind, name])?.header("If-None-Match", "*");
    let request = request.query(&[("id", command_id()), ("dry_run", add.dry_run.to_string())]);
    print_applied(&serde_json::from_str(&call(request.json(&document))?)?, true)?;
    Ok(ExitCode::SUCCESS)
}
