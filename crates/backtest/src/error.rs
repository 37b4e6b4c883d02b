//! Why a backtest ended.

use std::io;
use std::path::PathBuf;

use spillway_eventlog::{LogError, ReadError};
use spillway_events::DecodeError;
use spillway_provisioning::Refusal;
use spillway_runtime::RuntimeError;

/// Why a backtest ended. `Display` does not print the cause; print the chain of sources.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The input cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The input has no header.
    #[error("{}: the file is empty; its first row must name the columns", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The header of the input is not CSV.
    #[error("{}: the header is not a row of CSV", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
    /// The columns that were named are not in the input, or are not valid.
    #[error("{0}")]
    Columns(String),
    /// The provisioning is refused.
    #[error("the documents were refused: {0}")]
    Refused(Refusal),
    /// The folder holds the log of another backtest.
    #[error("{} {reason}; name another folder", folder.display())]
    OtherLog {
        /// The folder.
        folder: PathBuf,
        /// What differs.
        reason: &'static str,
    },
    /// A record cannot be encoded or decoded.
    #[error("a record cannot be encoded or decoded")]
    Record(#[from] DecodeError),
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] LogError),
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    /// The dataflow failed.
    #[error("the dataflow failed")]
    Runtime(#[from] RuntimeError),
    /// The report cannot be written.
    #[error("the report cannot be written")]
    Write(#[from] io::Error),
}

impl From<csv::Error> for BacktestError {
    /// Of writing: reading has errors of its own.
    fn from(error: csv::Error) -> Self {
        Self::Write(error.into())
    }
}

impl From<serde_json::Error> for BacktestError {
    /// Of writing: nothing else is JSON here.
    fn from(error: serde_json::Error) -> Self {
        Self::Write(error.into())
    }
}
