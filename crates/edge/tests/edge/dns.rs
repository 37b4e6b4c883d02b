//! Asks a server on real sockets of this machine, over UDP and TCP, with messages of hickory-proto.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RecordType};
use hickory_server::net::xfer::Protocol;
use spillway_edge::dns::{Dns, DnsConfig, DnsError, Handler};
use spillway_edge::follower::Follower;
use spillway_routing::answer::Zone;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::common::full;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

struct Server {
    address: SocketAddr,
    follower: Follower,
    task: JoinHandle<Result<(), DnsError>>,
    stop: tokio::sync::oneshot::Sender<()>,
}

async fn start(change: impl FnOnce(&mut DnsConfig)) -> Server {
    let mut follower = Follower::default();
    follower.offer(&full(1)).unwrap();
    let zone = Zone::new("zone.example", &["ns1.zone.example".to_owned()], "admin.zone.example", 30).unwrap();
    let mut config = DnsConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        nsid: Some("node-1".to_owned()),
        zone: Some(zone),
        ..DnsConfig::default()
    };
    change(&mut config);
    let dns = Dns::bind(config, follower.table()).await.unwrap();
    let address = dns.local_addresses()[0];
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(dns.run(async move {
        let _ = stopped.await;
    }));
    Server { address, follower, task, stop }
}

fn query(name: &str, qtype: RecordType) -> Message {
    let mut message = Message::new(4_711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), qtype));
    message
}

fn with_edns(mut message: Message, payload: u16, subnet: Option<(&str, u8)>) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(payload);
    edns.options_mut().insert(EdnsOption::Unknown(3, Vec::new()));
    if let Some((address, source)) = subnet {
        edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::new(address.parse().unwrap(), source, 0)));
    }
    message.set_edns(edns);
    message
}

async fn udp_bytes(server: SocketAddr, bytes: &[u8], patience: Duration) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(bytes, server).await.unwrap();
    let mut reply = vec![0; 65_535];
    let (length, _) = timeout(patience, socket.recv_from(&mut reply)).await.ok()?.unwrap();
    reply.truncate(length);
    Some(reply)
}

async fn udp(server: SocketAddr, message: &Message) -> Message {
    let reply = udp_bytes(server, &message.to_vec().unwrap(), REQUEST_TIMEOUT).await.unwrap();
    assert!(reply.len() <= 1_232);
    Message::from_vec(&reply).unwrap()
}

async fn tcp(stream: &mut TcpStream, message: &Message) -> Message {
    let bytes = message.to_vec().unwrap();
    stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let length = timeout(REQUEST_TIMEOUT, stream.read_u16()).await.unwrap().unwrap();
    let mut reply = vec![0; usize::from(length)];
    timeout(REQUEST_TIMEOUT, stream.read_exact(&mut reply)).await.unwrap().unwrap();
    Message::from_vec(&reply).unwrap()
}

/// Code, AA, and the records without their SOA.
fn text(reply: &Message) -> String {
    assert_eq!((reply.metadata.id, reply.metadata.recursion_available), (4_711, false));
    let aa = if reply.metadata.authoritative { " aa" } else { "" };
    let records: String = reply.answers.iter().map(|record| format!(" | {record}")).collect();
    let soa: String = reply.authorities.iter().map(|record| format!(" | soa {}", record.name)).collect();
    format!("{:?}{aa}{records}{soa}", reply.metadata.response_code)
}

