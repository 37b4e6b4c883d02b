//! Checkpoints: state by logical shard, in chunks.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use spillway_events::{ByteString, CHUNK_BYTES_MAX, CheckpointChunk, TimeMicros};
use spillway_provisioning::State;

use crate::message::StateItem;

/// The format of a chunk's bytes: this byte, then a JSON array of the operator's texts.
const FORMAT: u8 = 1;

/// A checkpoint that was read whole: what the dataflow starts from.
#[derive(Debug, Clone)]
pub struct Restored {
    tick: u64,
    at: TimeMicros,
    texts: BTreeMap<String, Vec<String>>,
}

impl Restored {
    /// Puts the chunks of the checkpoint of a tick together.
    ///
    /// # Errors
    /// When a chunk is of another tick or of a format that this release does not know.
    pub fn new(tick: u64, at: TimeMicros, chunks: &[CheckpointChunk]) -> Result<Self, String> {
        let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for chunk in chunks {
            if chunk.tick != tick {
                return Err(format!("a chunk of tick {} in the checkpoint of tick {tick}", chunk.tick));
            }
            let Some((&FORMAT, json)) = chunk.bytes.0.split_first() else {
                return Err(format!("state of {} in an unknown format", chunk.operator));
            };
            let some: Vec<String> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
            texts.entry(chunk.operator.clone()).or_default().extend(some);
        }
        if !texts.contains_key("provisioning") {
            return Err(String::from("no provisioning in the checkpoint"));
        }
        Ok(Self { tick, at, texts })
    }

    /// The tick whose state this is.
    #[must_use]
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// That tick's time.
    #[must_use]
    pub fn at(&self) -> TimeMicros {
        self.at
    }

    pub(crate) fn texts(&self, operator: &str) -> Vec<String> {
        self.texts.get(operator).cloned().unwrap_or_default()
    }

    pub(crate) fn items<T: DeserializeOwned>(&self, operator: &str) -> Vec<T> {
        let texts = self.texts.get(operator).into_iter().flatten();
        texts.filter_map(|text| serde_json::from_str(text).ok()).collect()
    }

    /// The provisioning as of the tick.
    #[must_use]
    pub fn provisioning(&self) -> State {
        self.items::<State>("provisioning").into_iter().next().unwrap_or_default()
    }
}

/// Cuts state into chunks, by operator, shard and text.
pub(crate) fn chunks(tick: u64, mut items: Vec<StateItem>) -> Vec<CheckpointChunk> {
    items.sort();
    let mut chunks: Vec<(String, u32, u32, Vec<String>, usize)> = Vec::new();
    for item in items {
        let bytes = item.text.len();
        match chunks.last_mut() {
            Some((operator, shard, _, texts, sum))
                if *operator == item.operator && *shard == item.shard && *sum + bytes <= CHUNK_BYTES_MAX =>
            {
                texts.push(item.text);
                *sum += bytes;
            }
            last => {
                let number = match last {
                    Some((operator, shard, number, ..))
                        if *operator == item.operator && *shard == item.shard =>
                    {
                        *number + 1
                    }
                    _ => 0,
                };
                chunks.push((item.operator, item.shard, number, vec![item.text], bytes));
            }
        }
    }
    let chunk = |(operator, shard, chunk, texts, _): (String, u32, u32, Vec<String>, usize)| {
        let mut bytes = vec![FORMAT];
        // Strings always serialize.
        bytes.extend(serde_json::to_vec(&texts).unwrap_or_default());
        CheckpointChunk { tick, operator, shard, chunk, bytes: ByteString(bytes) }
    };
    chunks.into_iter().map(chunk).collect()
}
