//! The topics of an installation.

use spillway_eventlog::{EventLog, Kept, TopicSpec};
use spillway_events::topics;

use super::OUTPUT_PARTITIONS;

/// All topics: name, whose number of partitions, for how many days records are kept.
const TOPICS: &[(&str, Partitions, Kept)] = &[
    (topics::PROVISIONING, Partitions::One, Kept::ForEver),
    (topics::MEASUREMENTS, Partitions::Input, Kept::Days(30)),
    (topics::STATISTICS, Partitions::Input, Kept::Days(400)),
    // As long as the inputs that are kept longest: they are read tick by tick.
    (topics::TICKS, Partitions::One, Kept::Days(400)),
    (topics::DECISIONS, Partitions::Output, Kept::ForEver),
    (topics::PERFORMANCE, Partitions::Output, Kept::Days(30)),
    (topics::SNAPSHOTS, Partitions::One, Kept::Days(7)),
    // The dataflow truncates them itself.
    (topics::CHECKPOINTS, Partitions::One, Kept::ForEver),
    (topics::RECEIPTS, Partitions::One, Kept::Days(400)),
    (topics::REJECTED, Partitions::One, Kept::Days(30)),
];

#[derive(Clone, Copy)]
enum Partitions {
    One,
    Input,
    Output,
}

/// The topics with so many partitions for what many sources write and for what is derived by site.
pub(crate) fn specs(input_partitions: u32, output_partitions: u32) -> Vec<TopicSpec> {
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

/// Makes the topics of an installation on one machine.
pub(crate) fn create(log: &dyn EventLog) -> anyhow::Result<()> {
    for spec in specs(1, OUTPUT_PARTITIONS) {
        log.create_topic(&spec.name, spec.partitions)?;
    }
    Ok(())
}
