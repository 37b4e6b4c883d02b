//! A change that is sent to a running system, or made on the folder of a log: what `gap`, `clock reset` and `token` share.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use reqwest::Method;
use serde_json::Value;
use spillway_control::{Applied, CommandHead, ProvisionError, Provisioner};
use spillway_eventlog::EmbeddedLog;

use crate::client::{Server, call, command_id, print_applied};
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
    /// Makes the change and prints what it changed. Method, path and body are those of the API; `on_log` does the same on a
    /// log, with the head of the command.
    pub(crate) fn run(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
        on_log: impl FnOnce(&Provisioner, CommandHead<'_>) -> Result<Applied, ProvisionError>,
    ) -> anyhow::Result<ExitCode> {
        print_applied(&self.make(method, path, body, on_log)?, true)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Makes the change and returns the answer of the API, or what it would have been.
    pub(crate) fn make(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
        on_log: impl FnOnce(&Provisioner, CommandHead<'_>) -> Result<Applied, ProvisionError>,
    ) -> anyhow::Result<Value> {
        let id = command_id();
        let Some(folder) = &self.log else {
            let query = [("id", id), ("dry_run", self.dry_run.to_string())];
            let mut request = self.server.request(method, path)?.query(&query);
            if let Some(body) = body {
                request = request.json(body);
            }
            return Ok(serde_json::from_str(&call(request)?)?);
        };
        let provisioner = Provisioner::new(Arc::new(EmbeddedLog::open(folder)?));
        let head = CommandHead { dry_run: self.dry_run, ..CommandHead::on_log(&id, now()) };
        Ok(serde_json::to_value(on_log(&provisioner, head)?)?)
    }
}
