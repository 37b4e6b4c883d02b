//! One process of the dataflow of a running system. Process 0 ticks and derives; if there are several processes, the others
//! derive on its ticks.
//!
//! If one of several processes ends, all end, because every later tick would lack the records that it owns. They are started
//! again, and continue from the newest checkpoint of which every process has written its part.

use std::panic::PanicHookInfo;
use std::time::{Duration, Instant};

use spillway_dataflow::Config;
use spillway_eventlog::{Connector, EventLog, LogError};
use spillway_events::{TimeMicros, topics};
use tokio_util::sync::CancellationToken;

use crate::clock::ClockStatus;
use crate::peers::{self, Peers};
use crate::ticker::Ticker;
use crate::{Checkpoint, FrameWriter, LogTicks, RuntimeError, Step};

/// How often a thread that waits for another one checks whether it is done.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long one call waits for ticks.
const WAIT_TIMEOUT: Duration = Duration::from_millis(200);
/// How long a cancelled dataflow goes on deriving the ticks that were cut.
const DERIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a cancelled process goes on reading ticks of process 0, which is cancelled at the same time and has cut its last
/// tick by then.
const PEER_LINGER: Duration = Duration::from_secs(2);
/// How long process 0 stays connected after its own part is done, so that the others can finish theirs.
const FIRST_LINGER: Duration = Duration::from_secs(3);
const _: () = assert!(PEER_LINGER.as_secs() < FIRST_LINGER.as_secs());
const CHECKPOINT_PERIOD_US: i64 = 60_000_000;

/// The settings of the dataflow of a running system of one process.
#[must_use]
pub fn config(workers: usize) -> Config {
    Config { checkpoint_period_us: Some(CHECKPOINT_PERIOD_US), ..crate::config(workers) }
}

/// One process of the dataflow of a running system.
#[derive(Clone)]
pub struct Process {
    /// Where the log is.
    pub connector: Connector,
    /// The settings; the number of output partitions is read from the log.
    pub config: Config,
    /// The address at which each process listens for the others; empty if there is one process.
    pub hosts: Vec<String>,
    /// How long to wait without a tick before this process takes over.
    pub takeover_timeout: Duration,
    /// The wall clock.
    pub now: fn() -> TimeMicros,
    /// Shows how far the wall clock is from that of the ticks.
    pub clock_status: ClockStatus,
}

impl Process {
    /// Ticks and derives until cancelled.
    ///
    /// # Errors
    /// If the log fails, another process takes over, a peer ends, or the dataflow ends early.
    pub fn run(&self, cancel: &CancellationToken) -> Result<(), RuntimeError> {
        if self.config.processes > 1 {
            exit_when_a_peer_ends(cancel.clone());
        }
        if self.config.process == 0 { self.tick_and_derive(cancel) } else { self.derive_with_peers(cancel) }
    }

    /// Wins the right to tick, then ticks and derives until cancelled. Ticks that were cut are derived before it ends.
    fn tick_and_derive(&self, cancel: &CancellationToken) -> Result<(), RuntimeError> {
        let ticking_log = self.connector.connect(cancel)?;
        let abandon = CancellationToken::new();
        let log = self.connector.connect(&abandon)?;
        let config = with_output_partitions(ticking_log.as_ref(), self.config)?;
        // A process that ticks keeps others from ticking, so it must be able to derive first.
        let Some(peers) = peers::connect(&self.hosts, config, cancel)? else { return Ok(()) };
        let (has_inboxes, status) = (self.connector.has_inboxes(), self.clock_status.clone());
        let mut ticker = Ticker::new(ticking_log.as_ref(), has_inboxes, self.now, status)?;
        let check = || peers::check_alive(&peers);
        let Some(won) = ticker.take_over(self.takeover_timeout, cancel, check)? else { return Ok(()) };
        tracing::info!(tick = won.number, "this process ticks");
        let no_more_ticks = CancellationToken::new();
        std::thread::scope(|scope| {
            let deriving = scope.spawn(|| {
                let _cancel_when_done = cancel.clone().drop_guard();
                let checkpoint = load_newest(log.as_ref(), &peers)?;
                derive(log.as_ref(), config, peers, checkpoint, &no_more_ticks)
            });
            let ticked = ticker.tick(won, cancel);
            // The deriving thread must not wait for ticks after an error either.
            cancel.cancel();
            no_more_ticks.cancel();
            let derived = join_or_abandon(deriving, config, &abandon);
            if config.processes > 1 && derived.as_ref().err().is_none_or(RuntimeError::is_cancelled) {
                std::thread::sleep(FIRST_LINGER);
            }
            // The thread that failed first has the cause; the other one was only cancelled.
            if ticked.as_ref().is_err_and(RuntimeError::is_cancelled) {
                derived.and(ticked)
            } else {
                ticked.and(derived)
            }
        })
    }

