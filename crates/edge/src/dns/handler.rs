//! Turns the bytes of a query into the bytes of its answer: hickory-server's codec around the pure function.

use std::net::SocketAddr;

use hickory_proto::op::{Header, HeaderCounts, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder};
use hickory_server::net::xfer::Protocol;
use hickory_server::server::Request;
use hickory_server::zone_handler::MessageResponseBuilder;
use spillway_routing::answer::{Answer, Query, Zone, answer};
use tracing::subscriber::{NoSubscriber, with_default};

use crate::follower::SharedTable;

/// Answers query messages from the current table.
#[derive(Debug)]
pub struct Handler {
    table: SharedTable,
    zone: Option<Zone>,
    nsid: Option<Vec<u8>>,
}

impl Handler {
    /// A handler that answers from a table that may be replaced at any time.
    #[must_use]
    pub fn new(table: SharedTable, zone: Option<Zone>, nsid: Option<String>) -> Self {
        Self { table, zone, nsid: nsid.map(String::into_bytes) }
    }

    /// The answer to a message from the network. FORMERR if it cannot be decoded; `None` if it is a response or shorter than
    /// a header, or there is no table.
    #[must_use]
    pub fn respond(&self, message: &[u8], peer: SocketAddr, protocol: Protocol) -> Option<Vec<u8>> {
        let header = Header::read(&mut BinDecoder::new(message)).ok()?;
        if header.message_type == MessageType::Response {
            return None;
        }
        let table = self.table.load_full()?;
        // The decoder logs a warning for some malformed messages. Anybody can send these, so they are not logged.
        let decoded =
            with_default(NoSubscriber::new(), || Request::from_bytes(message.to_vec(), peer, protocol));
        let Ok(request) = decoded else { return header_only(&header.metadata) };
        let question = match request.queries.queries() {
            [question] => Some(question.original()),
            _ => None,
        };
        let query = Query {
            metadata: &request.metadata,
            question,
            edns: request.edns.as_ref(),
            bytes: request.as_slice(),
            peer: peer.ip(),
        };
        let mut answer = answer(&table, self.zone.as_ref(), self.nsid.as_deref(), &query)?;
        let bytes_max = if protocol == Protocol::Udp { answer.udp_bytes_max() } else { u16::MAX };
        if let Some(bytes) = encode(&request, &answer, bytes_max) {
            return Some(bytes);
        }
        // The encoder shortens a message by dropping its last records, and EDNS is the last one.
        answer.truncate();
        encode(&request, &answer, bytes_max).or_else(|| header_only(&header.metadata))
    }
}

/// The complete message; `None` if it has more bytes than allowed, unless it is already truncated.
fn encode(request: &Request, answer: &Answer<'_>, bytes_max: u16) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(512);
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_max_size(bytes_max);
    let builder = MessageResponseBuilder::new(&request.queries, answer.edns.as_ref());
    let message = builder.build(answer.metadata, &answer.answers, [], &answer.authority, []);
    let encoded = message.destructive_emit(&mut encoder).ok()?;
    (encoded.truncation == answer.metadata.truncation).then_some(bytes)
}

/// The answer to a message that cannot be decoded: FORMERR, or the answer to all messages of its opcode.
fn header_only(query: &Metadata) -> Option<Vec<u8>> {
    let mut metadata = Metadata::response_from_request(query);
    metadata.checking_disabled = false;
    metadata.response_code = match query.op_code {
        OpCode::Query => ResponseCode::FormErr,
        OpCode::Update => ResponseCode::Refused,
        _ => ResponseCode::NotImp,
    };
    Header { metadata, counts: HeaderCounts::default() }.to_bytes().ok()
}
