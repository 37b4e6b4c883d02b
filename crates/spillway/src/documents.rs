//! Reads provisioning files.

use std::path::Path;

use anyhow::{Context, bail};
use spillway_backtest::BacktestError;
use spillway_provisioning::{Mistake, Parsed, Refusal, parse};

/// Reads the documents of a file; prints warnings and mistakes to standard error.
pub(crate) fn read(file: &Path) -> anyhow::Result<Parsed> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    match parse(&file.display().to_string(), bytes) {
        Ok(parsed) => {
            parsed.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
            Ok(parsed)
        }
        Err(mistakes) => {
            print(&mistakes);
            bail!("{} mistakes in {}; nothing was done", mistakes.len(), file.display())
        }
    }
}

/// Prints the faults of a refusal with their files and lines, and returns the error to exit with.
pub(crate) fn refused(parsed: &Parsed, error: BacktestError) -> anyhow::Error {
    if let BacktestError::Refused(Refusal::Faults { faults, unlisted }) = &error {
        let mistakes = parsed.positions.mistakes(faults, *unlisted);
        print(&mistakes);
        return anyhow::anyhow!("the documents have {} mistakes; nothing was done", mistakes.len());
    }
    error.into()
}

fn print(mistakes: &[Mistake]) {
    mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
}