    /// Derives on the ticks of process 0.
    fn derive_with_peers(&self, cancel: &CancellationToken) -> Result<(), RuntimeError> {
        let abandon = CancellationToken::new();
        let log = self.connector.connect(&abandon)?;
        let config = with_output_partitions(self.connector.connect(cancel)?.as_ref(), self.config)?;
        let Some(peers) = peers::connect(&self.hosts, config, cancel)? else { return Ok(()) };
        let Some(start) = peers::receive_start(&peers, cancel)? else { return Ok(()) };
        let no_more_ticks = CancellationToken::new();
        std::thread::scope(|scope| {
            let deriving = scope.spawn(|| {
                let _cancel_when_done = cancel.clone().drop_guard();
                let checkpoint = start.map(|tick| Checkpoint::of_tick(log.as_ref(), tick)).transpose()?;
                derive(log.as_ref(), config, peers, checkpoint, &no_more_ticks)
            });
            while !cancel.is_cancelled() {
                std::thread::sleep(POLL_INTERVAL);
            }
            let cancelled_at = Instant::now();
            while !deriving.is_finished() && cancelled_at.elapsed() < PEER_LINGER {
                std::thread::sleep(POLL_INTERVAL);
            }
            no_more_ticks.cancel();
            join_or_abandon(deriving, config, &abandon)
        })
    }
}

fn with_output_partitions(log: &dyn EventLog, config: Config) -> Result<Config, LogError> {
    Ok(Config { output_partitions: log.partitions(topics::DECISIONS)?, ..config })
}

fn join_or_abandon(
    deriving: std::thread::ScopedJoinHandle<'_, Result<(), RuntimeError>>,
    config: Config,
    abandon: &CancellationToken,
) -> Result<(), RuntimeError> {
    let since = Instant::now();
    while !deriving.is_finished() {
        if since.elapsed() >= DERIVE_TIMEOUT {
            abandon.cancel();
        }
        if config.processes > 1 && since.elapsed() >= 3 * DERIVE_TIMEOUT {
            // The dataflow waits for processes that have stopped, and nothing can end that wait.
            tracing::error!(
                "other processes of the dataflow do not answer; the last ticks are derived after the next start"
            );
            std::process::exit(2);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    deriving.join().unwrap_or_else(|_| Err(RuntimeError::Panicked(String::from("the deriving thread"))))
}

/// Loads the newest checkpoint, and tells the peers its tick.
pub(crate) fn load_newest(log: &dyn EventLog, peers: &Peers) -> Result<Option<Checkpoint>, RuntimeError> {
    let newest = Checkpoint::newest(log)?;
    peers::send_start(peers, newest.as_ref().map(|newest| newest.restored.tick()))?;
    Ok(newest)
}

/// Runs the dataflow on the ticks of the log until cancelled, from a checkpoint on.
pub(crate) fn derive(
    log: &dyn EventLog,
    config: Config,
    peers: Peers,
    checkpoint: Option<Checkpoint>,
    cancel: &CancellationToken,
) -> Result<(), RuntimeError> {
    let loaded = checkpoint.as_ref().map(|checkpoint| checkpoint.restored.tick());
    if !peers::all_have_loaded(&peers, config, loaded, cancel)? {
        return Ok(());
    }
    if let Some(checkpoint) = &checkpoint {
        tracing::info!("continuing from the checkpoint of tick {}", checkpoint.restored.tick());
    }
    let mut writer = FrameWriter::new(log, config);
    let ticks = LogTicks::new(log, config, checkpoint.as_ref())?.following(cancel, WAIT_TIMEOUT);
    let restored = checkpoint.map(|checkpoint| checkpoint.restored);
    crate::run(config, restored, peers, ticks, |step| {
        let written = match step {
            Step::Output(output) => writer.take(output),
            // Decisions must go out at once, but those that come together go out together.
            Step::Idle => writer.flush(),
            Step::Ended => {
                cancel.cancel();
                Ok(())
            }
        };
        if written.is_err() {
            // Nothing may be written after a gap, so no more ticks are read.
            cancel.cancel();
        }
        written
    })
}

/// Exits when the connection to another process of the dataflow breaks: the thread that serves the connection panics then.
fn exit_when_a_peer_ends(cancel: CancellationToken) {
    let otherwise = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        if name.starts_with("timely:") && cancel.is_cancelled() {
            // This process is ending already, for a reason of its own.
            return;
        }
        let peer = name.strip_prefix("timely:recv-").or_else(|| name.strip_prefix("timely:send-"));
        let Some(peer) = peer else { return otherwise(panic) };
        tracing::error!(
            "the connection to process {peer} of the dataflow broke; no process goes on without the others: start all again"
        );
        std::process::exit(2);
    }));
}
