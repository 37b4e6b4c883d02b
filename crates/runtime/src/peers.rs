//! Connects the processes of one dataflow. Each process listens at its address in the list of hosts and connects to those
//! before it. Both sides send what they are, as a line of JSON, and must agree. A process that is connected to all others
//! tells process 0. Once process 0 has the right to tick, it tells the others from which checkpoint they continue; after
//! that the connections belong to the dataflow.
//!
//! ```text
//!  process 1 ── {"program":…,"process":1,…} ──► process 0
//!            ◄─ {"program":…,"process":0,…} ──
//!            ── {"connected":2} ──────────────►   to all others
//!            ◄─ {"checkpoint":4711} ──────────    once all have said so
//!            ── {"loaded":4711} ──────────────►
//!            ◄─ {"loaded":4711} ──────────────    once all have said so: every process now reads from its connections
//! ```

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use socket2::{SockRef, TcpKeepalive};
use spillway_dataflow::{Config, RULES_VERSION};
use tokio_util::sync::CancellationToken;

/// How long the other side of a new connection may take to send what it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often missing processes are connected to.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How often missing processes are logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
const LINE_BYTES_MAX: usize = 1_024;
/// A machine that vanished without closing its connections is noticed by data that it does not acknowledge, or by three
/// keepalive probes. A live process always reads, whatever the dataflow does.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(11);
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(5))
    .with_interval(Duration::from_secs(2))
    .with_retries(3);

/// Connections to the other processes, by process number; none at this process's own number.
pub(crate) type Peers = Vec<Option<TcpStream>>;

