//! Reads provisioning files into the first record of a log.

use std::path::Path;

use anyhow::{Context, bail};
use spillway_events::{ProvisioningRecord, Sha256, TimeMicros};
use spillway_provisioning::{Change, Command, Parsed, Refusal, State, decide, parse};

/// Reads documents; warnings go to standard error.
pub(crate) fn read(file: &Path) -> anyhow::Result<Parsed> {
    let parsed = parse_file(file)?;
    parsed.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    Ok(parsed)
}

/// Reads documents that were read before: warnings are not repeated.
pub(crate) fn read_quietly(file: &Path) -> anyhow::Result<Parsed> {
    parse_file(file)
}

fn parse_file(file: &Path) -> anyhow::Result<Parsed> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse(&file.display().to_string(), bytes).or_else(|mistakes| {
        mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
        bail!("{} mistakes in {}; nothing was done", mistakes.len(), file.display())
    })
}

/// Decides documents on an empty state: the record with number 0.
pub(crate) fn first_record(parsed: &Parsed, at: TimeMicros) -> anyhow::Result<ProvisioningRecord> {
    let command = Command {
        id: String::from("backtest"),
        // Nobody sends this command, so it has no body and no retry.
        body_sha256: Sha256::of(&[]),
        author: String::from("backtest"),
        at_us: at,
        change: Change::Apply(parsed.objects.clone()),
    };
    match decide(&State::default(), &command) {
        Ok(events) => Ok(command.into_record(0, events)),
        Err(Refusal::Faults { faults, unlisted }) => {
            let mistakes = parsed.positions.mistakes(&faults, unlisted);
            let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            bail!("the documents were refused:\n{}", lines.join("\n"))
        }
        Err(refusal) => Err(refusal).context("the documents were refused"),
    }
}
