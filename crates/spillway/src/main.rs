//! The binary: the command line, and the shells around the pure parts.

#![warn(clippy::print_stdout)]

mod add;
mod adopt;
mod agreement;
mod backtest;
mod change;
mod changes;
mod client;
mod clock;
mod clock_reset;
mod completion;
mod demo;
mod documents;
mod explain;
mod first_token;
mod gap;
mod get;
mod log_check;
mod log_copy;
mod log_read;
mod man;
mod open_files;
mod ordered;
mod output;
mod probe;
mod probe_status;
mod ready;
mod replay;
mod roles;
mod settings;
mod supervise;
mod token;
mod topics;
mod undo;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use roles::Roles;
use tracing_subscriber::EnvFilter;

/// Of large tables and checkpoints, glibc's allocator keeps most of the memory for itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Steers web traffic between a client's origin and CDNs by measured performance, and can explain every answer.
#[derive(Debug, Parser)]
#[command(name = "spillway", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a demonstration on this machine: an origin slows down, and DNS moves to a CDN and back
    Demo(demo::Options),
    /// Run all roles in one process on an embedded log, until stopped
    Up(roles::UpOptions),
    /// Run the dataflow on a log on Kafka, or stand by for another one
    Dataflow(roles::DataflowOptions),
    /// Answer DNS queries from the snapshots on Kafka, or from the last table on disk
    Dns(DnsOptions),
    /// Serve the API of an installation on Kafka
    Web(roles::OneRoleOptions),
    /// Measure the targets that are provisioned on Kafka, or show what probes have tried lately
    Probe(ProbeOptions),
    /// Create or check the topics of an installation on Kafka
    Topics {
        #[command(subcommand)]
        command: TopicsCommand,
    },
    /// Create a client
    Client {
        #[command(subcommand)]
        command: add::ClientCommand,
    },
    /// Create an access network
    Network {
        #[command(subcommand)]
        command: add::NetworkCommand,
    },
    /// Create a CDN
    Cdn {
        #[command(subcommand)]
        command: add::CdnCommand,
    },
    /// Apply documents to what is provisioned on a running system
    Apply(client::ApplyOptions),
    /// Delete an object from a running system
    Delete(client::DeleteOptions),
    /// Print what is provisioned on a running system: tables, documents or JSON
    Get(get::Options),
    /// Accept the loss of records that retention has deleted, so that the dataflow continues
    Gap(gap::Options),
    /// Restart the clock of ticks after the clock of the machine was wrong
    Clock {
        #[command(subcommand)]
        command: ClockCommand,
    },
    /// Show who changed what, when
    Changes(changes::Options),
    /// Undo a change: what it changed is as it was before it
    Undo(undo::Options),
    /// Create, list and revoke the tokens that calls of the API need
    Token {
        #[command(subcommand)]
        command: token::TokenCommand,
    },
    /// Propose, show, answer and end agreements between provider and client
    Agreement {
        #[command(subcommand)]
        command: agreement::AgreementCommand,
    },
    /// Explain where a site's traffic goes or went, with the numbers
    Explain(explain::Options),
    /// Run a provisioning file over recorded measurements: which routes it would have chosen, when and why
    Backtest(backtest::Options),
    /// Read, check or copy a log
    Log {
        #[command(subcommand)]
        command: LogCommand,
    },
    /// Recompute what was derived from a log, and compare
    Replay {
        #[command(subcommand)]
        command: ReplayCommand,
    },
    /// Print a script that completes the command line in a shell
    Completion(completion::Options),
    /// Write a manual page for each command
    Man(man::Options),
}

