//! Checkpoints: the dataflow's state by logical shard, and the manifest that makes them one.

use serde::{Deserialize, Serialize};

use crate::TimeMicros;
use crate::codec::record;

/// State of one operator in one shard, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct CheckpointChunk {
    /// The tick whose state this is.
    pub tick: u64,
    /// The operator.
    pub operator: String,
    /// The logical shard, 0 to 255.
    pub shard: u32,
    /// This chunk's number within the shard, from 0.
    pub chunk: u32,
    /// The state, in the operator's own versioned format.
    pub bytes: ByteString,
}

/// Bytes that serde carries as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteString(pub Vec<u8>);

impl Serialize for ByteString {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for ByteString {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = ByteString;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<ByteString, E> {
                Ok(ByteString(bytes.to_vec()))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<ByteString, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(ByteString(bytes))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

#[cfg(test)]
impl serde_avro_derive::BuildSchema for ByteString {
    fn append_schema(builder: &mut serde_avro_derive::SchemaBuilder) {
        <Vec<u8> as serde_avro_derive::BuildSchema>::append_schema(builder);
    }
    type TypeLookup = Vec<u8>;
}

/// Closes what one process writes of a checkpoint: which chunks it has, so that it loads whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The tick whose state this is.
    pub tick: u64,
    /// That tick's time.
    pub at_us: TimeMicros,
    /// The offset of that tick in `ticks`.
    pub tick_offset: u64,
    /// The chunks, in the order written.
    pub chunks: Vec<ChunkDigest>,
    /// Which part of the checkpoint this is, from 0: the process that wrote it.
    #[serde(default)]
    pub part: u32,
    /// How many parts it has: the processes of the dataflow.
    #[serde(default = "one")]
    pub parts: u32,
}

/// Before dataflows had several processes.
fn one() -> u32 {
    1
}

/// One chunk of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct ChunkDigest {
    /// Its offset in `checkpoints`.
    pub offset: u64,
    /// CRC-32 (IEEE 802.3) of the encoded chunk.
    pub crc: u32,
}

record!(CheckpointChunk, "checkpoint_chunk.v1.avsc");
record!(Manifest, "checkpoint_manifest.v2.avsc"; "checkpoint_manifest.v1.avsc");
