//! Reads provisioning files.

use std::path::Path;

use anyhow::{Context, bail};
use spillway_provisioning::{Document, parse};

/// Reads the documents of a file; prints warnings and mistakes to standard error.
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
