//! `gap`: accepts the loss of records that the log no longer holds.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use reqwest::blocking::Client;
use spillway_control::Provisioner;
use spillway_eventlog::EmbeddedLog;
use spillway_events::Gap;

use crate::client::{Server, call, command_id, print_applied, url};
use crate::clock::now;

#[derive(Debug, Args)]
#[command(after_help = "\
If a dataflow needs records that retention has deleted, it stops and names them. Once their loss is accepted, it \
continues as if they had never been sent: where the remaining evidence is too little, verdicts are unknown. Only \
the loss of records that the log has deleted can be accepted. It cannot be undone.

Exit status: 0 the loss is accepted, now or before; 2 nothing was changed.

Examples:
  spillway gap --topic measurements --partition 2 --from 120 --to 4500 \\
    --reason 'down for 31 days'
  spillway gap --topic measurements --partition 0 --from 120 --to 4500 \\
    --reason 'disk lost' --log ./data")]
pub(crate) struct Options {
    /// The topic: measurements, statistics or an inbox
    #[arg(long, value_name = "NAME")]
    topic: String,
    /// The partition
    #[arg(long, value_name = "N")]
    partition: u32,
    /// The first offset that is lost
    #[arg(long, value_name = "OFFSET")]
    from: u64,
    /// The first offset after the lost records
    #[arg(long, value_name = "OFFSET")]
    to: u64,
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
    let Options { topic, partition, from, to, reason, dry_run, .. } = options;
    let (topic, reason) = (topic.clone(), reason.clone());
    let gap = Gap { topic, partition: *partition, from: *from, to: *to, reason };
    let applied = match &options.log {
        Some(folder) => {
            let provisioner = Provisioner::new(Arc::new(EmbeddedLog::open(folder)?));
            serde_json::to_value(provisioner.accept_loss(gap, &command_id(), now(), *dry_run)?)?
        }
        None => {
            let query = [("id", command_id()), ("dry_run", dry_run.to_string())];
            let request = Client::new().post(url(&options.server, "gaps")).query(&query).json(&gap);
            serde_json::from_str(&call(request)?)?
        }
    };
    print_applied(&applied, true)?;
    Ok(ExitCode::SUCCESS)
}
