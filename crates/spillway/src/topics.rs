//! `topics create` and `topics check`: the topics of an installation on Kafka.

use std::process::ExitCode;

use clap::Args;
use spillway_eventlog::TopicMismatch;
use spillway_runtime::topics::specs;

use crate::output::line;
use crate::settings::{Kafka, LogOptions};

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 all topics exist; 2 some could not be created.

Examples:
  spillway topics create --kafka 127.0.0.1:9092")]
pub(crate) struct CreateOptions {
    #[command(flatten)]
    log: LogOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 all topics and settings are right; 1 something differs; 2 the cluster did not answer.

Examples:
  spillway topics check --config spillway.yaml")]
pub(crate) struct CheckOptions {
    #[command(flatten)]
    log: LogOptions,
    /// Print the differences as one JSON array
    #[arg(long)]
    json: bool,
}

pub(crate) fn create(options: &CreateOptions) -> anyhow::Result<ExitCode> {
    let kafka = Kafka::required(&options.log)?;
    let log = kafka.connect_for_a_command()?;
    for spec in specs(kafka.input_partitions, kafka.output_partitions) {
        log.create(&spec)?;
        line(format_args!("{}: {} partitions", spec.name, spec.partitions))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn check(options: &CheckOptions) -> anyhow::Result<ExitCode> {
    let kafka = Kafka::required(&options.log)?;
    let found =
        kafka.connect_for_a_command()?.check(&specs(kafka.input_partitions, kafka.output_partitions))?;
    if options.json {
        line(format_args!("{}", serde_json::to_string(&found)?))?;
    } else if found.is_empty() {
        line(format_args!("all topics and settings are right"))?;
    } else {
        for mismatch in &found {
            line(format_args!("{}", described(mismatch, &kafka.settings.bootstrap)))?;
        }
    }
    Ok(ExitCode::from(u8::from(!found.is_empty())))
}

/// The difference, and the command that corrects it.
pub(crate) fn described(mismatch: &TopicMismatch, bootstrap: &str) -> String {
    let TopicMismatch { topic, setting, is, should_be } = mismatch;
    let mend = match setting.as_str() {
        "topic" => "spillway topics create".to_owned(),
        "partitions" => format!(
            "a topic keeps its partitions for ever; say {is} under kafka: in the configuration \
             (input_partitions, output_partitions)"
        ),
        "replication" => {
            format!("kafka-reassign-partitions.sh --bootstrap-server {bootstrap} (topic {topic})")
        }
        setting => format!(
            "kafka-configs.sh --bootstrap-server {bootstrap} --alter --entity-type topics --entity-name {topic} \
             --add-config {setting}={should_be}"
        ),
    };
    format!("topic {topic}: {setting} is {is}, should be {should_be}; to correct it: {mend}")
}
