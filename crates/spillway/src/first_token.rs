//! The first token of an installation: an operator's, in a file that only its owner can read.

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use spillway_control::{CommandHead, ProvisionError, Provisioner, new_token};
use spillway_events::{Role, Sha256};
use spillway_provisioning::{NewToken, Refusal, token_id};

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
    // The file first: a token that is accepted but in nobody's hands would be the first one for ever.
    let file = folder.join(FILE_NAME);
    let token = token_in(folder, &file).with_context(|| format!("the first token, in {}", file.display()))?;
    match create(provisioner, &token, "first token, in the folder of data") {
        Ok(()) => eprintln!("the token of the first operator is in {}", file.display()),
        // Another process was quicker, or an earlier try of this one. If it was with another token, this one is of no use.
        Err(ProvisionError::Refused(Refusal::NotFirstToken)) => {
            let id = token_id(Sha256::of(token.as_bytes()));
            if provisioner.state()?.token(&id).is_none() {
                std::fs::remove_file(&file)?;
            }
        }
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

/// The token in the file, which an earlier try or another process wrote, or a new one.
fn token_in(folder: &Path, file: &Path) -> anyhow::Result<String> {
    if file.exists() {
        return read_token(file);
    }
    std::fs::create_dir_all(folder)?;
    let token = new_token().context("the system has no random numbers")?;
    match write(folder, file, &token) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => read_token(file),
        written => {
            written?;
            Ok(token)
        }
    }
}

/// Writes the file as a whole, unless there is one; only its owner can read it.
fn write(folder: &Path, file: &Path, token: &str) -> std::io::Result<()> {
    let mut whole =
        tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
    writeln!(whole, "{token}")?;
    whole.as_file().sync_all()?;
    whole.persist_noclobber(file).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}