/// Why the processes of a dataflow do not work together.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// This process is not in the list of hosts.
    #[error("process {0} is not in the list of hosts")]
    NotAHost(usize),
    /// This process cannot listen.
    #[error("cannot listen on {host}")]
    Listen {
        /// The address.
        host: String,
        /// Why.
        source: std::io::Error,
    },
    /// The address of another process does not resolve.
    #[error("cannot resolve {host}")]
    Resolve {
        /// The address.
        host: String,
        /// Why.
        source: std::io::Error,
    },
    /// The processes differ.
    #[error(
        "all processes of one dataflow must run the same program with the same settings, but process {process} has {theirs} \
         and this process has {ours}"
    )]
    Different {
        /// The other process.
        process: usize,
        /// What it is.
        theirs: String,
        /// What this process is.
        ours: String,
    },
    /// At an address of the list is something else.
    #[error("at {host} is no process of this dataflow, or one of another release")]
    NotAPeer {
        /// The address.
        host: String,
        /// Why.
        source: serde_json::Error,
    },
    /// At an address of the list is another process than the list says.
    #[error("process {wanted} should be at {host}, but process {found} is there")]
    WrongProcess {
        /// The address.
        host: String,
        /// The number by the list.
        wanted: usize,
        /// The number that it sent.
        found: usize,
    },
    /// A message that does not fit.
    #[error("a process sent {0}")]
    Unexpected(String),
    /// A connection failed.
    #[error("a connection to another process failed")]
    Io(#[from] std::io::Error),
    /// A line is not the JSON that is expected.
    #[error("a process sent a line that is not the expected JSON")]
    Json(#[from] serde_json::Error),
    /// Another process has ended.
    #[error("process {0} has ended; no process goes on without the others")]
    Ended(usize),
}

/// What a process is, and its settings.
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

/// Sent to process 0 by a process that is connected to all others.
#[derive(Debug, Serialize, Deserialize)]
struct Connected {
    connected: usize,
}

/// The checkpoint that a process has loaded.
#[derive(Debug, Serialize, Deserialize)]
struct Loaded {
    loaded: Option<u64>,
}

/// The checkpoint from which all processes continue.
#[derive(Debug, Serialize, Deserialize)]
struct Start {
    /// Its tick; without one, all start at the first tick.
    checkpoint: Option<u64>,
}

/// Waits until this process is connected to all others and, on process 0, until all others are connected to each other;
/// nothing if cancelled before. A dataflow of one process has no peers.
///
/// # Errors
/// If this process cannot listen, differs from another one, or another one ends.
pub(crate) fn connect(
    hosts: &[String],
    config: Config,
    cancel: &CancellationToken,
) -> Result<Option<Peers>, PeerError> {
    let mut peers: Peers = (0..config.processes).map(|_| None).collect();
    if config.processes == 1 {
        return Ok(Some(peers));
    }
    let host = hosts.get(config.process).ok_or(PeerError::NotAHost(config.process))?;
    let listener =
        TcpListener::bind(host).map_err(|source| PeerError::Listen { host: host.clone(), source })?;
    listener.set_nonblocking(true)?;
    let ours = Hello {
        program: program()?,
        process: config.process,
        processes: config.processes,
        workers: config.workers,
        output_partitions: config.output_partitions,
        rules: RULES_VERSION,
    };
    let mut logged_at = Instant::now();
    while !cancel.is_cancelled() {
        for (number, host) in hosts.iter().enumerate().take(config.process) {
            if peers[number].is_none() {
                peers[number] = connect_to(host, number, &ours)?;
            }
        }
        while let Ok((stream, from)) = listener.accept() {
            match accept(stream, &ours) {
                Ok((number, stream)) => peers[number] = Some(stream),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(%from, error, "a connection to the dataflow was refused");
                }
            }
        }
        // A process that has ended meanwhile connects again after its restart.
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
            return Ok(all_are_connected(&peers, config, cancel)?.then_some(peers));
        }
        if logged_at.elapsed() >= LOG_INTERVAL {
            tracing::warn!("the dataflow waits for process {}", missing.join(", "));
            logged_at = Instant::now();
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(None)
}

/// Tells process 0 that this process is connected to all others; on process 0, waits until all others have said so. False
/// if cancelled before.
fn all_are_connected(peers: &Peers, config: Config, cancel: &CancellationToken) -> Result<bool, PeerError> {
    let others = config.processes - 1;
    if config.process > 0 {
        write_line(first(peers)?, &Connected { connected: others })?;
        return Ok(true);
    }
    for peer in peers.iter().flatten() {
        let Some(Connected { connected }) = receive(peer, peers, cancel)? else { return Ok(false) };
        if connected != others {
            return Err(PeerError::Unexpected(format!("that it is connected to {connected} others")));
        }
    }
    tracing::info!("all processes of the dataflow are connected");
    Ok(true)
}

fn first(peers: &Peers) -> Result<&TcpStream, PeerError> {
    peers.first().and_then(Option::as_ref).ok_or(PeerError::Ended(0))
}

/// Fails once another process has ended: its part of the state only comes back if all are started again.
pub(crate) fn check_alive(peers: &Peers) -> Result<(), PeerError> {
    let ended = peers.iter().position(|peer| peer.as_ref().is_some_and(has_ended));
    ended.map_or(Ok(()), |number| Err(PeerError::Ended(number)))
}

/// Process 0 tells the others from which checkpoint all continue.
pub(crate) fn send_start(peers: &Peers, checkpoint: Option<u64>) -> Result<(), PeerError> {
    peers.iter().flatten().try_for_each(|peer| write_line(peer, &Start { checkpoint }))
}

/// The checkpoint from which all continue, as process 0 says; nothing if cancelled before.
pub(crate) fn receive_start(
    peers: &Peers,
    cancel: &CancellationToken,
) -> Result<Option<Option<u64>>, PeerError> {
    Ok(receive::<Start>(first(peers)?, peers, cancel)?.map(|start| start.checkpoint))
}

/// A line from a peer, as long as all peers are alive; nothing if cancelled before.
fn receive<T: DeserializeOwned>(
    peer: &TcpStream,
    peers: &Peers,
    cancel: &CancellationToken,
) -> Result<Option<T>, PeerError> {
    let mut line = Vec::new();
    while !cancel.is_cancelled() {
        check_alive(peers)?;
        if let Some(received) = read_line(peer, &mut line, Instant::now() + POLL_INTERVAL)? {
            return Ok(Some(received));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(None)
}

/// CRC-32 of this executable.
fn program() -> std::io::Result<u32> {
    let mut file = std::fs::File::open(std::env::current_exe()?)?;
    let (mut crc, mut bytes) = (crc32fast::Hasher::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(crc.finalize()),
            read => crc.update(&bytes[..read]),
        }
    }
}

/// Waits until all processes have loaded the checkpoint; false if cancelled before.
pub(crate) fn all_have_loaded(
    peers: &Peers,
    config: Config,
    loaded: Option<u64>,
    cancel: &CancellationToken,
) -> Result<bool, PeerError> {
    if config.processes == 1 {
        return Ok(true);
    }
    if config.process > 0 {
        let first = first(peers)?;
        write_line(first, &Loaded { loaded })?;
        return Ok(receive::<Loaded>(first, peers, cancel)?.is_some());
    }
    for peer in peers.iter().flatten() {
        let Some(theirs) = receive::<Loaded>(peer, peers, cancel)? else { return Ok(false) };
        if theirs.loaded != loaded {
            let text = format!("that it has loaded checkpoint {:?} instead of {loaded:?}", theirs.loaded);
            return Err(PeerError::Unexpected(text));
        }
    }
    peers.iter().flatten().try_for_each(|peer| write_line(peer, &Loaded { loaded }))?;
    Ok(true)
}

/// Connects to a process before this one; nothing while it does not listen, or if it has just ended.
fn connect_to(host: &str, number: usize, ours: &Hello) -> Result<Option<TcpStream>, PeerError> {
    let addresses =
        host.to_socket_addrs().map_err(|source| PeerError::Resolve { host: host.to_owned(), source })?;
    let connect = |address| TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).ok();
    let Some(stream) = addresses.into_iter().find_map(connect) else { return Ok(None) };
    if write_line(&stream, ours).is_err() {
        return Ok(None);
    }
    let theirs = match read_hello(&stream) {
        Ok(theirs) => theirs,
        Err(PeerError::Json(source)) => return Err(PeerError::NotAPeer { host: host.to_owned(), source }),
        Err(_) => return Ok(None),
    };
    check(&theirs, ours)?;
    if theirs.process != number {
        return Err(PeerError::WrongProcess { host: host.to_owned(), wanted: number, found: theirs.process });
    }
    Ok(Some(configure(stream)?))
}

/// Accepts a connection of a process after this one.
fn accept(stream: TcpStream, ours: &Hello) -> Result<(usize, TcpStream), PeerError> {
    stream.set_nonblocking(false)?;
    // The other side checks this itself.
    write_line(&stream, ours)?;
    let theirs = read_hello(&stream)?;
    check(&theirs, ours)?;
    if !(ours.process + 1..ours.processes).contains(&theirs.process) {
        return Err(PeerError::Unexpected(format!("that it is process {}", theirs.process)));
    }
    Ok((theirs.process, configure(stream)?))
}

fn check(theirs: &Hello, ours: &Hello) -> Result<(), PeerError> {
    if *theirs == (Hello { process: theirs.process, ..*ours }) {
        return Ok(());
    }
    let (process, theirs, ours) = (theirs.process, format!("{theirs:?}"), format!("{ours:?}"));
    Err(PeerError::Different { process, theirs, ours })
}

fn configure(stream: TcpStream) -> Result<TcpStream, PeerError> {
    stream.set_read_timeout(None)?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE)?;
    // Keepalive probes are sent only while no data waits to be acknowledged.
    SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_TIMEOUT))?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Whether the other side has closed the connection; data that it sent is left to be read.
