//! Reads a file of records as they wait on a log: provisioning, then ticks with what each reads. Numbers are little-endian.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use spillway_events::{ProvisioningRecord, TimeMicros, decode};

/// A tick, and the records of `measurements` that it reads beyond the one before, each with the number of its agent.
pub(crate) type RecordedTick = (TimeMicros, Vec<(u32, Vec<u8>)>);

pub(crate) struct Reader(BufReader<File>);

impl Reader {
    pub(crate) fn open(file: &Path) -> (ProvisioningRecord, Self) {
        let mut reader = Self(BufReader::new(File::open(file).unwrap()));
        let provisioning = decode(&reader.bytes()).unwrap();
        (provisioning, reader)
    }

    fn number(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.read_exact(&mut bytes).unwrap();
        u32::from_le_bytes(bytes)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; self.number() as usize];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}

impl Iterator for Reader {
    type Item = RecordedTick;

    fn next(&mut self) -> Option<Self::Item> {
        let mut at_us = [0; 8];
        self.0.read_exact(&mut at_us).ok()?;
        let records = self.number();
        let records = (0..records).map(|_| (self.number(), self.bytes())).collect();
        Some((TimeMicros(i64::from_le_bytes(at_us)), records))
    }
}
