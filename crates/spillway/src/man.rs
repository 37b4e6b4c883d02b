//! `man`: a manual page for each command.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};

#[derive(Debug, Args)]
#[command(after_help = "\
Writes spillway.1 and a page for each command, such as spillway-log-read.1. Pages that are there are replaced.

Examples:
  spillway man ~/.local/share/man/man1 && man spillway-apply")]
pub(crate) struct Options {
    /// The folder for the pages; created if it does not exist
    dir: PathBuf,
}

pub(crate) fn run(options: &Options, command: Command) -> anyhow::Result<ExitCode> {
    let dir = &options.dir;
    let cannot = || format!("cannot write manual pages to {}", dir.display());
    std::fs::create_dir_all(dir).with_context(cannot)?;
    clap_mangen::generate_to(command, dir).with_context(cannot)?;
    Ok(ExitCode::SUCCESS)
}