fn has_ended(stream: &TcpStream) -> bool {
    match stream.peek(&mut [0]) {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

fn read_hello(stream: &TcpStream) -> Result<Hello, PeerError> {
    stream.set_read_timeout(Some(HELLO_TIMEOUT))?;
    let until = Instant::now() + HELLO_TIMEOUT;
    let hello = read_line(stream, &mut Vec::new(), until)?;
    hello.ok_or_else(|| PeerError::Unexpected(String::from("nothing within the timeout")))
}

fn write_line(mut stream: &TcpStream, line: &impl Serialize) -> Result<(), PeerError> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(stream.write_all(&bytes)?)
}

/// Reads one line and no byte after it; nothing if it is not there in time. `line` keeps what has arrived.
fn read_line<T: DeserializeOwned>(
    mut stream: &TcpStream,
    line: &mut Vec<u8>,
    until: Instant,
) -> Result<Option<T>, PeerError> {
    let mut byte = [0];
    while line.len() < LINE_BYTES_MAX {
        if Instant::now() >= until {
            return Ok(None);
        }
        match stream.read(&mut byte) {
            Ok(0) => return Err(PeerError::Io(ErrorKind::UnexpectedEof.into())),
            Ok(_) if byte[0] == b'\n' => return Ok(Some(serde_json::from_slice(line)?)),
            Ok(_) => line.push(byte[0]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(None);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(PeerError::Unexpected(format!("a line of more than {LINE_BYTES_MAX} bytes")))
}