#[derive(Debug, Subcommand)]
enum TopicsCommand {
    /// Create the missing topics, with the settings that Spillway needs
    Create(topics::CreateOptions),
    /// List the topics and settings that are wrong, and how to correct each
    Check(topics::CheckOptions),
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
struct DnsOptions {
    #[command(subcommand)]
    command: Option<DnsCommand>,
    #[command(flatten)]
    options: roles::OneRoleOptions,
}

#[derive(Debug, Subcommand)]
enum DnsCommand {
    /// Replace a node's table by the log's, even if that is of another installation or older
    Adopt(adopt::Options),
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
struct ProbeOptions {
    #[command(subcommand)]
    command: Option<ProbeCommand>,
    #[command(flatten)]
    options: roles::OneRoleOptions,
}

#[derive(Debug, Subcommand)]
enum ProbeCommand {
    /// Show what each probe has tried lately on each target, and why attempts failed
    Status(probe_status::Options),
    /// Create a probe: an agent in an access network
    Add(add::ProbeOptions),
}

#[derive(Debug, Subcommand)]
enum ClockCommand {
    /// Give the next tick the time of the wall clock, even if that is lower; routes are held until there is new evidence
    Reset(clock_reset::Options),
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Print the records of a topic, each as one line of JSON
    Read(log_read::Options),
    /// Read all of an embedded log and list what is damaged
    Check(log_check::Options),
    /// Copy an embedded log to Kafka, offset for offset, and verify the copy
    Copy(log_copy::Options),
}

#[derive(Debug, Subcommand)]
enum ReplayCommand {
    /// Recompute everything derived from a log, and compare it byte for byte with what was emitted
    Verify(replay::Options),
}

/// Logs to standard error: warnings, or what `SPILLWAY_LOG` selects.
fn init_logging() {
    let wanted =
        EnvFilter::try_from_env("SPILLWAY_LOG").unwrap_or_else(|_| EnvFilter::new("warn,spillway=info"));
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .with_env_filter(wanted)
        .init();
}

fn main() -> ExitCode {
    init_logging();
    let outcome = match Arguments::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Up(options) => roles::up(&options),
        Command::Dataflow(options) => roles::dataflow(&options),
        Command::Dns(DnsOptions { command: Some(DnsCommand::Adopt(options)), .. }) => adopt::run(&options),
        Command::Dns(DnsOptions { command: None, options }) => roles::one(&options, Roles::Dns),
        Command::Web(options) => roles::one(&options, Roles::Web),
        Command::Probe(ProbeOptions { command: Some(ProbeCommand::Status(options)), .. }) => {
            probe_status::run(&options)
        }
        Command::Probe(ProbeOptions { command: Some(ProbeCommand::Add(options)), .. }) => {
            add::probe(&options)
        }
        Command::Probe(ProbeOptions { command: None, options }) => roles::one(&options, Roles::Probe),
        Command::Topics { command: TopicsCommand::Create(options) } => topics::create(&options),
        Command::Topics { command: TopicsCommand::Check(options) } => topics::check(&options),
        Command::Client { command } => add::client(&command),
        Command::Network { command } => add::network(&command),
        Command::Cdn { command } => add::cdn(&command),
        Command::Apply(options) => client::apply(&options),
        Command::Delete(options) => client::delete(&options),
        Command::Get(options) => get::run(&options),
        Command::Gap(options) => gap::run(&options),
        Command::Clock { command: ClockCommand::Reset(options) } => clock_reset::run(&options),
        Command::Changes(options) => changes::run(&options),
        Command::Undo(options) => undo::run(&options),
        Command::Token { command } => token::run(&command),
        Command::Agreement { command } => agreement::run(&command),
        Command::Explain(options) => explain::run(&options),
        Command::Backtest(options) => backtest::run(&options),
        Command::Log { command: LogCommand::Read(options) } => log_read::run(&options),
        Command::Log { command: LogCommand::Check(options) } => log_check::run(&options),
        Command::Log { command: LogCommand::Copy(options) } => log_copy::run(&options),
        Command::Replay { command: ReplayCommand::Verify(options) } => replay::run(&options),
        Command::Completion(options) => completion::run(&options, Arguments::command()),
        Command::Man(options) => man::run(&options, Arguments::command()),
    };
    match outcome {
        Ok(code) => code,
        // A closed pipe is not a failure: a reader such as `head` closes it when it has read enough.
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
