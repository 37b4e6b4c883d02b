//! `get`: what is provisioned on a running system.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde::Deserialize;
use spillway_control::nearest;
use spillway_events::ObjectKind;

use crate::client::{Server, call};
use crate::ordered::Ordered;
use crate::output::line;

#[derive(Debug, Args)]
#[command(after_help = "\
A kind is written as in documents, in the plural, or short: client (cl), network (net), cdn, probe (pr), site (si), agreement \
(ag), override (ov). \
Without a kind everything is printed, as documents unless -o says otherwise. Documents (-o yaml) can be applied again; JSON \
has the revision and the status of each object too.

Exit status: 0 printed, 2 the object does not exist or the API did not answer.

Examples:
  spillway get > all.yaml
  spillway get sites --client acme
  spillway get probe agent-1/carrier-a -o json
  spillway get site shop -o yaml --at 2026-05-01T12:00:00Z")]
pub(crate) struct Options {
    /// Kind of the objects: client, network, cdn, probe, site, agreement or override
    #[arg(value_parser = kind_named)]
    kind: Option<ObjectKind>,
    /// Only the object of this name; a probe's is AGENT/NETWORK, an agreement's NAME/VERSION
    name: Option<String>,
    /// How to print them [default: table; yaml without a kind]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
    /// Only the sites of this client
    #[arg(long, value_name = "NAME", requires = "kind", conflicts_with = "name")]
    client: Option<String>,
    /// As of a provisioning record, by its number, or of a time
    #[arg(long, value_name = "NUMBER|TIME")]
    at: Option<String>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people; a table for each kind
    Table,
    /// Documents, as `apply` takes them
    Yaml,
    /// A JSON array, or one object if a name is given
    Json,
}

/// The most objects that the API gives at once.
const PAGE_ITEMS: &str = "1000";

