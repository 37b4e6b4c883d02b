//! Identifiers, units and the versioned records of the log, with the only codec that writes and reads them.
//!
//! Every record kind has one schema file in `schemas/` and one Rust type that mirrors it; a test checks that the two are
//! equal. Bytes on the log are Avro single-object encoding; a producer that cannot write Avro may write JSON of the same
//! types ([`decode`] takes both).
//!
//! This crate uses no clock, file or network.
#![warn(missing_docs)]

mod address;
mod codec;
mod framing;
mod names;
mod records;
mod sha256;
pub mod topics;
mod units;

pub use address::is_public;
pub use codec::{DecodeError, RECORD_BYTES_MAX, Record, decode, encode, is_avro};
pub use framing::{
    EncodedFrame, EncodedItems, FrameAssembler, FrameHead, ItemsSize, decode_frame, encode_checkpoint,
    encode_frame, encode_items_frame, encode_state_item, items_bytes,
};
pub use names::{
    AgentName, AgreementName, CdnName, ClientName, LineName, NAME_BYTES_MAX, NameError, NetworkName,
    OverrideName, RateCardName, SiteName, SourceName, TargetName, TaxCode, folded_name,
};
pub use records::agreement::{
    Agreement, AgreementEnd, BillingTerms, CdnsIn, CreditShare, CreditStep, EndedBy, MaintenanceWindow,
    MissingSlots, OnSilence, Party, ServiceLevelTerms, SilentRoute, Stage, Suspension, Tax, Terms,
};
pub use records::billing::{
    BillingFault, BillingItem, Increment, LineClass, LineId, LineIdError, LineKind, SealRefused, Sealed,
    ServiceLevel, StatementLine, UnmappedIncrement,
};
pub use records::checkpoint::{
    ByteString, CdnReport, CheckpointChunk, ChunkDigest, Fact, HeldRoute, Manifest, PaneCount, Revision,
    SeenBoot, SeriesWindows, SiteRoutes, StateItem, TableVersion, WindowCounts,
};
pub use records::decision::{
    Candidate, Decision, LISTED_PROBES_MAX, ObjectiveEvidence, PassedOver, ProbeValue,
};
pub use records::frame::{CHUNK_BYTES_MAX, Frame, Framed};
pub use records::measurement::{
    AttemptRow, BATCH_RECORDS_MAX, BATCH_SERIES_MAX, Measurement, MeasurementBatch, MeasurementColumns,
    Outcome, Phases, Series, SeriesNames, Tried,
};
pub use records::performance::{Performance, PerformanceView};
pub use records::provisioning::{
    Address, Cdn, CdnKind, CdnOfSite, Client, ClockReset, Deleted, Event, Gap, Network, ObjectKind,
    Objective, Origin, Override, OverrideKind, Prefix, PrefixError, Probe, ProvisioningRecord, Site,
};
pub use records::rate_card::{
    DecimalAmount, DecimalAmountError, FlatPrice, GraduatedPrice, GraduatedTier, Meter, P95Price,
    PackagePrice, RateBy, RateCard, RateCommitment, RateItem, RateModel, UnitPrice, VolumePrice, VolumeTier,
};
pub use records::receipt::Receipt;
pub use records::rejected::Rejected;
pub use records::routing::{Reason, Route, Verdict};
pub use records::snapshot::{
    CdnEntry, MissingHead, NetworkEntry, NetworkGone, PREFIXES_PER_ITEM_MAX, RouteEntry, RouteGone, RouteKey,
    SiteEntry, SiteGone, Snapshot, SnapshotHead, SnapshotItem, SnapshotKind,
};
pub use records::statistics::{AggregateStatistics, StatisticsBatch};
pub use records::tick::{PartitionOffset, Tick};
pub use records::token::{Role, Token};
pub use sha256::{Sha256, Sha256Error};
pub use topics::partition_of;
pub use units::{
    BitsPerSecond, Micros, RESPONSE_TIME_MAX, THROUGHPUT_MAX, TimeMicros, UnitError, Value, parse_duration,
    parse_throughput, parse_time, scaled_decimal,
};
pub use units::{Metric, format_duration, format_throughput, format_time};
