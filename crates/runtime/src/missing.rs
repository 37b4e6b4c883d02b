//! Records that the dataflow needs and that the log no longer holds.

/// Records that ticks read, but that are no longer in the log.
#[derive(Debug, thiserror::Error)]
#[error(
    "ticks read topic {topic}, partition {partition} from offset {wanted} on, but the log starts at offset {first}: {} \
     records are missing",
    first - wanted
)]
pub struct MissingRecords {
    pub(crate) topic: String,
    pub(crate) partition: u32,
    /// The offset from which ticks read.
    pub(crate) wanted: u64,
    /// The first offset that the log holds.
    pub(crate) first: u64,
}

impl MissingRecords {
    /// The command that accepts the loss, so that the dataflow can go on.
    #[must_use]
    pub fn command(&self) -> String {
        let Self { topic, partition, wanted, first } = self;
        format!(
            "spillway gap --topic {topic} --partition {partition} --from {wanted} --to {first} --reason TEXT"
        )
    }
}
