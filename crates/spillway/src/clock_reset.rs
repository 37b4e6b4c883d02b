//! `clock reset`: lets the time of ticks start again from the wall clock.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use reqwest::blocking::Client;
use spillway_control::Provisioner;
use spillway_eventlog::EmbeddedLog;

use crate::client::{Server, call, command_id, print_applied, url};
use crate::clock::now;

#[derive(Debug, Args)]
#[command(after_help = "\
The clock of ticks never goes back by itself. If the clock of the machine was wrong and the clock of ticks \
followed it, first correct the clock of the machine, then run this command: the next tick gets the time of the \
wall clock, which may be lower than that of the last tick.

All measurements and statistics so far are forgotten, and every site keeps its route (unknown_hold) until there \
is enough new evidence. A reset cannot be undone.

Exit status: 0 the clock starts again at the next tick; 2 nothing was changed.

Examples:
  spillway clock reset --reason 'NTP was 2 hours ahead until 14:05'
  spillway clock reset --reason 'hardware clock was in 2031' --log ./data")]
pub(crate) struct Options {
    /// The reason, which is kept in the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only print what would change
    #[arg(long)]
    dry_run: bool,
    /// Work on the folder of an embedded log that no process has open, instead of asking a running system
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let Options { reason, dry_run, log, server } = options;
    let applied = match log {
        Some(folder) => {
            let provisioner = Provisioner::new(Arc::new(EmbeddedLog::open(folder)?));
            serde_json::to_value(provisioner.reset_clock(reason, &command_id(), now(), *dry_run)?)?
        }
        None => {
            let query = [("id", command_id()), ("dry_run", dry_run.to_string())];
            let body = serde_json::json!({ "reason": reason });
            let request = Client::new().post(url(server, "clock-resets")).query(&query).json(&body);
            serde_json::from_str(&call(request)?)?
        }
    };
    print_applied(&applied, true)?;
    Ok(ExitCode::SUCCESS)
}
