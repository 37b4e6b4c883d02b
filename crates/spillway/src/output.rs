//! Standard output.

use std::fmt::Arguments;
use std::io::Write;

/// Prints a line: `line(format_args!("{text}"))?`. `println!` panics if the reader has closed the pipe, as `head` does; here
/// that is an error, which ends the command without a failure.
pub(crate) fn line(text: Arguments<'_>) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
