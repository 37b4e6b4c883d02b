//! The dataflow of a running system: one process, which ticks and derives, or several of which the first ticks.
//!
//! When one of several ends, all do: what a process has not read is missing from every tick that follows. They are started
//! again and go on from the newest checkpoint that all of them have written.

use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use spillway_dataflow::Config;
use spillway_eventlog::EventLog;
use spillway_events::topics;

use super::peers::{self, Peers};
use super::ticker::Ticker;
use super::{POLL_INTERVAL, WAIT, is_stop};
use crate::engine::checkpoint::Checkpoint;
use crate::engine::ticks::{Gone, LogTicks};
use crate::engine::writer::FrameWriter;
use crate::engine::{self, Step};
use crate::settings::Connector;

/// How long a dataflow that was told to stop goes on to derive what was ticked.
const DERIVE_REST_MAX: Duration = Duration::from_secs(5);
/// How long a process that was told to stop reads on what the first one ticks: that one, told at the same time, has ticked
/// its last by then.
const PEERS_REST: Duration = Duration::from_secs(2);
/// How long the first one stays connected after its own part is done, so that the others finish theirs.
const FIRST_REST: Duration = Duration::from_secs(3);
const _: () = assert!(PEERS_REST.as_secs() < FIRST_REST.as_secs());
const CHECKPOINT_PERIOD_US: i64 = 60_000_000;

/// What the dataflow of a running system is set to.
pub(crate) fn config(workers: usize) -> Config {
    Config { checkpoint_period_us: Some(CHECKPOINT_PERIOD_US), ..engine::config(workers) }
}

/// Runs this process of a dataflow until told to stop. `silence` is how long nobody may have ticked before it does.
pub(crate) fn run(
    connector: &Connector,
    config: Config,
    hosts: &[String],
    silence: Duration,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<()> {
    if config.processes > 1 {
        end_when_a_peer_ends(Arc::clone(stop));
    }
    if config.process == 0 {
        tick_and_derive(connector, config, hosts, silence, stop)
    } else {
        derive_with_others(connector, config, hosts, stop)
    }
}

/// Gets the right to tick, then ticks and derives until told to stop; what was ticked is derived before it ends.
fn tick_and_derive(
    connector: &Connector,
    config: Config,
    hosts: &[String],
    silence: Duration,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let ticking_log = connector.connect(stop)?;
    let give_up = Arc::new(AtomicBool::new(false));
    let log = connector.connect(&give_up)?;
    let config = with_outputs(ticking_log.as_ref(), config)?;
    // Who ticks keeps others from doing so: not before it can derive.
    let Some(peers) = peers::connect(hosts, config, stop)? else { return Ok(()) };
    let mut ticker = Ticker::new(ticking_log.as_ref(), connector.has_inboxes())?;
    let taken_over = ticker.take_over(silence, stop, || peers::check_alive(&peers))?;
    let Some(won) = taken_over else { return Ok(()) };
    if !silence.is_zero() {
        eprintln!("ticking from {} on", won.number);
    }
    let no_more_ticks = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let deriving = scope.spawn(|| {
            let derived = load_newest(log.as_ref(), &peers)
                .and_then(|checkpoint| derive(log.as_ref(), config, peers, checkpoint, &no_more_ticks));
            stop.store(true, Ordering::Release);
            derived
        });
        let ticked = ticker.tick(won, stop);
        no_more_ticks.store(true, Ordering::Release);
        let derived = join_or_give_up(deriving, config, &give_up);
        if config.processes > 1 && derived.as_ref().err().is_none_or(is_stop) {
            std::thread::sleep(FIRST_REST);
        }
        // The one that failed first has the reason; the other was only told to stop.
        if ticked.as_ref().is_err_and(is_stop) { derived.and(ticked) } else { ticked.and(derived) }
    })
}

