//! A complete checkpoint, from which a dataflow starts.

use spillway_events::{
    CdnReport, CheckpointChunk, Event, Fact, Receipt, Revision, SeenBoot, SeriesWindows, SiteRoutes,
    StateItem, TableVersion, TimeMicros, encode_state_item,
};
use spillway_provisioning::{SavedObject, State};

use crate::error::DataflowError;

/// A complete checkpoint, from which the dataflow starts.
#[derive(Debug, Clone)]
pub struct Restored {
    tick: u64,
    at: TimeMicros,
    pub(crate) installation: String,
    pub(crate) provisioning: State,
    pub(crate) seen: Vec<SeenBoot>,
    pub(crate) receipts: Vec<Receipt>,
    /// The greatest time of a tick so far.
    pub(crate) greatest_at: TimeMicros,
    pub(crate) reports: Vec<CdnReport>,
    pub(crate) routes: Vec<SiteRoutes>,
    pub(crate) windows: Vec<SeriesWindows>,
    pub(crate) table: TableVersion,
}

impl Restored {
    /// Assembles the chunks of the checkpoint of a tick. `installation` is the id in the manifest.
    ///
    /// # Errors
    /// [`DataflowError::Restore`] if a chunk is of another tick, or something that every checkpoint has is missing.
    pub fn new(
        installation: String,
        tick: u64,
        at: TimeMicros,
        chunks: impl IntoIterator<Item = CheckpointChunk>,
    ) -> Result<Self, DataflowError> {
        let fail = |part, why: String| Err(DataflowError::Restore { tick, part, why });
        let (mut revision, mut table) = (None, None);
        let mut facts: Vec<Fact> = Vec::new();
        let (mut seen, mut receipts, mut reports) = (Vec::new(), Vec::new(), Vec::new());
        let (mut routes, mut windows) = (Vec::new(), Vec::new());
        for chunk in chunks {
            if chunk.tick != tick {
                return fail("a chunk", format!("it is of tick {}", chunk.tick));
            }
            for item in chunk.items {
                match item {
                    StateItem::Revision(item) => revision = Some(item),
                    StateItem::Fact(item) => facts.push(item),
                    StateItem::SeenBoot(item) => seen.push(item),
                    StateItem::Receipt(item) => receipts.push(item),
                    StateItem::CdnReport(item) => reports.push(item),
                    StateItem::SiteRoutes(item) => routes.push(item),
                    StateItem::SeriesWindows(item) => windows.push(item),
                    StateItem::TableVersion(item) => table = Some(item),
                }
            }
        }
        let Some(Revision { revision, greatest_at_us: greatest_at }) = revision else {
            return fail("the provisioning", String::from("its revision is missing"));
        };
        let Some(table) = table else {
            return fail("the routing table", String::from("its version is missing"));
        };
        let (mut objects, mut gaps) = (Vec::new(), Vec::new());
        for Fact { changed, agreement, event } in facts {
            match event {
                Event::Gap(gap) => gaps.push(gap),
                object => objects.push(SavedObject { object, changed, agreement }),
            }
        }
        let provisioning = State::restored(revision, objects, gaps);
        Ok(Self {
            tick,
            at,
            installation,
            provisioning,
            seen,
            receipts,
            greatest_at,
            reports,
            routes,
            windows,
            table,
        })
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

    /// The error that a part of this checkpoint cannot be restored.
    pub(crate) fn error(&self, part: &'static str, why: String) -> DataflowError {
        DataflowError::Restore { tick: self.tick, part, why }
    }
}

/// Encodes a piece of state of a logical shard.
pub(crate) fn encode_state(shard: u32, item: &StateItem) -> Result<(u32, Vec<u8>), DataflowError> {
    let part = match item {
        StateItem::Revision(_) | StateItem::Fact(_) => "the provisioning in a checkpoint",
        StateItem::SeenBoot(_) => "the deduplication state of a source in a checkpoint",
        StateItem::Receipt(_) => "a receipt in a checkpoint",
        StateItem::CdnReport(_) => "the latest report of a CDN in a checkpoint",
        StateItem::SiteRoutes(_) => "the routes of a site in a checkpoint",
        StateItem::SeriesWindows(_) => "the windows of a site in a checkpoint",
        StateItem::TableVersion(_) => "the version of the routing table in a checkpoint",
    };
    let bytes = encode_state_item(item).map_err(|source| DataflowError::Encode { part, source })?;
    Ok((shard, bytes))
}
