//! `gap`: accepts the loss of records that the log no longer holds.

use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use spillway_events::Gap;

use crate::change::ChangeOptions;

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
    #[command(flatten)]
    change: ChangeOptions,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let Options { topic, partition, from, to, reason, change } = options;
    let (topic, reason) = (topic.clone(), reason.clone());
    let gap = Gap { topic, partition: *partition, from: *from, to: *to, reason };
    let body = serde_json::to_value(&gap)?;
    change.run(Method::POST, &["gaps"], Some(&body), |provisioner, head| provisioner.accept_loss(gap, head))
}
