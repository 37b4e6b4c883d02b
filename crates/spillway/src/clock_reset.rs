//! `clock reset`: lets the time of ticks start again from the wall clock.

use std::process::ExitCode;

use clap::Args;
use reqwest::Method;

use crate::change::ChangeOptions;

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
    #[command(flatten)]
    change: ChangeOptions,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let reason = &options.reason;
    let body = serde_json::json!({ "reason": reason });
    options.change.run(Method::POST, &["clock-resets"], Some(&body), |provisioner, head| {
        provisioner.reset_clock(reason, head)
    })
}
