//! `dns adopt`: makes a DNS node replace its table by the log's.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use spillway_edge::follower::{
    Follower, StoreError, is_adoption_requested, request_adoption, why_adoption_waits,
};

use crate::output::line;

const POLL_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
#[command(after_help = "\
A DNS node ignores the table of another installation. It also ignores a table that is older than its own, for \
example after the log was restored from a backup. It keeps serving its last table and logs the reason.

This command makes the node replace its table by the log's. If the node's table has sites, the log's must have \
sites too. The command works on the node's folder: a running node acts within seconds, a stopped one at its next \
start. A restart does not undo it.

Exit status: 0 the node has adopted the log's table; 1 it has not yet, and the reason is printed; it does so once \
it can; 2 nothing was changed.

Examples:
  spillway dns adopt --data ./node
  # of `spillway up`; waits up to a minute
  spillway dns adopt --data ./data --wait 60")]
pub(crate) struct Options {
    /// The folder in which the node keeps its last table
    #[arg(long, env = "SPILLWAY_DATA", value_name = "DIR")]
    data: PathBuf,
    /// How many seconds to wait for the node
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    wait: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let file = options.data.join("table");
    let describe = || -> Result<String, StoreError> {
        let loaded = Follower::load(&file)?.current();
        let described = loaded.map(|table| (table.installation().to_owned(), table.version()));
        Ok(described.map_or_else(
            || String::from("no table"),
            |(installation, version)| format!("installation {installation}, version {version}"),
        ))
    };
    let before = match describe() {
        Ok(before) => before,
        Err(error) if error.is_missing() => bail!(
            "there is no table in {}; a node without a table needs no adoption: it uses the log's table",
            options.data.display()
        ),
        // A running node may have a table in memory that the log does not replace.
        Err(StoreError::Damaged { reason, .. }) => format!("the saved table is damaged: {reason}"),
        Err(error) => return Err(error).context("the node's table cannot be read"),
    };
    request_adoption(&file).with_context(|| format!("cannot write {}", options.data.display()))?;
    line(format_args!("before: {before}"))?;
    let started = Instant::now();
    while is_adoption_requested(&file) {
        if started.elapsed() >= Duration::from_secs(options.wait) {
            let why = why_adoption_waits(&file)?;
            let why = why.as_deref().unwrap_or("the node does not run, or cannot read the log");
            line(format_args!("requested, not adopted yet: {why}"))?;
            return Ok(ExitCode::from(1));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    line(format_args!("adopted: {}", describe()?))?;
    Ok(ExitCode::SUCCESS)
}
