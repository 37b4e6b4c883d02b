//! Reading the frames of a partition: encoded, and decoded to their items.

use std::marker::PhantomData;
use std::time::Duration;

use spillway_events::{EncodedFrame, Frame, FrameAssembler, Framed, Record, decode_frame};
use tokio_util::sync::CancellationToken;

use crate::{EventLog, LogError, ReadError, Records};

/// The complete frames of a partition as they are encoded, each once, in rising tick order.
///
/// After a record that is not a frame chunk the iterator can go on with the next one.
pub struct EncodedFrames<'a> {
    records: Records<'a>,
    assembler: FrameAssembler,
    /// The offset of the last record taken.
    offset: u64,
}

impl<'a> EncodedFrames<'a> {
    /// Reads from an offset on. A frame that began before that offset is skipped.
    #[must_use]
    pub fn new(log: &'a dyn EventLog, topic: &str, partition: u32, from: u64) -> Self {
        let records = Records::new(log, topic, partition, from);
        Self { records, assembler: FrameAssembler::default(), offset: from }
    }

    /// Reads from the first record on.
    ///
    /// # Errors
    /// If the log does not say where the partition starts.
    pub fn all(log: &'a dyn EventLog, topic: &str, partition: u32) -> Result<Self, LogError> {
        Ok(Self::new(log, topic, partition, log.start(topic, partition)?))
    }

    /// Waits at the end for more frames until cancelled; checks for that at least every `poll_interval`.
    #[must_use]
    pub fn following(mut self, cancel: &'a CancellationToken, poll_interval: Duration) -> Self {
        self.records = self.records.following(cancel, poll_interval);
        self
    }

    /// The last frame is unusable: its tick no longer counts, see [`FrameAssembler::reject`].
    pub fn reject(&mut self) {
        self.assembler.reject();
    }

    fn failed(&self, source: spillway_events::DecodeError) -> ReadError {
        let (topic, partition) = self.records.topic_partition();
        ReadError::Record { topic: topic.to_owned(), partition, offset: self.offset, source }
    }
}

impl Iterator for EncodedFrames<'_> {
    type Item = Result<EncodedFrame, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.records.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            self.offset = entry.offset;
            match self.assembler.push(entry.offset, entry.bytes) {
                Ok(None) => {}
                Ok(Some(frame)) => return Some(Ok(frame)),
                Err(error) => return Some(Err(self.failed(error))),
            }
        }
    }
}

/// The complete frames of a partition, each as its tick and its items. Behaves as [`EncodedFrames`]; a frame that does not
/// decode is rejected.
pub struct FrameReader<'a, T> {
    frames: EncodedFrames<'a>,
    items: PhantomData<T>,
}

impl<'a, T: Framed> FrameReader<'a, T>
where
    Frame<T>: Record,
{
    /// Reads from an offset on. A frame that began before that offset is skipped.
    #[must_use]
    pub fn new(log: &'a dyn EventLog, topic: &str, partition: u32, from: u64) -> Self {
        Self { frames: EncodedFrames::new(log, topic, partition, from), items: PhantomData }
    }

    /// Reads from the first record on.
    ///
    /// # Errors
    /// If the log does not say where the partition starts.
    pub fn all(log: &'a dyn EventLog, topic: &str, partition: u32) -> Result<Self, LogError> {
        Ok(Self { frames: EncodedFrames::all(log, topic, partition)?, items: PhantomData })
    }

    /// The last frame is unusable: its tick no longer counts, see [`FrameAssembler::reject`].
    pub fn reject(&mut self) {
        self.frames.reject();
    }

    /// The offset of the last record read.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.frames.offset
    }

    /// Waits at the end for more frames until cancelled; checks for that at least every `poll_interval`.
    #[must_use]
    pub fn following(mut self, cancel: &'a CancellationToken, poll_interval: Duration) -> Self {
        self.frames = self.frames.following(cancel, poll_interval);
        self
    }
}

impl<T: Framed> Iterator for FrameReader<'_, T>
where
    Frame<T>: Record,
{
    type Item = Result<(u64, Vec<T>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.frames.next()?;
        Some(frame.and_then(|EncodedFrame { tick, chunks, .. }| match decode_frame(&chunks) {
            Ok(items) => Ok((tick, items)),
            Err(error) => {
                self.frames.reject();
                Err(self.frames.failed(error))
            }
        }))
    }
}
