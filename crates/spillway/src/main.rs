//! The binary: the command line, and the shells around the pure parts.

mod backtest;
mod demo;
mod engine;
mod live;
mod provisioning_file;
mod replay;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Steers web traffic between a client's origin and CDNs by measured performance, and can explain every answer.
#[derive(Debug, Parser)]
#[command(name = "spillway", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch it work, on this machine alone: an origin slows down, DNS moves to a CDN and back
    Demo(demo::Options),
    /// Try a provisioning file on recorded measurements: what would have been steered where, when and why
    Backtest(backtest::Options),
    /// Recompute what was derived, and compare
    Replay {
        #[command(subcommand)]
        command: ReplayCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ReplayCommand {
    /// Recompute everything derived from a log folder and compare it byte for byte with what was emitted
    Verify(replay::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Backtest(options) => backtest::run(&options),
        Command::Replay { command: ReplayCommand::Verify(options) } => replay::verify(&options),
    };
    match outcome {
        Ok(code) => code,
        // A reader that has enough, such as `head`, closes the pipe: that is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(is_broken))
}