/// Derives on the ticks of the first process.
fn derive_with_others(
    connector: &Connector,
    config: Config,
    hosts: &[String],
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let give_up = Arc::new(AtomicBool::new(false));
    let log = connector.connect(&give_up)?;
    let config = with_outputs(connector.connect(stop)?.as_ref(), config)?;
    let Some(peers) = peers::connect(hosts, config, stop)? else { return Ok(()) };
    let Some(start) = peers::ask_start(&peers, stop)? else { return Ok(()) };
    let no_more_ticks = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let deriving = scope.spawn(|| {
            let checkpoint = start.map(|tick| Checkpoint::of_tick(log.as_ref(), tick)).transpose();
            let derived = checkpoint
                .and_then(|checkpoint| derive(log.as_ref(), config, peers, checkpoint, &no_more_ticks));
            stop.store(true, Ordering::Release);
            derived
        });
        while !stop.load(Ordering::Acquire) {
            std::thread::sleep(POLL_INTERVAL);
        }
        let since = Instant::now();
        while !deriving.is_finished() && since.elapsed() < PEERS_REST {
            std::thread::sleep(POLL_INTERVAL);
        }
        no_more_ticks.store(true, Ordering::Release);
        join_or_give_up(deriving, config, &give_up)
    })
}

fn with_outputs(log: &dyn EventLog, config: Config) -> anyhow::Result<Config> {
    Ok(Config { output_partitions: log.partitions(topics::DECISIONS)?, ..config })
}

fn join_or_give_up(
    deriving: std::thread::ScopedJoinHandle<'_, anyhow::Result<()>>,
    config: Config,
    give_up: &AtomicBool,
) -> anyhow::Result<()> {
    let since = Instant::now();
    while !deriving.is_finished() {
        if since.elapsed() >= DERIVE_REST_MAX {
            give_up.store(true, Ordering::Release);
        }
        if config.processes > 1 && since.elapsed() >= 3 * DERIVE_REST_MAX {
            // It waits for processes that do not go on, and no call of its own would end it.
            eprintln!(
                "error: dataflow: other processes do not go on; what was ticked is derived after the next start"
            );
            std::process::exit(2);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    deriving.join().unwrap_or_else(|_| bail!("the dataflow died"))
}

/// Loads the newest checkpoint, and tells the others which that is.
pub(crate) fn load_newest(log: &dyn EventLog, peers: &Peers) -> anyhow::Result<Option<Checkpoint>> {
    let newest = Checkpoint::newest(log)?;
    peers::tell_start(peers, newest.as_ref().map(|newest| newest.restored.tick()))?;
    Ok(newest)
}

/// Runs the dataflow on the log's ticks until told to stop, from a checkpoint on.
pub(crate) fn derive(
    log: &dyn EventLog,
    config: Config,
    peers: Peers,
    checkpoint: Option<Checkpoint>,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let loaded = checkpoint.as_ref().map(|checkpoint| checkpoint.restored.tick());
    if !peers::all_have_loaded(&peers, config, loaded, stop)? {
        return Ok(());
    }
    if let Some(checkpoint) = &checkpoint {
        eprintln!("going on from the checkpoint of tick {}", checkpoint.restored.tick());
    }
    let mut writer = FrameWriter::new(log, config);
    let ticks = LogTicks::new(log, config, checkpoint.as_ref())?.following(stop, WAIT);
    let restored = checkpoint.map(|checkpoint| checkpoint.restored);
    let outcome = engine::run(config, restored, peers, ticks, |step| {
        let written = match step {
            Step::Output(output) => writer.take(output),
            // What a tick decided is wanted now, but what comes at once goes out at once.
            Step::Idle => writer.flush(),
        };
        if written.is_err() {
            // Nothing may be written behind what is missing: no more ticks are read.
            stop.store(true, Ordering::Release);
        }
        written
    });
    outcome.map_err(|error| match error.downcast_ref::<Gone>().map(Gone::command) {
        Some(command) => anyhow!(
            "{error:#}; restore them, or go on without them, what they measured being unknown: {command}"
        ),
        None => error,
    })
}

/// Ends the process once the connection to another one of its dataflow breaks, which the thread that serves it tells by a
/// panic.
fn end_when_a_peer_ends(stop: Arc<AtomicBool>) {
    let otherwise = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        if name.starts_with("timely:") && stop.load(Ordering::Acquire) {
            // This one is ending, for a reason of its own.
            return;
        }
        let peer = name.strip_prefix("timely:recv-").or_else(|| name.strip_prefix("timely:send-"));
        let Some(peer) = peer else { return otherwise(panic) };
        eprintln!(
            "error: dataflow: the connection to process {peer} broke, and none goes on without the others: start all again"
        );
        std::process::exit(2);
    }));
}
