//! Frames: what one tick sends to one output partition.

use serde::{Deserialize, Serialize};
use serde_avro_fast::Schema;

use crate::codec::{item_schema, record};
use crate::{BillingItem, Decision, Performance, Receipt, Rejected, SnapshotItem};

/// The most bytes of items in one chunk of a frame.
pub const CHUNK_BYTES_MAX: usize = 512 * 1024;

/// One chunk of the frame that a tick sends to one partition. A reader applies a complete frame once, in rising tick order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame<T> {
    /// The tick.
    pub tick: u64,
    /// This chunk's number, from 0.
    pub chunk: u32,
    /// How many chunks the frame has.
    pub chunks: u32,
    /// CRC-32 (IEEE 802.3) of the encoded items of the whole frame, in order.
    pub digest: u32,
    /// Whole items, sorted by id.
    pub items: Vec<T>,
}

/// A type whose values are items of frames.
pub trait Framed: Serialize + Clone {
    /// The schema of one item, which is a part of the frame's.
    fn item_schema() -> &'static Schema;
}

macro_rules! framed {
    ($($item:ty, $file:literal;)+) => {$(
        record!(Frame<$item>, $file);

        impl Framed for $item {
            fn item_schema() -> &'static Schema {
                item_schema!($file)
            }
        }
    )+};
}

framed! {
    Decision, "decision_frame.v1.avsc";
    Performance, "performance_frame.v1.avsc";
    SnapshotItem, "snapshot_frame.v1.avsc";
    Receipt, "receipt_frame.v1.avsc";
    Rejected, "rejected_frame.v1.avsc";
    BillingItem, "billing_frame.v1.avsc";
}

// The derive does not support a public generic type.
#[cfg(test)]
impl<T: serde_avro_derive::BuildSchema> serde_avro_derive::BuildSchema for Frame<T> {
    fn append_schema(builder: &mut serde_avro_derive::SchemaBuilder) {
        use serde_avro_fast::schema::{Name, Record, RecordField};
        let place = builder.reserve();
        let fields = vec![
            RecordField::new("tick", builder.find_or_build::<u64>()),
            RecordField::new("chunk", builder.find_or_build::<u32>()),
            RecordField::new("chunks", builder.find_or_build::<u32>()),
            RecordField::new("digest", builder.find_or_build::<u32>()),
            RecordField::new("items", builder.find_or_build::<Vec<T>>()),
        ];
        builder.nodes[place] = Record::new(Name::from_fully_qualified_name("Frame"), fields).into();
    }
    type TypeLookup = Frame<T::TypeLookup>;
}
