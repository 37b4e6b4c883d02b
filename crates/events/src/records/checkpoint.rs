//! Checkpoints: the dataflow's state by logical shard, and the manifest that makes the chunks one checkpoint.

use serde::{Deserialize, Serialize};

use crate::codec::{item_schema, record};
use crate::{
    AgentName, CdnName, Event, NetworkName, Reason, Receipt, SiteName, SourceName, TimeMicros, Verdict,
};

/// State of one logical shard, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct CheckpointChunk {
    /// The tick whose state this is.
    pub tick: u64,
    /// The logical shard, 0 to 255.
    pub shard: u32,
    /// This chunk's number within the shard, from 0.
    pub chunk: u32,
    /// Whole items, sorted by their encoded bytes.
    pub items: Vec<StateItem>,
}

/// One piece of the dataflow's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
pub enum StateItem {
    /// The revision of the provisioning.
    Revision(Revision),
    /// One fact of the provisioning.
    Fact(Fact),
    /// Which batches of one boot of a source have been counted.
    SeenBoot(SeenBoot),
    /// What has been read of one input partition.
    Receipt(Receipt),
    /// The latest report of a CDN.
    CdnReport(CdnReport),
    /// The routes of a site. A site with many exceptions has several of these records.
    SiteRoutes(SiteRoutes),
    /// The windows of one probe on one target of a site.
    SeriesWindows(SeriesWindows),
    /// The published version of the routing table.
    TableVersion(TableVersion),
}

/// The revision of the provisioning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// How many provisioning records have been applied.
    pub revision: u64,
    /// The greatest time of a tick so far, which a reset of the clock does not lower: what has ended by it has ended.
    pub greatest_at_us: TimeMicros,
}

/// One fact of the provisioning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// The number of the provisioning record that last changed the object.
    pub changed: u64,
    /// The number of the provisioning record that last changed what is agreed for the object.
    pub agreement: u64,
    /// The object, as the event that sets it.
    pub event: Event,
}

/// Which batches of one boot of a source have been counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct SeenBoot {
    /// The topic.
    pub topic: String,
    /// The source.
    pub source: SourceName,
    /// The boot.
    pub boot: u64,
    /// The highest sequence counted.
    pub highest: u64,
    /// 1,024 bits: bit `sequence % 1024` is set if that sequence was counted, for the last 1,024 sequences up to the
    /// highest. Bit `n` is bit `n % 8` of byte `n / 8`.
    pub bitmap: ByteString,
    /// The tick of the last batch counted.
    pub last_tick: u64,
    /// That tick's time.
    pub last_at_us: TimeMicros,
}

/// The latest report of a CDN about itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct CdnReport {
    /// The CDN.
    pub cdn: CdnName,
    /// Event time.
    pub at_us: TimeMicros,
    /// The source of the batch.
    pub source: SourceName,
    /// The batch's boot.
    pub boot: u64,
    /// The batch's sequence.
    pub sequence: u64,
    /// Whether traffic can be sent to it.
    pub usable: bool,
}

/// The routes of a site in some networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct SiteRoutes {
    /// The site.
    pub site: SiteName,
    /// The route in `everywhere`, and in every network that no record of the site lists as an exception.
    pub everywhere: HeldRoute,
    /// The exceptions, by network.
    pub others: Vec<HeldRoute>,
}

/// The route of a site in one network, as of its last change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct HeldRoute {
    /// The network.
    pub network: NetworkName,
    /// The CDN that the route leads to; absent for the origin.
    pub cdn: Option<CdnName>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why the route differs from the verdict, if it does.
    pub reason: Option<Reason>,
    /// Whether the verdict was ever known.
    pub known: bool,
    /// The tick that last changed route or reason.
    pub decided_tick: u64,
    /// When the route last left the origin; absent if it never did.
    pub left_origin_at_us: Option<TimeMicros>,
    /// Since when the verdict has been unknown without a break; absent while it is known.
    pub unknown_since_us: Option<TimeMicros>,
}

/// The windows of one probe on one target of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct SeriesWindows {
    /// The site.
    pub site: SiteName,
    /// The target.
    pub target: String,
    /// The probe's agent.
    pub agent: AgentName,
    /// The probe's network.
    pub network: NetworkName,
    /// One window for each objective, in the site's order.
    pub windows: Vec<WindowCounts>,
}

/// One window: how many measurements of each rank lie in each pane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct WindowCounts {
    /// By pane, then rank.
    pub counts: Vec<PaneCount>,
}

/// How many measurements of one rank lie in one pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct PaneCount {
    /// The pane: event time divided by the pane's length.
    pub pane: i64,
    /// The rank of the value: the smaller the better.
    pub rank: u32,
    /// How many.
    pub count: u32,
}

/// The published version of the routing table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(serde_avro_derive::BuildSchema))]
#[serde(deny_unknown_fields)]
pub struct TableVersion {
    /// The tick that last changed the table.
    pub version: u64,
    /// The table's digest, 32 hexadecimal digits.
    pub digest: String,
    /// The bytes of the items of the last full table.
    pub full_bytes: u64,
    /// The bytes of the items of the deltas since.
    pub delta_bytes: u64,
}

/// Bytes that serde encodes as bytes, not as a list of numbers.
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

/// The last record of one process's part of a checkpoint. It lists the chunks, so that the part loads completely or not at
/// all.
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
    /// The id of the installation, from tick 0.
    pub installation: String,
    /// The chunks, in the order written.
    pub chunks: Vec<ChunkDigest>,
    /// Which part of the checkpoint this is, from 0: the process that wrote it.
    pub part: u32,
    /// How many parts it has: the processes of the dataflow.
    pub parts: u32,
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

/// The schema of one item of a chunk.
pub(crate) fn state_item_schema() -> &'static serde_avro_fast::Schema {
    item_schema!("checkpoint_chunk.v1.avsc")
}

record!(Manifest, "checkpoint_manifest.v1.avsc");