#[tokio::test]
async fn answers_over_udp_and_tcp() {
    let server = start(|_| ()).await;
    // One connection for all: RFC 7766, section 6.2.1.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for (name, qtype, expected) in [
        ("near.example.", RecordType::A, "NoError aa | near.example. 20 IN A 192.0.2.1"),
        ("Near.Example.", RecordType::AAAA, "NoError aa | Near.Example. 20 IN AAAA 2001:db8::1"),
        ("near.example.", RecordType::MX, "NoError aa | soa near.example."),
        ("far.example.", RecordType::A, "NoError aa | far.example. 20 IN CNAME far.cdn.example."),
        ("far.example.", RecordType::HTTPS, "NoError aa | far.example. 20 IN CNAME far.cdn.example."),
        ("none.zone.example.", RecordType::A, "NXDomain aa | soa zone.example."),
        ("zone.example.", RecordType::NS, "NoError aa | zone.example. 30 IN NS ns1.zone.example."),
        ("zone.example.", RecordType::A, "NoError aa | soa zone.example."),
        ("elsewhere.test.", RecordType::A, "Refused"),
        ("near.example.", RecordType::AXFR, "Refused"),
        ("near.example.", RecordType::ANY, "NoError aa | near.example. 20 IN HINFO RFC8482 "),
    ] {
        let message = query(name, qtype);
        assert_eq!(text(&udp(server.address, &message).await), expected, "{name} {qtype}");
        assert_eq!(text(&tcp(&mut stream, &message).await), expected, "{name} {qtype}");
    }
    server.stop.send(()).unwrap();
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_subnet_and_nsid_come_back() {
    let server = start(|_| ()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let origin = "NoError aa | split.zone.example. 20 IN A 192.0.2.1";
    let cdn = "NoError aa | split.zone.example. 20 IN CNAME split.cdn.example.";
    for (subnet, scope, expected) in [
        ("198.18.5.0", 16, cdn),
        ("198.19.5.0", 16, origin),
        ("10.0.0.0", 1, origin),
        ("2001:d00::", 0, origin),
    ] {
        let message = with_edns(query("split.zone.example.", RecordType::A), 1_232, Some((subnet, 24)));
        for reply in [udp(server.address, &message).await, tcp(&mut stream, &message).await] {
            assert_eq!(text(&reply), expected, "{subnet}");
            let edns = reply.edns.unwrap();
            let option = ClientSubnet::new(subnet.parse().unwrap(), 24, scope);
            assert_eq!(edns.option(EdnsCode::Subnet), Some(&EdnsOption::Subnet(option)));
            let nsid = edns.option(EdnsCode::NSID).map(|option| Vec::try_from(option).unwrap());
            assert_eq!(nsid, Some(b"node-1".to_vec()));
        }
    }
}

#[tokio::test]
async fn answers_that_do_not_fit_are_truncated_and_sent_over_tcp() {
    let server = start(|_| ()).await;
    for message in
        [query("big.example.", RecordType::A), with_edns(query("big.example.", RecordType::A), 4_096, None)]
    {
        let reply = udp(server.address, &message).await;
        assert!(reply.metadata.truncation);
        assert_eq!((reply.answers.len(), reply.edns.is_some()), (0, message.edns.is_some()));
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let reply = tcp(&mut stream, &message).await;
        assert!(!reply.metadata.truncation);
        assert_eq!(reply.answers.len(), 150);
    }
}

#[tokio::test]
async fn messages_that_are_not_queries_get_their_code_or_no_answer() {
    let server = start(|_| ()).await;
    let code = async |bytes: &[u8]| {
        let reply = udp_bytes(server.address, bytes, REQUEST_TIMEOUT).await.unwrap();
        Message::from_vec(&reply).unwrap().metadata.response_code
    };
    let plain = query("near.example.", RecordType::A);
    let bytes = plain.to_vec().unwrap();
    let mut two = plain.clone();
    two.add_query(plain.queries[0].clone());
    assert_eq!(code(&two.to_vec().unwrap()).await, ResponseCode::FormErr);
    assert_eq!(code(&bytes[..bytes.len() - 1]).await, ResponseCode::FormErr);
    let mut version = with_edns(plain.clone(), 1_232, None);
    version.edns.as_mut().unwrap().set_version(1);
    // BADVERS and BADSIG are both 16.
    assert_eq!(u16::from(code(&version.to_vec().unwrap()).await), 16);
    // One octet of address too many, which the library would accept.
    let mut subnet = plain.clone();
    let mut edns = Edns::new();
    edns.options_mut().insert(EdnsOption::Unknown(8, vec![0, 1, 8, 0, 10, 0]));
    subnet.set_edns(edns);
    assert_eq!(code(&subnet.to_vec().unwrap()).await, ResponseCode::FormErr);

    let mut response = bytes.clone();
    response[2] |= 0x80;
    for silent in [&response[..], &response[..bytes.len() - 1], &bytes[..11]] {
        assert_eq!(udp_bytes(server.address, silent, Duration::from_millis(200)).await, None);
    }
}

/// The library's decoder warns of options that end early.
#[test]
fn a_malformed_message_is_answered_and_not_logged() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let mut follower = Follower::default();
    follower.offer(&full(1)).unwrap();
    let handler = Handler::new(follower.table(), None, None);
    let mut bytes = query("near.example.", RecordType::A).to_vec().unwrap();
    bytes[11] = 1;
    // An OPT record with 7 bytes of options: one of 5 bytes, of which 3 are there.
    bytes.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 7, 0, 3, 0, 5, 1, 2, 3]);
    let peer = "127.0.0.1:53".parse().unwrap();
    let answer = tracing::subscriber::with_default(subscriber, || {
        tracing::warn!("the subscriber works");
        handler.respond(&bytes, peer, Protocol::Udp).unwrap()
    });
    assert_eq!(Message::from_vec(&answer).unwrap().metadata.response_code, ResponseCode::FormErr);
    let lines = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    assert_eq!(lines.lines().count(), 1, "{lines}");
}

