//! The topics of an installation: partitions and retention.

use spillway_eventlog::{EventLog, Kept, LogError, TopicSpec};
use spillway_events::topics;

use crate::OUTPUT_PARTITIONS;

/// The number of input partitions of an installation that does not say otherwise. The workers share them, so more workers than
/// this decode no quicker.
pub const INPUT_PARTITIONS: u32 = 4;

/// All topics: name, number of partitions, retention.
const TOPICS: &[(&str, Partitions, Kept)] = &[
    (topics::PROVISIONING, Partitions::One, Kept::ForEver),
    (topics::MEASUREMENTS, Partitions::Input, Kept::Days(30)),
    (topics::STATISTICS, Partitions::Input, Kept::Days(400)),
    // As long as the input with the longest retention, which is read tick by tick.
    (topics::TICKS, Partitions::One, Kept::Days(400)),
    (topics::DECISIONS, Partitions::Output, Kept::ForEver),
    (topics::PERFORMANCE, Partitions::Output, Kept::Days(30)),
    (topics::SNAPSHOTS, Partitions::One, Kept::Days(1)),
    // The dataflow truncates them itself.
    (topics::CHECKPOINTS, Partitions::One, Kept::ForEver),
    (topics::MANIFESTS, Partitions::One, Kept::ForEver),
    (topics::RECEIPTS, Partitions::One, Kept::Days(400)),
    (topics::REJECTED, Partitions::One, Kept::Days(30)),
];

#[derive(Clone, Copy)]
enum Partitions {
    One,
    Input,
    Output,
}

/// The topics, with these numbers of partitions for topics of input and for topics that are derived by site.
#[must_use]
pub fn specs(input_partitions: u32, output_partitions: u32) -> Vec<TopicSpec> {
    let spec = |(name, partitions, kept): &(&str, Partitions, Kept)| {
        let partitions = match partitions {
            Partitions::One => 1,
            Partitions::Input => input_partitions,
            Partitions::Output => output_partitions,
        };
        TopicSpec { name: (*name).to_owned(), partitions, kept: *kept }
    };
    TOPICS.iter().map(spec).collect()
}

/// Creates the topics of an installation on an embedded log, with this number of input partitions. Input that exists keeps its
/// number, which can never change.
///
/// # Errors
/// If the log fails, or an output exists with another number of partitions.
pub fn create(log: &dyn EventLog, input_partitions: u32) -> Result<(), LogError> {
    for (spec, (.., partitions, _)) in specs(input_partitions, OUTPUT_PARTITIONS).iter().zip(TOPICS) {
        if matches!(partitions, Partitions::Input) {
            match log.partitions(&spec.name) {
                Err(LogError::NoTopic { .. }) => {}
                Ok(_) => continue,
                Err(error) => return Err(error),
            }
        }
        log.create_topic(&spec.name, spec.partitions)?;
    }
    Ok(())
}
