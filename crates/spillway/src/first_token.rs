//! The first token of an installation: an operator's, in a file that only its owner can read.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use spillway_control::{CommandHead, ProvisionError, Provisioner, new_token};
use spillway_events::{Role, Sha256};
use spillway_provisioning::{NewToken, Refusal};

use crate::client::read_token;
use crate::clock::now;

/// The name of the file in the folder of data.
pub(crate) const FILE_NAME: &str = "operator-token";

/// Creates the first token, if there has never been one: the one in a file that is given, or a new one, which is written to the
/// folder.
pub(crate) fn ensure(
    provisioner: &Provisioner,
    given: Option<&Path>,
    folder: Option<&Path>,
) -> anyhow::Result<()> {
    if provisioner.state()?.tokens().next().is_some() {
        return Ok(());
    }
    if let Some(file) = given {
        let token = read_token(file)?;
        return match create(provisioner, &token, "first token, given at the start") {
            Err(ProvisionError::Refused(Refusal::NotFirstToken)) => Ok(()),
            outcome => Ok(outcome?),
        };
    }
    let Some(folder) = folder else {
        bail!(
            "the installation has no token yet: name a folder for the first one with --data, or its file with \
             --first-token-file"
        );
    };
    let token = new_token().context("the system has no random numbers")?;
    // The file first: a token that is accepted but in nobody's hands would be the first one for ever.
    let file = folder.join(FILE_NAME);
    write(&file, &token).with_context(|| format!("cannot write the first token to {}", file.display()))?;
    match create(provisioner, &token, "first token, in the folder of data") {
        Ok(()) => eprintln!("the token of the first operator is in {}", file.display()),
        // Another process was quicker, and its file has the token.
        Err(ProvisionError::Refused(Refusal::NotFirstToken)) => std::fs::remove_file(&file)?,
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn create(provisioner: &Provisioner, token: &str, note: &str) -> Result<(), ProvisionError> {
    let (role, subject, note, expires_at_us) = (Role::Operator, None, note.to_owned(), None);
    let new = NewToken { sha256: Sha256::of(token.as_bytes()), role, subject, note, expires_at_us };
    let id = format!("first-token-{}", now().0);
    provisioner.create_first_token(new, CommandHead::on_log(&id, now())).map(drop)
}

/// Replaces the file as a whole; only its owner can read it.
fn write(file: &Path, token: &str) -> std::io::Result<()> {
    let new = file.with_extension("new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    writeln!(created, "{token}")?;
    created.sync_all()?;
    std::fs::rename(&new, file)?;
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
