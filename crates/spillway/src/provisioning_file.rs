//! Reads provisioning files into the first record of a log.

use std::path::Path;

use anyhow::{Context, bail};
use spillway_events::{ProvisioningRecord, TimeMicros};
use spillway_provisioning::{Change, Command, Document, State, decide, parse};

/// Reads documents; warnings go to standard error.
pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<Document>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    match parse(&file.display().to_string(), &text) {
        Ok(parsed) => {
            parsed.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
            Ok(parsed.documents)
        }
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
            bail!("{} mistakes in {}; nothing was done", mistakes.len(), file.display())
        }
    }
}

/// Decides documents on an empty state: the record with number 0.
pub(crate) fn first_record(documents: Vec<Document>, at: TimeMicros) -> anyhow::Result<ProvisioningRecord> {
    let command = Command {
        id: String::from("backtest"),
        author: String::from("backtest"),
        at_us: at,
        change: Change::Apply(documents),
    };
    let events = decide(&State::default(), command).context("the documents were refused")?;
    let (command, author) = (String::from("backtest"), String::from("backtest"));
    Ok(ProvisioningRecord { number: 0, command, author, at_us: at, events })
}

/// Reads documents that have been read before: no warnings twice.
pub(crate) fn read_quietly(file: &Path) -> anyhow::Result<Vec<Document>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let parsed = parse(&file.display().to_string(), &text);
    parsed
        .map(|parsed| parsed.documents)
        .map_err(|_| anyhow::anyhow!("{} has changed meanwhile", file.display()))
}
