//! Connects the processes of one dataflow. Each listens at its host of the list and connects to those before it. Both
//! sides say what they are, as a line of JSON, and must agree. Who is connected to all others tells process 0. That one
//! tells all from which checkpoint they go on, once it has the right to tick; from there on the connections are the
//! dataflow's.
//!
//! ```text
//!  process 1 ── {"program":…,"process":1,…} ──► process 0
//!            ◄─ {"program":…,"process":0,…} ──
//!            ── {"connected":2} ──────────────►   to all others
//!            ◄─ {"checkpoint":4711} ──────────    once all have said so
//!            ── {"loaded":4711} ──────────────►
//!            ◄─ {"loaded":4711} ──────────────    once all have said so: nobody is sent to who does not read yet
//! ```

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use socket2::{SockRef, TcpKeepalive};
use spillway_dataflow::{Config, RULES_VERSION};

/// How long the other side of a new connection may take to say what it is.
const HELLO_WAIT: Duration = Duration::from_secs(5);
const CONNECT_WAIT: Duration = Duration::from_secs(1);
/// How often it is looked who is there.
const LOOK: Duration = Duration::from_millis(50);
/// How often it is said who is missing.
const SAY: Duration = Duration::from_secs(10);
const LINE_BYTES_MAX: usize = 1_024;
/// A machine that is gone without a word is noticed by what it does not acknowledge, or by three probes. One that lives
/// always reads: its threads take what comes, whatever the dataflow does.
const SILENCE_MAX: Duration = Duration::from_secs(11);
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(5))
    .with_interval(Duration::from_secs(2))
    .with_retries(3);

/// Connections to the other processes, by their number; nothing in the place of this one.
pub(crate) type Peers = Vec<Option<TcpStream>>;

/// What a process is, and is set to.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hello {
    /// CRC-32 of the executable: processes exchange messages of its types.
    program: u32,
    process: usize,
    processes: usize,
    workers: usize,
    output_partitions: u32,
    rules: u32,
}

/// To how many others a process is connected: all of them.
#[derive(Debug, Serialize, Deserialize)]
struct Ready {
    connected: usize,
}

/// From which checkpoint a process is ready to go on.
#[derive(Debug, Serialize, Deserialize)]
struct Loaded {
    loaded: Option<u64>,
}

/// From where all go on.
#[derive(Debug, Serialize, Deserialize)]
struct Start {
    /// The tick of the checkpoint; from the first tick on without.
    checkpoint: Option<u64>,
}

/// Waits until this process is connected to all others, and the first one until all are to each other; nothing when told to
/// stop before. A dataflow of one process has no peers.
///
/// # Errors
/// When this process cannot listen, differs from another one, or another one ends.
pub(crate) fn connect(hosts: &[String], config: Config, stop: &AtomicBool) -> anyhow::Result<Option<Peers>> {
    let mut peers: Peers = (0..config.processes).map(|_| None).collect();
    if config.processes == 1 {
        return Ok(Some(peers));
    }
    let host = hosts.get(config.process).context("this process is not among the hosts")?;
    let listener =
        TcpListener::bind(host).with_context(|| format!("the dataflow cannot listen on {host}"))?;
    listener.set_nonblocking(true)?;
    let ours = Hello {
        program: program()?,
        process: config.process,
        processes: config.processes,
        workers: config.workers,
        output_partitions: config.output_partitions,
        rules: RULES_VERSION,
    };
    let mut said_at = Instant::now();
    while !stop.load(Ordering::Acquire) {
        for (number, host) in hosts.iter().enumerate().take(config.process) {
            if peers[number].is_none() {
                peers[number] = reach(host, number, &ours)?;
            }
        }
        while let Ok((stream, from)) = listener.accept() {
            match answer(stream, &ours) {
                Ok((number, stream)) => peers[number] = Some(stream),
                Err(error) => eprintln!("dataflow: a connection from {from} is refused: {error:#}"),
            }
        }
        // One that has ended in the meantime comes again.
        for peer in &mut peers {
            if peer.as_ref().is_some_and(has_ended) {
                *peer = None;
            }
        }
        let missing: Vec<String> = (0..config.processes)
            .filter(|number| *number != config.process && peers[*number].is_none())
            .map(|number| format!("{number} at {}", hosts[number]))
            .collect();
        if missing.is_empty() {
            return Ok(all_are_connected(&peers, config, stop)?.then_some(peers));
        }
        if said_at.elapsed() >= SAY {
            eprintln!("dataflow: waiting for process {}", missing.join(", "));
            said_at = Instant::now();
        }
        std::thread::sleep(LOOK);
    }
    Ok(None)
}

