//! The writer thread: it commits all queued jobs together and then answers their callers.
//!
//! ```text
//!           ┌── commit succeeds ──┐
//!           ▼                     │
//!   ┌──► open ─── commit fails ───┴──► closed ── opening fails ──► closed, tried again every second
//!   │                                    │
//!   └──────── opened and verified ◄──────┘
//! ```
//!
//! After a failed write or sync nothing is retried on that handle. The file is closed and opened again, and only what is
//! then read from it counts as durable. Since a commit is atomic, the failed one is found whole or not at all; its
//! callers are answered accordingly, so that sending records again after an error never duplicates them.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use super::Shared;
use super::commit::{Failure, Prepared, commit};
use super::queue::{Done, Job};
use super::store::guarded;
use super::topics::Topics;
use crate::LogError;

/// How often a closed file is opened again.
const REOPEN_INTERVAL: Duration = Duration::from_secs(1);

type Replies = Vec<SyncSender<Result<Done, LogError>>>;

/// Runs until the queue is closed.
pub(super) fn run(shared: &Shared) {
    let mut writer = Writer { shared, is_failing: false };
    while let Some(jobs) = shared.queue.take_all(shared.closed_reason().map(|_| REOPEN_INTERVAL)) {
        let (work, replies): (Vec<_>, Replies) =
            jobs.into_iter().map(|Job { work, reply }| (work, reply)).unzip();
        if shared.closed_reason().is_some() && !writer.reopen() {
            answer_all(&replies, || shared.closed_error());
            continue;
        }
        if replies.is_empty() {
            continue;
        }
        let mut prepared = None;
        let committed = {
            let store = shared.store.read().unwrap_or_else(PoisonError::into_inner);
            match store.as_ref() {
                Some(store) => {
                    guarded(|| commit(store, &shared.topics, work, shared.now_ms(), &mut prepared))
                }
                None => Err("the file is closed".to_owned()),
            }
        };
        match committed.unwrap_or_else(|panic| Err(Failure::of_panic(panic))) {
            Ok(()) => writer.succeed(prepared, &replies),
            Err(failure) => writer.fail(&failure, prepared, &replies),
        }
    }
}

struct Writer<'a> {
    shared: &'a Shared,
    /// Whether the last commit failed.
    is_failing: bool,
}

impl Writer<'_> {
    fn succeed(&mut self, prepared: Option<Prepared>, replies: &Replies) {
        if std::mem::take(&mut self.is_failing) {
            tracing::info!(file = %self.shared.file.display(), "the log is written again");
        }
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        let answers = prepared.map(|prepared| prepared.publish(&self.shared.topics)).unwrap_or_default();
        for (reply, answer) in replies.iter().zip(answers) {
            // The caller may have stopped waiting.
            let _ = reply.send(answer);
        }
    }

    fn fail(&mut self, failure: &Failure, prepared: Option<Prepared>, replies: &Replies) {
        let file = &self.shared.file;
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::error!(file = %file.display(), reason = failure.reason, "cannot write the log: {}", failure.hint);
        }
        self.shared.drop_store();
        if !self.reopen() {
            answer_all(replies, || self.shared.closed_error());
            return;
        }
        match prepared {
            Some(prepared) if prepared.is_durable(&self.shared.topics) => {
                self.succeed(Some(prepared), replies);
            }
            _ => answer_all(replies, || LogError::WriteFailed {
                file: file.clone(),
                reason: failure.reason.clone(),
                hint: failure.hint,
            }),
        }
    }

    /// Opens the file again and takes over what it holds. Returns false if it cannot be opened.
    fn reopen(&mut self) -> bool {
        let opened =
            (self.shared.reopen)().and_then(|store| store.load_topics().map(|topics| (store, topics)));
        match opened {
            Ok((store, topics)) => {
                self.adopt(&topics);
                self.shared.open(store);
                true
            }
            Err(error) => {
                let reason =
                    std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(": ");
                self.shared.close(&reason);
                false
            }
        }
    }

    /// Replaces the spans in memory by those of the file.
    fn adopt(&self, durable: &Topics) {
        for topic in durable.all() {
            let Ok(known) = self.shared.topics.find(&topic.name) else {
                self.shared.topics.add(topic);
                continue;
            };
            for partition in 0..topic.partitions() {
                let (before, after) = (known.span(partition), topic.span(partition));
                if after.end < before.end {
                    tracing::error!(
                        topic = topic.name,
                        partition,
                        end = after.end,
                        acknowledged_end = before.end,
                        "the disk has lost acknowledged records"
                    );
                }
                if after != before {
                    known.publish(partition, after);
                }
            }
        }
    }
}

fn answer_all(replies: &Replies, error: impl Fn() -> LogError) {
    for reply in replies {
        let _ = reply.send(Err(error()));
    }
}
