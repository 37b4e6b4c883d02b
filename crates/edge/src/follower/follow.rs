//! Follows the snapshots of a log, and saves the table that they make.

use std::panic::resume_unwind;
use std::path::Path;
use std::time::Duration;

use spillway_eventlog::{EventLog, FrameReader, ReadError};
use spillway_events::{Snapshot, SnapshotItem, SnapshotKind, topics};
use spillway_routing::table::{Table, TableError, format_digest};
use tokio_util::sync::CancellationToken;

use super::Follower;
use super::adopt::{
    REQUEST_INTERVAL, Waits, adopt, cancel_when_requested, check_interval, is_adoption_requested,
};
use super::last_full::first_offset;
use super::save::Saver;
use super::status::Ignored;

/// How long one call waits for snapshots.
const WAIT_TIMEOUT: Duration = Duration::from_millis(200);

/// Follows snapshots until cancelled, and saves the table in a thread of its own.
///
/// A record that does not decode and a snapshot that is refused are counted, logged and skipped. The log of another
/// installation, or one that is older than the table, is ignored: the node keeps its table, and
/// [`Status::ignored`](super::Status::ignored) gives the reason. If a table cannot be saved, that is logged, and saving is
/// retried every second.
///
/// After an operator's [`request_adoption`](super::request_adoption), the log's table replaces the node's in any case.
///
/// # Errors
/// If the log itself fails, or has lost its end.
pub fn follow(
    log: &dyn EventLog,
    follower: &mut Follower,
    file: &Path,
    cancel: &CancellationToken,
) -> Result<(), ReadError> {
    let mut interval = REQUEST_INTERVAL;
    loop {
        let seen_to = log.end(topics::SNAPSHOTS, 0)?;
        let waits = if is_adoption_requested(file) { adopt(log, follower, file)? } else { None };
        let check = check_interval(waits, interval);
        interval = check.unwrap_or(REQUEST_INTERVAL);
        let pass = cancel.child_token();
        follow_until(log, follower, &Watch { file, check, waits, seen_to }, &pass)?;
        // If only the pass is cancelled, there is a request.
        if cancel.is_cancelled() || !pass.is_cancelled() {
            return Ok(());
        }
    }
}

/// When a pass ends because of a request to adopt the log's table.
struct Watch<'a> {
    /// The file of the table.
    file: &'a Path,
    /// How often to check for a request; only snapshots end the pass if absent.
    check: Option<Duration>,
    /// What a request waits for that could not be met.
    waits: Option<Waits>,
    /// The end of the snapshots when that was found.
    seen_to: u64,
}

/// Follows and saves until cancelled; cancels itself if there is a request to adopt the log's table that may be met.
fn follow_until(
    log: &dyn EventLog,
    follower: &mut Follower,
    request: &Watch<'_>,
    pass: &CancellationToken,
) -> Result<(), ReadError> {
    let file = request.file;
    let (saver, status) = (Saver::new(follower.on_disk), follower.status());
    let on_disk = follower.on_disk.take();
    let watch = CancellationToken::new();
    std::thread::scope(|scope| {
        let saving = scope.spawn(|| saver.run(file, on_disk, &status));
        if let Some(interval) = request.check {
            let watch = &watch;
            scope.spawn(move || cancel_when_requested(file, interval, pass, watch));
        }
        let followed = follow_and_hand_over(log, follower, &saver, request, pass);
        watch.cancel();
        saver.finish();
        follower.on_disk = saving.join().unwrap_or_else(|panic| resume_unwind(panic));
        followed
    })
}