/// A page of objects.
#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<Ordered>,
    next: Option<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let format = options.output.unwrap_or(match options.kind {
        Some(_) => Format::Table,
        None => Format::Yaml,
    });
    if options.kind.is_none() && options.at.is_none() && format == Format::Yaml {
        // One answer, so all documents are as of the same record.
        let documents = call(options.server.request(Method::GET, &["provisioning"])?)?;
        std::io::stdout().write_all(documents.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if let (Some(kind), Some(name)) = (options.kind, &options.name) {
        let object = one(options, kind, name)?;
        match format {
            Format::Json => line(format_args!("{}", serde_json::to_string(&object)?))?,
            Format::Yaml => print_documents(&[object])?,
            Format::Table => print_table(kind, &[object])?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let kinds = options.kind.map_or_else(|| ObjectKind::ALL.to_vec(), |kind| vec![kind]);
    let mut all = Vec::new();
    for kind in kinds {
        let objects = objects(options, kind)?;
        if format != Format::Table {
            all.extend(objects);
            continue;
        }
        if options.kind.is_none() {
            line(format_args!("{}:", kind.plural()))?;
        }
        print_table(kind, &objects)?;
    }
    match format {
        Format::Json => line(format_args!("{}", serde_json::to_string(&all)?))?,
        Format::Yaml => print_documents(&all)?,
        Format::Table => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a kind, which may be in the plural or short.
fn kind_named(text: &str) -> Result<ObjectKind, String> {
    let lower = text.to_lowercase();
    let found = ObjectKind::ALL.into_iter().find(|kind| names_of(*kind).contains(&lower.as_str()));
    found.ok_or_else(|| {
        let names = ObjectKind::ALL.into_iter().flat_map(names_of).copied();
        let hint = nearest(&lower, names).map_or_else(String::new, |name| format!("; did you mean {name}?"));
        format!("the kinds are {}{hint}", ObjectKind::ALL.map(ObjectKind::as_str).join(", "))
    })
}

fn names_of(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::Client => &["client", "clients", "cl"],
        ObjectKind::Network => &["network", "networks", "net", "nets"],
        ObjectKind::Cdn => &["cdn", "cdns"],
        ObjectKind::Probe => &["probe", "probes", "pr"],
        ObjectKind::Site => &["site", "sites", "si"],
        ObjectKind::Agreement => &["agreement", "agreements", "ag"],
        ObjectKind::Override => &["override", "overrides", "ov"],
    }
}

fn one(options: &Options, kind: ObjectKind, name: &str) -> anyhow::Result<Ordered> {
    let request = options.server.request(Method::GET, &[kind.as_str(), name])?;
    let query: Vec<_> = options.at.iter().map(|at| ("at", at)).collect();
    Ok(serde_json::from_str(&call(request.query(&query))?)?)
}

/// All objects of a kind, page by page.
fn objects(options: &Options, kind: ObjectKind) -> anyhow::Result<Vec<Ordered>> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let given = [("client", &options.client), ("at", &options.at), ("cursor", &cursor)];
        let given = given.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
        let query: Vec<_> = given.chain([("limit", PAGE_ITEMS)]).collect();
        let page = call(options.server.request(Method::GET, &[kind.as_str()])?.query(&query))?;
        let Page { items, next } = serde_json::from_str(&page)?;
        all.extend(items);
        cursor = next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

fn print_documents(objects: &[Ordered]) -> anyhow::Result<()> {
    let mut text = String::new();
    for object in objects {
        if !text.is_empty() {
            text.push_str("---\n");
        }
        serde_saphyr::to_fmt_writer(&mut text, object.field("spec"))?;
    }
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn print_table(kind: ObjectKind, objects: &[Ordered]) -> anyhow::Result<()> {
    let head = match kind {
        ObjectKind::Client => ["NAME", "TITLE", "USED BY", "REVISION"],
        ObjectKind::Network => ["NAME", "PARENT", "PREFIXES", "USED BY"],
        ObjectKind::Cdn => ["NAME", "TYPE", "DNS NAME", "USED BY"],
        ObjectKind::Probe => ["NAME", "AGENT", "NETWORK", "REVISION"],
        ObjectKind::Site => ["NAME", "CLIENT", "HOSTS", "CDNS"],
        ObjectKind::Agreement => ["VERSION", "CLIENT", "STANDING", "FROM"],
        ObjectKind::Override => ["NAME", "DOES", "EXPIRES", "REASON"],
    };
    let rows: Vec<[String; 4]> = objects.iter().map(|object| cells(kind, object)).collect();
    let mut widths = head.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in std::iter::once(&head.map(String::from)).chain(&rows) {
        let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        line(format_args!("{}", padded.collect::<Vec<_>>().join("  ").trim_end()))?;
    }
    Ok(())
}

fn cells(kind: ObjectKind, object: &Ordered) -> [String; 4] {
    let spec = object.field("spec");
    let of = |field: &str| spec.field(field).cell();
    let (name, revision) = (object.field("name").cell(), object.field("revision").cell());
    let users = object.field("status").field("users").cell();
    match kind {
        ObjectKind::Client => [name, of("title"), users, revision],
        ObjectKind::Network => [name, of("parent"), first(spec.field("prefixes").items()), users],
        ObjectKind::Cdn => [name, of("type"), of("dns_name"), users],
        ObjectKind::Probe => [name, of("agent"), of("network"), revision],
        ObjectKind::Site => {
            // A CDN is its name, or an object with it.
            let cdns = spec.field("cdns").items().iter();
            let cdns = cdns.map(|cdn| format!("{}{}", cdn.cell(), cdn.field("cdn").cell()));
            let cdns = cdns.collect::<Vec<_>>().join(", ");
            [name, of("client"), first(spec.field("hosts").items()), cdns]
        }
        ObjectKind::Agreement => {
            let standing = object.field("status").field("standing").cell();
            [name, of("client"), standing, of("effective_from")]
        }
        ObjectKind::Override => {
            let words = [of("type"), of("cdn"), of("site"), of("to")];
            let does = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            [name, does, of("expires"), of("reason")]
        }
    }
}

/// The first item of a list, and how many more there are.
fn first(items: &[Ordered]) -> String {
    match items {
        [] => String::new(),
        [only] => only.cell(),
        [first, others @ ..] => format!("{} and {} more", first.cell(), others.len()),
    }
}
