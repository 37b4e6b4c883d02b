//! Writes the file that [`crate::recorded`] reads.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use spillway_events::{ProvisioningRecord, encode};

use crate::recorded::RecordedTick;

pub(crate) struct Writer(BufWriter<File>);

impl Writer {
    pub(crate) fn create(file: &Path, provisioning: &ProvisioningRecord) -> Self {
        let mut writer = Self(BufWriter::new(File::create(file).unwrap()));
        writer.bytes(&encode(provisioning).unwrap());
        writer
    }

    pub(crate) fn tick(&mut self, (at_us, records): &RecordedTick) {
        self.0.write_all(&at_us.0.to_le_bytes()).unwrap();
        self.number(records.len());
        for (agent, bytes) in records {
            self.0.write_all(&agent.to_le_bytes()).unwrap();
            self.bytes(bytes);
        }
    }

    pub(crate) fn finish(mut self) {
        self.0.flush().unwrap();
    }

    fn number(&mut self, number: usize) {
        self.0.write_all(&u32::try_from(number).unwrap().to_le_bytes()).unwrap();
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.write_all(bytes).unwrap();
    }
}
