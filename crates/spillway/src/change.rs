//! A change that is sent to a running system, or made on the folder of a log: what `gap` and `clock reset` share.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use reqwest::blocking::Client;
use serde::Serialize;
use spillway_control::{Applied, ProvisionError, Provisioner};
use spillway_eventlog::EmbeddedLog;
use spillway_events::TimeMicros;

use crate::client::{Server, call, command_id, print_applied, url};
use crate::clock::now;

#[derive(Debug, Args)]
pub(crate) struct ChangeOptions {
    /// Only print what would change
    #[arg(long)]
    dry_run: bool,
    /// Work on the folder of an embedded log that no process has open, instead of asking a running system
    #[arg(long, value_name = "FOLDER")]
    log: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

impl ChangeOptions {
    /// Makes the change and prints what it changed. `path` and `body` are those of the API; `on_log` does the same on a log,
    /// and is given the command's id, its time, and whether it is only tried.
    pub(crate) fn run(
        &self,
        path: &str,
        body: &impl Serialize,
        on_log: impl FnOnce(&Provisioner, &str, TimeMicros, bool) -> Result<Applied, ProvisionError>,
    ) -> anyhow::Result<ExitCode> {
        let id = command_id();
        let applied = match &self.log {
            Some(folder) => {
                let provisioner = Provisioner::new(Arc::new(EmbeddedLog::open(folder)?));
                serde_json::to_value(on_log(&provisioner, &id, now(), self.dry_run)?)?
            }
            None => {
                let query = [("id", id), ("dry_run", self.dry_run.to_string())];
                let request = Client::new().post(url(&self.server, path)).query(&query).json(body);
                serde_json::from_str(&call(request)?)?
            }
        };
        print_applied(&applied, true)?;
        Ok(ExitCode::SUCCESS)
    }
}
