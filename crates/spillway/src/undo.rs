//! `undo`: makes everything as it was before a change.

use std::process::ExitCode;

use clap::Args;
use reqwest::Method;

use crate::change::ChangeOptions;

#[derive(Debug, Args)]
#[command(after_help = "\
The change is undone by one of its own, and both stay in `spillway changes`. It is refused where an object was changed after it: \
undo that change first. Changes of tokens, agreements and rate cards, accepted losses and resets of the clock are not undone.

Exit status: 0 undone, 2 nothing was changed.

Examples:
  spillway changes
  spillway undo 12 --dry-run
  spillway undo 12")]
pub(crate) struct Options {
    /// The number of the change, as `spillway changes` prints it
    number: u64,
    #[command(flatten)]
    change: ChangeOptions,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let number = options.number.to_string();
    options.change.run(Method::POST, &["changes", &number, "undo"], None, |provisioner, head| {
        provisioner.undo(options.number, head)
    })
}
