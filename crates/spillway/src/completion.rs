//! `completion`: what a shell needs to complete the command line.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spillway completion bash > ~/.local/share/bash-completion/completions/spillway
  spillway completion zsh > ~/.zfunc/_spillway
  spillway completion fish > ~/.config/fish/completions/spillway.fish")]
pub(crate) struct Options {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(options: &Options, mut command: Command) -> anyhow::Result<ExitCode> {
    // Made in memory, because `generate` panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command, "spillway", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