fn follow_and_hand_over(
    log: &dyn EventLog,
    follower: &mut Follower,
    saver: &Saver,
    request: &Watch<'_>,
    cancel: &CancellationToken,
) -> Result<(), ReadError> {
    let status = follower.status();
    let from = first_offset(log)?;
    let published = log.end(topics::SNAPSHOTS, 0)?;
    let mut frames =
        FrameReader::<SnapshotItem>::new(log, topics::SNAPSHOTS, 0, from).following(cancel, WAIT_TIMEOUT);
    let mut adoption = Adoption { follower, saver, is_settled: false, is_new: false };
    while let Some(frame) = frames.next() {
        let items = match frame {
            Ok((_, items)) => {
                adoption.is_new = frames.offset() >= published;
                items
            }
            Err(error @ ReadError::Record { .. }) => {
                status.undecodable_record(&error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let is_used = match Snapshot::from_items(items) {
            Ok(snapshots) => {
                if request.is_met_by(frames.offset(), &snapshots) {
                    cancel.cancel();
                }
                // All are offered: if a delta is refused, the full table after it may be accepted.
                let refused = snapshots.iter().filter(|snapshot| !adoption.take(snapshot)).count();
                refused == 0
            }
            Err(error) => {
                status.undecodable_record(&error);
                false
            }
        };
        if !is_used {
            frames.reject();
        }
    }
    Ok(())
}

impl Watch<'_> {
    /// Whether a request that waits may be met after a frame that ends at an offset.
    fn is_met_by(&self, offset: u64, snapshots: &[Snapshot]) -> bool {
        let Some(waits) = self.waits.filter(|_| offset >= self.seen_to) else { return false };
        snapshots.iter().any(|snapshot| waits.may_end_with(snapshot))
    }
}

/// Builds tables from snapshots.
struct Adoption<'a> {
    follower: &'a mut Follower,
    saver: &'a Saver,
    /// Whether the table is the log's. Before that, the node may not have the table on which the first snapshots build.
    is_settled: bool,
    /// Whether the snapshot was published after this node began to follow.
    is_new: bool,
}

impl Adoption<'_> {
    /// Offers one snapshot, if it is new. Returns false if the table refuses it.
    fn take(&mut self, snapshot: &Snapshot) -> bool {
        let (table, status) = (self.follower.current(), self.follower.status());
        if !self.is_new(table.as_deref(), snapshot) {
            return true;
        }
        match self.follower.offer(snapshot) {
            Ok(_) => {}
            Err(error @ TableError::Installation { .. }) => {
                status.ignored_log(Ignored::OtherInstallation, &error);
                return true;
            }
            Err(error) => {
                status.refused_snapshot(snapshot.version, &error);
                return false;
            }
        }
        self.is_settled = true;
        status.followed_log();
        let version = table.map(|table| table.version());
        if let Some(table) = self.follower.current().filter(|table| Some(table.version()) != version) {
            let delta = Some(snapshot).filter(|snapshot| snapshot.kind == SnapshotKind::Delta);
            self.saver.table_changed(table, delta);
        }
        true
    }

    fn is_new(&mut self, table: Option<&Table>, snapshot: &Snapshot) -> bool {
        let is_delta = snapshot.kind == SnapshotKind::Delta;
        let Some(table) = table else {
            return snapshot.kind == SnapshotKind::Full || (is_delta && snapshot.base == 0);
        };
        if snapshot.installation != table.installation() {
            return true;
        }
        if snapshot.version < table.version() {
            // The first snapshots that are read may be older than the table from disk, even if their time is later: the
            // clock of the ticks may have been reset since. A snapshot that was published after this node started shows that
            // the log lacks the snapshots of the table.
            if self.is_new && snapshot.at_us > table.heard_at() {
                let (offered, current) = (snapshot.version, table.version());
                self.follower.status().ignored_log(Ignored::Older, &TableError::Older { offered, current });
            }
            return false;
        }
        if snapshot.version == table.version() {
            self.is_settled = true;
            let is_same = format_digest(table.digest()) == snapshot.digest;
            return snapshot.kind == SnapshotKind::Heartbeat || !(is_delta || is_same);
        }
        snapshot.kind == SnapshotKind::Full || self.is_settled || snapshot.base == table.version()
    }
}