/// The output of a subscriber.
#[derive(Debug, Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn connections_are_bounded_in_number_and_idle_time() {
    let server = start(|config| {
        (config.tcp_connections_max, config.tcp_idle_max) = (1, Duration::from_millis(300));
    })
    .await;
    let message = query("near.example.", RecordType::A);
    let mut first = TcpStream::connect(server.address).await.unwrap();
    tcp(&mut first, &message).await;
    // From another address, so that the limit of all clients applies.
    let mut second = connect_from("127.0.0.2", server.address).await;
    assert!(timeout(REQUEST_TIMEOUT, second.read_u8()).await.unwrap().is_err());
    // The first is closed after its idle timeout, so that another one is accepted.
    assert!(timeout(REQUEST_TIMEOUT, first.read_u8()).await.unwrap().is_err());
    let mut third = TcpStream::connect(server.address).await.unwrap();
    tcp(&mut third, &message).await;
}

async fn connect_from(client: &str, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(client.parse().unwrap(), 0)).unwrap();
    socket.connect(server).await.unwrap()
}

/// One client opens all the connections that it can; another one is served, and the first again once one has ended.
#[tokio::test]
async fn a_client_has_a_share_of_the_connections() {
    let server = start(|config| {
        (config.tcp_connections_max, config.tcp_connections_per_client_max) = (4, 2);
    })
    .await;
    let message = query("near.example.", RecordType::A);
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = connect_from("127.0.0.1", server.address).await;
        tcp(&mut stream, &message).await;
        open.push(stream);
    }
    for _ in 0..10 {
        let mut refused = connect_from("127.0.0.1", server.address).await;
        assert!(timeout(REQUEST_TIMEOUT, refused.read_u8()).await.unwrap().is_err());
    }
    let mut other = connect_from("127.0.0.2", server.address).await;
    tcp(&mut other, &message).await;
    drop(open.pop());
    // The server sees the end of the connection a little later.
    let mut attempts = 0;
    loop {
        let mut stream = connect_from("127.0.0.1", server.address).await;
        let bytes = message.to_vec().unwrap();
        stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
        if stream.write_all(&bytes).await.is_ok()
            && timeout(REQUEST_TIMEOUT, stream.read_u16()).await.unwrap().is_ok()
        {
            break;
        }
        attempts += 1;
        assert!(attempts < 500, "the place of the ended connection is not free");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A query that arrives byte by byte does not keep its connection for longer than a message may take.
#[tokio::test]
async fn a_slow_query_is_cut_off() {
    let server = start(|config| config.tcp_message_max = Duration::from_millis(300)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut sent = 0;
    while stream.write_u8(1).await.is_ok() {
        sent += 1;
        assert!(sent < 200, "the connection stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn connections_are_bounded_by_the_open_files() {
    let limits = |files_max| {
        let config = DnsConfig::default().with_files_max(files_max);
        (config.tcp_connections_max, config.tcp_connections_per_client_max)
    };
    assert_eq!(limits(0), (1, 1));
    assert_eq!(limits(1_024), (256, 32));
    assert_eq!(limits(u64::MAX), (8_192, 1_024));
}

#[tokio::test]
async fn without_a_table_nothing_is_bound() {
    let config = DnsConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], ..DnsConfig::default() };
    let follower = Follower::default();
    assert!(matches!(Dns::bind(config, follower.table()).await.unwrap_err(), DnsError::NoTable));
}

/// Three clients ask without a pause while tables are swapped ten times a second; every answer is complete.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swapping_under_load_never_gives_an_error() {
    let mut server = start(|_| ()).await;
    let address = server.address;
    let until = Instant::now() + Duration::from_secs(2);
    let clients: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn(async move {
                let message = query("near.example.", RecordType::A);
                let mut answers = 0_u32;
                while Instant::now() < until {
                    let reply = text(&udp(address, &message).await);
                    assert_eq!(reply, "NoError aa | near.example. 20 IN A 192.0.2.1");
                    answers += 1;
                }
                answers
            })
        })
        .collect();
    for version in 2..20 {
        server.follower.offer(&full(version)).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let table = Arc::clone(&server.follower.table().load_full().unwrap());
    assert_eq!(table.version(), 19);
    for client in clients {
        assert!(client.await.unwrap() > 10);
    }
}
