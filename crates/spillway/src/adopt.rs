//! `dns adopt`: lets a DNS node take the log's table.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use spillway_edge::follower::{Follower, is_adoption_requested, request_adoption};

use crate::output::line;

const POLL_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
#[command(after_help = "\
A DNS node never takes by itself a table of another installation, or one of its own that is older (the log was restored
from a backup): it serves its last table on, and says so in its log. This command lets it take the log's table, which must
have sites if the node's has. It works on the node's folder: a running node acts on it within seconds, one that does not
run at its next start. A restart does not undo it.

Exit status: 0 the node has taken the log's table, 1 it will do so once it runs and the log has a table, 2 nothing was
requested.

Examples:
  spillway dns adopt --data ./node
  spillway dns adopt --data ./data --wait 60     of `spillway up`; waits up to a minute")]
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
    let describe = || -> anyhow::Result<String> {
        let follower = Follower::load(&file)?;
        let table = follower.current().context("the file has no table")?;
        Ok(format!("installation {}, version {}", table.installation(), table.version()))
    };
    let before = describe().context("a node without a table takes the log's by itself")?;
    request_adoption(&file).with_context(|| format!("{}: cannot be written", options.data.display()))?;
    line(format_args!("the node's table before: {before}"))?;
    let started = Instant::now();
    while is_adoption_requested(&file) {
        if started.elapsed() >= Duration::from_secs(options.wait) {
            line(format_args!("requested; the node takes the log's table once it runs and the log has one"))?;
            return Ok(ExitCode::from(1));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    line(format_args!("adopted: {}", describe()?))?;
    Ok(ExitCode::SUCCESS)
}