/// Tells the first process, or hears from all others, that they are connected to all; false when told to stop before.
fn all_are_connected(peers: &Peers, config: Config, stop: &AtomicBool) -> anyhow::Result<bool> {
    if config.process > 0 {
        let first = peers.first().and_then(Option::as_ref).context("no connection to process 0")?;
        write_line(first, &Ready { connected: config.processes - 1 })?;
        return Ok(true);
    }
    for peer in peers.iter().flatten() {
        let Some(ready) = hear::<Ready>(peer, peers, stop)? else { return Ok(false) };
        ensure!(
            ready.connected == config.processes - 1,
            "a process is connected to {} others",
            ready.connected
        );
    }
    eprintln!("dataflow: all processes are connected");
    Ok(true)
}

/// An error once another process has ended: what it has does not come back without all being started again.
pub(crate) fn check_alive(peers: &Peers) -> anyhow::Result<()> {
    let ended = peers.iter().position(|peer| peer.as_ref().is_some_and(has_ended));
    ended.map_or(Ok(()), |number| bail!("process {number} has ended, and none goes on without the others"))
}

/// The first process tells the others from which checkpoint all go on.
pub(crate) fn tell_start(peers: &Peers, checkpoint: Option<u64>) -> anyhow::Result<()> {
    peers.iter().flatten().try_for_each(|peer| write_line(peer, &Start { checkpoint }))
}

/// What the first process tells; nothing when told to stop before.
pub(crate) fn ask_start(peers: &Peers, stop: &AtomicBool) -> anyhow::Result<Option<Option<u64>>> {
    let first = peers.first().and_then(Option::as_ref).context("no connection to process 0")?;
    Ok(hear::<Start>(first, peers, stop)?.map(|start| start.checkpoint))
}

/// A line from a peer, while all live; nothing when told to stop before.
fn hear<T: DeserializeOwned>(
    peer: &TcpStream,
    peers: &Peers,
    stop: &AtomicBool,
) -> anyhow::Result<Option<T>> {
    let mut line = Vec::new();
    while !stop.load(Ordering::Acquire) {
        check_alive(peers)?;
        if let Some(said) = read_line(peer, &mut line, Instant::now() + LOOK)? {
            return Ok(Some(said));
        }
        std::thread::sleep(LOOK);
    }
    Ok(None)
}

/// What this program is.
fn program() -> anyhow::Result<u32> {
    let mut file = std::env::current_exe().and_then(std::fs::File::open).context("this executable")?;
    let (mut crc, mut bytes) = (crc32fast::Hasher::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(crc.finalize()),
            read => crc.update(&bytes[..read]),
        }
    }
}

/// Waits until all processes have loaded what they go on from; false when told to stop before.
pub(crate) fn all_have_loaded(
    peers: &Peers,
    config: Config,
    loaded: Option<u64>,
    stop: &AtomicBool,
) -> anyhow::Result<bool> {
    let Some(first) = peers.iter().flatten().next() else { return Ok(true) };
    if config.process > 0 {
        write_line(first, &Loaded { loaded })?;
        return Ok(hear::<Loaded>(first, peers, stop)?.is_some());
    }
    for peer in peers.iter().flatten() {
        let Some(theirs) = hear::<Loaded>(peer, peers, stop)? else { return Ok(false) };
        ensure!(theirs.loaded == loaded, "a process has loaded {:?}, not {loaded:?}", theirs.loaded);
    }
    peers.iter().flatten().try_for_each(|peer| write_line(peer, &Loaded { loaded }))?;
    Ok(true)
}

