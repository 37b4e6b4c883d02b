//! The writer thread: it commits all queued jobs together and then answers their callers.

use std::sync::atomic::Ordering;

use super::Shared;
use super::commit::commit;
use super::queue::{Done, Job};
use super::store::guarded;
use crate::LogError;

/// Runs until the queue is closed. After a failed commit it refuses all jobs, because the state of the file is unknown.
pub(super) fn run(shared: &Shared) {
    while let Some(jobs) = shared.queue.take_all() {
        let (work, replies): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|Job { work, reply }| (work, reply)).unzip();
        if shared.stopped.get().is_none() {
            let committed = guarded(|| commit(&shared.store, &shared.topics, work));
            match committed.unwrap_or_else(Err) {
                Ok(answers) => {
                    shared.commits.fetch_add(1, Ordering::Relaxed);
                    for (reply, answer) in replies.iter().zip(answers) {
                        // The caller may have stopped waiting.
                        let _ = reply.send(answer);
                    }
                    continue;
                }
                Err(reason) => stop(shared, &reason),
            }
        }
        for reply in replies {
            let refused: Result<Done, LogError> = Err(shared.stop_error());
            let _ = reply.send(refused);
        }
    }
}

fn stop(shared: &Shared, reason: &str) {
    let reason = format!("writing {} failed: {reason}", shared.store.file().display());
    // Only this thread sets it.
    let _ = shared.stopped.set(reason);
    for topic in shared.topics.all() {
        topic.wake_all();
    }
}
