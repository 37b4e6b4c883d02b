//! `log check`: reads all of an embedded log and lists what is damaged.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use spillway_eventlog::{CheckPhase, Damage, LogError, PageCheck, check};

use crate::output::line;

#[derive(Debug, Args)]
#[command(after_help = "\
Opening a log reads only a small part of it. This command reads everything: the pages of the store and every \
record. The pages of a file that cannot be written are not checked: copy the folder to a place that is \
writable.

Exit status: 0 nothing is damaged; 1 something is damaged; 2 the log could not be opened.

Examples:
  spillway log check --log ./data")]
pub(crate) struct Options {
    /// The folder of an embedded log that no process has open
    #[arg(long, value_name = "FOLDER")]
    log: PathBuf,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template(
        "{msg} {wide_bar} {bytes}/{total_bytes} {elapsed} (ETA {eta})",
    )?);
    let checked = check(&options.log, &mut |progress| {
        bar.set_message(match progress.phase {
            CheckPhase::Records => "records",
            CheckPhase::Pages => "pages",
        });
        bar.set_length(progress.bytes_total);
        bar.set_position(progress.bytes_done);
    });
    let report = match checked {
        // The error's own text advises to run this command.
        Err(LogError::DamagedFile { file, reason }) => bail!(
            "{} is damaged: {reason}. It cannot be opened, so its records cannot be listed: restore the folder from a backup",
            file.display()
        ),
        checked => checked?,
    };
    bar.finish_and_clear();
    for Damage { topic, partition, offset } in &report.damages {
        line(format_args!(
            "topic {topic}, partition {partition}: the records at offset {offset} are damaged"
        ))?;
    }
    let pages = match &report.pages {
        PageCheck::Intact => String::from("intact"),
        PageCheck::Repaired => String::from("intact; the list of free pages was wrong and has been repaired"),
        PageCheck::Damaged(reason) => format!("damaged: {reason}"),
        PageCheck::NotChecked => String::from("not checked, because the file cannot be written"),
    };
    line(format_args!(
        "{} records of {} topics, {} bytes in {} blocks; {} damaged places; pages {pages}",
        report.records, report.topics, report.bytes, report.blocks, report.damages_count
    ))?;
    if report.is_intact() {
        return Ok(ExitCode::SUCCESS);
    }
    line(format_args!("what is damaged cannot be repaired: restore the folder from a backup"))?;
    Ok(ExitCode::from(1))
}
