//! Makes snapshots of the routing table as routes and provisioning change.
//!
//! A tick that changes the table writes a delta. A full table follows at the first tick at which the deltas since the last
//! one have more bytes than it had, or when one is due.

mod table;
#[cfg(test)]
mod tests;

use spillway_events::{
    CHUNK_BYTES_MAX, Decision, DecodeError, NAME_BYTES_MAX, PREFIXES_PER_ITEM_MAX, Snapshot, SnapshotHead,
    SnapshotItem, SnapshotKind, StateItem, TableVersion, TimeMicros, items_bytes,
};
use spillway_provisioning::limits::{
    ADDRESSES_PER_TARGET_MAX, CDNS_PER_SITE_MAX, HOST_BYTES_MAX, HOSTS_PER_SITE_MAX,
};
use spillway_routing::table::format_digest;

use crate::checkpoint::{Restored, encode_state};
use crate::error::DataflowError;
use crate::input::TickInput;
use crate::message::Due;
use crate::provisioning::ProvisioningChange;
use table::PublishedTable;

/// The most bytes of an encoded length, of an address and of a prefix as text.
const LENGTH_BYTES_MAX: usize = 3;
const ADDRESS_BYTES_MAX: usize = LENGTH_BYTES_MAX + 45;
const PREFIX_BYTES_MAX: usize = ADDRESS_BYTES_MAX + 4;
const TARGET_BYTES_MAX: usize =
    NAME_BYTES_MAX + HOST_BYTES_MAX + ADDRESSES_PER_TARGET_MAX * ADDRESS_BYTES_MAX + 4 * LENGTH_BYTES_MAX;
const SITE_BYTES_MAX: usize = (CDNS_PER_SITE_MAX + 1) * TARGET_BYTES_MAX
    + HOSTS_PER_SITE_MAX * (HOST_BYTES_MAX + LENGTH_BYTES_MAX)
    + 1_024;
// Every item that provisioning allows fits a chunk.
const _: () = assert!(SITE_BYTES_MAX <= CHUNK_BYTES_MAX);
const _: () = assert!(NAME_BYTES_MAX + PREFIXES_PER_ITEM_MAX * PREFIX_BYTES_MAX + 1_024 <= CHUNK_BYTES_MAX);

/// The published table, and how much has been written of it.
#[derive(Debug, Default)]
pub(crate) struct Publisher {
    table: PublishedTable,
    version: u64,
    /// The bytes of the items of the last full table.
    full_bytes: usize,
    /// The bytes of the items of the deltas since.
    delta_bytes: usize,
}

impl Publisher {
    /// Rebuilds the table of a checkpoint from its provisioning and its routes. The digest must be the one in the
    /// checkpoint.
    pub(crate) fn new(restored: Option<&Restored>) -> Result<Self, DataflowError> {
        let Some(restored) = restored else { return Ok(Self::default()) };
        let mut publisher = Self::default();
        let mut unused = blank(SnapshotKind::Delta, TimeMicros(0), &restored.installation);
        let table = &mut publisher.table;
        table.provision(&ProvisioningChange::of_checkpoint(restored), &mut unused);
        for of_site in &restored.routes {
            if !table.restore(of_site, &mut unused) {
                let why = format!("site {} or a network of its routes is not provisioned", of_site.site);
                return Err(restored.error("the routing table", why));
            }
        }
        let (built, saved) = (format_digest(table.digest), &restored.table);
        if built != saved.digest {
            let why = format!("its digest is {built}, not {}", saved.digest);
            return Err(restored.error("the routing table", why));
        }
        publisher.version = saved.version;
        publisher.full_bytes = usize::try_from(saved.full_bytes).unwrap_or(usize::MAX);
        publisher.delta_bytes = usize::try_from(saved.delta_bytes).unwrap_or(usize::MAX);
        Ok(publisher)
    }

    /// What a checkpoint stores of the table in addition to the provisioning and the routes.
    pub(crate) fn save(&self) -> Result<(u32, Vec<u8>), DataflowError> {
        let table = TableVersion {
            version: self.version,
            digest: format_digest(self.table.digest),
            full_bytes: self.full_bytes as u64,
            delta_bytes: self.delta_bytes as u64,
        };
        encode_state(0, &StateItem::TableVersion(table))
    }

    /// The items of one tick: a delta if something changed, a full table or a heartbeat if one is due. Decisions are in the
    /// order of sites.
    pub(crate) fn tick(
        &mut self,
        input: &TickInput,
        due: Due,
        decisions: &[Decision],
        installation: &str,
    ) -> Result<Vec<SnapshotItem>, DecodeError> {
        let base = self.version;
        let blank = |kind| blank(kind, input.tick.at_us, installation);
        let mut delta = blank(SnapshotKind::Delta);
        if let Some(change) = &input.provisioning {
            self.table.provision(change, &mut delta);
        }
        self.table.decide(decisions, &mut delta);
        let is_changed = !(delta.sites.is_empty()
            && delta.sites_gone.is_empty()
            && delta.networks.is_empty()
            && delta.networks_gone.is_empty()
            && delta.routes.is_empty()
            && delta.routes_gone.is_empty());
        let mut items = Vec::new();
        if is_changed || input.accepts_loss() {
            self.version = input.tick.number;
            items.extend(Snapshot { base, ..self.finish(delta) }.into_items());
            self.delta_bytes += items_bytes(&items)?;
        }
        if due.full_table || input.accepts_loss() || self.delta_bytes > self.full_bytes {
            let mut full = blank(SnapshotKind::Full);
            self.table.fill(&mut full);
            let full = self.finish(full).into_items();
            self.full_bytes = items_bytes(&full)?;
            self.delta_bytes = 0;
            items.extend(full);
        } else if due.heartbeat && !is_changed {
            items.extend(self.finish(blank(SnapshotKind::Heartbeat)).into_items());
        }
        Ok(items)
    }

    fn finish(&self, snapshot: Snapshot) -> Snapshot {
        Snapshot {
            version: self.version,
            base: self.version,
            digest: format_digest(self.table.digest),
            revision: self.table.revision(),
            ..snapshot
        }
    }
}

/// A snapshot without entries; version, digest and revision are set by [`Publisher::finish`].
fn blank(kind: SnapshotKind, at_us: TimeMicros, installation: &str) -> Snapshot {
    Snapshot::from(SnapshotHead {
        kind,
        version: 0,
        base: 0,
        at_us,
        digest: String::new(),
        revision: 0,
        installation: installation.to_owned(),
    })
}
