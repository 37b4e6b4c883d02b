//! `changes`: who changed what, when.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use reqwest::Method;
use spillway_control::{ChangeItem, Changes, ChangesFilter, ChangesPage};
use spillway_eventlog::EmbeddedLog;

use crate::client::{Server, call};
use crate::output::line;

#[derive(Debug, Args)]
#[command(after_help = "\
The latest changes come first, each with the number of its provisioning record, the time, who made it (the role and \
the id of the token; `operator` where it was made on the log itself) and the id of the command.

Examples:
  spillway changes
  spillway changes --kind site --name shop
  spillway changes --author 0123456789abcdef --limit 1000 --json
  spillway changes --before 120 --log ./data")]
pub(crate) struct Options {
    /// Only changes of this kind: client, network, cdn, probe, site, rate_card, agreement, override, token, gap or clock
    #[arg(long)]
    kind: Option<String>,
    /// Only changes of the object with this name
    #[arg(long)]
    name: Option<String>,
    /// Only changes of this author, or of the token with this id
    #[arg(long)]
    author: Option<String>,
    /// Only changes before this record
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// How many changes
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Read the folder of an embedded log that no process has open, instead of asking a running system
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let page = page(options)?;
    if options.json {
        line(format_args!("{}", serde_json::to_string(&page)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    for ChangeItem { number, at, author, command, changes, changes_count } in &page.items {
        line(format_args!("{number}  {at}  {author}  {command}"))?;
        changes.iter().try_for_each(|change| line(format_args!("    {change}")))?;
        if *changes_count > changes.len() {
            line(format_args!("    and {} more", changes_count - changes.len()))?;
        }
    }
    if let Some(next) = page.next {
        line(format_args!("earlier ones: --before {next}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn page(options: &Options) -> anyhow::Result<ChangesPage> {
    let Options { kind, name, author, before, limit, log, server, .. } = options;
    let Some(folder) = log else {
        let before = before.map(|before| before.to_string());
        let given = [("kind", kind), ("name", name), ("author", author), ("before", &before)];
        let given: Vec<_> = given.iter().filter_map(|(key, value)| Some((*key, value.as_ref()?))).collect();
        let request = server.request(Method::GET, &["changes"])?.query(&given).query(&[("limit", limit)]);
        return Ok(serde_json::from_str(&call(request)?)?);
    };
    let filter =
        ChangesFilter { kind: kind.clone(), name: name.clone(), author: author.clone(), before: *before };
    let changes = Changes::new(Arc::new(EmbeddedLog::open_to_read(folder)?));
    Ok(changes.page(&filter, usize::try_from(*limit)?)?)
}
