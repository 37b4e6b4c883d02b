//! `token create`, `token list`, `token revoke`.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde::Deserialize;
use spillway_control::{digest_of, new_token};
use spillway_events::{Role, parse_duration, parse_time};
use spillway_provisioning::NewToken;

use crate::change::ChangeOptions;
use crate::client::{Server, call};
use crate::clock::now;
use crate::output::line;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token and print it: it cannot be shown again
    Create(CreateOptions),
    /// List the tokens, without their texts
    List(ListOptions),
    /// Accept a token no more, on every process within 5 seconds
    Revoke(RevokeOptions),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Standard output is the token alone, so that it can be kept in a file:

  umask 077; spillway token create --role client_viewer --subject acme --note 'dashboard' > acme.token

Without a running system, and where every token is lost, --log writes to the log itself.

Exit status: 0 created, 2 not.

Examples:
  spillway token create --role operator --note 'Ada, on call' --expires 90d
  spillway token create --role cdn --subject edge-one --note 'statistics of edge-one'
  spillway token create --role operator --note 'recovery' --log ./data")]
pub(crate) struct CreateOptions {
    /// What the token allows
    #[arg(long, value_enum)]
    role: RoleName,
    /// The client, the CDN or the probe's agent that it is for
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Whom or what it is for
    #[arg(long, value_name = "TEXT")]
    note: String,
    /// When it stops to be accepted: after 12h or 90d, or at 2027-01-01T00:00:00Z [default: never]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    #[command(flatten)]
    change: ChangeOptions,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum RoleName {
    /// Everything
    Operator,
    /// Sees all clients, changes nothing
    Analyst,
    /// Acts for one client
    ClientAdmin,
    /// Sees what belongs to one client
    ClientViewer,
    /// Sends the statistics of one CDN
    Cdn,
    /// Sends the measurements of one agent
    Probe,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Operator => Self::Operator,
            RoleName::Analyst => Self::Analyst,
            RoleName::ClientAdmin => Self::ClientAdmin,
            RoleName::ClientViewer => Self::ClientViewer,
            RoleName::Cdn => Self::Cdn,
            RoleName::Probe => Self::Probe,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spillway token list
  spillway token list --json")]
pub(crate) struct ListOptions {
    /// Print the answer of the API
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The last token of an operator cannot be revoked: create another one first.

Exit status: 0 revoked or revoked before, 2 not.

Examples:
  spillway token list
  spillway token revoke 0123456789abcdef")]
pub(crate) struct RevokeOptions {
    /// The token's id
    id: String,
    #[command(flatten)]
    change: ChangeOptions,
}

pub(crate) fn run(command: &TokenCommand) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::Create(options) => create(options),
        TokenCommand::List(options) => list(options),
        TokenCommand::Revoke(options) => {
            options.change.run(Method::DELETE, &["tokens", &options.id], None, |provisioner, head| {
                provisioner.revoke_token(&options.id, head)
            })
        }
    }
}

fn create(options: &CreateOptions) -> anyhow::Result<ExitCode> {
    let role = Role::from(options.role);
    let expires_at_us = options.expires.as_deref().map(expiry).transpose()?;
    let expires_at = expires_at_us.map(spillway_events::format_time);
    let body = serde_json::json!({
        "role": role, "subject": options.subject, "note": options.note, "expires_at": expires_at,
    });
    let text = new_token().context("the system has no random numbers")?;
    let sha256 = digest_of(&text).context("the new token is none")?;
    let (subject, note) = (options.subject.clone(), options.note.clone());
    let new = NewToken { sha256, role, subject, note, expires_at_us };
    let made = options.change.make(Method::POST, &["tokens"], Some(&body), |provisioner, head| {
        provisioner.create_token(new, body.to_string().as_bytes(), head)
    })?;
    for change in made["changes"].as_array().into_iter().flatten() {
        eprintln!("{}", change.as_str().unwrap_or_default());
    }
    if made["dry_run"] == true {
        eprintln!("not created: a dry run");
        return Ok(ExitCode::SUCCESS);
    }
    // The API makes the text itself; on a log it is the one made here.
    let token = match made.get("token") {
        None => &text,
        Some(token) => {
            token.as_str().context("an earlier call created it: revoke it and create another one")?
        }
    };
    line(format_args!("{token}"))?;
    Ok(ExitCode::SUCCESS)
}

/// A time, or a duration from now on.
fn expiry(text: &str) -> anyhow::Result<spillway_events::TimeMicros> {
    if let Ok(after) = parse_duration(text) {
        let after_us = i64::try_from(after.0).unwrap_or(i64::MAX);
        return Ok(spillway_events::TimeMicros(now().0.saturating_add(after_us)));
    }
    parse_time(text).with_context(|| format!("--expires: `{text}` is neither a duration nor a time"))
}

#[derive(Debug, Deserialize)]
struct Tokens {
    tokens: Vec<TokenLine>,
}

#[derive(Debug, Deserialize)]
struct TokenLine {
    id: String,
    role: String,
    subject: Option<String>,
    note: String,
    expires_at: Option<String>,
    status: String,
}

fn list(options: &ListOptions) -> anyhow::Result<ExitCode> {
    let body = call(options.server.request(Method::GET, &["tokens"])?)?;
    if options.json {
        line(format_args!("{body}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Tokens { tokens } = serde_json::from_str(&body)?;
    line(format_args!(
        "{:<16}  {:<13}  {:<20}  {:<8}  {:<27}  note",
        "id", "role", "subject", "status", "expires"
    ))?;
    for TokenLine { id, role, subject, note, expires_at, status } in tokens {
        let (subject, expires) =
            (subject.unwrap_or_default(), expires_at.unwrap_or_else(|| String::from("never")));
        line(format_args!("{id:<16}  {role:<13}  {subject:<20}  {status:<8}  {expires:<27}  {note}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