/// A connection to a process before this one; nothing while it does not listen, or has just ended.
fn reach(host: &str, number: usize, ours: &Hello) -> anyhow::Result<Option<TcpStream>> {
    let addresses = host.to_socket_addrs().with_context(|| format!("the dataflow's host {host}"))?;
    let connect = |address| TcpStream::connect_timeout(&address, CONNECT_WAIT).ok();
    let Some(stream) = addresses.into_iter().find_map(connect) else { return Ok(None) };
    if write_line(&stream, ours).is_err() {
        return Ok(None);
    }
    let theirs = match read_hello(&stream) {
        Ok(theirs) => theirs,
        Err(error) if error.is::<serde_json::Error>() => {
            return Err(
                error.context(format!("at {host} is no process of this dataflow, or of another release"))
            );
        }
        Err(_) => return Ok(None),
    };
    check(&theirs, ours)?;
    ensure!(theirs.process == number, "at {host} is process {}, not {number}", theirs.process);
    Ok(Some(ready(stream)?))
}

/// Who has connected to this process.
fn answer(stream: TcpStream, ours: &Hello) -> anyhow::Result<(usize, TcpStream)> {
    stream.set_nonblocking(false)?;
    // It finds out itself what differs.
    write_line(&stream, ours)?;
    let theirs = read_hello(&stream)?;
    check(&theirs, ours)?;
    ensure!(
        (ours.process + 1..ours.processes).contains(&theirs.process),
        "it says that it is process {}",
        theirs.process
    );
    Ok((theirs.process, ready(stream)?))
}

fn check(theirs: &Hello, ours: &Hello) -> anyhow::Result<()> {
    ensure!(
        *theirs == Hello { process: theirs.process, ..*ours },
        "processes of one dataflow are of the same program and set alike, but process {} is {theirs:?} and this one {ours:?}",
        theirs.process
    );
    Ok(())
}

fn ready(stream: TcpStream) -> anyhow::Result<TcpStream> {
    stream.set_read_timeout(None)?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE)?;
    // Probes are sent only while nothing waits to be acknowledged.
    SockRef::from(&stream).set_tcp_user_timeout(Some(SILENCE_MAX))?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Whether the other side has closed; what it has sent waits.
fn has_ended(stream: &TcpStream) -> bool {
    match stream.peek(&mut [0]) {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

fn read_hello(stream: &TcpStream) -> anyhow::Result<Hello> {
    stream.set_read_timeout(Some(HELLO_WAIT))?;
    let until = Instant::now() + HELLO_WAIT;
    read_line(stream, &mut Vec::new(), until)?.context("it does not say what it is")
}

fn write_line(mut stream: &TcpStream, line: &impl Serialize) -> anyhow::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(stream.write_all(&bytes)?)
}

/// A line and no byte of what follows it; nothing when it does not come in time. `line` holds what has come.
fn read_line<T: DeserializeOwned>(
    mut stream: &TcpStream,
    line: &mut Vec<u8>,
    until: Instant,
) -> anyhow::Result<Option<T>> {
    let mut byte = [0];
    while line.len() < LINE_BYTES_MAX {
        if Instant::now() >= until {
            return Ok(None);
        }
        match stream.read(&mut byte) {
            Ok(0) => bail!("the connection was closed"),
            Ok(_) if byte[0] == b'\n' => return Ok(Some(serde_json::from_slice(line)?)),
            Ok(_) => line.push(byte[0]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(None);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("a line of more than {LINE_BYTES_MAX} bytes")
}
